#include "cli/extra_options.h"

#include <algorithm>

#include "base/text.h"

namespace kz::cli {
namespace {

std::string shown(const ExtraOption& option) {
    if (option.value.empty()) return std::string(option.name);
    return fmt::format(fmt::runtime(option.value_optional ? "{}[={}]" : "{}={}"), option.name, option.value);
}

std::unexpected<Error> unknown(const std::vector<ExtraOption>& options, std::string_view name) {
    std::vector<std::string> names;
    for (const ExtraOption& option : options)
        names.push_back(shown(option));
    return fail(Errc::not_found, "-x {}: there is no such option; there are: {}", name, join(names, ", "));
}

}  // namespace

Result<void> take_extra_option(const std::vector<ExtraOption>& options, std::string_view text) {
    const auto equals = text.find('=');
    const std::string_view name = text.substr(0, equals);
    const bool has_value = equals != std::string_view::npos;
    const auto option = std::ranges::find(options, name, &ExtraOption::name);
    if (option == options.end()) return unknown(options, name);
    if (has_value && option->value.empty())
        return fail(Errc::invalid_argument, "-x {}: takes no value", name);
    const std::string value(has_value ? text.substr(equals + 1) : "");
    if (value.empty() && (has_value || (!option->value.empty() && !option->value_optional)))
        return fail(Errc::invalid_argument, "-x {}: a value is missing", shown(*option));
    KZ_CHECK_CONTEXT(option->take(value), fmt::format("-x {}", name));
    return {};
}

ExtraOption extra_flag(std::string_view name, bool& flag) {
    return {name, "", false, [&flag](const std::string&) -> Result<void> {
                flag = true;
                return {};
            }};
}

}  // namespace kz::cli
