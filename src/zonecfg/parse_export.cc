#include "zonecfg/parse_export.h"

#include "zone/names.h"
#include "zonecfg/editor.h"
#include "zonecfg/parser.h"

namespace kz::zonecfg {

namespace {

Result<void> create(Editor& editor, const Arguments& arguments, bool first) {
    const bool blank = arguments.size() == 1 && arguments[0].is_word() && arguments[0].word == "-b";
    if (!first || !blank || editor.in_resource())
        return fail(Errc::invalid_argument, "only 'create -b' may stand here, as the first command");
    return {};
}

Result<void> carry_out(Editor& editor, const Command& command, bool first) {
    const VerbInfo& verb = info_of(command.verb);
    if (verb.scope == Scope::resource && !editor.in_resource())
        return fail(Errc::invalid_argument, "The {} command only makes sense in the resource scope.",
                    verb.name);
    switch (command.verb) {
        case Verb::add:
            return editor.add(command.arguments);
        case Verb::select:
            return editor.select(command.arguments);
        case Verb::set:
            return editor.set(command.arguments);
        case Verb::clear:
            return editor.clear(command.arguments);
        case Verb::remove:
            return editor.remove(command.arguments);
        case Verb::end:
            return editor.end();
        case Verb::cancel:
            return editor.cancel();
        case Verb::create:
            return create(editor, command.arguments, first);
        default:
            return fail(Errc::invalid_argument, "'{}' has no place in a stored configuration", verb.name);
    }
}

// The first error of a line. `commands` counts what was carried out.
Result<void> read_line(Editor& editor, std::string_view line, std::size_t& commands) {
    KZ_TRY(const auto parsed, parse_line(line));
    for (const Command& command : parsed) {
        auto outcome = carry_out(editor, command, commands++ == 0);
        if (!outcome && outcome.error().code() == Errc::protocol)
            return fail(Errc::invalid_argument, "usage: {}", info_of(command.verb).usage);
        KZ_CHECK(std::move(outcome));
    }
    return {};
}

}  // namespace

Result<zone::Config> parse_export(std::string_view text, std::string_view zone_name) {
    if (text.size() > kMaxConfigText) return fail(Errc::invalid_argument, "the configuration is too long");
    Editor editor{zone::Config(std::string(zone_name))};
    std::size_t commands = 0;
    for (std::size_t line = 1; !text.empty(); ++line) {
        const auto size = std::min(text.find('\n'), text.size());
        KZ_CHECK_CONTEXT(read_line(editor, text.substr(0, size), commands), fmt::format("line {}", line));
        text.remove_prefix(std::min(size + 1, text.size()));
    }
    if (editor.in_resource())
        return fail(Errc::invalid_argument, "the {} resource at the end is incomplete",
                    editor.resource().type());
    if (editor.config().name() != zone_name)
        return fail(Errc::invalid_argument, "{}: {}: the zone is {}", editor.config().name(),
                    zone::kInvalidArgument, zone_name);
    return editor.config();
}

}  // namespace kz::zonecfg
