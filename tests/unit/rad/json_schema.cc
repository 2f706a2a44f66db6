#include "json_schema.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <set>

#include "base/text.h"

namespace kz::rad {
namespace {

using Faults = std::vector<std::string>;

Json scalar(const YAML::Node& node) {
    const std::string text = node.Scalar();
    if (node.Tag() == "!") return text;
    if (text == "true" || text == "false") return text == "true";
    if (text == "null") return nullptr;
    if (const auto number = parse_u64(text)) return *number;
    return text;
}

Json to_json(const YAML::Node& node) {
    if (node.IsScalar()) return scalar(node);
    if (node.IsNull()) return nullptr;
    Json result = node.IsSequence() ? Json::array() : Json::object();
    for (const auto& each : node) {
        if (node.IsSequence())
            result.push_back(to_json(each));
        else
            result[each.first.as<std::string>()] = to_json(each.second);
    }
    return result;
}

bool is_of_type(const Json& value, const std::string& type) {
    if (type == "object") return value.is_object();
    if (type == "array") return value.is_array();
    if (type == "string") return value.is_string();
    if (type == "boolean") return value.is_boolean();
    if (type == "integer") return value.is_number_integer();
    if (type == "null") return value.is_null();
    return false;
}

void check_type(const Json& type, const Json& value, const std::string& at, Faults& faults) {
    const Json types = type.is_array() ? type : Json::array({type});
    if (std::ranges::none_of(types, [&](const Json& each) { return is_of_type(value, each); }))
        faults.push_back(at + ": is not of type " + type.dump() + ": " + value.dump());
}

void check_object(const Json& document, const Json& schema, const Json& value, const std::string& at,
                  Faults& faults) {
    const Json properties = schema.value("properties", Json::object());
    for (const Json& name : schema.value("required", Json::array()))
        if (!value.contains(name.get<std::string>())) faults.push_back(at + ": lacks " + name.dump());
    for (const auto& [name, member] : value.items()) {
        if (properties.contains(name)) {
            const Faults inner = schema_faults(document, properties[name], member, at + "/" + name);
            faults.insert(faults.end(), inner.begin(), inner.end());
        } else if (!schema.value("additionalProperties", true)) {
            faults.push_back(at + ": has " + name);
        }
    }
}

void check_bounds(const Json& schema, const Json& value, const std::string& at, Faults& faults) {
    if (value.is_number() && schema.contains("minimum") && value < schema["minimum"])
        faults.push_back(at + ": is too small");
    if (value.is_number() && schema.contains("maximum") && value > schema["maximum"])
        faults.push_back(at + ": is too large");
    if (value.is_string() && schema.contains("maxLength") &&
        value.get<std::string>().size() > schema["maxLength"].get<std::size_t>())
        faults.push_back(at + ": is too long");
    if (schema.contains("enum") && std::ranges::find(schema["enum"], value) == schema["enum"].end())
        faults.push_back(at + ": is none of the enumeration: " + value.dump());
}

}  // namespace

Json load_yaml(const std::string& file) {
    return to_json(YAML::LoadFile(file));
}

const Json& resolve(const Json& document, const Json& value) {
    if (!value.is_object() || !value.contains("$ref")) return value;
    return document.at(Json::json_pointer(value["$ref"].get<std::string>().substr(1)));
}

std::vector<std::string> schema_faults(const Json& document, const Json& schema_or_reference,
                                       const Json& value, const std::string& at) {
    static const std::set<std::string> kKnown{"type",      "properties", "required", "additionalProperties",
                                              "items",     "enum",       "minimum",  "maximum",
                                              "maxLength", "description"};
    const Json& schema = resolve(document, schema_or_reference);
    Faults faults;
    for (const auto& [keyword, unused] : schema.items())
        if (!kKnown.contains(keyword)) faults.push_back(at + ": the schema has " + keyword);
    if (schema.contains("type")) check_type(schema["type"], value, at, faults);
    check_bounds(schema, value, at, faults);
    if (value.is_object()) check_object(document, schema, value, at, faults);
    if (value.is_array() && schema.contains("items")) {
        for (std::size_t i = 0; i < value.size(); ++i) {
            const Faults inner =
                schema_faults(document, schema["items"], value[i], at + "/" + std::to_string(i));
            faults.insert(faults.end(), inner.begin(), inner.end());
        }
    }
    return faults;
}

}  // namespace kz::rad
