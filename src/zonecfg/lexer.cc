#include "zonecfg/lexer.h"

namespace kz::zonecfg {

namespace {

constexpr std::string_view kBlanks = " \t\r\n";

bool is_one_of(char c, std::string_view set) {
    return set.find(c) != std::string_view::npos;
}

std::unexpected<Error> syntax_error(std::string_view at) {
    return fail(Errc::invalid_argument, "syntax error at '{}'", at.substr(0, 40));
}

class Lexer {
  public:
    explicit Lexer(std::string_view line) : rest_(line) {}

    Result<std::vector<Token>> run() {
        while (skip_blanks())
            KZ_CHECK(next());
        if (depth_ > 0) return syntax_error("end of line");
        return std::move(tokens_);
    }

  private:
    bool at_command_start() const { return tokens_.empty() || tokens_.back().is(';'); }
    // Where a value of a property begins, so that '=' is an ordinary character.
    bool in_value() const { return depth_ == 0 && !tokens_.empty() && tokens_.back().is('='); }

    // False at the end of the line or where a comment begins.
    bool skip_blanks() {
        while (!rest_.empty() && is_one_of(rest_.front(), kBlanks))
            rest_.remove_prefix(1);
        return !rest_.empty() && !(rest_.front() == '#' && at_command_start());
    }

    Result<void> next() {
        const char c = rest_.front();
        if (c == '"') return quoted();
        if (is_one_of(c, "([")) {
            ++depth_;
            return punctuation();
        }
        if (depth_ > 0 && is_one_of(c, ")]")) {
            --depth_;
            return punctuation();
        }
        if (c == ';' || (c == '=' && !in_value()) || (c == ',' && depth_ > 0)) return punctuation();
        return word();
    }

    Result<void> punctuation() {
        const char c = rest_.front();
        if (c == ';' && depth_ > 0) return syntax_error(rest_);
        tokens_.push_back({Token::Kind::punctuation, std::string(1, c)});
        rest_.remove_prefix(1);
        return {};
    }

    Result<void> word() {
        const std::string_view ends = depth_ > 0   ? " \t\r\n;=\",()[]"
                                      : in_value() ? " \t\r\n;\""
                                                   : " \t\r\n;=\"";
        const auto size = std::min(rest_.find_first_of(ends), rest_.size());
        const std::string_view text = rest_.substr(0, size);
        for (const char c : text)
            if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return syntax_error("control character");
        if (size < rest_.size() && rest_[size] == '"') return syntax_error(rest_);
        tokens_.push_back({Token::Kind::word, std::string(text)});
        rest_.remove_prefix(size);
        return {};
    }

    Result<void> quoted() {
        const std::string_view start = rest_;
        rest_.remove_prefix(1);
        std::string text;
        while (!rest_.empty() && rest_.front() != '"') {
            if (rest_.front() == '\\' && rest_.size() > 1 && is_one_of(rest_[1], "\"\\"))
                rest_.remove_prefix(1);
            const char c = rest_.front();
            if (c != '\t' && (static_cast<unsigned char>(c) < 0x20 || c == 0x7f))
                return syntax_error("control character");
            text += c;
            rest_.remove_prefix(1);
        }
        if (rest_.empty()) return syntax_error(start);
        rest_.remove_prefix(1);
        const std::string_view follow = depth_ > 0 ? " \t\r\n;,)]" : " \t\r\n;=";
        if (!rest_.empty() && !is_one_of(rest_.front(), follow)) return syntax_error(start);
        tokens_.push_back({Token::Kind::quoted, std::move(text)});
        return {};
    }

    std::string_view rest_;
    std::vector<Token> tokens_;
    int depth_ = 0;
};

}  // namespace

Result<std::vector<Token>> lex(std::string_view line) {
    if (line.size() > kMaxLine) return fail(Errc::invalid_argument, "syntax error: the line is too long");
    return Lexer(line).run();
}

}  // namespace kz::zonecfg
