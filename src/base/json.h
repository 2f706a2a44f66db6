// JSON from outside: parsing with limits and reading fields as Results. For every floor that keeps or
// receives it.
//
// Library exceptions end here: nothing in this header throws on bad input.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kz {

using Json = nlohmann::json;

// Deeper nesting than this is refused: our own documents need 6, and printing a value recurses.
inline constexpr int kMaxJsonDepth = 32;

// The caller caps the size of `text`. Errors: Errc::corrupt, with the position.
Result<Json> parse_json(std::string_view text);

// One line when `indent` is negative. Bytes that are not UTF-8 are printed as U+FFFD.
std::string render_json(const Json& value, int indent = -1);

// A field of an object. Errors: Errc::corrupt, naming the field, when it is missing or of another type.
Result<std::string> json_text(const Json& object, std::string_view key);
Result<std::uint64_t> json_u64(const Json& object, std::string_view key);
Result<bool> json_bool(const Json& object, std::string_view key);

// Nothing when the field is missing or null; the same errors for another type.
Result<std::optional<std::string>> json_optional_text(const Json& object, std::string_view key);
Result<std::optional<std::uint64_t>> json_optional_u64(const Json& object, std::string_view key);
// nullptr when the field is missing or null; Errc::corrupt when it is not an object.
Result<const Json*> json_optional_object(const Json& object, std::string_view key);

}  // namespace kz
