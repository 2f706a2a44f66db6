// Suri: a storage URI, the name of a volume. For every floor above storage. A value: opening is
// storage/volume.h.
//
//   file:///zones/ant1/disk0                  file://user:group@/zones/ant1/disk0
//   dev:disk/by-id/wwn-0x5000c500a1b2c3d4     dev:/dev/sdb   dev:///dev/sdb
//   lu:luname.naa.600144f0...                 lu:initiator.naa.X,target.naa.Y,luname.naa.Z
//   iscsi://host[:port]/luname.naa.600144f0...            iscsi:///luname.eui.0123456789abcdef
//   iscsi://host[:port]/target.iqn.2026-11.org.x:disk,lun.0
//   nfs://user:group@host[:port]/export/folder/file
//
// IPv6 addresses are written in brackets. In the paths of file and nfs a byte may be written %XX; blanks,
// '%', '?' and '#' must be. A path never holds "." or ".." as a component.
#pragma once

#include <compare>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kz::storage {

// Append only; 0 is never valid.
enum class SuriType { file = 1, dev, lu, iscsi, nfs };

// "iscsi": the scheme, as in a SURI and in suriadm's property uri-type.
std::string_view suri_type_name(SuriType type);

inline constexpr std::uint16_t kIscsiPort = 3260;
inline constexpr std::uint16_t kNfsPort = 2049;
inline constexpr std::size_t kMaxSuriLength = 2048;

class Suri {
  public:
    // Errors: Errc::invalid_argument, "position N: reason"; N counts bytes from 0.
    static Result<Suri> parse(std::string_view text);
    // Of an absolute path; dev: of one below /dev. Errors as of parse().
    static Result<Suri> of_file(const std::filesystem::path& path);
    static Result<Suri> of_device(const std::filesystem::path& path);

    // parse(render()) is the same value; the text may differ from the one parsed ("dev:///dev/sdb").
    std::string render() const;
    // One text for all spellings of one name: iscsi, lu and host names in lower case, default ports dropped,
    // dev without leading slashes and "/dev", paths without doubled slashes.
    Suri normalized() const;

    SuriType type() const { return type_; }
    // The properties of suriadm; nothing where the form has none. hostname: IPv6 without brackets.
    const std::optional<std::string>& hostname() const { return hostname_; }
    std::optional<std::uint16_t> port() const { return port_; }
    // "naa.6001..." or "eui....".
    const std::optional<std::string>& luname() const { return luname_; }
    // iscsi: "iqn...."; lu: "naa....".
    const std::optional<std::string>& target() const { return target_; }
    const std::optional<std::string>& initiator() const { return initiator_; }
    std::optional<unsigned> lun() const { return lun_; }
    // file, nfs: absolute, decoded. dev: as written, with or without "/dev/".
    const std::optional<std::string>& path() const { return path_; }
    const std::optional<std::string>& user() const { return user_; }
    const std::optional<std::string>& group() const { return group_; }

    // Where this host finds it in its own file system: file and dev only, else empty. dev: below /dev.
    std::filesystem::path local_path() const;
    // Whether another host can reach the same volume by the same name. dev names are one host's own; a file
    // may lie on a shared mount, which only the other host can tell.
    bool shareable() const { return type_ != SuriType::dev; }

    bool operator==(const Suri&) const = default;

  private:
    friend class SuriParser;
    Suri() = default;

    SuriType type_ = SuriType::file;
    std::optional<std::string> hostname_;
    std::optional<std::uint16_t> port_;
    std::optional<std::string> luname_;
    std::optional<std::string> target_;
    std::optional<std::string> initiator_;
    std::optional<unsigned> lun_;
    std::optional<std::string> path_;
    std::optional<std::string> user_;
    std::optional<std::string> group_;
};

}  // namespace kz::storage
