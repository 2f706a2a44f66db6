#include "zonecfg/command.h"

#include <algorithm>
#include <array>

namespace kz::zonecfg {

namespace {

constexpr std::array kVerbs = std::to_array<VerbInfo>({
    {Verb::add, "add", Scope::any,
     "add <resource-type>\n\t(global scope)\n"
     "add <property-name> <property-value>\n\t(resource scope)",
     "In the global scope, begins a new resource of the given type.\n"
     "In a resource, adds an item to a list-valued property, or begins a resource inside it.",
     true},
    {Verb::cancel, "cancel", Scope::resource, "cancel",
     "Leaves the resource without keeping what was changed in it.", false},
    {Verb::clear, "clear", Scope::any, "clear <property-name>",
     "Unsets a property, or gives it its default value again.", true},
    {Verb::commit, "commit", Scope::global, "commit",
     "Verifies the configuration and saves it. Leaving does the same when something was changed.", true},
    {Verb::create, "create", Scope::global, "create [-F] [ -a <path> | -b | -t <template> ]",
     "Begins the configuration of a new zone.\n"
     "Without an option it starts from the system's default template, -t names another one (or a zone),\n"
     "-b starts from nothing and -a from an exported file. -F overwrites an existing configuration.",
     true},
    {Verb::remove_zone, "delete", Scope::global, "delete [-F]",
     "Deletes the configuration of the zone, at once. -F does so without a question.", true},
    {Verb::end, "end", Scope::resource, "end", "Checks the resource and keeps it.", false},
    {Verb::exit, "exit", Scope::any, "exit [-F]",
     "Leaves; what was changed is committed first. -F leaves even when that fails. End of file does the "
     "same.",
     false},
    {Verb::export_config, "export", Scope::global, "export [-f output-file]",
     "Prints the configuration as commands that make it again, the zone's key included, or writes them to a "
     "file.",
     false},
    {Verb::help, "help", Scope::any, "help [commands] [syntax] [usage] [<command-name>]",
     "Prints help: on the resource, on a command, or a list of them.", false},
    {Verb::info, "info", Scope::any, "info [<resource-type> [property-name=property-value]*]",
     "Shows the configuration, a global property, or the resources of a type. In a resource, shows it.",
     false},
    {Verb::remove, "remove", Scope::any,
     "remove [-F] <resource-type> [ <property-name>=<property-value> ]*\n\t(global scope)\n"
     "remove <property-name> <property-value>\n\t(resource scope)",
     "In the global scope, removes the resources that match; -F removes several without a question.\n"
     "In a resource, removes an item of a list-valued property, or a resource inside it.",
     true},
    {Verb::revert, "revert", Scope::global, "revert [-F]",
     "Goes back to the configuration as it was last saved. -F does so without a question.", true},
    {Verb::select, "select", Scope::any, "select <resource-type> { <property-name>=<property-value> }",
     "Enters the one resource that matches, to change it. A number selects by the place shown by info.",
     true},
    {Verb::set, "set", Scope::any, "set <property-name>=<property-value>",
     "Sets a global property, or a property of the resource.", true},
    {Verb::verify, "verify", Scope::global, "verify",
     "Checks the configuration, and names what it holds that is without effect on Linux.", false},
});

}  // namespace

std::span<const VerbInfo> verbs() {
    return kVerbs;
}

const VerbInfo& info_of(Verb verb) {
    // The table has a row for each verb, in the order of the enum.
    return kVerbs[static_cast<std::size_t>(verb) - 1];
}

const VerbInfo* find_verb(std::string_view name) {
    const auto* found = std::ranges::find(kVerbs, name, &VerbInfo::name);
    return found == kVerbs.end() ? nullptr : found;
}

}  // namespace kz::zonecfg
