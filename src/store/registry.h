// Registry: the zones of one host, on disk. For every floor above store.
//
//   etc/zones/NAME.cfg              the configuration: the text of zonecfg export, without secrets
//   etc/zones/keys/NAME             the zone's key in hexadecimal, mode 0600
//   var/lib/zones/NAME/state.json   store/record.h
//   run/zones/.locks/NAME           the zone's lock
//
// Every file is replaced atomically. Callers that change a zone hold its lock; readers need none: they see
// the old or the new content. Names are checked here (zone/names.h), so that no name leads out of these
// folders.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/secret.h"
#include "os/deadline.h"
#include "os/file.h"
#include "os/paths.h"
#include "store/record.h"
#include "zone/config.h"

namespace kz::store {

// Held while a command or a monitor changes the state of a zone; dropped by the kernel when the holder dies.
class ZoneLock {
  public:
    const std::string& zone() const { return zone_; }

  private:
    friend class Registry;
    ZoneLock(std::string zone, FileLock lock) : zone_(std::move(zone)), lock_(std::move(lock)) {}
    std::string zone_;
    FileLock lock_;
};

class Registry {
  public:
    // Makes no folder (listing needs no rights), but completes a rename that a crash has interrupted.
    static Result<Registry> open(HostPaths paths);

    const HostPaths& paths() const { return paths_; }

    // Sorted. Zones with a configuration, and those of which only a record is left (aux state no-config);
    // templates are not zones.
    Result<std::vector<std::string>> names() const;
    // Whether names() has it.
    bool exists(std::string_view name) const;
    bool has_config(std::string_view name) const;

    // With the key, where there is one. Errors: Errc::not_found "No such zone configured"; those of the
    // parser, with the file's name.
    Result<zone::Config> load_config(std::string_view name) const;
    // A template: etc/zones first, then the ones shipped. Any well-formed name.
    Result<zone::Config> load_template(std::string_view name) const;
    // By the name within. Errors leave the old configuration. Errc::wrong_state when it has no key but the
    // zone, which has an installation, has one: without it the disks' host data could not be read any more.
    Result<void> save_config(const zone::Config& config) const;
    // Configuration, key and record; none of the zone's disks. Removing what is not there is no error.
    Result<void> remove(std::string_view name) const;
    // Configuration, key and record, as one: a crash in the middle is completed by the next open(). The zone
    // is not running; its disks stay where they are. Errors: Errc::already_exists, Errc::not_found.
    Result<void> rename(std::string_view old_name, std::string_view new_name) const;

    // A zone without a record is configured.
    Result<ZoneRecord> record(std::string_view name) const;
    Result<void> put_record(std::string_view name, const ZoneRecord& record) const;

    // Errors: Errc::busy when the deadline passes first.
    Result<ZoneLock> lock(std::string_view name, Deadline deadline) const;
    bool locked(std::string_view name) const;

    // The zone's raw key. Errors: Errc::not_found.
    Result<Secret> keysource(std::string_view name) const;
    // As keysource(); makes a new key of 16 random bytes where there is none.
    Result<Secret> ensure_keysource(std::string_view name) const;
    // Replaces the key: only for a zone whose host data is written anew with it.
    Result<void> put_keysource(std::string_view name, const Secret& key) const;

  private:
    explicit Registry(HostPaths paths) : paths_(std::move(paths)) {}
    Path record_file(std::string_view name) const;
    HostPaths paths_;
};

}  // namespace kz::store
