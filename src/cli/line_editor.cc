#include "cli/line_editor.h"

#include <histedit.h>

#include <algorithm>
#include <cstdio>
#include <utility>

namespace kz::cli {

namespace {

constexpr int kHistorySize = 500;

std::string_view last_word(std::string_view text) {
    const auto blank = text.find_last_of(" ;");
    return blank == std::string_view::npos ? text : text.substr(blank + 1);
}

}  // namespace

struct LineEditor::Impl {
    std::string program;
    Completer completer;
    std::string prompt;
    EditLine* editor = nullptr;
    History* history = nullptr;
    bool abandoned = false;

    static Impl& of(EditLine* editor) {
        void* data = nullptr;
        el_get(editor, EL_CLIENTDATA, &data);
        return *static_cast<Impl*>(data);
    }
    static char* prompt_of(EditLine* editor) { return of(editor).prompt.data(); }
    static unsigned char on_tab(EditLine* editor, int);
    static unsigned char on_interrupt(EditLine* editor, int);
};

unsigned char LineEditor::Impl::on_tab(EditLine* editor, int) {
    const LineInfo* line = el_line(editor);
    const std::string_view text(line->buffer, static_cast<std::size_t>(line->cursor - line->buffer));
    const Completion completion = complete_word(last_word(text), of(editor).completer(text));
    if (!completion.insert.empty()) {
        el_insertstr(editor, completion.insert.c_str());
        return CC_REFRESH;
    }
    if (completion.shown.empty()) return CC_ERROR;
    std::fputc('\n', stdout);
    for (const std::string& word : completion.shown)
        std::fprintf(stdout, "%s  ", word.c_str());
    std::fputc('\n', stdout);
    return CC_REDISPLAY;
}

// ^C comes as a character, not as a signal (see the constructor), so that nothing is interrupted half-way.
unsigned char LineEditor::Impl::on_interrupt(EditLine* editor, int) {
    of(editor).abandoned = true;
    std::fputs("^C\n", stdout);
    return CC_NEWLINE;
}

LineEditor::LineEditor(std::string program, Completer completer) : impl_(std::make_unique<Impl>()) {
    impl_->program = std::move(program);
    impl_->completer = std::move(completer);
    impl_->editor = el_init(impl_->program.c_str(), stdin, stdout, stderr);
    impl_->history = history_init();
    HistEvent event;
    history(impl_->history, &event, H_SETSIZE, kHistorySize);
    history(impl_->history, &event, H_SETUNIQUE, 1);
    EditLine* editor = impl_->editor;
    el_set(editor, EL_CLIENTDATA, impl_.get());
    el_set(editor, EL_PROMPT, &Impl::prompt_of);
    el_set(editor, EL_HIST, history, impl_->history);
    el_set(editor, EL_EDITOR, "emacs");
    el_set(editor, EL_SETTY, "-d", "-isig", nullptr);
    el_set(editor, EL_ADDFN, "kz-complete", "complete the word", &Impl::on_tab);
    el_set(editor, EL_ADDFN, "kz-abandon", "abandon the line", &Impl::on_interrupt);
    el_set(editor, EL_BIND, "^I", "kz-complete", nullptr);
    el_set(editor, EL_BIND, "^C", "kz-abandon", nullptr);
    el_set(editor, EL_BIND, "^R", "em-inc-search-prev", nullptr);
}

LineEditor::~LineEditor() {
    el_end(impl_->editor);
    history_end(impl_->history);
}

std::optional<std::string> LineEditor::read(std::string prompt) {
    impl_->prompt = std::move(prompt);
    impl_->abandoned = false;
    // Before the prompt is seen: what is typed at once must not be echoed by the terminal as well.
    el_set(impl_->editor, EL_PREP_TERM, 1);
    int count = 0;
    const char* text = el_gets(impl_->editor, &count);
    if (text == nullptr || count <= 0) return std::nullopt;
    if (impl_->abandoned) return std::string{};
    std::string line(text, static_cast<std::size_t>(count));
    while (line.ends_with('\n') || line.ends_with('\r'))
        line.pop_back();
    HistEvent event;
    if (line.find_first_not_of(" \t") != std::string::npos)
        history(impl_->history, &event, H_ENTER, line.c_str());
    return line;
}

Completion complete_word(std::string_view typed, std::vector<std::string> candidates) {
    if (candidates.empty()) return {};
    std::string common = candidates.front();
    for (const std::string& word : candidates)
        common.resize(static_cast<std::size_t>(std::ranges::mismatch(common, word).in1 - common.begin()));
    const bool certain = candidates.size() == 1;
    std::string insert = common.substr(std::min(typed.size(), common.size()));
    if (certain && !common.ends_with('=')) insert += ' ';
    if (insert.empty()) return {.insert = {}, .shown = std::move(candidates)};
    return {.insert = std::move(insert), .shown = {}};
}

}  // namespace kz::cli
