// The commands on the whole configuration: create, delete, revert, commit, verify, export.
#include "base/text.h"
#include "zone/export.h"
#include "zone/names.h"
#include "zone/verify.h"
#include "zonecfg/session.h"

namespace kz::zonecfg {

namespace {

constexpr std::string_view kDefaultTemplate = "SYSdefault";

std::unexpected<Error> usage() {
    return fail(Errc::protocol, "usage");
}

// Takes "-F" alone; false for anything else.
bool read_force(const Arguments& arguments, bool& force) {
    force = arguments.size() == 1 && arguments[0].is_word() && arguments[0].word == "-F";
    return force || arguments.empty();
}

struct CreateOptions {
    bool force = false;
    std::string source;  // "-a", "-b" or "-t"; empty: the default template
    std::string name;
};

Result<CreateOptions> read_create_options(const Arguments& arguments) {
    CreateOptions options;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const std::string& word = arguments[i].word;
        const bool names_one = word == "-a" || word == "-t";
        if (!arguments[i].is_word()) return usage();
        if (word == "-F") {
            options.force = true;
        } else if (options.source.empty() && (word == "-b" || names_one)) {
            options.source = word;
            if (!names_one) continue;
            ++i;
            if (i == arguments.size() || !arguments[i].is_word()) return usage();
            options.name = arguments[i].word;
        } else {
            return usage();
        }
    }
    return options;
}

}  // namespace

// Asks unless forced. False: the user said no. Without a terminal it is an error.
Result<bool> Session::confirm(bool force, std::string_view question, std::string_view command) {
    if (force) return true;
    const auto answer = environment_.ask(question);
    if (answer) return *answer;
    done_ = true;
    return fail(Errc::invalid_argument,
                "Input not from terminal and -F not specified:\n{} command ignored, exiting.", command);
}

Result<bool> Session::may_overwrite(bool force) {
    const auto state = environment_.state(zone_);
    if (!state) return true;
    if (zone::has_installation(*state))
        return fail(Errc::wrong_state, "Zone {} already installed; create not allowed.", zone_);
    if (*state == zone::State::incomplete)
        return fail(Errc::wrong_state, "Zone {} is incomplete; create not allowed.", zone_);
    if (force) {
        environment_.out(fmt::format("Zone {} already exists; overwriting.\n", zone_));
        return true;
    }
    const auto answer = environment_.ask(fmt::format("Zone {} already exists; create anyway", zone_));
    if (answer) return *answer;
    done_ = true;
    return fail(
        Errc::already_exists,
        "Zone exists, input not from terminal and -F not specified:\ncreate command ignored, exiting.");
}

Result<void> Session::create(const Arguments& arguments) {
    KZ_TRY(const CreateOptions options, read_create_options(arguments));
    KZ_TRY(const bool go_on, may_overwrite(options.force));
    if (!go_on) return {};
    return start_draft(options.source, options.name);
}

Result<void> Session::start_draft(const std::string& option, const std::string& name) {
    zone::Config draft(zone_);
    if (option == "-a") {
        KZ_TRY(draft, environment_.load_file(name, zone_));
    } else if (option != "-b") {
        const std::string source = option.empty() ? std::string(kDefaultTemplate) : name;
        if (option.empty())
            environment_.out(fmt::format("create: Using system default template '{}'\n", source));
        auto loaded = environment_.load_template(source);
        if (!loaded && loaded.error().code() == Errc::not_found)
            return fail(Errc::not_found, "{}: {}", source, zone::kNoSuchZone);
        KZ_TRY(draft, std::move(loaded));
        draft.set_name(zone_);
        // Who a zone is does not come from what it is copied from.
        draft.clear_keysource();
        KZ_CHECK(draft.set_global("hostid", fmt::format("{:08x}", environment_.random_hostid())));
    }
    editor_.reset(std::move(draft));
    has_draft_ = true;
    return {};
}

Result<void> Session::delete_zone(const Arguments& arguments) {
    bool force = false;
    if (!read_force(arguments, force)) return usage();
    const auto state = saved_state();
    if (state && zone::has_installation(*state))
        return fail(Errc::wrong_state, "Zone {} already installed; delete not allowed.", saved_->name());
    if (state == zone::State::incomplete)
        return fail(Errc::wrong_state, "Zone {} is incomplete; delete not allowed.", saved_->name());
    KZ_TRY(const bool go_on,
           confirm(force, fmt::format("Are you sure you want to delete zone {}", zone_), "delete"));
    if (!go_on) return {};
    if (saved_) KZ_CHECK(environment_.remove(saved_->name()));
    saved_.reset();
    has_draft_ = false;
    editor_.reset(zone::Config(zone_));
    return {};
}

Result<void> Session::revert(const Arguments& arguments) {
    bool force = false;
    if (!read_force(arguments, force)) return usage();
    KZ_TRY(const bool go_on, confirm(force, "Are you sure you want to revert", "revert"));
    if (!go_on) return {};
    zone_ = saved_ ? saved_->name() : options_.zone;
    auto loaded = environment_.load_zone(zone_);
    if (!loaded && loaded.error().code() != Errc::not_found) return std::unexpected(loaded.error());
    has_draft_ = loaded.has_value();
    saved_ = has_draft_ ? std::optional(*loaded) : std::nullopt;
    editor_.reset(has_draft_ ? *std::move(loaded) : zone::Config(zone_));
    if (!has_draft_) return fail(Errc::not_found, "{}: {}", zone_, zone::kNoSuchZone);
    return {};
}

Result<void> Session::verify() {
    const zone::Report report = zone::verify(editor_.config());
    for (const std::string& note : report.notes)
        environment_.out(note + "\n");
    if (!report.ok()) return fail(Errc::invalid_argument, "{}", join(report.errors, "\n"));
    return {};
}

// The disks and suspend images of an installed zone are under its key. One that cannot be used (unavailable)
// may just need the right key.
Result<void> Session::check_keysource() const {
    const auto state = saved_state();
    const bool bound = state && zone::has_installation(*state) && *state != zone::State::unavailable;
    const auto key = saved_ ? saved_->keysource_raw() : std::nullopt;
    if (!bound || !key || key == editor_.config().keysource_raw()) return {};
    return fail(
        Errc::wrong_state,
        "keysource: {}\nZone {} is installed: without this key its disks and suspend images cannot be used.",
        zone::kBadState, saved_->name());
}

Result<void> Session::commit() {
    const zone::Config& draft = editor_.config();
    const zone::Report report = zone::verify(draft);
    if (!report.ok()) return fail(Errc::invalid_argument, "{}", join(report.errors, "\n"));
    if (!is_changed()) return {};
    KZ_CHECK(check_keysource());
    KZ_CHECK(environment_.save(draft, saved_));
    saved_ = draft;
    return {};
}

Result<void> Session::export_config(const Arguments& arguments) {
    const std::string text = zone::export_text(editor_.config(), true);
    if (arguments.empty()) {
        environment_.out(text);
        return {};
    }
    const bool to_file = arguments.size() == 2 && arguments[0].is_word() && arguments[0].word == "-f" &&
                         arguments[1].is_word();
    if (!to_file || arguments[1].word.empty()) return usage();
    return environment_.write_file(arguments[1].word, text);
}

}  // namespace kz::zonecfg
