// IscsiInitiator: who this host is to iSCSI targets. Internal to storage.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "storage/access.h"
#include "storage/chap_secrets.h"

namespace kz::storage {

// One per volume. Its sessions with a target follow each other under one session id: a target that still
// holds an earlier one ends it, with all its commands, before it lets the next one in (RFC 7143, 6.3.5).
class IscsiInitiator {
  public:
    // Reads the CHAP secrets. Errors: as of ChapSecrets::load().
    static Result<IscsiInitiator> create(const StorageAccess& access);

    const std::string& name() const { return name_; }
    const std::filesystem::path& secrets_path() const { return secrets_path_; }
    const ChapSecrets& secrets() const { return secrets_; }
    std::uint32_t session_random() const { return session_random_; }  // 24 bits
    std::uint16_t session_qualifier() const { return session_qualifier_; }

  private:
    IscsiInitiator() = default;
    std::string name_;
    std::filesystem::path secrets_path_;
    ChapSecrets secrets_;
    std::uint32_t session_random_ = 0;
    std::uint16_t session_qualifier_ = 0;
};

}  // namespace kz::storage
