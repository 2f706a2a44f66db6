#include "base/json.h"

namespace kz {
namespace {

std::unexpected<Error> missing(std::string_view key, std::string_view what) {
    return fail(Errc::corrupt, "field '{}' is missing or not {}", key, what);
}

const Json* find_field(const Json& object, std::string_view key) {
    if (!object.is_object()) return nullptr;
    const auto found = object.find(key);
    return found == object.end() || found->is_null() ? nullptr : &*found;
}

}  // namespace

Result<Json> parse_json(std::string_view text) {
    bool too_deep = false;
    const auto limit_depth = [&too_deep](int depth, Json::parse_event_t, Json&) {
        too_deep = too_deep || depth > kMaxJsonDepth;
        return !too_deep;
    };
    try {
        Json value = Json::parse(text, limit_depth);
        if (too_deep) return fail(Errc::corrupt, "JSON nested deeper than {} levels", kMaxJsonDepth);
        return value;
    } catch (const Json::parse_error& error) {
        return fail(Errc::corrupt, "not valid JSON near byte {}", error.byte);
    } catch (const Json::exception&) {
        return fail(Errc::corrupt, "not valid JSON: a number is out of range");
    }
}

std::string render_json(const Json& value, int indent) {
    return value.dump(indent, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

Result<std::string> json_text(const Json& object, std::string_view key) {
    const Json* field = find_field(object, key);
    if (field == nullptr || !field->is_string()) return missing(key, "a text");
    return field->get<std::string>();
}

Result<std::uint64_t> json_u64(const Json& object, std::string_view key) {
    const Json* field = find_field(object, key);
    if (field == nullptr || !field->is_number_unsigned()) return missing(key, "a whole number");
    return field->get<std::uint64_t>();
}

Result<bool> json_bool(const Json& object, std::string_view key) {
    const Json* field = find_field(object, key);
    if (field == nullptr || !field->is_boolean()) return missing(key, "true or false");
    return field->get<bool>();
}

Result<std::optional<std::string>> json_optional_text(const Json& object, std::string_view key) {
    if (find_field(object, key) == nullptr) return std::nullopt;
    return json_text(object, key);
}

Result<std::optional<std::uint64_t>> json_optional_u64(const Json& object, std::string_view key) {
    if (find_field(object, key) == nullptr) return std::nullopt;
    return json_u64(object, key);
}

Result<const Json*> json_optional_object(const Json& object, std::string_view key) {
    const Json* field = find_field(object, key);
    if (field != nullptr && !field->is_object()) return missing(key, "an object");
    return field;
}

}  // namespace kz
