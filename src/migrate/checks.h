// Checks: everything that can be found out before a zone moves, judged. For both sides of a migration.
//
// Pure: the destination looks around (client/destination_checks.h) and fills in HostFacts; check_move()
// compares them with what the source said, and its findings go back with the Acceptance; check_acceptance()
// adds what only the source can see. Every finding is one line for the administrator that names the side it
// is about. An error keeps the zone where it is; a warning does not.
//
// What is an error and what a warning depends on the kind of the move: a zone that runs or is suspended must
// find the same machine at once; an installed one boots afresh, and only has to be able to.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "image/info.h"
#include "migrate/offer.h"
#include "qemu/cpu.h"
#include "zone/config.h"
#include "zone/state.h"

namespace kz::migrate {

// What the destination has found out about itself. `problem` texts say why the rest could not be.
struct HostFacts {
    // The zone there; nothing: it has none of that name.
    std::optional<zone::State> state{};
    std::optional<zone::Config> existing{};
    bool other_key = false;

    std::string qemu_problem{};
    std::string qemu_version{};
    std::vector<std::string> machines{};
    std::string accel{};  // that the zone would run under
    std::string accel_problem{};
    std::string firmware_problem{};
    std::string cpu_problem{};
    std::string post_copy_problem{};  // why a guest here could not run without all its memory
    qemu::CpuModels cpu{};

    unsigned cpus = 0;
    std::uint64_t memory_total = 0;
    // What the kernel could give to a new process now, and how much of that the zones that run already have
    // been promised but have not touched yet.
    std::uint64_t memory_available = 0;
    std::uint64_t memory_promised = 0;

    struct Anet {
        unsigned id = 0;
        std::string problem{};
        bool bridged = false;
    };
    std::vector<Anet> anets{};

    struct Disk {
        unsigned id = 0;
        std::string problem{};
        std::uint64_t bytes = 0;
        Samples samples{};
    };
    std::vector<Disk> disks{};

    std::string host_data_problem{};
    std::optional<storage::HostData> host_data{};

    // Warm only: of the image that host data record; where there is none yet, of the place for one.
    std::string image_problem{};
    std::optional<image::ImageInfo> image{};
};

// At the destination. `config`: what the machine goes on with there; `stored`: what is to be stored there.
Findings check_move(const Offer& offer, const zone::Config& config, const zone::Config& stored,
                    const HostFacts& facts);

// Its parts, for tests.
namespace checks {
void zone(const Offer& offer, const zone::Config& config, const HostFacts& facts, Findings& out);
void machine(const Offer& offer, const zone::Config& config, const HostFacts& facts, Findings& out);
void cpu(const Offer& offer, const zone::Config& config, const HostFacts& facts, Findings& out);
void post_copy(const Offer& offer, const HostFacts& facts, Findings& out);
void room(const Offer& offer, const zone::Config& config, const HostFacts& facts, Findings& out);
void network(const Offer& offer, const HostFacts& facts, Findings& out);
void disks(const Offer& offer, const HostFacts& facts, Findings& out);
void ownership(const Offer& offer, const HostFacts& facts, Findings& out);
void image(const Offer& offer, const zone::Config& config, const HostFacts& facts, Findings& out);
}  // namespace checks

// When the offer was sent and the answer was there, by this host's clock: milliseconds since 1970.
struct CallTimes {
    std::uint64_t sent_ms = 0;
    std::uint64_t answered_ms = 0;
};
std::uint64_t utc_milliseconds();

// How far the other host's clock is ahead (negative: behind) and how far off that may be, from the four
// times of a call.
struct ClockOffset {
    std::chrono::milliseconds offset;
    std::chrono::milliseconds doubt;
};
ClockOffset clock_offset(const CallTimes& here, const Acceptance& there);

// At the source: the destination's findings and what follows from its answer.
Findings check_acceptance(const Offer& offer, const Acceptance& acceptance, const CallTimes& times);

// Ends the checks. Errors: Errc::wrong_state, "configuration check failed:" and then a line "error: ..." for
// each; the original's two lines when a missing cipher is all that there is.
Result<void> conclude(const Offer& offer, const Acceptance& acceptance, const Findings& findings);

// Whether it is an error of conclude(): nothing had begun, so there is no outcome to tell of.
bool speaks_for_itself(const Error& error);

// "migration failed: CAUSE; OUTCOME" (where there is one), but for what speaks for itself.
Error migration_failed(Error cause, std::string_view outcome = {});

}  // namespace kz::migrate
