#include "storage/suri_parser.h"

#include <arpa/inet.h>

#include <array>

#include "base/bytes.h"
#include "base/text.h"
#include "storage/suri_text.h"

namespace kz::storage {
namespace {

constexpr std::size_t kMaxHostName = 253;
constexpr std::size_t kMaxAccountName = 32;
constexpr std::size_t kMaxIscsiName = 223;  // RFC 7143
constexpr unsigned kMaxLun = 16383;         // flat space addressing of SAM

std::string shown(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte > 0x20 && byte < 0x7f ? fmt::format("'{}'", c) : fmt::format("the byte 0x{:02x}", byte);
}

}  // namespace

bool SuriParser::take(std::string_view literal) {
    if (!rest().starts_with(literal)) return false;
    position_ += literal.size();
    return true;
}

Result<void> SuriParser::expect(std::string_view literal, std::string_view what) {
    if (take(literal)) return {};
    return bad("expected {}", what);
}

Result<void> SuriParser::expect_end() {
    if (at_end()) return {};
    return bad("unexpected {}", shown(text_[position_]));
}

template <typename Accept>
std::string_view SuriParser::take_while(Accept accept) {
    const std::size_t start = position_;
    while (!at_end() && accept(text_[position_]))
        ++position_;
    return text_.substr(start, position_ - start);
}

Result<Suri> SuriParser::parse() {
    if (text_.size() > kMaxSuriLength) return bad_at(kMaxSuriLength, "longer than {} bytes", kMaxSuriLength);
    KZ_TRY(suri_.type_, scheme());
    Done parsed;
    switch (suri_.type_) {
        case SuriType::file:
            parsed = file();
            break;
        case SuriType::dev:
            parsed = dev();
            break;
        case SuriType::lu:
            parsed = lu();
            break;
        case SuriType::iscsi:
            parsed = iscsi();
            break;
        case SuriType::nfs:
            parsed = nfs();
            break;
    }
    KZ_CHECK(std::move(parsed));
    KZ_CHECK(expect_end());
    return std::move(suri_);
}

Result<SuriType> SuriParser::scheme() {
    const auto colon = text_.find(':');
    const std::string name = to_lower(text_.substr(0, colon));
    for (const SuriType type :
         {SuriType::file, SuriType::dev, SuriType::lu, SuriType::iscsi, SuriType::nfs}) {
        if (colon == std::string_view::npos || name != suri_type_name(type)) continue;
        position_ = colon + 1;
        return type;
    }
    return bad("expected a storage URI: file:, dev:, lu:, iscsi: or nfs:");
}

Result<void> SuriParser::file() {
    if (take("//") && !rest().starts_with('/')) {
        KZ_CHECK(credentials());
        KZ_CHECK(expect("@", "'@' after the group"));
    }
    KZ_TRY(suri_.path_, encoded_path());
    return {};
}

Result<void> SuriParser::dev() {
    if (take("//") && !rest().starts_with('/')) return bad("expected '/'");
    const std::size_t start = position_;
    const std::string_view path = take_while(is_device_path_byte);
    if (path.empty()) return bad("expected a device path");
    if (path.starts_with('/') && !path.starts_with("/dev/"))
        return bad_at(start, "an absolute device path begins with /dev/");
    if (device_relative_path(path).empty() || path.ends_with('/')) return bad("expected a device name");
    KZ_CHECK(check_components(path, start));
    suri_.path_ = std::string(path);
    return {};
}

Result<void> SuriParser::lu() {
    if (take("initiator.")) {
        KZ_TRY(suri_.initiator_, world_wide_name("initiator", /*eui_allowed=*/false));
        KZ_CHECK(expect(",target.", "',target.' after the initiator"));
        KZ_TRY(suri_.target_, world_wide_name("target", /*eui_allowed=*/false));
        KZ_CHECK(expect(",", "',luname.' after the target"));
    }
    KZ_CHECK(expect("luname.", "'luname.' or 'initiator.'"));
    KZ_TRY(suri_.luname_, world_wide_name("luname", /*eui_allowed=*/true));
    return {};
}

Result<void> SuriParser::iscsi() {
    KZ_CHECK(expect("//", "'//'"));
    if (!rest().starts_with('/')) KZ_CHECK(host_and_port());
    KZ_CHECK(expect("/", "'/'"));
    if (take("luname.")) {
        KZ_TRY(suri_.luname_, world_wide_name("luname", /*eui_allowed=*/true));
        return {};
    }
    KZ_CHECK(expect("target.", "'luname.' or 'target.'"));
    KZ_TRY(suri_.target_, iscsi_name());
    KZ_CHECK(expect(",lun.", "',lun.' after the target"));
    KZ_TRY(suri_.lun_, lun());
    return {};
}

Result<void> SuriParser::nfs() {
    KZ_CHECK(expect("//", "'//'"));
    KZ_CHECK(credentials());
    KZ_CHECK(expect("@", "'@' after the group"));
    KZ_CHECK(host_and_port());
    const std::size_t start = position_;
    KZ_TRY(suri_.path_, encoded_path());
    if (squeezed(*suri_.path_).find('/', 1) == std::string::npos)
        return bad_at(start, "expected a share and a file in it: /share/file");
    return {};
}

Result<void> SuriParser::credentials() {
    KZ_TRY(suri_.user_, account("user"));
    KZ_CHECK(expect(":", "':' and a group after the user"));
    KZ_TRY(suri_.group_, account("group"));
    return {};
}

Result<std::string> SuriParser::account(std::string_view what) {
    const std::size_t start = position_;
    const std::string_view name =
        take_while([](char c) { return is_alnum(c) || c == '_' || c == '.' || c == '-'; });
    if (name.empty() || name.front() == '-' || name.front() == '.')
        return bad_at(start, "expected the name or number of a {}", what);
    if (name.size() > kMaxAccountName)
        return bad_at(start, "the {} is longer than {} bytes", what, kMaxAccountName);
    return std::string(name);
}

Result<void> SuriParser::host_and_port() {
    KZ_TRY(suri_.hostname_, rest().starts_with('[') ? bracketed_address() : host());
    return take(":") ? port() : Done{};
}

Result<std::string> SuriParser::host() {
    const std::size_t start = position_;
    const std::string_view name =
        take_while([](char c) { return is_alnum(c) || c == '-' || c == '.' || c == '_'; });
    if (name.empty()) return bad_at(start, "expected a host");
    if (name.size() > kMaxHostName) return bad_at(start, "the host is longer than {} bytes", kMaxHostName);
    for (const std::string& label : split(name, '.')) {
        if (label.empty() || label.front() == '-' || label.back() == '-')
            return bad_at(start, "'{}' is not a host name", name);
    }
    return std::string(name);
}

Result<std::string> SuriParser::bracketed_address() {
    const std::size_t start = position_;
    const auto close = rest().find(']');
    if (close == std::string_view::npos) return bad_at(start, "'[' without ']'");
    const std::string address(rest().substr(1, close - 1));
    position_ += close + 1;
    std::array<Byte, sizeof(in6_addr)> binary;
    // inet_pton reads up to the first NUL.
    if (address.find('\0') != std::string::npos || ::inet_pton(AF_INET6, address.c_str(), binary.data()) != 1)
        return bad_at(start, "not an IPv6 address in brackets");
    return address;
}

Result<void> SuriParser::port() {
    const std::size_t start = position_;
    const auto number = parse_u64(take_while(is_digit));
    if (!number || *number == 0 || *number > UINT16_MAX) return bad_at(start, "expected a port, 1 to 65535");
    suri_.port_ = static_cast<std::uint16_t>(*number);
    return {};
}

Result<std::string> SuriParser::encoded_path() {
    const std::size_t start = position_;
    if (!rest().starts_with('/')) return bad("expected an absolute path");
    std::string path;
    while (!at_end()) {
        const char c = text_[position_];
        if (c == '%') {
            KZ_TRY(const char decoded, percent_byte());
            path += decoded;
            continue;
        }
        if (must_be_encoded(c))
            return bad("{} must be written %{:02X}", shown(c), static_cast<unsigned char>(c));
        path += c;
        ++position_;
    }
    if (path.ends_with('/')) return bad("expected the name of a file");
    KZ_CHECK(check_components(path, start));
    return path;
}

Result<char> SuriParser::percent_byte() {
    const auto value = parse_hex_u64(rest().substr(1, 2));
    // parse_hex_u64 takes "0x"; so does nobody here.
    if (rest().size() < 3 || !value || !is_hex(rest()[1]) || !is_hex(rest()[2]))
        return bad("'%' must be followed by two hexadecimal digits");
    if (*value == 0) return bad("a path cannot hold a NUL");
    position_ += 3;
    return static_cast<char>(static_cast<unsigned char>(*value));
}

Result<void> SuriParser::check_components(std::string_view path, std::size_t start) {
    for (const std::string& component : split(path, '/')) {
        if (component == "." || component == "..")
            return bad_at(start, "'{}' is not allowed as part of a path", component);
        if (component.size() > 255) return bad_at(start, "a part of the path is longer than 255 bytes");
    }
    return {};
}

Result<std::string> SuriParser::world_wide_name(std::string_view what, bool eui_allowed) {
    const std::size_t start = position_;
    const std::string kind = to_lower(rest().substr(0, 4));
    if (kind != "naa." && !(eui_allowed && kind == "eui."))
        return bad("expected {} after '{}.'", eui_allowed ? "'naa.' or 'eui.'" : "'naa.'", what);
    position_ += kind.size();
    const std::size_t digits_start = position_;
    const std::string_view digits = take_while(is_hex);
    if (!at_end() && text_[position_] != ',')
        return bad("{} is not a hexadecimal digit", shown(text_[position_]));
    if (digits.size() != 16 && digits.size() != 32)
        return bad_at(digits_start, "{} hexadecimal digits where 16 or 32 are expected", digits.size());
    return std::string(text_.substr(start, position_ - start));
}

Result<std::string> SuriParser::iscsi_name() {
    const std::size_t start = position_;
    const std::string_view name =
        take_while([](char c) { return is_alnum(c) || c == '-' || c == '.' || c == ':' || c == '_'; });
    const std::string kind = to_lower(name.substr(0, 4));
    if (kind != "iqn." && kind != "eui." && kind != "naa.")
        return bad_at(start, "expected an iSCSI name: iqn., eui. or naa.");
    if (name.size() == kind.size() || name.size() > kMaxIscsiName)
        return bad_at(start, "an iSCSI name has 5 to {} bytes", kMaxIscsiName);
    return std::string(name);
}

Result<unsigned> SuriParser::lun() {
    const std::size_t start = position_;
    const auto number = parse_u64(take_while(is_digit));
    if (!number || *number > kMaxLun) return bad_at(start, "expected the number of a LUN, 0 to {}", kMaxLun);
    return static_cast<unsigned>(*number);
}

}  // namespace kz::storage
