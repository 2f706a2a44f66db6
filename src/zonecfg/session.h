// Session: one run of zonecfg: carries out commands on a draft of a zone's configuration, and talks about it.
// For cli.
//
//   Session session(environment, {.zone = "ant1", .source = Source::terminal});
//   if (!session.open()) return session.status();
//   while (true) {
//       while (!session.done() && next line) session.execute(line);
//       if (session.finish()) return session.status();      // else the user wants to go on
//   }
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "zonecfg/command.h"
#include "zonecfg/editor.h"
#include "zonecfg/environment.h"

namespace kz::zonecfg {

enum class Source {
    terminal = 1,  // lines from a user: prompts, questions, errors do not end it
    pipe,          // lines from a program: as terminal, but nothing is saved at the end when a command failed
    file,          // -f: the first error ends it, with its line number
    command_line,  // the first error ends it
};

inline constexpr int kExitOk = 0;
inline constexpr int kExitError = 1;
inline constexpr int kExitUsage = 2;

struct SessionOptions {
    std::string zone;
    Source source = Source::terminal;
    std::string file_name = {};  // for messages; empty when commands come from stdin
};

class Session {
  public:
    Session(Environment& environment, SessionOptions options);

    // Loads the zone. False: it cannot go on, status() says how it ends.
    bool open();
    // One line of input, which may hold several commands.
    void execute(std::string_view line);
    // True after exit, and after an error where that ends the session.
    bool done() const { return done_; }
    // Saves what was changed, at exit or end of input. False: the user chose not to quit.
    bool finish();
    int status() const;

    // "zonecfg:ant1:device> "
    std::string prompt() const;
    // The words that may stand in the place of the last one of `text` (the line up to the cursor).
    std::vector<std::string> complete(std::string_view text) const;

  private:
    Result<void> carry_out(const Command& command);
    Result<void> dispatch(const Command& command);
    Result<void> check_allowed(const VerbInfo& verb) const;

    // session_zone.cc: commands on the whole configuration.
    Result<void> create(const Arguments& arguments);
    Result<void> start_draft(const std::string& option, const std::string& name);
    Result<bool> may_overwrite(bool force);
    Result<void> delete_zone(const Arguments& arguments);
    Result<void> revert(const Arguments& arguments);
    Result<void> commit();
    Result<void> check_keysource() const;
    Result<void> verify();
    Result<void> export_config(const Arguments& arguments);
    Result<bool> confirm(bool force, std::string_view question, std::string_view command);

    // session_edit.cc: commands that need more than the editor.
    Result<void> set(const Arguments& arguments);
    Result<void> set_zone_name(const std::string& name);
    Result<void> check_storage(const Arguments& arguments);
    Result<void> remove(const Arguments& arguments);
    Result<void> info(const Arguments& arguments);
    Result<void> info_type(const Arguments& arguments);
    Result<void> help(const Arguments& arguments);
    Result<void> exit(const Arguments& arguments);

    bool is_batch() const {
        return options_.source == Source::file || options_.source == Source::command_line;
    }
    bool is_changed() const;
    std::optional<zone::State> saved_state() const;
    bool finish_resource(bool& go_on);
    void report(const Error& error, const VerbInfo* verb);
    std::string line_prefix() const;

    Environment& environment_;
    SessionOptions options_;
    Editor editor_;
    bool has_draft_ = false;
    std::optional<zone::Config> saved_;  // as loaded or last saved
    std::string zone_;                   // the name to speak of
    std::size_t line_ = 0;
    bool done_ = false;
    bool force_exit_ = false;
    bool failed_ = false;
    bool misused_ = false;
};

// The words that may complete the line: pure, over the schema.
std::vector<std::string> completions(std::string_view text, const Editor& editor,
                                     const std::vector<std::string>& templates);

}  // namespace kz::zonecfg
