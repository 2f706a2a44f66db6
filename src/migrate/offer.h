// Offer: what the source of a migration tells the destination about the zone, and the session that they agree
// on. For src/monitor (live), src/client (warm, cold) and the routes of kz-radd.
//
// Carried as JSON over RAD (migrate/peer.h), below /api/1/zones/ZONE/incoming:
//
//   POST   .../incoming            Offer -> Acceptance  the destination checks everything that it can
//   POST   .../incoming/link       -> Session  live: one connection to port 8102, to see that it can be had
//                                  and how fast it is (migrate/checks_link.h); any number of times
//   POST   .../incoming/configure  -> {imported: bool}  the configuration is stored, unless there is one
//   POST   .../incoming/attach     -> {}       the storage is opened, host data compared; nothing is owned
//   POST   .../incoming/boot       -> Session  the machine stands ready for the memory
//   POST   .../incoming/loaded     -> {}       answered when all of memory and the devices are in
//   POST   .../incoming/resume     {console} -> {}  after the commit: the zone runs, if host data says so
//   POST   .../incoming/adopt      -> {}       warm and cold, after the commit: the zone is installed here
//   POST   .../incoming/start      -> {}       after that, of a zone that was suspended to be moved: it
//   resumes DELETE .../incoming            -> {}       all of it is undone
//
// The destination undoes everything too when the connection ends before the commit. After it, host data
// decides.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/secret.h"
#include "crypto/cipher.h"
#include "migrate/offer_facts.h"
#include "migrate/session.h"
#include "qemu/machine_shape.h"
#include "storage/host_data.h"

namespace kz::migrate {

inline constexpr std::uint64_t kHandoverProtocol = 1;

// How the refusal of a cipher begins.
inline constexpr std::string_view kCipherRefused = "cipher ";

enum class MoveKind { live = 1, warm, cold };
std::string_view move_kind_name(MoveKind kind);

struct Offer {
    MoveKind kind = MoveKind::live;
    bool dry_run = false;
    bool post_copy = false;  // live: memory may follow while the zone runs there already. Sent only when true
    std::string migration_id;
    std::string zone_uuid;
    std::string configuration;  // export text, with the keysource: as it is stored
    // The machine's part of the configuration of a zone that runs or is suspended (zone/live_change.h), as
    // export text, where it is another one than that of the stored configuration.
    std::string live{};
    std::optional<qemu::MachineShape> shape{};  // of that machine
    storage::Owner source;
    std::string machine_type;  // of the machine that runs, or of the suspend image; empty for a cold move
    std::string accel;         // the same
    unsigned cpus = 0;         // of the source host
    crypto::Cipher cipher = crypto::Cipher::aes_128_ccm;
    SourceFacts facts{};

    // Errors: Errc::protocol, naming the field; Errc::unsupported for another version of the protocol.
    static Result<Offer> from_json(const Json& json);
    Json to_json() const;
};

// What came of the checks (migrate/checks.h): lines for the administrator.
struct Findings {
    std::vector<std::string> errors{};
    std::vector<std::string> warnings{};
    std::vector<DiskDoubt> doubts{};
    bool operator==(const Findings&) const = default;
};

// The answer to an offer. One with errors is no acceptance: the destination refuses the next step.
struct Acceptance {
    storage::Owner destination;
    bool has_configuration = false;
    unsigned cpus = 0;
    std::string qemu_version;
    std::vector<std::string> ciphers;
    Findings findings{};
    // By the destination's clock, milliseconds since 1970.
    std::uint64_t received_ms = 0;
    std::uint64_t answered_ms = 0;

    static Result<Acceptance> from_json(const Json& json);
    Json to_json() const;
};

// What proves and seals the connections to port 8102. Chosen by the destination, fresh for every migration.
struct Session {
    SessionId id{};
    Secret secret;  // 32 bytes
    std::uint16_t port = kMigrationPort;

    static Result<Session> generate();
    static Result<Session> from_json(const Json& json);
    Json to_json() const;
};

// One memory connection per 2 GiB of memory, rounded up, at most the processors of the smaller host
// (DESIGN.md section 7); `wanted` other than 0 overrides.
unsigned memory_connections(std::uint64_t memory_bytes, unsigned cpus_here, unsigned cpus_there,
                            unsigned wanted);

// QEMU's channels, each of which has a connection to port 8102 of its own: for several memory connections the
// main channel besides; for a single one the main channel carries memory too (docs/adr/0014).
constexpr unsigned machine_channels(unsigned memory_connections) {
    return memory_connections == 1 ? 1 : memory_connections + 1;
}

// The original's two lines when the destination lacks the cipher; Errc::unsupported. A name of another
// host's, or of a user's, may be of a cipher that nobody here knows.
Result<void> check_cipher(std::string_view name, const std::vector<std::string>& destination_ciphers);
std::vector<std::string> cipher_names();

}  // namespace kz::migrate
