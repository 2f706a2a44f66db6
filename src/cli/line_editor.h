// LineEditor: reads lines from a terminal with editing, history and tab completion (libedit). For interactive
// commands.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kz::cli {

class LineEditor {
  public:
    // Given the line up to the cursor, the words that may stand in the place of its last one.
    using Completer = std::function<std::vector<std::string>(std::string_view)>;

    LineEditor(std::string program, Completer completer);
    ~LineEditor();
    LineEditor(const LineEditor&) = delete;
    LineEditor& operator=(const LineEditor&) = delete;

    // One line without its newline; nothing at the end of input. ^C abandons the line: an empty one is
    // returned.
    std::optional<std::string> read(std::string prompt);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// What a tab does to the line whose last word has been typed so far.
struct Completion {
    std::string insert;              // the rest of the word, as far as it is certain
    std::vector<std::string> shown;  // the choices, when it is not
};
Completion complete_word(std::string_view typed, std::vector<std::string> candidates);

}  // namespace kz::cli
