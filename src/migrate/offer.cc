#include "migrate/offer.h"

#include <algorithm>

#include "base/text.h"
#include "crypto/random.h"

namespace kz::migrate {
namespace {

constexpr std::size_t kSessionSecretSize = 32;
constexpr std::uint64_t kMaxCpus = 4096;
constexpr std::size_t kMaxFindings = 256;
constexpr std::size_t kMaxFinding = 2048;
constexpr std::size_t kMaxHostName = 256;
constexpr std::size_t kMaxVersion = 64;
constexpr std::size_t kMaxCiphers = 64;
constexpr std::size_t kMaxCipherName = 64;

// Fields of a peer's JSON are Errc::corrupt to the reader; here they are a breach of the protocol.
template <typename T>
Result<T> from_peer(Result<T> field) {
    if (field || field.error().code() == Errc::unsupported) return field;
    return fail(Errc::protocol, "the other host sent a message that is not understood: {}",
                field.error().message());
}

Result<storage::Owner> owner_from(const Json& json, std::string_view key) {
    const auto found = json.find(key);
    if (found == json.end()) return fail(Errc::protocol, "the other host did not say who it is");
    KZ_TRY(std::string id, from_peer(json_text(*found, "host_id")));
    KZ_TRY(const std::string name, from_peer(json_text(*found, "host_name")));
    return storage::Owner{std::move(id), plain_text(name, kMaxHostName)};
}

Json owner_to(const storage::Owner& owner) {
    return {{"host_id", owner.host_id}, {"host_name", owner.host_name}};
}

Result<unsigned> cpus_from(const Json& json) {
    KZ_TRY(const std::uint64_t cpus, from_peer(json_u64(json, "cpus")));
    if (cpus == 0 || cpus > kMaxCpus)
        return fail(Errc::protocol, "the other host claims to have {} CPUs", cpus);
    return static_cast<unsigned>(cpus);
}

Result<MoveKind> kind_from(const Json& json) {
    KZ_TRY(const std::string name, from_peer(json_text(json, "kind")));
    for (const MoveKind kind : {MoveKind::live, MoveKind::warm, MoveKind::cold}) {
        if (name == move_kind_name(kind)) return kind;
    }
    return fail(Errc::protocol, "unknown kind of migration '{}'", name);
}

Result<Findings> findings_from(const Json& json) {
    Findings findings;
    KZ_TRY(findings.errors, peer_texts(json, "errors", kMaxFindings, kMaxFinding));
    KZ_TRY(findings.warnings, peer_texts(json, "warnings", kMaxFindings, kMaxFinding));
    const auto doubts = json.find("doubts");
    if (doubts == json.end()) return findings;
    if (!doubts->is_array() || doubts->size() > kMaxDisks)
        return fail(Errc::protocol, "the other host doubts too many disks");
    for (const Json& each : *doubts) {
        DiskDoubt doubt;
        KZ_TRY(const std::uint64_t id, from_peer(json_u64(each, "id")));
        if (id > UINT32_MAX) return fail(Errc::protocol, "the other host doubts a disk that there is not");
        doubt.id = static_cast<unsigned>(id);
        KZ_TRY(doubt.samples, peer_numbers(each, "samples", kMaxSamples, kMaxSamples - 1));
        findings.doubts.push_back(std::move(doubt));
    }
    return findings;
}

Json findings_to(const Findings& findings) {
    Json doubts = Json::array();
    for (const DiskDoubt& doubt : findings.doubts)
        doubts.push_back({{"id", doubt.id}, {"samples", doubt.samples}});
    return {{"errors", findings.errors}, {"warnings", findings.warnings}, {"doubts", std::move(doubts)}};
}

}  // namespace

std::string_view move_kind_name(MoveKind kind) {
    switch (kind) {
        case MoveKind::live:
            return "live";
        case MoveKind::warm:
            return "warm";
        case MoveKind::cold:
            return "cold";
    }
    return "live";
}

Result<Offer> Offer::from_json(const Json& json) {
    Offer offer;
    KZ_TRY(const std::uint64_t protocol, from_peer(json_u64(json, "protocol")));
    if (protocol != kHandoverProtocol) {
        return fail(Errc::unsupported,
                    "the source speaks version {} of the migration protocol, this host version {}", protocol,
                    kHandoverProtocol);
    }
    KZ_TRY(offer.kind, kind_from(json));
    KZ_TRY(offer.dry_run, from_peer(json_bool(json, "dry_run")));
    if (json.contains("post_copy")) {
        KZ_TRY(offer.post_copy, from_peer(json_bool(json, "post_copy")));
    }
    KZ_TRY(offer.migration_id, from_peer(json_text(json, "migration_id")));
    KZ_TRY(offer.zone_uuid, from_peer(json_text(json, "zone_uuid")));
    KZ_TRY(offer.configuration, from_peer(json_text(json, "configuration")));
    KZ_TRY(offer.source, owner_from(json, "source"));
    KZ_TRY(offer.machine_type, from_peer(json_text(json, "machine_type")));
    KZ_TRY(offer.accel, from_peer(json_text(json, "accel")));
    KZ_TRY(offer.cpus, cpus_from(json));
    KZ_TRY(const std::string cipher, from_peer(json_text(json, "cipher")));
    KZ_CHECK(check_cipher(cipher, cipher_names()));
    KZ_TRY(offer.cipher, crypto::parse_cipher(cipher));
    KZ_TRY(auto live, from_peer(json_optional_text(json, "live")));
    offer.live = std::move(live).value_or("");
    KZ_TRY(offer.shape, from_peer(qemu::optional_shape(json)));
    KZ_TRY(const Json* facts, from_peer(json_optional_object(json, "facts")));
    if (facts == nullptr) return fail(Errc::protocol, "the other host did not send the facts of its zone");
    KZ_TRY(offer.facts, SourceFacts::from_json(*facts));
    return offer;
}

Json Offer::to_json() const {
    Json json{{"protocol", kHandoverProtocol},
              {"kind", move_kind_name(kind)},
              {"dry_run", dry_run},
              {"migration_id", migration_id},
              {"zone_uuid", zone_uuid},
              {"configuration", configuration},
              {"source", owner_to(source)},
              {"machine_type", machine_type},
              {"accel", accel},
              {"cpus", cpus},
              {"cipher", crypto::cipher_name(cipher)},
              {"facts", facts.to_json()}};
    if (post_copy) json["post_copy"] = true;
    if (!live.empty()) json["live"] = live;
    if (shape) json["shape"] = shape->to_json();
    return json;
}

Result<Acceptance> Acceptance::from_json(const Json& json) {
    Acceptance acceptance;
    KZ_TRY(acceptance.destination, owner_from(json, "destination"));
    KZ_TRY(acceptance.has_configuration, from_peer(json_bool(json, "has_configuration")));
    KZ_TRY(acceptance.cpus, cpus_from(json));
    KZ_TRY(const std::string version, from_peer(json_text(json, "qemu_version")));
    acceptance.qemu_version = plain_text(version, kMaxVersion);
    const auto ciphers = json.find("ciphers");
    if (ciphers == json.end() || !ciphers->is_array() || ciphers->size() > kMaxCiphers)
        return fail(Errc::protocol, "the other host did not say which ciphers it has");
    for (const Json& cipher : *ciphers) {
        if (cipher.is_string())
            acceptance.ciphers.push_back(plain_text(cipher.get_ref<const std::string&>(), kMaxCipherName));
    }
    KZ_TRY(const Json* findings, from_peer(json_optional_object(json, "findings")));
    if (findings == nullptr)
        return fail(Errc::protocol, "the other host did not say what came of its checks");
    KZ_TRY(acceptance.findings, findings_from(*findings));
    KZ_TRY(acceptance.received_ms, from_peer(json_u64(json, "received_ms")));
    KZ_TRY(acceptance.answered_ms, from_peer(json_u64(json, "answered_ms")));
    return acceptance;
}

Json Acceptance::to_json() const {
    return {{"destination", owner_to(destination)},
            {"has_configuration", has_configuration},
            {"cpus", cpus},
            {"qemu_version", qemu_version},
            {"ciphers", ciphers},
            {"findings", findings_to(findings)},
            {"received_ms", received_ms},
            {"answered_ms", answered_ms}};
}

Result<Session> Session::generate() {
    Session session;
    KZ_CHECK(crypto::fill_random(session.id));
    KZ_TRY(session.secret, crypto::random_secret(kSessionSecretSize));
    return session;
}

Result<Session> Session::from_json(const Json& json) {
    Session session;
    KZ_TRY(const std::string id, from_peer(json_text(json, "session")));
    KZ_TRY(const std::string secret, from_peer(json_text(json, "secret")));
    KZ_TRY(const std::uint64_t port, from_peer(json_u64(json, "port")));
    KZ_TRY(const Bytes id_bytes, from_peer(from_hex(id)));
    KZ_TRY(Bytes secret_bytes, from_peer(from_hex(secret)));
    session.secret = Secret(std::move(secret_bytes));
    if (id_bytes.size() != session.id.size() || session.secret.size() != kSessionSecretSize || port == 0 ||
        port > UINT16_MAX) {
        return fail(Errc::protocol, "the other host sent a session that is not understood");
    }
    std::ranges::copy(id_bytes, session.id.begin());
    session.port = static_cast<std::uint16_t>(port);
    return session;
}

Json Session::to_json() const {
    return {{"session", to_hex(id)}, {"secret", to_hex(secret.view())}, {"port", port}};
}

unsigned memory_connections(std::uint64_t memory_bytes, unsigned cpus_here, unsigned cpus_there,
                            unsigned wanted) {
    constexpr std::uint64_t kBytesPerConnection = 2ULL << 30;
    constexpr unsigned kMost = 64;
    if (wanted != 0) return std::min(wanted, kMost);
    const std::uint64_t by_memory = (memory_bytes + kBytesPerConnection - 1) / kBytesPerConnection;
    const std::uint64_t by_cpus = std::max(1U, std::min({cpus_here, cpus_there, kMost}));
    return static_cast<unsigned>(std::clamp<std::uint64_t>(by_memory, 1, by_cpus));
}

std::vector<std::string> cipher_names() {
    std::vector<std::string> names;
    for (const crypto::Cipher cipher : crypto::all_ciphers())
        names.emplace_back(crypto::cipher_name(cipher));
    return names;
}

Result<void> check_cipher(std::string_view name, const std::vector<std::string>& destination_ciphers) {
    if (std::ranges::find(destination_ciphers, name) != destination_ciphers.end()) return {};
    return fail(Errc::unsupported, "{}{} not supported by destination\ndestination supports: {}",
                kCipherRefused, plain_text(name, kMaxCipherName), join(destination_ciphers, " "));
}

}  // namespace kz::migrate
