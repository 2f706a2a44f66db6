// SuriParser: one pass over the text of a SURI. Internal to storage.
#pragma once

#include <string>
#include <string_view>

#include "storage/suri.h"

namespace kz::storage {

class SuriParser {
  public:
    explicit SuriParser(std::string_view text) : text_(text) {}
    Result<Suri> parse();

  private:
    using Done = Result<void>;

    Result<SuriType> scheme();
    Done file();
    Done dev();
    Done lu();
    Done iscsi();
    Done nfs();

    Done credentials();
    Done host_and_port();
    Result<std::string> host();
    Result<std::string> bracketed_address();
    Done port();
    Result<std::string> account(std::string_view what);
    Result<std::string> encoded_path();
    Result<char> percent_byte();
    // "naa." (or "eui.") and 16 or 32 digits; `what` is the word before it.
    Result<std::string> world_wide_name(std::string_view what, bool eui_allowed);
    Result<std::string> iscsi_name();
    Result<unsigned> lun();
    Done check_components(std::string_view path, std::size_t start);

    bool at_end() const { return position_ == text_.size(); }
    std::string_view rest() const { return text_.substr(position_); }
    bool take(std::string_view literal);
    Done expect(std::string_view literal, std::string_view what);
    Done expect_end();
    // The longest run of bytes that `accept` takes.
    template <typename Accept>
    std::string_view take_while(Accept accept);

    template <typename... Args>
    std::unexpected<Error> bad_at(std::size_t position, fmt::format_string<Args...> format,
                                  Args&&... args) const {
        return fail(Errc::invalid_argument, "position {}: {}", position,
                    fmt::format(format, std::forward<Args>(args)...));
    }
    template <typename... Args>
    std::unexpected<Error> bad(fmt::format_string<Args...> format, Args&&... args) const {
        return bad_at(position_, format, std::forward<Args>(args)...);
    }

    std::string_view text_;
    std::size_t position_ = 0;
    Suri suri_;
};

}  // namespace kz::storage
