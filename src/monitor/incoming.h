// Live migration, the destination's side. For the monitor; the hand-over's words are in migrate/offer.h.
//
// Theory of operation. kz-radd starts this monitor and hands on what the source says, as operations:
//
//   incoming-boot    {machine_type, accel, connections, cipher, migration_id, source, live, shape,
//                    post_copy}  -> Session
//   incoming-loaded  {} -> {post_copy}         answered when memory and devices are in; or, where post-copy
//   is
//                                              allowed, the devices, and memory follows: true
//   incoming-resume  {console, console_end}    runs the guest, if host data names this host as owner
//   incoming-cancel  {}                        ends the machine; the zone is what it was before
//   incoming-lost    {}                        the source cannot be heard any more: what is not all in is
//                                              given up; else host data decides
//
// The guest runs here only after host data, read anew, says that this host owns the zone. Until then nothing
// is written to the disk. A source that is lost leaves host data in one of three states: it committed (we
// run), it took the hand-over back (we give up), or it did neither (we watch for a while, then give up: it
// may only be slow, but it cannot commit to a host that has ended its machine without finding that out when
// it looks for the zone).
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "base/json.h"
#include "migrate/offer.h"
#include "migrate/pump_group.h"
#include "monitor/post_copy_zone.h"
#include "monitor/zone_run.h"

namespace kz::monitor {

// How long a zone that has come whole waits for its source's word: longer than the slowest commit, which is
// its write, the source's end by its guard, and a monitor in its place that settles.
inline constexpr std::chrono::seconds kArrivalTime{120};

class Incoming {
  public:
    explicit Incoming(ZoneRun& run) : run_(run) {}
    ~Incoming();
    Result<Json> handle(const std::string& name, const Json& request);
    // From boot() until the zone runs here or has been given up. Any thread may ask.
    bool arriving() const { return arriving_; }
    // Asks host data, in case nobody else tells any more (kz-radd may have been killed): the zone that was
    // handed to this host runs, one that was taken back is given up. False: neither.
    Result<bool> settle();

  private:
    Result<Json> boot(const Json& request);
    Result<void> start_receiving(unsigned connections);
    Result<void> receive();
    Result<void> receive_two_way();
    Result<void> begin_incoming(unsigned channels);
    Result<bool> wait_until_it_could_run();
    Result<void> hand_to_arrival();
    void broken();
    Result<Json> loaded();
    Result<Json> resume(const Json& request);
    Result<Json> cancel();
    void note_arrival();
    Result<Json> lost();

    ZoneRun& run_;
    std::string migration_id_;
    Json facts_ = Json::object();  // of the move, for the journal
    std::atomic<bool> arriving_ = false;
    bool loaded_ = false;
    crypto::Cipher cipher_ = crypto::kDefaultCipher;
    unsigned channels_ = 0;
    bool post_copy_allowed_ = false;
    // Memory will come while the guest runs; it is broken off no more.
    std::atomic<bool> memory_follows_ = false;
    std::optional<qemu::EventWait> events_;
    PostCopyArrival* arrival_ = nullptr;  // the machine's
    bool announced_ = false;              // host data has named this migration
    std::chrono::steady_clock::time_point begun_;
    migrate::Session session_;
    std::optional<migrate::SessionRegistration> registration_;
    std::unique_ptr<migrate::PumpGroup> pumps_;
    std::jthread receiver_;
    Result<void> received_;
};

}  // namespace kz::monitor
