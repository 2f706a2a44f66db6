#include "zonecfg/parser.h"

#include "zonecfg/lexer.h"

namespace kz::zonecfg {

namespace {

using zone::ComplexValue;
using zone::ListValue;
using zone::PropertyValue;
using zone::ScalarValue;

class Parser {
  public:
    explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

    Result<std::vector<Command>> run() {
        std::vector<Command> commands;
        while (!at_end()) {
            if (accept(';')) continue;
            KZ_TRY(Command parsed, command());
            commands.push_back(std::move(parsed));
        }
        return commands;
    }

  private:
    bool at_end() const { return next_ == tokens_.size(); }
    bool at(char punctuation) const { return !at_end() && tokens_[next_].is(punctuation); }
    bool at_text() const { return !at_end() && tokens_[next_].is_text(); }
    bool accept(char punctuation) {
        if (!at(punctuation)) return false;
        ++next_;
        return true;
    }

    std::unexpected<Error> syntax_error() const {
        return fail(Errc::invalid_argument, "syntax error at '{}'",
                    at_end() ? "end of line" : tokens_[next_].text.substr(0, 40));
    }

    Result<std::string> text() {
        if (!at_text()) return syntax_error();
        return tokens_[next_++].text;
    }

    Result<Command> command() {
        const VerbInfo* verb = at_text() ? find_verb(tokens_[next_].text) : nullptr;
        if (verb == nullptr)
            return std::unexpected(
                Error(Errc::invalid_argument,
                      syntax_error().error().message() + "\nUse 'help' for a list of the commands."));
        ++next_;
        Command command{verb->verb, {}};
        while (!at_end() && !at(';')) {
            KZ_TRY(Argument parsed, argument());
            command.arguments.push_back(std::move(parsed));
        }
        return command;
    }

    Result<Argument> argument() {
        if (at('(') || at('[')) {
            KZ_TRY(PropertyValue bracketed, value());
            return Argument{{}, std::move(bracketed)};
        }
        KZ_TRY(std::string word, text());
        if (!accept('=')) return Argument{std::move(word), std::nullopt};
        if (word.empty()) return syntax_error();
        KZ_TRY(PropertyValue assigned, value());
        return Argument{std::move(word), std::move(assigned)};
    }

    // An absent value ("set bootargs=") is the empty one.
    Result<PropertyValue> value() {
        if (at_end() || at(';')) return PropertyValue(std::string{});
        if (at('[')) return list();
        KZ_TRY(ScalarValue item, scalar());
        return PropertyValue(std::move(item));
    }

    Result<ScalarValue> scalar() {
        if (accept('(')) {
            KZ_TRY(ComplexValue parsed, complex());
            return ScalarValue(std::move(parsed));
        }
        KZ_TRY(std::string word, text());
        return ScalarValue(std::move(word));
    }

    Result<ComplexValue> complex() {
        ComplexValue fields;
        do {
            KZ_TRY(std::string name, text());
            if (!accept('=')) return syntax_error();
            KZ_TRY(std::string field, text());
            fields.emplace_back(std::move(name), std::move(field));
        } while (accept(','));
        if (!accept(')')) return syntax_error();
        return fields;
    }

    Result<PropertyValue> list() {
        ListValue items;
        accept('[');
        if (accept(']')) return PropertyValue(std::move(items));
        do {
            KZ_TRY(ScalarValue item, scalar());
            items.push_back(std::move(item));
        } while (accept(','));
        if (!accept(']')) return syntax_error();
        return PropertyValue(std::move(items));
    }

    std::vector<Token> tokens_;
    std::size_t next_ = 0;
};

}  // namespace

Result<std::vector<Command>> parse_line(std::string_view line) {
    KZ_TRY(std::vector<Token> tokens, lex(line));
    return Parser(std::move(tokens)).run();
}

}  // namespace kz::zonecfg
