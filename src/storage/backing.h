// VolumeBacking: how a zone's machine reaches a volume by itself. For the monitor and src/qemu.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "base/fd.h"
#include "base/secret.h"

namespace kz::storage {

// A descriptor of its own, open for reading and writing.
struct LocalBacking {
    UniqueFd fd;
    bool block_device = false;
};

struct ChapLogin {
    std::string user;
    Secret password;
};

// By QEMU's own initiator.
struct IscsiBacking {
    std::string portal;  // "192.0.2.7:3260", IPv6 in brackets
    std::string target;  // "iqn...."
    unsigned lun = 0;
    std::string initiator_name;
    std::optional<ChapLogin> chap;
};

// By QEMU's own NFS client, with AUTH_SYS credentials.
struct NfsBacking {
    std::string host;  // name or address, IPv6 without brackets
    std::string path;  // "/export/folder/file"
    uid_t uid = 0;
    gid_t gid = 0;
};

using VolumeBacking = std::variant<LocalBacking, IscsiBacking, NfsBacking>;

}  // namespace kz::storage
