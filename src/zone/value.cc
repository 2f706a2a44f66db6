#include "zone/value.h"

namespace kz::zone {

namespace {

// What ends an unquoted word: outside of a list or complex value a comma or a bracket is an ordinary
// character (but for an opening one in front), so that "iscsi://host/target.iqn,lun.3" needs no quotes.
constexpr std::string_view kEndsWord = " \t;=\"";
constexpr std::string_view kEndsNestedWord = " \t;=\",()[]";

std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + '"';
}

std::string word(std::string_view text, std::string_view ends) {
    const bool opens = text.starts_with('(') || text.starts_with('[');
    const bool plain = !text.empty() && !opens && text.find_first_of(ends) == std::string_view::npos;
    return plain ? std::string(text) : quoted(text);
}

std::string complex_source(const ComplexValue& value) {
    std::string out = "(";
    for (const auto& [name, text] : value) {
        if (out.size() > 1) out += ',';
        out += name + '=' + word(text, kEndsNestedWord);
    }
    return out + ')';
}

std::string list_source(const ListValue& list) {
    std::string out = "[";
    for (const ScalarValue& item : list) {
        if (out.size() > 1) out += ',';
        out += scalar_source(item);
    }
    return out + ']';
}

}  // namespace

PropertyValue::PropertyValue(ScalarValue scalar) {
    if (auto* text = std::get_if<std::string>(&scalar))
        value_ = std::move(*text);
    else
        value_ = std::move(std::get<ComplexValue>(scalar));
}

std::string scalar_source(const ScalarValue& value) {
    if (const auto* text = std::get_if<std::string>(&value)) return word(*text, kEndsNestedWord);
    return complex_source(std::get<ComplexValue>(value));
}

std::string PropertyValue::source() const {
    if (const auto* text = simple()) return word(*text, kEndsWord);
    if (const auto* value = complex()) return complex_source(*value);
    return list_source(*list());
}

std::string PropertyValue::display() const {
    return simple() ? *simple() : source();
}

}  // namespace kz::zone
