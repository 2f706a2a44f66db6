// The dialogue with a line for each question: for terminals that cannot place text, and for screen readers.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "base/text.h"
#include "cli/questions.h"
#include "cli/sysconfig_dialogue.h"

namespace kz::cli {
namespace {

class LineScreen : public SysconfigScreen {
  public:
    LineScreen(QuestionTerminal terminal, int cancel_fd)
        : terminal_(std::move(terminal)), cancel_fd_(cancel_fd) {}

    Result<SysconfigMove> show(SysconfigPage& page) override;

  private:
    // What an answer did: it was taken, or it was one of the words that move.
    struct Taken {
        std::optional<SysconfigMove> move;
    };
    Result<Taken> ask(const SysconfigPage& page, SysconfigField& field);
    Result<Taken> ask_line(const SysconfigPage& page, SysconfigField& field);
    Result<Taken> ask_to_go_on(const SysconfigPage& page);

    QuestionTerminal terminal_;
    int cancel_fd_;
    bool explained_ = false;
};

void print(std::string_view text) {
    fmt::print("{}\n", text);
    std::fflush(stdout);
}

std::optional<SysconfigMove> move_of(std::string_view answer) {
    if (answer == "!b") return SysconfigMove::back;
    if (answer == "!q") return SysconfigMove::quit;
    return std::nullopt;
}

void print_choices(const SysconfigField& field) {
    for (std::size_t i = 0; i < field.choices.size(); ++i)
        print(fmt::format("  {}) {}", i + 1, field.choices[i]));
}

// The number of a choice, or the choice itself.
std::string choice_of(const SysconfigField& field, const std::string& answer) {
    const auto number = parse_u64(answer);
    return number && *number >= 1 && *number <= field.choices.size() ? field.choices[*number - 1] : answer;
}

Result<LineScreen::Taken> LineScreen::ask_line(const SysconfigPage& page, SysconfigField& field) {
    const std::string prompt = field.value.empty() ? fmt::format("{}: ", field.label)
                                                   : fmt::format("{} [{}]: ", field.label, field.value);
    while (true) {
        KZ_TRY(std::string answer, terminal_.ask(prompt, cancel_fd_));
        if (const auto move = move_of(answer)) return Taken{move};
        if (answer == "!h") {
            print(page.help);
            continue;
        }
        if (answer == "-" && field.may_be_empty) {
            field.value.clear();
            return Taken{};
        }
        if (answer.empty()) return Taken{};
        answer = choice_of(field, answer);
        if (!field.choices.empty() && std::ranges::find(field.choices, answer) == field.choices.end()) {
            print(fmt::format("'{}' is none of them.", answer));
            continue;
        }
        field.value = std::move(answer);
        return Taken{};
    }
}

Result<LineScreen::Taken> LineScreen::ask(const SysconfigPage& page, SysconfigField& field) {
    print_choices(field);
    if (!field.secret) return ask_line(page, field);
    KZ_TRY(const Secret password, terminal_.ask_password(fmt::format("{}: ", field.label), cancel_fd_));
    field.value = as_text(password.view());
    return Taken{};
}

Result<LineScreen::Taken> LineScreen::ask_to_go_on(const SysconfigPage& page) {
    SysconfigField field{fmt::format("{} (!b goes back)", page.next), "yes"};
    while (true) {
        KZ_TRY(const Taken taken, ask_line(page, field));
        if (taken.move || field.value == "yes") return taken;
        field.value = "yes";
    }
}

Result<SysconfigMove> LineScreen::show(SysconfigPage& page) {
    print(fmt::format("\n{}\n", page.title));
    for (const std::string& paragraph : page.text) {
        if (!paragraph.empty()) print(paragraph);
    }
    if (!explained_) print("At any question: !h is help, !b goes back, !q quits; '-' empties an answer.");
    explained_ = true;
    if (page.fields.empty()) {
        KZ_TRY(const Taken taken, ask_to_go_on(page));
        return taken.move.value_or(SysconfigMove::next);
    }
    while (true) {
        for (SysconfigField& field : page.fields) {
            KZ_TRY(const Taken taken, ask(page, field));
            if (taken.move) return *taken.move;
        }
        const auto fault = find_fault(page);
        if (!fault) return SysconfigMove::next;
        print(fault->message);
    }
}

}  // namespace

Result<std::unique_ptr<SysconfigScreen>> open_line_screen(int cancel_fd) {
    KZ_TRY(QuestionTerminal terminal, QuestionTerminal::open());
    return std::make_unique<LineScreen>(std::move(terminal), cancel_fd);
}

}  // namespace kz::cli
