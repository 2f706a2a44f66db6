// Body: the fields of a request's JSON body, read with their limits. For the routes of src/rad.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/json.h"

namespace kz::rad {

// All errors are Errc::invalid_argument and name the field.
class Body {
  public:
    // A null body is an empty object. A field that is not in `known` is an error: a misspelled option must
    // not be an ignored one.
    static Result<Body> of(const Json& body, std::span<const std::string_view> known);

    Result<std::string> text(std::string_view key) const;
    Result<std::string> text_or(std::string_view key, std::string_view fallback) const;
    Result<bool> flag(std::string_view key) const;  // false when missing
    Result<std::uint64_t> number_or(std::string_view key, std::uint64_t fallback,
                                    std::uint64_t highest) const;

  private:
    explicit Body(Json object) : object_(std::move(object)) {}
    Json object_;
};

}  // namespace kz::rad
