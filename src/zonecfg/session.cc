#include "zonecfg/session.h"

#include "zone/names.h"
#include "zonecfg/parser.h"

namespace kz::zonecfg {

namespace {

constexpr std::string_view kCreateHint = "Use 'create' to begin configuring a new zone.\n";

bool needs_draft(Verb verb) {
    return verb != Verb::create && verb != Verb::help && verb != Verb::exit;
}

}  // namespace

Session::Session(Environment& environment, SessionOptions options)
    : environment_(environment), options_(std::move(options)), zone_(options_.zone) {}

bool Session::open() {
    auto loaded = environment_.load_zone(zone_);
    if (loaded) {
        saved_ = *loaded;
        editor_.reset(*std::move(loaded));
        has_draft_ = true;
    } else if (loaded.error().code() != Errc::not_found) {
        report(loaded.error(), nullptr);
        return false;
    }
    if (is_batch()) return true;
    // A terminal shows only the second line, as the original's later releases do.
    if (!has_draft_ && options_.source == Source::pipe)
        environment_.err(fmt::format("{}: {}\n", zone_, zone::kNoSuchZone));
    if (!has_draft_) environment_.out(kCreateHint);
    if (!environment_.may_write())
        environment_.err(
            "WARNING: you do not have write access to this zone's configuration file;\n"
            "going into read-only mode.\n");
    return true;
}

std::string Session::prompt() const {
    const std::string scope = editor_.in_resource() ? ":" + editor_.resource().type() : "";
    return fmt::format("zonecfg:{}{}> ", zone_, scope);
}

std::string Session::line_prefix() const {
    if (options_.source != Source::file) return {};
    if (options_.file_name.empty()) return fmt::format("On line {}:\n", line_);
    return fmt::format("On line {} of {}:\n", line_, options_.file_name);
}

void Session::report(const Error& error, const VerbInfo* verb) {
    failed_ = true;
    if (is_batch()) done_ = true;
    if (error.code() == Errc::protocol && verb != nullptr) {
        misused_ = true;
        environment_.err(fmt::format("{}usage:\n{}\n", line_prefix(), verb->usage));
        return;
    }
    environment_.err(fmt::format("{}{}\n", line_prefix(), error.message()));
}

void Session::execute(std::string_view line) {
    ++line_;
    const auto commands = parse_line(line);
    if (!commands) {
        misused_ = true;
        const std::string& message = commands.error().message();
        const std::string file = options_.file_name.empty() ? "" : " of " + options_.file_name;
        failed_ = true;
        done_ = is_batch();
        environment_.err(options_.source == Source::file
                             ? fmt::format("syntax error on line {}{}\n{}\n", line_, file, message)
                             : message + "\n");
        return;
    }
    for (const Command& command : *commands) {
        const bool had_draft = has_draft_;
        const auto outcome = carry_out(command);
        if (!outcome) report(outcome.error(), &info_of(command.verb));
        if (!outcome && !had_draft && needs_draft(command.verb) && !is_batch()) environment_.out(kCreateHint);
        // What follows a failed command on the same line was meant for what it would have made.
        if (!outcome || done_) return;
    }
}

Result<void> Session::check_allowed(const VerbInfo& verb) const {
    const Scope scope = editor_.in_resource() ? Scope::resource : Scope::global;
    if (verb.scope != Scope::any && verb.scope != scope)
        return fail(Errc::invalid_argument, "The {} command only makes sense in the {} scope.", verb.name,
                    verb.scope == Scope::global ? "global" : "resource");
    return {};
}

Result<void> Session::carry_out(const Command& command) {
    const VerbInfo& verb = info_of(command.verb);
    KZ_CHECK(check_allowed(verb));
    if (needs_draft(command.verb) && !has_draft_)
        return fail(Errc::not_found, "{}: {}", zone_, zone::kNoSuchZone);
    if (verb.modifies && !environment_.may_write())
        return fail(Errc::permission, "{}: {}", zone_, zone::kPermissionDenied);
    return dispatch(command);
}

Result<void> Session::dispatch(const Command& command) {
    const Arguments& arguments = command.arguments;
    const bool takes_none = command.verb == Verb::cancel || command.verb == Verb::commit ||
                            command.verb == Verb::end || command.verb == Verb::verify;
    if (takes_none && !arguments.empty()) return fail(Errc::protocol, "usage");
    switch (command.verb) {
        case Verb::add:
            return editor_.add(arguments);
        case Verb::cancel:
            return editor_.cancel();
        case Verb::clear:
            return editor_.clear(arguments);
        case Verb::commit:
            return commit();
        case Verb::create:
            return create(arguments);
        case Verb::remove_zone:
            return delete_zone(arguments);
        case Verb::end:
            return editor_.end();
        case Verb::exit:
            return exit(arguments);
        case Verb::export_config:
            return export_config(arguments);
        case Verb::help:
            return help(arguments);
        case Verb::info:
            return info(arguments);
        case Verb::remove:
            return remove(arguments);
        case Verb::revert:
            return revert(arguments);
        case Verb::select:
            return editor_.select(arguments);
        case Verb::set:
            return set(arguments);
        case Verb::verify:
            return verify();
    }
    return fail(Errc::internal, "unknown command");
}

bool Session::is_changed() const {
    return has_draft_ && (!saved_ || editor_.config() != *saved_);
}

std::optional<zone::State> Session::saved_state() const {
    return saved_ ? environment_.state(saved_->name()) : std::nullopt;
}

// False: what was changed is not to be saved. `go_on`: the user does not want to quit.
bool Session::finish_resource(bool& go_on) {
    if (!editor_.in_resource()) return true;
    const auto quit = is_batch() ? std::nullopt : environment_.ask("Resource incomplete; really quit");
    go_on = quit && !*quit;
    if (go_on) return false;
    if (!quit) environment_.err("Resource incomplete.\n");
    failed_ = failed_ || !quit;
    editor_.abandon();
    return quit.has_value();
}

bool Session::finish() {
    bool go_on = false;
    if (!finish_resource(go_on)) {
        done_ = !go_on;
        return !go_on;
    }
    if (!is_changed() || !environment_.may_write()) return true;
    const bool half_done = failed_ && options_.source != Source::terminal;
    if (!half_done) {
        const auto outcome = commit();
        if (outcome) return true;
        report(outcome.error(), nullptr);
    }
    if (force_exit_) return true;
    const auto quit = is_batch() ? std::nullopt : environment_.ask("Configuration not saved; really quit");
    if (!quit) environment_.err("Configuration not saved.\n");
    done_ = quit.value_or(true);
    return done_;
}

int Session::status() const {
    if (!failed_) return kExitOk;
    return misused_ && options_.source == Source::command_line ? kExitUsage : kExitError;
}

std::vector<std::string> Session::complete(std::string_view text) const {
    return completions(text, editor_, environment_.template_names());
}

}  // namespace kz::zonecfg
