// The dialogue on the whole screen, by curses. F2 continues, F3 goes back, F6 is help, F9 quits; so do Esc
// and the digit, for terminals whose function keys do not get here.
#define NCURSES_NOMACROS 1
#include <ncurses.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "base/text.h"
#include "cli/sysconfig_dialogue.h"

namespace kz::cli {
namespace {

constexpr int kEscape = 27;
constexpr int kControlC = 3;
constexpr int kLeft = 2;  // the column where text begins
constexpr std::size_t kLongestAnswer = 16 * 1024;
constexpr int kDigitPatienceMs = 2000;

// Lines of at most `width`, broken at blanks.
std::vector<std::string> wrap(const std::string& text, std::size_t width) {
    std::vector<std::string> lines{""};
    for (const std::string& word : split(text, ' ')) {
        std::string& last = lines.back();
        if (!last.empty() && last.size() + 1 + word.size() > width) {
            lines.push_back(word);
            continue;
        }
        if (!last.empty()) last += ' ';
        last += word;
    }
    return lines;
}

class FullScreen : public SysconfigScreen {
  public:
    FullScreen(SCREEN* terminal, int cancel_fd) : terminal_(terminal), cancel_fd_(cancel_fd) {
        ::raw();
        ::noecho();
        ::nonl();
        ::keypad(::stdscr, true);
        ::nodelay(::stdscr, true);
        ::set_escdelay(100);
    }
    ~FullScreen() override {
        ::endwin();
        ::delscreen(terminal_);
    }
    FullScreen(const FullScreen&) = delete;
    FullScreen& operator=(const FullScreen&) = delete;

    Result<SysconfigMove> show(SysconfigPage& page) override;

  private:
    Result<int> key(int timeout_ms = -1);
    Result<int> command_key();
    void draw(const SysconfigPage& page);
    void draw_frame(const std::string& title, const std::string& keys);
    int draw_paragraphs(const std::vector<std::string>& paragraphs, int row);
    void draw_field(const SysconfigField& field, bool active, int& row);
    void draw_choices(const SysconfigField& field, int& row);
    Result<void> help(const SysconfigPage& page);
    void edit(SysconfigPage& page, int pressed);
    static void edit_text(SysconfigField& field, int pressed);
    static void choose(SysconfigField& field, int pressed);
    int width() const { return std::max(20, getmaxx(::stdscr) - 2 * kLeft); }
    int bottom() const { return getmaxy(::stdscr) - 1; }

