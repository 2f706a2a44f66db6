// PropertyValue: the value of a property as the zonecfg language writes it. For zone and zonecfg.
//
//   simple   4G   "quiet console=hvc0"
//   complex  (priv=privileged,limit=10,action=none)
//   list     [file:///etc/a.pem,file:///etc/b.pem]   whose items are simple or complex; [] is the empty list
//
// Inside quotes \" is a quote and \\ a backslash; a backslash before anything else stands for itself.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace kz::zone {

// Names and values in the order written.
using ComplexValue = std::vector<std::pair<std::string, std::string>>;
using ScalarValue = std::variant<std::string, ComplexValue>;
using ListValue = std::vector<ScalarValue>;

class PropertyValue {
  public:
    PropertyValue() = default;
    explicit PropertyValue(std::string simple) : value_(std::move(simple)) {}
    explicit PropertyValue(ComplexValue complex) : value_(std::move(complex)) {}
    explicit PropertyValue(ListValue list) : value_(std::move(list)) {}
    explicit PropertyValue(ScalarValue scalar);

    // The content when the value is of that kind, else nullptr.
    const std::string* simple() const { return std::get_if<std::string>(&value_); }
    const ComplexValue* complex() const { return std::get_if<ComplexValue>(&value_); }
    const ListValue* list() const { return std::get_if<ListValue>(&value_); }

    // In the language, quoted only where that is needed: what follows the '=' of a set command.
    std::string source() const;
    // For a reader: a simple value as it is, without quotes; the others as source().
    std::string display() const;

    bool operator==(const PropertyValue&) const = default;

  private:
    std::variant<std::string, ComplexValue, ListValue> value_;
};

// An item of a list (or a whole complex value) in the language.
std::string scalar_source(const ScalarValue& value);

}  // namespace kz::zone
