// Tab completion: what may stand at the end of a line.
#include <algorithm>

#include "base/text.h"
#include "zonecfg/session.h"

namespace kz::zonecfg {

namespace {

using Words = std::vector<std::string>;

Words split_words(std::string_view text) {
    Words words;
    for (const std::string& word : split(text, ' '))
        if (!word.empty()) words.push_back(word);
    return words;
}

Words verb_names(const Editor& editor) {
    Words names;
    const Scope scope = editor.in_resource() ? Scope::resource : Scope::global;
    for (const VerbInfo& verb : verbs())
        if (verb.scope == Scope::any || verb.scope == scope) names.emplace_back(verb.name);
    return names;
}

std::span<const zone::PropertySpec> properties_here(const Editor& editor) {
    return editor.in_resource() ? editor.resource().spec().properties : zone::global_specs();
}

Words property_names(std::span<const zone::PropertySpec> specs, std::string_view suffix) {
    Words names;
    for (const zone::PropertySpec& spec : specs)
        names.push_back(std::string(spec.name) + std::string(suffix));
    return names;
}

Words list_properties(const Editor& editor) {
    Words names;
    if (!editor.in_resource()) return names;
    for (const zone::PropertySpec& spec : editor.resource().spec().properties)
        if (spec.shape != zone::Shape::simple) names.emplace_back(spec.name);
    return names;
}

Words type_names(const Editor& editor) {
    Words names;
    for (const zone::ResourceSpec* spec :
         zone::child_specs(editor.in_resource() ? editor.resource().type() : std::string_view{}))
        names.emplace_back(spec->type);
    return names;
}

// "name=" and, once the '=' is there, each value to choose from.
Words assignments(std::span<const zone::PropertySpec> specs, std::string_view typed) {
    const auto equals = typed.find('=');
    if (equals == std::string_view::npos) return property_names(specs, "=");
    Words words;
    const std::string_view name = typed.substr(0, equals);
    const auto spec = std::ranges::find(specs, name, &zone::PropertySpec::name);
    if (spec == specs.end()) return words;
    for (const std::string& choice : zone::field_words(spec->choices))
        words.push_back(fmt::format("{}={}", name, choice));
    return words;
}

Words both(Words one, const Words& other) {
    one.insert(one.end(), other.begin(), other.end());
    return one;
}

Words filters_of(const std::string& type, std::string_view typed) {
    const zone::ResourceSpec* spec = zone::find_resource(type);
    return spec != nullptr ? assignments(spec->properties, typed) : Words{};
}

Words help_topics() {
    Words topics{"commands", "syntax", "usage"};
    for (const VerbInfo& verb : verbs())
        topics.emplace_back(verb.name);
    for (const zone::ResourceSpec& spec : zone::resource_specs())
        topics.emplace_back(spec.type);
    return topics;
}

// What may follow the complete words of a command.
Words arguments_for(const Words& words, std::string_view typed, const Editor& editor,
                    const Words& templates) {
    const VerbInfo* verb = find_verb(words.front());
    if (verb == nullptr) return {};
    const bool first = words.size() == 1;
    switch (verb->verb) {
        case Verb::add:
            return first ? both(type_names(editor), list_properties(editor)) : Words{};
        case Verb::remove:
            return first ? both(type_names(editor), list_properties(editor)) : filters_of(words[1], typed);
        case Verb::select:
            return first ? type_names(editor) : filters_of(words[1], typed);
        case Verb::info:
            if (!first) return filters_of(words[1], typed);
            return editor.in_resource() ? type_names(editor)
                                        : both(type_names(editor), property_names(zone::global_specs(), ""));
        case Verb::set:
            return first ? assignments(properties_here(editor), typed) : Words{};
        case Verb::clear:
            return first ? property_names(properties_here(editor), "") : Words{};
        case Verb::create:
            return words.back() == "-t" ? templates : Words{"-F", "-a", "-b", "-t"};
        case Verb::remove_zone:
        case Verb::exit:
        case Verb::revert:
            return first ? Words{"-F"} : Words{};
        case Verb::export_config:
            return first ? Words{"-f"} : Words{};
        case Verb::help:
            return help_topics();
        default:
            return {};
    }
}

}  // namespace

std::vector<std::string> completions(std::string_view text, const Editor& editor, const Words& templates) {
    const auto last_command = text.find_last_of(';');
    if (last_command != std::string_view::npos) text.remove_prefix(last_command + 1);
    Words words = split_words(text);
    const bool begins_word = text.empty() || text.back() == ' ';
    const std::string typed = begins_word || words.empty() ? std::string{} : words.back();
    if (!typed.empty()) words.pop_back();
    Words candidates = words.empty() ? verb_names(editor) : arguments_for(words, typed, editor, templates);
    std::erase_if(candidates, [&](const std::string& word) { return !word.starts_with(typed); });
    return candidates;
}

}  // namespace kz::zonecfg
