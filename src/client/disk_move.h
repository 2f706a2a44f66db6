// DiskMove: a warm or cold move, of which only the ownership of the disk crosses; the source's half. For
// client/migrate.cc; the steps are those of migrate/offer.h.
#pragma once

#include <optional>
#include <string>

#include "client/client.h"
#include "migrate/offer.h"
#include "migrate/peer.h"
#include "store/boot_disk.h"

namespace kz::client {

class DiskMove {
  public:
    // `peer` and `reporter` outlive it.
    static Result<DiskMove> begin(const store::Registry& registry, const std::string& zone,
                                  const std::string& uuid, migrate::MoveKind kind, bool dry_run,
                                  migrate::Peer& peer, const Reporter& reporter);

    // CHECK, CONFIGURE, ATTACH.
    Result<void> prepare();
    // From here on the zone is the destination's.
    Result<void> commit();
    // The destination takes the zone for its own.
    Result<void> adopt();
    // The zone that was suspended for this move resumes there.
    Result<void> start();
    // The destination forgets what prepare() did there.
    void undo();

    const std::string& destination() const { return acceptance_.destination.host_name; }
    const std::string& fingerprint() const { return peer_.fingerprint(); }

  private:
    DiskMove(std::string zone, const HostPaths& paths, zone::Config config, migrate::Offer offer,
             store::BootDisk disk, migrate::Peer& peer, const Reporter& reporter)
        : paths_(paths),
          config_(std::move(config)),
          target_(fmt::format("/api/1/zones/{}/incoming", zone)),
          offer_(std::move(offer)),
          disk_(std::move(disk)),
          peer_(peer),
          reporter_(reporter) {}
    Result<void> check();
    Result<Json> call(std::string_view method, std::string_view step, const Json& body,
                      std::chrono::seconds timeout);

    HostPaths paths_;
    zone::Config config_;
    std::string target_;
    migrate::Offer offer_;
    store::BootDisk disk_;
    migrate::Peer& peer_;
    const Reporter& reporter_;
    migrate::Acceptance acceptance_;
    bool committed_ = false;
};

}  // namespace kz::client
