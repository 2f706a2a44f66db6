// Commands of the zonecfg language as values, and the table of their names, usage and scope. For zonecfg.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "zone/value.h"

namespace kz::zonecfg {

enum class Verb {
    add = 1,
    cancel,
    clear,
    commit,
    create,
    remove_zone,  // "delete"
    end,
    exit,
    export_config,  // "export"
    help,
    info,
    remove,
    revert,
    select,
    set,
    verify,
};

enum class Scope { any = 1, global, resource };

struct VerbInfo {
    Verb verb;
    std::string_view name;
    Scope scope;
    // One line for each form.
    std::string_view usage;
    std::string_view help;
    // Changes the configuration, so that a read-only session refuses it.
    bool modifies;
};

std::span<const VerbInfo> verbs();
const VerbInfo& info_of(Verb verb);
const VerbInfo* find_verb(std::string_view name);

// One argument: a word, NAME=VALUE, or a value in brackets.
struct Argument {
    std::string word;  // the word or NAME; empty before a value in brackets
    std::optional<zone::PropertyValue> value;

    bool is_word() const { return !value.has_value(); }
    bool is_assignment() const { return value.has_value() && !word.empty(); }
    // As a value of its own: the value in brackets, else the word.
    zone::PropertyValue as_value() const { return value ? *value : zone::PropertyValue(word); }
};

struct Command {
    Verb verb = Verb::help;
    std::vector<Argument> arguments;
};

}  // namespace kz::zonecfg
