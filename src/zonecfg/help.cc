#include "zonecfg/help.h"

#include <fmt/format.h>

namespace kz::zonecfg {

std::string usage_text() {
    return "usage:\tzonecfg help\n"
           "\tzonecfg -z <zone> [-r]\t\t\t(interactive)\n"
           "\tzonecfg -z <zone> [-r] <command>\n"
           "\tzonecfg -z <zone> [-r] -f <command-file>\n"
           "\t-R <root> before the others names another root directory\n";
}

std::string commands_text() {
    std::string out = "Commands:\n\n";
    for (const VerbInfo& verb : verbs())
        out += fmt::format("{}\n", verb.usage);
    return out + "\nUse 'help <command-name>' for more on one of them.\n";
}

std::string syntax_text() {
    return "A line holds commands with ';' between them; '#' begins a comment.\n\n"
           "<resource-type>    see below\n"
           "<property-value>   <simple> | <complex> | <list>\n"
           "<simple>           one word, or text in double quotes when it has blanks or '='\n"
           "<complex>          (<property-name>=<simple>,<property-name>=<simple>...)\n"
           "<list>             [<simple or complex>,<simple or complex>...]\n\n" +
           properties_text(nullptr);
}

std::string verb_text(const VerbInfo& verb) {
    return fmt::format("{}\n\n{}\n", verb.usage, verb.help);
}

namespace {

std::string property_lines(std::span<const zone::PropertySpec> specs) {
    std::string out;
    for (const zone::PropertySpec& spec : specs)
        out += fmt::format("\t{}{}: {}{}\n", spec.name, spec.required ? " (required)" : "", spec.hint,
                           spec.no_effect     ? " (without effect on Linux)"
                           : spec.not_applied ? " (not applied by this version)"
                                              : "");
    return out;
}

}  // namespace

std::string properties_text(const zone::ResourceSpec* resource) {
    std::string out;
    if (resource != nullptr)
        out = fmt::format("{}: {}\n\nProperties:\n{}", resource->type, resource->help,
                          property_lines(resource->properties));
    else
        out = "Global properties:\n" + property_lines(zone::global_specs());
    const auto types = zone::child_specs(resource != nullptr ? resource->type : std::string_view{});
    if (!types.empty()) out += "\nResource types:\n";
    for (const zone::ResourceSpec* type : types)
        out += fmt::format("\t{}: {}\n", type->type, type->help);
    return out;
}

}  // namespace kz::zonecfg
