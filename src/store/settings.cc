#include "store/settings.h"

#include <array>
#include <optional>
#include <set>

#include "base/text.h"
#include "os/file.h"

namespace kz::store {
namespace {

using storage::Milliseconds;

constexpr std::size_t kMaxFile = 64 * 1024;
constexpr Milliseconds kLongest = std::chrono::hours(1);

struct Unit {
    std::string_view suffix;
    Milliseconds span;
};
// Longer suffixes first: "ms" ends with "s".
constexpr std::array kUnits{Unit{"ms", Milliseconds(1)}, Unit{"min", std::chrono::minutes(1)},
                            Unit{"s", std::chrono::seconds(1)}};

struct Name {
    std::string_view name;
    Milliseconds& (*field)(Settings&);
};
constexpr std::array kNames{
    Name{"lease.renew", [](Settings& s) -> Milliseconds& { return s.lease.renew; }},
    Name{"lease.pause", [](Settings& s) -> Milliseconds& { return s.lease.pause; }},
    Name{"lease.fence", [](Settings& s) -> Milliseconds& { return s.lease.fence; }},
    Name{"lease.takeover", [](Settings& s) -> Milliseconds& { return s.lease.takeover; }},
    Name{"lease.claim-wait", [](Settings& s) -> Milliseconds& { return s.lease.claim_wait; }},
    Name{"lease.claim-fresh", [](Settings& s) -> Milliseconds& { return s.lease.claim_fresh; }},
    Name{"storage.timeout", [](Settings& s) -> Milliseconds& { return s.storage_timeout; }},
    Name{"post-copy.wait", [](Settings& s) -> Milliseconds& { return s.post_copy_wait; }}};

Result<Milliseconds> parse_duration(std::string_view text) {
    for (const Unit& unit : kUnits) {
        if (!text.ends_with(unit.suffix)) continue;
        const std::optional<std::uint64_t> count =
            parse_u64(trim(text.substr(0, text.size() - unit.suffix.size())));
        if (!count) break;
        if (*count == 0) return fail(Errc::invalid_argument, "'{}' is no time at all", text);
        if (*count > static_cast<std::uint64_t>(kLongest / unit.span))
            return fail(Errc::invalid_argument, "'{}' is longer than an hour", text);
        return unit.span * static_cast<int>(*count);
    }
    return fail(Errc::invalid_argument, "'{}' is not a duration; write for example 200ms, 5s or 2min", text);
}

Result<void> parse_line(std::string_view line, Settings& settings, std::set<std::string_view>& seen) {
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos)
        return fail(Errc::invalid_argument, "'{}' is not of the form name = value", line);
    const std::string_view word = trim(line.substr(0, equals));
    for (const Name& known : kNames) {
        if (known.name != word) continue;
        if (!seen.insert(known.name).second) return fail(Errc::invalid_argument, "{} is set twice", word);
        KZ_TRY_CONTEXT(known.field(settings), parse_duration(trim(line.substr(equals + 1))), word);
        return {};
    }
    return fail(Errc::invalid_argument, "there is no setting '{}'", word);
}

Result<void> check(const Settings& settings) {
    KZ_CHECK(settings.lease.check());
    if (settings.storage_timeout < settings.lease.pause) return {};
    return fail(Errc::invalid_argument, "storage.timeout ({}) must be shorter than lease.pause ({})",
                storage::render_duration(settings.storage_timeout),
                storage::render_duration(settings.lease.pause));
}

}  // namespace

Result<Settings> parse_settings(std::string_view text, std::string_view name) {
    Settings settings;
    std::set<std::string_view> seen;
    for (std::size_t number = 1; !text.empty(); ++number) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        line = trim(line.substr(0, line.find('#')));
        if (line.empty()) continue;
        KZ_CHECK_CONTEXT(parse_line(line, settings, seen), fmt::format("{}:{}", name, number));
    }
    KZ_CHECK_CONTEXT(check(settings), name);
    return settings;
}

Result<Settings> load_settings(const HostPaths& paths) {
    const Path file = paths.etc_zones() / "settings";
    const Result<std::string> text = read_file(file, kMaxFile);
    if (text) return parse_settings(*text, file.string());
    if (text.error().code() == Errc::not_found) return Settings{};
    return std::unexpected(text.error());
}

}  // namespace kz::store
