#include "storage/suri.h"

#include <arpa/inet.h>

#include <array>

#include "base/bytes.h"
#include "base/text.h"
#include "storage/suri_parser.h"
#include "storage/suri_text.h"

namespace kz::storage {
namespace {

std::string canonical_host(const std::string& host) {
    std::array<Byte, sizeof(in6_addr)> binary;
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (::inet_pton(AF_INET6, host.c_str(), binary.data()) == 1 &&
        ::inet_ntop(AF_INET6, binary.data(), text.data(), text.size()) != nullptr)
        return text.data();
    return to_lower(host);
}

void lower(std::optional<std::string>& text) {
    if (text) text = to_lower(*text);
}

std::string render_authority(const Suri& suri) {
    std::string text;
    if (suri.user()) text += fmt::format("{}:{}@", *suri.user(), *suri.group());
    if (const auto& host = suri.hostname())
        text += host->find(':') != std::string::npos ? fmt::format("[{}]", *host) : *host;
    if (suri.port()) text += fmt::format(":{}", *suri.port());
    return text;
}

}  // namespace

std::string squeezed(std::string_view path) {
    std::string text;
    for (const char c : path) {
        if (c != '/' || !text.ends_with('/')) text += c;
    }
    return text;
}

std::string device_relative_path(std::string_view path) {
    std::string text = squeezed(path);
    if (text == "/dev") return {};
    if (text.starts_with("/dev/")) return text.substr(5);
    return text.starts_with('/') ? text.substr(1) : text;
}

std::string percent_encoded(std::string_view path) {
    std::string text;
    for (const char c : path) {
        if (must_be_encoded(c))
            text += fmt::format("%{:02X}", static_cast<unsigned char>(c));
        else
            text += c;
    }
    return text;
}

std::string_view suri_type_name(SuriType type) {
    switch (type) {
        case SuriType::file:
            return "file";
        case SuriType::dev:
            return "dev";
        case SuriType::lu:
            return "lu";
        case SuriType::iscsi:
            return "iscsi";
        case SuriType::nfs:
            return "nfs";
    }
    return "unknown";
}

Result<Suri> Suri::parse(std::string_view text) {
    return SuriParser(text).parse();
}

Result<Suri> Suri::of_file(const std::filesystem::path& path) {
    if (!path.is_absolute())
        return fail(Errc::invalid_argument, "'{}' is not an absolute path", path.string());
    return parse("file://" + percent_encoded(path.string()));
}

Result<Suri> Suri::of_device(const std::filesystem::path& path) {
    if (!path.is_absolute())
        return fail(Errc::invalid_argument, "'{}' is not an absolute path", path.string());
    return parse("dev:" + path.string());
}

std::string Suri::render() const {
    switch (type_) {
        case SuriType::file:
            return fmt::format("file://{}{}", render_authority(*this), percent_encoded(*path_));
        case SuriType::dev:
            return "dev:" + *path_;
        case SuriType::lu:
            if (!initiator_) return "lu:luname." + *luname_;
            return fmt::format("lu:initiator.{},target.{},luname.{}", *initiator_, *target_, *luname_);
        case SuriType::iscsi:
            if (luname_) return fmt::format("iscsi://{}/luname.{}", render_authority(*this), *luname_);
            return fmt::format("iscsi://{}/target.{},lun.{}", render_authority(*this), *target_, *lun_);
        case SuriType::nfs:
            return fmt::format("nfs://{}{}", render_authority(*this), percent_encoded(*path_));
    }
    return {};
}

Suri Suri::normalized() const {
    Suri plain = *this;
    if (plain.hostname_) plain.hostname_ = canonical_host(*plain.hostname_);
    const std::uint16_t default_port = type_ == SuriType::nfs ? kNfsPort : kIscsiPort;
    if (plain.port_ == default_port) plain.port_.reset();
    lower(plain.luname_);
    lower(plain.target_);
    lower(plain.initiator_);
    if (plain.path_)
        plain.path_ = type_ == SuriType::dev ? device_relative_path(*plain.path_) : squeezed(*plain.path_);
    return plain;
}

std::filesystem::path Suri::local_path() const {
    if (type_ == SuriType::file) return *path_;
    if (type_ == SuriType::dev) return std::filesystem::path("/dev") / device_relative_path(*path_);
    return {};
}

}  // namespace kz::storage
