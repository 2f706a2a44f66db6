// Announcer: tells the network that a zone has come to this host. For the monitor.
//
// Theory of operation. From the moment at which the guest runs here, each of the zone's MAC addresses is
// behind another port of the network's switches, and until these know, a client's packets go to the old one.
// A zone that sends on its own makes them learn; one that is silent must be announced, and more than once,
// since nobody says whether an announcement has arrived.
//
// - QEMU (announce-self) sends a RARP frame of each NIC, which is all that a switch needs, and asks a guest
//   whose driver has VIRTIO_NET_F_GUEST_ANNOUNCE to announce its addresses: gratuitous ARP and unsolicited
//   neighbour advertisements, with what addresses it really has. It does so once by itself, but when the
//   machine's state is in, which may be long before the guest runs.
// - For a NIC whose guest has not that feature (no driver yet, a firmware, another system) the monitor sends
//   the addresses of the zone's configuration itself, through the tap, so that these frames take the way of
//   the zone's own: through its bridge, port and VLAN.
//
// Both after 0, 50, 200, 450, 800, 1250 and 1800 ms, then three times more in steps of 550 ms.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "monitor/network.h"
#include "qemu/qmp.h"

namespace kz::monitor {

// Repetitions, as QEMU's AnnounceParameters.
struct AnnounceTimes {
    std::chrono::milliseconds initial{50};
    std::chrono::milliseconds step{100};
    std::chrono::milliseconds max{550};
    unsigned rounds = 10;

    // Between round `done` (from 1) and the next.
    std::chrono::milliseconds pause_after(unsigned done) const;
};

class Announcer {
  public:
    // The wires of the machine that the monitor has started; none for one that it has adopted, where QEMU
    // alone announces.
    void add(Wire wire);
    // The machine's device has gone.
    void drop(const std::string& device);

    // The guest runs. Returns when the first announcement is on its way; the others follow while this object
    // lives, which must be shorter than `qmp`, and end when the guest stands still: it may be on its way to
    // the next host. Errors: of QEMU and of the taps; the zone runs in any case, and its own first packet
    // does the same.
    Result<void> announce(qemu::Qmp& qmp, const AnnounceTimes& times = {});

  private:
    Result<void> send_round(const std::vector<const Wire*>& wires) const;
    void repeat(const std::stop_token& stop, qemu::Qmp& qmp, const std::vector<const Wire*>& wires,
                const AnnounceTimes& times);

    std::vector<Wire> wires_;
    std::mutex mutex_;
    std::condition_variable_any stopped_;
    std::jthread repeater_;  // after all that it uses
};

// Whether the driver of the machine's device, as the guest has set it up, announces the guest's addresses
// when it is told to. False also where QEMU cannot say.
bool guest_announces(qemu::Qmp& qmp, const std::string& device);

}  // namespace kz::monitor
