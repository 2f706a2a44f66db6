// The commands that add dialogue to the editor: set, remove, info, help, exit.
#include <algorithm>

#include "zone/names.h"
#include "zone/pattern.h"
#include "zonecfg/help.h"
#include "zonecfg/info.h"
#include "zonecfg/session.h"

namespace kz::zonecfg {

namespace {

std::unexpected<Error> usage() {
    return fail(Errc::protocol, "usage");
}

bool is_force(const Argument& argument) {
    return argument.is_word() && argument.word == "-F";
}

}  // namespace

Result<void> Session::set(const Arguments& arguments) {
    const bool renames = !editor_.in_resource() && arguments.size() == 1 && arguments[0].word == "zonename";
    if (renames && arguments[0].value && arguments[0].value->simple() != nullptr)
        return set_zone_name(*arguments[0].value->simple());
    Editor changed = editor_;
    KZ_CHECK(changed.set(arguments));
    KZ_CHECK(check_storage(arguments));
    editor_ = std::move(changed);
    return {};
}

// The schema knows the scheme of a storage URI only; the rest of it is the environment's to know.
Result<void> Session::check_storage(const Arguments& arguments) {
    for (const Argument& argument : arguments) {
        const std::string* value = argument.value ? argument.value->simple() : nullptr;
        if (value == nullptr || (argument.word != "storage" && argument.word != "storage.template")) continue;
        const std::string expanded = zone::expand_pattern(*value, zone_, "0");
        if (const Result<void> checked = environment_.check_storage(expanded); !checked)
            return fail(Errc::invalid_argument, "{}: {}\n{}: {}.", *value, zone::kInvalidArgument, expanded,
                        checked.error().message());
    }
    return {};
}

Result<void> Session::set_zone_name(const std::string& name) {
    if (!zone::is_valid_zone_name(name))
        return fail(Errc::invalid_argument, "{}: {}", name.empty() ? "zonename" : name, zone::kBogusZoneName);
    if (name == zone_) return {};
    const auto state = saved_state();
    if (state && *state != zone::State::configured)
        return fail(Errc::wrong_state, "{}: {}", saved_->name(), zone::kBadState);
    const bool is_own = saved_ && saved_->name() == name;
    if (!is_own && environment_.state(name))
        return fail(Errc::already_exists, "{}: {}", name, zone::kNameInUse);
    KZ_CHECK(editor_.set({Argument{"zonename", zone::PropertyValue(name)}}));
    zone_ = name;
    return {};
}

Result<void> Session::remove(const Arguments& arguments) {
    const bool force = !arguments.empty() && is_force(arguments.front());
    const Arguments rest(arguments.begin() + (force ? 1 : 0), arguments.end());
    if (editor_.in_resource()) return force ? usage() : editor_.remove(rest);
    KZ_TRY(const auto places, editor_.matches(rest));
    const std::string& type = rest[0].word;
    if (places.size() > 1 && !force) {
        const auto answer =
            environment_.ask(fmt::format("Are you sure you want to remove ALL '{}' resources", type));
        if (!answer)
            return fail(Errc::invalid_argument,
                        "There are multiple instances of this resource.  Either qualify the resource to\n"
                        "remove a single instance or use the -F option to remove all instances.");
        if (!*answer) return {};
    }
    editor_.remove_at(type, places);
    return {};
}

Result<void> Session::info(const Arguments& arguments) {
    const zone::Config& config = editor_.config();
    if (arguments.empty()) {
        environment_.out(editor_.in_resource() ? info_properties(editor_.resource(), config.name())
                                               : info_text(config));
        return {};
    }
    if (!arguments[0].is_word()) return usage();
    const zone::PropertySpec* global = editor_.in_resource() ? nullptr : zone::find_global(arguments[0].word);
    if (global == nullptr) return info_type(arguments);
    if (arguments.size() > 1) return usage();
    environment_.out(info_global(config, *global));
    return {};
}

Result<void> Session::info_type(const Arguments& arguments) {
    const std::string& type = arguments[0].word;
    const auto places = editor_.matches(arguments);
    // None of the type at all is nothing to show, and no error.
    if (!places && places.error().code() == Errc::not_found && arguments.size() == 1) return {};
    if (!places) return std::unexpected(places.error());
    const auto all = editor_.in_resource() ? zone::resources_of(editor_.resource().children(), type)
                                           : editor_.config().resources(type);
    for (const std::size_t place : *places)
        environment_.out(info_resource(*all[place], place, editor_.config().name()));
    return {};
}

Result<void> Session::help(const Arguments& arguments) {
    if (arguments.empty()) {
        environment_.out(editor_.in_resource() ? properties_text(&editor_.resource().spec())
                                               : commands_text());
        return {};
    }
    for (const Argument& argument : arguments) {
        const VerbInfo* verb = find_verb(argument.word);
        const zone::ResourceSpec* type = zone::find_resource(argument.word);
        if (!argument.is_word()) return usage();
        if (argument.word == "commands")
            environment_.out(commands_text());
        else if (argument.word == "syntax")
            environment_.out(syntax_text());
        else if (argument.word == "usage")
            environment_.out(usage_text());
        else if (verb != nullptr)
            environment_.out(verb_text(*verb));
        else if (type != nullptr)
            environment_.out(properties_text(type));
        else
            return usage();
    }
    return {};
}

Result<void> Session::exit(const Arguments& arguments) {
    if (!arguments.empty() && (arguments.size() > 1 || !is_force(arguments[0]))) return usage();
    force_exit_ = !arguments.empty();
    done_ = true;
    return {};
}

}  // namespace kz::zonecfg