    SCREEN* terminal_;
    int cancel_fd_;
    std::size_t active_ = 0;
    std::string fault_;
    int cursor_row_ = 0;
    int cursor_column_ = 0;
};

// A key, or ERR when `timeout_ms` have passed without one.
Result<int> FullScreen::key(int timeout_ms) {
    while (true) {
        if (const int pressed = ::wgetch(::stdscr); pressed != ERR) return pressed;
        pollfd ready[] = {{STDIN_FILENO, POLLIN, 0}, {cancel_fd_, POLLIN, 0}};
        const int count = ::poll(ready, 2, timeout_ms);
        if (count == 0) return ERR;
        if (count < 0 && errno != EINTR) return fail_errno(errno, "waiting for a key");
        if (count > 0 && ready[1].revents != 0)
            return fail(Errc::cancelled, "interrupted; no profile was written");
        if (count > 0 && (ready[0].revents & (POLLHUP | POLLERR)) != 0)
            return fail(Errc::cancelled, "the terminal is gone; no profile was written");
    }
}

// As key(); Esc and a digit are the function key.
Result<int> FullScreen::command_key() {
    KZ_TRY(const int pressed, key());
    if (pressed != kEscape) return pressed;
    KZ_TRY(const int digit, key(kDigitPatienceMs));
    return digit >= '1' && digit <= '9' ? KEY_F(digit - '0') : ERR;
}

void FullScreen::draw_frame(const std::string& title, const std::string& keys) {
    ::werase(::stdscr);
    ::wattron(::stdscr, A_REVERSE);
    ::mvwhline(::stdscr, 0, 0, ' ', getmaxx(::stdscr));
    ::mvwaddnstr(::stdscr, 0, kLeft, title.c_str(), width());
    ::mvwhline(::stdscr, bottom(), 0, ' ', getmaxx(::stdscr));
    ::mvwaddnstr(::stdscr, bottom(), kLeft, keys.c_str(), width());
    ::wattroff(::stdscr, A_REVERSE);
}

int FullScreen::draw_paragraphs(const std::vector<std::string>& paragraphs, int row) {
    for (const std::string& paragraph : paragraphs) {
        if (paragraph.empty()) continue;
        for (const std::string& line : wrap(paragraph, static_cast<std::size_t>(width())))
            ::mvwaddnstr(::stdscr, row++, kLeft, line.c_str(), width());
    }
    return row + 1;
}

// As much of the list as there is room for, around what is chosen.
void FullScreen::draw_choices(const SysconfigField& field, int& row) {
    const int count = static_cast<int>(field.choices.size());
    const int room = std::max(1, std::min(count, bottom() - 2 - row));
    const int chosen =
        static_cast<int>(std::ranges::find(field.choices, field.value) - field.choices.begin());
    const int first = std::clamp(chosen - room / 2, 0, count - room);
    for (int i = first; i < first + room; ++i) {
        if (i == chosen) {
            ::wattron(::stdscr, A_REVERSE);
            cursor_row_ = row;
            cursor_column_ = kLeft + 2;
        }
        ::mvwaddnstr(::stdscr, row++, kLeft + 2, field.choices[static_cast<std::size_t>(i)].c_str(),
                     width() - 2);
        ::wattroff(::stdscr, A_REVERSE);
    }
}

void FullScreen::draw_field(const SysconfigField& field, bool active, int& row) {
    if (!field.choices.empty()) return draw_choices(field, row);
    constexpr int kLabelWidth = 20;
    const int room = std::max(4, width() - kLabelWidth - 1);
    const std::string shown = field.secret ? std::string(field.value.size(), '*') : field.value;
    const std::size_t hidden = shown.size() >= static_cast<std::size_t>(room)
                                   ? shown.size() - static_cast<std::size_t>(room) + 1
                                   : 0;
    const std::string visible = shown.substr(hidden);
    ::mvwaddnstr(::stdscr, row, kLeft, (field.label + ":").c_str(), kLabelWidth - 1);
    ::wattron(::stdscr, A_UNDERLINE);
    ::mvwhline(::stdscr, row, kLeft + kLabelWidth, ' ', room);
    ::mvwaddnstr(::stdscr, row, kLeft + kLabelWidth, visible.c_str(), room);
    ::wattroff(::stdscr, A_UNDERLINE);
    if (active) {
        cursor_row_ = row;
        cursor_column_ = kLeft + kLabelWidth + static_cast<int>(visible.size());
    }
    ++row;
}

void FullScreen::draw(const SysconfigPage& page) {
    draw_frame(page.title, fmt::format("F2_{}  F3_Back  {}F9_Quit   (or Esc and the digit)", page.next,
                                       page.help.empty() ? "" : "F6_Help  "));
    cursor_row_ = bottom();
    cursor_column_ = 0;
    int row = draw_paragraphs(page.text, 2);
    for (std::size_t i = 0; i < page.fields.size(); ++i)
        draw_field(page.fields[i], i == active_, row);
    if (!fault_.empty()) {
        ::wattron(::stdscr, A_BOLD);
        const std::vector<std::string> lines = wrap(fault_, static_cast<std::size_t>(width()));
        int at = std::max(1, bottom() - static_cast<int>(lines.size()));
        for (const std::string& line : lines)
            ::mvwaddnstr(::stdscr, at++, kLeft, line.c_str(), width());
        ::wattroff(::stdscr, A_BOLD);
    }
    ::wmove(::stdscr, cursor_row_, cursor_column_);
    ::wrefresh(::stdscr);
}

Result<void> FullScreen::help(const SysconfigPage& page) {
    while (true) {
        draw_frame("Help: " + page.title, "F3_Back   (any key)");
        draw_paragraphs({page.help}, 2);
        ::wmove(::stdscr, bottom(), 0);
        ::wrefresh(::stdscr);
        KZ_TRY(const int pressed, command_key());
        if (pressed != KEY_RESIZE && pressed != ERR) return {};
    }
}

void FullScreen::choose(SysconfigField& field, int pressed) {
    const auto chosen = std::ranges::find(field.choices, field.value) - field.choices.begin();
    const auto last = static_cast<std::ptrdiff_t>(field.choices.size()) - 1;
    std::ptrdiff_t at = chosen;
    constexpr std::ptrdiff_t kPage = 10;
    if (pressed == KEY_UP) at -= 1;
    if (pressed == KEY_DOWN) at += 1;
    if (pressed == KEY_PPAGE) at -= kPage;
    if (pressed == KEY_NPAGE) at += kPage;
    if (pressed == KEY_HOME) at = 0;
    if (pressed == KEY_END) at = last;
    // A letter goes to the next choice that begins with it.
    for (std::ptrdiff_t i = 1; pressed > ' ' && pressed < KEY_MIN && i <= last + 1; ++i) {
        const std::ptrdiff_t candidate = (chosen + i) % (last + 1);
        const char first = field.choices[static_cast<std::size_t>(candidate)].front();
        if (to_lower(std::string(1, first)) != to_lower(std::string(1, static_cast<char>(pressed)))) continue;
        at = candidate;
        break;
    }
    field.value = field.choices[static_cast<std::size_t>(std::clamp<std::ptrdiff_t>(at, 0, last))];
}

void FullScreen::edit_text(SysconfigField& field, int pressed) {
    constexpr int kControlU = 21;
    constexpr int kControlH = 8;
    constexpr int kDelete = 127;
    const bool backspace = pressed == KEY_BACKSPACE || pressed == kDelete || pressed == kControlH;
    // What is taken away of a password is overwritten first.
    if (pressed == kControlU) std::ranges::fill(field.value, '\0');
    if (pressed == kControlU) field.value.clear();
    if (backspace && !field.value.empty()) field.value.back() = '\0';
    if (backspace && !field.value.empty()) field.value.pop_back();
    // Names are ASCII; a password may be any bytes.
    const int most = field.secret ? 255 : '~';
    if (pressed >= ' ' && pressed <= most && pressed != kDelete && field.value.size() < kLongestAnswer)
        field.value += static_cast<char>(pressed);
}

void FullScreen::edit(SysconfigPage& page, int pressed) {
    if (page.fields.empty()) return;
    const std::size_t count = page.fields.size();
    SysconfigField& field = page.fields[active_];
    if (!field.choices.empty() && pressed != '\t' && pressed != KEY_BTAB) return choose(field, pressed);
    if (pressed == '\t' || pressed == KEY_DOWN) {
        active_ = (active_ + 1) % count;
    } else if (pressed == KEY_BTAB || pressed == KEY_UP) {
        active_ = (active_ + count - 1) % count;
    } else {
        edit_text(field, pressed);
    }
}

Result<SysconfigMove> FullScreen::show(SysconfigPage& page) {
    active_ = 0;
    fault_.clear();
    // Each page is drawn whole: what another program wrote on the screen is gone then.
    ::clearok(::stdscr, true);
    while (true) {
        draw(page);
        KZ_TRY(const int pressed, command_key());
        if (pressed == KEY_F(3)) return SysconfigMove::back;
        if (pressed == KEY_F(9) || pressed == kControlC) return SysconfigMove::quit;
        if (pressed == KEY_F(6) && !page.help.empty()) KZ_CHECK(help(page));
        const bool enter = pressed == '\r' || pressed == '\n' || pressed == KEY_ENTER;
        const bool last = page.fields.empty() || active_ + 1 == page.fields.size();
        if (enter && !last) {
            ++active_;
        } else if (enter || pressed == KEY_F(2)) {
            const auto fault = find_fault(page);
            if (!fault) return SysconfigMove::next;
            active_ = fault->field;
            fault_ = fault->message;
        } else if (pressed != KEY_RESIZE && pressed != ERR) {
            fault_.clear();
            edit(page, pressed);
        }
    }
}

}  // namespace

Result<std::unique_ptr<SysconfigScreen>> open_full_screen(int cancel_fd) {
    const char* type = std::getenv("TERM");
    // Curses would write to a dumb terminal before it says that it cannot.
    const bool dumb = type == nullptr || std::string_view(type).empty() || std::string_view(type) == "dumb";
    SCREEN* terminal = dumb ? nullptr : ::newterm(nullptr, stdout, stdin);
    if (terminal == nullptr) return fail(Errc::unavailable, "this terminal cannot place text");
    auto screen = std::make_unique<FullScreen>(terminal, cancel_fd);
    if (::tigetstr("cup") == nullptr) return fail(Errc::unavailable, "this terminal cannot place text");
    return screen;
}

}  // namespace kz::cli
