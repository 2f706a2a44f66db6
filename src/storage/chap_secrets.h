// The file of CHAP secrets: how this host logs in to iSCSI targets. Internal to storage.
//
//   # for what                        user      password
//   iqn.2026-11.org.example:zones     node1     k3eps4fe,really
//   storage1                          node1     otherpassword
//   *                                 everyone  lastresort
//
// One login per line, in three words; '#' begins a comment line. The first word is the name of a target, a
// storage host as SURIs write it (an IPv6 address without brackets), or "*" for everything. A line for the
// target counts before one for the host, and that before "*". The discovery of a host's targets uses the
// line of the host, or "*". The file must belong to root or to us, and nobody else may read it.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "storage/backing.h"

namespace kz::storage {

inline constexpr std::size_t kMaxChapFile = 256 * 1024;
inline constexpr std::size_t kMaxChapEntries = 4096;
// What a login of iSCSI can carry here; CHAP's own minimum for secrets is the target's business.
inline constexpr std::size_t kMaxChapWord = 255;

class ChapSecrets {
  public:
    // A file that is missing holds nothing. Errors: Errc::permission when others may read it (nothing is
    // read then), Errc::invalid_argument with the line's number, never its text.
    static Result<ChapSecrets> load(const std::filesystem::path& path);
    static Result<ChapSecrets> parse(ByteView text);

    // Null: none. An empty `target` is the discovery of a host. Names in any case.
    const ChapLogin* find(std::string_view target, std::string_view host) const;

  private:
    struct Entry {
        std::string scope;  // lower case
        ChapLogin login;
    };
    const ChapLogin* exactly(std::string_view scope) const;
    std::vector<Entry> entries_;
};

}  // namespace kz::storage
