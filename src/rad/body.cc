#include "rad/body.h"

#include <algorithm>

namespace kz::rad {
namespace {

constexpr std::size_t kMaxKeyShown = 64;

template <typename T>
Result<T> as_argument(Result<T> read) {
    if (!read) return fail(Errc::invalid_argument, "the request's body: {}", read.error().message());
    return read;
}

}  // namespace

Result<Body> Body::of(const Json& body, std::span<const std::string_view> known) {
    if (body.is_null()) return Body(Json::object());
    if (!body.is_object()) return fail(Errc::invalid_argument, "the request's body is not an object");
    for (const auto& [key, value] : body.items())
        if (std::ranges::find(known, key) == known.end())
            return fail(Errc::invalid_argument, "the request's body: '{}' is not known here",
                        key.substr(0, kMaxKeyShown));
    return Body(body);
}

Result<std::string> Body::text(std::string_view key) const {
    return as_argument(json_text(object_, key));
}

Result<std::string> Body::text_or(std::string_view key, std::string_view fallback) const {
    KZ_TRY(std::optional<std::string> value, as_argument(json_optional_text(object_, key)));
    return value ? *std::move(value) : std::string(fallback);
}

Result<bool> Body::flag(std::string_view key) const {
    return object_.contains(key) ? as_argument(json_bool(object_, key)) : Result<bool>(false);
}

Result<std::uint64_t> Body::number_or(std::string_view key, std::uint64_t fallback,
                                      std::uint64_t highest) const {
    KZ_TRY(const std::optional<std::uint64_t> value, as_argument(json_optional_u64(object_, key)));
    if (value && *value > highest)
        return fail(Errc::invalid_argument, "the request's body: '{}' is at most {}", key, highest);
    return value.value_or(fallback);
}

}  // namespace kz::rad
