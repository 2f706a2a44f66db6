#include "migrate/offer.h"

#include <gtest/gtest.h>

namespace kz::migrate {
namespace {

Offer sample() {
    Offer offer;
    offer.kind = MoveKind::live;
    offer.dry_run = true;
    offer.migration_id = "77aa";
    offer.zone_uuid = "69ed2e6a-e25a-4d36-a022-ed7261ed8899";
    offer.configuration = "create -b\nset brand=linux-kz\n";
    offer.source = {"0b7a8f5e", "node1"};
    offer.machine_type = "pc-q35-7.2";
    offer.accel = "tcg";
    offer.live = "create -b\nadd anet\nset id=1\nend\n";
    offer.shape = qemu::MachineShape{
        .layout = 2, .memory_bytes = 192 << 20, .max_cpus = 8, .disk_ports = 5, .nic_ports = 2};
    offer.cpus = 2;
    offer.cipher = crypto::Cipher::aes_256_gcm;
    offer.facts.kzones_version = "0.1.0";
    offer.facts.qemu_version = "7.2.9";
    offer.facts.cpu = {.lacking = {{"Nehalem", {"pni", "popcnt"}}}, .fullest = {"avx", "sse2"}};
    offer.facts.disks = {{.id = 0, .bytes = 8192, .samples = {1, 0xfedcba9876543210}},
                         {.id = 7, .bytes = 4096}};
    offer.facts.bridged = {0, 2};
    offer.facts.epoch = 3;
    offer.facts.heartbeat = 99;
    offer.facts.image_id = "ca11";
    return offer;
}

Acceptance sample_acceptance() {
    Acceptance acceptance;
    acceptance.destination = {"1c4d", "node2"};
    acceptance.has_configuration = true;
    acceptance.cpus = 4;
    acceptance.qemu_version = "7.2.9";
    acceptance.ciphers = {"aes-128-ccm", "none"};
    acceptance.findings = {
        .errors = {"destination: no room"}, .warnings = {"destination: late"}, .doubts = {{7, {0, 63}}}};
    acceptance.received_ms = 1000;
    acceptance.answered_ms = 1005;
    return acceptance;
}

Session sample_session() {
    Session session;
    session.id.fill(0xab);
    session.secret = Secret(Bytes(32, 0xcd));
    session.port = 8102;
    return session;
}

constexpr const char* kOfferText =
    R"({"accel":"tcg","cipher":"aes-256-gcm","configuration":"create -b\nset brand=linux-kz\n","cpus":2,)"
    R"("dry_run":true,)"
    R"("facts":{"bridged":[0,2],"cpu":{"fullest":["avx","sse2"],"lacking":{"Nehalem":["pni","popcnt"]}},)"
    R"("disks":[{"bytes":8192,"id":0,"samples":"0000000000000001fedcba9876543210"},)"
    R"({"bytes":4096,"id":7,"samples":""}],"epoch":3,"heartbeat":99,"image_id":"ca11",)"
    R"("kzones_version":"0.1.0","qemu_version":"7.2.9"},"kind":"live","live":"create -b\nadd anet\nset id=1\nend\n",)"
    R"("machine_type":"pc-q35-7.2","migration_id":"77aa","protocol":1,)"
    R"("shape":{"disk_ports":5,"layout":2,"max_cpus":8,"memory":201326592,"nic_ports":2},)"
    R"("source":{"host_id":"0b7a8f5e","host_name":"node1"},)"
    R"("zone_uuid":"69ed2e6a-e25a-4d36-a022-ed7261ed8899"})";
constexpr const char* kAcceptanceText =
    R"({"answered_ms":1005,"ciphers":["aes-128-ccm","none"],"cpus":4,)"
    R"("destination":{"host_id":"1c4d","host_name":"node2"},)"
    R"("findings":{"doubts":[{"id":7,"samples":[0,63]}],"errors":["destination: no room"],)"
    R"("warnings":["destination: late"]},"has_configuration":true,"qemu_version":"7.2.9","received_ms":1000})";

std::string session_text() {
    return fmt::format(R"({{"port":8102,"secret":"{}","session":"{}"}})", to_hex(Bytes(32, 0xcd)),
                       to_hex(Bytes(SessionId{}.size(), 0xab)));
}

// What is wrong must be said, and nothing must be thrown.
template <typename T>
void expect_refused(const Json& json, Errc code, const std::string& what) {
    const Result<T> read = T::from_json(json);
    ASSERT_FALSE(read.has_value()) << what;
    EXPECT_EQ(read.error().code(), code) << what << ": " << read.error().message();
    EXPECT_FALSE(read.error().message().empty());
}

// Each field in turn missing, null and of every other type.
template <typename T>
void expect_every_field_is_needed(const Json& good) {
    for (const auto& [key, value] : good.items()) {
        Json damaged = good;
        damaged.erase(key);
        expect_refused<T>(damaged, Errc::protocol, key + " missing");
        for (const Json& other : {Json(nullptr), Json(-1), Json(1.5), Json("?"), Json(true), Json(3),
                                  Json::array({1}), Json::object()}) {
            const bool same_type = other.type() == value.type() ||
                                   (other.is_number_integer() && value.is_number_integer() && other != -1);
            if (same_type) continue;
            damaged[key] = other;
            expect_refused<T>(damaged, Errc::protocol, key + " = " + other.dump());
        }
    }
    for (const Json& other : {Json(nullptr), Json(5), Json("text"), Json::array()})
        expect_refused<T>(other, Errc::protocol, other.dump());
}

TEST(OfferTest, GoldenText) {
    EXPECT_EQ(render_json(sample().to_json()), kOfferText);
}

TEST(OfferTest, RoundTrip) {
    for (const MoveKind kind : {MoveKind::live, MoveKind::warm, MoveKind::cold}) {
        for (const crypto::Cipher cipher : crypto::all_ciphers()) {
            Offer offer = sample();
            offer.kind = kind;
            offer.cipher = cipher;
            const Offer read = Offer::from_json(offer.to_json()).value();
            EXPECT_EQ(read.to_json(), offer.to_json());
            EXPECT_EQ(read.kind, kind);
            EXPECT_EQ(read.cipher, cipher);
        }
    }
    const Offer read = Offer::from_json(parse_json(kOfferText).value()).value();
    EXPECT_TRUE(read.dry_run);
    EXPECT_EQ(read.migration_id, "77aa");
    EXPECT_EQ(read.source, (storage::Owner{"0b7a8f5e", "node1"}));
    EXPECT_EQ(read.cpus, 2U);
}

TEST(OfferTest, EveryFieldIsNeeded) {
    Json json = sample().to_json();
    for (const char* optional : {"live", "shape"})  // what a zone that runs as it is stored does without
        json.erase(optional);
    EXPECT_EQ(Offer::from_json(json).value().live, "");
    EXPECT_FALSE(Offer::from_json(json).value().shape);
    expect_every_field_is_needed<Offer>(json);
}

TEST(OfferTest, ValuesThatCannotBe) {
    const auto with = [](const char* key, const Json& value) {
        Json json = sample().to_json();
        json[key] = value;
        return json;
    };
    expect_refused<Offer>(with("protocol", 2U), Errc::unsupported, "a later version");
    expect_refused<Offer>(with("protocol", 0U), Errc::unsupported, "version 0");
    expect_refused<Offer>(with("kind", "hot"), Errc::protocol, "kind");
    expect_refused<Offer>(with("cpus", 0U), Errc::protocol, "no CPUs");
    for (const Json& layout : {Json(0U), Json(-1), Json("2")}) {
        Json shape = sample().shape->to_json();
        shape["layout"] = layout;
        expect_refused<Offer>(with("shape", shape), Errc::protocol, "layout");
    }
    Json newer = sample().shape->to_json();
    newer["layout"] = qemu::kNewestLayout + 1;
    expect_refused<Offer>(with("shape", newer), Errc::unsupported, "a newer kzones made it");
    expect_refused<Offer>(with("cpus", 4097U), Errc::protocol, "CPUs");
    expect_refused<Offer>(with("cpus", UINT64_MAX), Errc::protocol, "CPUs");
    expect_refused<Offer>(with("cipher", "rot13"), Errc::unsupported,
                          "cipher rot13 not supported by destination");
    expect_refused<Offer>(with("source", {{"host_id", "x"}}), Errc::protocol, "half an owner");
    expect_refused<Offer>(with("source", {{"host_id", 5}, {"host_name", "x"}}), Errc::protocol, "owner");
    EXPECT_TRUE(Offer::from_json(with("later", true)).has_value()) << "fields of later versions are left out";
}

TEST(AcceptanceTest, GoldenTextAndRoundTrip) {
    EXPECT_EQ(render_json(sample_acceptance().to_json()), kAcceptanceText);
    const Acceptance read = Acceptance::from_json(parse_json(kAcceptanceText).value()).value();
    EXPECT_EQ(read.to_json(), sample_acceptance().to_json());
    EXPECT_EQ(read.destination, (storage::Owner{"1c4d", "node2"}));
    EXPECT_TRUE(read.has_configuration);
    EXPECT_EQ(read.ciphers, (std::vector<std::string>{"aes-128-ccm", "none"}));
}

TEST(AcceptanceTest, EveryFieldIsNeeded) {
    expect_every_field_is_needed<Acceptance>(sample_acceptance().to_json());
}

TEST(AcceptanceTest, WhatIsNotMeantIsRefused) {
    const auto with = [](const char* key, const Json& value) {
        Json json = sample_acceptance().to_json();
        json["findings"][key] = value;
        return json;
    };
    expect_refused<Acceptance>(with("errors", Json::array({5})), Errc::protocol, "numbers");
    expect_refused<Acceptance>(with("errors", Json(std::vector<std::string>(257, "x"))), Errc::protocol,
                               "many");
    expect_refused<Acceptance>(with("warnings", "text"), Errc::protocol, "text");
    expect_refused<Acceptance>(with("doubts", Json::object()), Errc::protocol, "doubts");
    expect_refused<Acceptance>(with("doubts", Json(std::vector<Json>(65, Json{{"id", 1U}}))), Errc::protocol,
                               "disks");
    expect_refused<Acceptance>(with("doubts", {{{"id", 1U << 31U}, {"samples", {64U}}}}), Errc::protocol,
                               "place");
    expect_refused<Acceptance>(with("doubts", {{{"id", UINT64_MAX}}}), Errc::protocol, "id");
}

TEST(AcceptanceTest, TextsOfTheOtherHostAreHarmless) {
    Json json = sample_acceptance().to_json();
    json["findings"]["errors"] = {"two\nlines \x1b[2J", std::string(5000, 'x')};
    json["destination"]["host_name"] = "node2\x1b]0;title\x07";
    const Acceptance read = Acceptance::from_json(json).value();
    EXPECT_EQ(read.findings.errors.at(0), "two lines ?[2J");
    EXPECT_EQ(read.findings.errors.at(1).size(), 2048U);
    EXPECT_EQ(read.destination.host_name, "node2?]0;title?");
}

TEST(AcceptanceTest, CiphersOfLaterVersionsAreKept) {
    Json json = sample_acceptance().to_json();
    json["ciphers"] = {"aes-512-new", 5, nullptr, "none"};
    EXPECT_EQ(Acceptance::from_json(json).value().ciphers, (std::vector<std::string>{"aes-512-new", "none"}));
}

TEST(SessionTest, GoldenTextAndRoundTrip) {
    EXPECT_EQ(render_json(sample_session().to_json()), session_text());
    const Session read = Session::from_json(parse_json(session_text()).value()).value();
    EXPECT_EQ(read.id, sample_session().id);
    EXPECT_EQ(to_hex(read.secret.view()), to_hex(sample_session().secret.view()));
    EXPECT_EQ(read.port, 8102);
}

TEST(SessionTest, EveryFieldIsNeeded) {
    expect_every_field_is_needed<Session>(sample_session().to_json());
}

TEST(SessionTest, ValuesThatCannotBe) {
    const auto with = [](const char* key, const Json& value) {
        Json json = sample_session().to_json();
        json[key] = value;
        return json;
    };
    expect_refused<Session>(with("port", 0U), Errc::protocol, "port 0");
    expect_refused<Session>(with("port", 65536U), Errc::protocol, "port 65536");
    expect_refused<Session>(with("secret", ""), Errc::protocol, "no secret");
    expect_refused<Session>(with("secret", std::string(62, 'a')), Errc::protocol, "short secret");
    expect_refused<Session>(with("secret", std::string(66, 'a')), Errc::protocol, "long secret");
    expect_refused<Session>(with("secret", std::string(64, 'g')), Errc::protocol, "not hexadecimal");
    expect_refused<Session>(with("session", "abab"), Errc::protocol, "short id");
}

TEST(SessionTest, EachIsItsOwn) {
    const Session one = Session::generate().value();
    const Session other = Session::generate().value();
    EXPECT_NE(one.id, other.id);
    EXPECT_EQ(one.secret.size(), 32U);
    EXPECT_NE(to_hex(one.secret.view()), to_hex(other.secret.view()));
    EXPECT_EQ(one.port, kMigrationPort);
}

TEST(MemoryConnectionsTest, OnePerTwoGibibytesOfTheSmallerHost) {
    constexpr std::uint64_t kGiB = 1ULL << 30;
    struct Case {
        std::uint64_t memory;
        unsigned here, there, wanted, expected;
    };
    for (const Case& each :
         {Case{0, 8, 8, 0, 1}, Case{64 << 20, 8, 8, 0, 1}, Case{2 * kGiB, 8, 8, 0, 1},
          Case{2 * kGiB + 1, 8, 8, 0, 2}, Case{4 * kGiB, 8, 8, 0, 2}, Case{5 * kGiB, 8, 8, 0, 3},
          Case{64 * kGiB, 8, 16, 0, 8}, Case{64 * kGiB, 16, 4, 0, 4}, Case{64 * kGiB, 1, 1, 0, 1},
          Case{64 * kGiB, 0, 0, 0, 1}, Case{1024 * kGiB, 4096, 4096, 0, 64},
          Case{UINT64_MAX - (2 * kGiB), 4096, 4096, 0, 64}, Case{64 << 20, 1, 1, 5, 5},
          Case{64 * kGiB, 64, 64, 1, 1}, Case{64 * kGiB, 64, 64, 100, 64}}) {
        EXPECT_EQ(memory_connections(each.memory, each.here, each.there, each.wanted), each.expected)
            << each.memory << " bytes, " << each.here << " and " << each.there << " CPUs, wanted "
            << each.wanted;
    }
}

TEST(CheckCipherTest, TheOriginalsTwoLines) {
    EXPECT_TRUE(check_cipher("aes-128-ccm", {"aes-128-gcm", "aes-128-ccm"}).has_value());
    const Result<void> refused = check_cipher("aes-256-gcm", {"aes-128-ccm", "aes-128-gcm"});
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code(), Errc::unsupported);
    EXPECT_EQ(refused.error().message(),
              "cipher aes-256-gcm not supported by destination\n"
              "destination supports: aes-128-ccm aes-128-gcm");
    EXPECT_FALSE(check_cipher("none", {}).has_value()) << "none is offered, never assumed";
}

TEST(CheckCipherTest, NamesInTheOrderOfNegotiation) {
    EXPECT_EQ(cipher_names(), (std::vector<std::string>{"aes-128-ccm", "aes-128-gcm", "aes-256-gcm",
                                                        "chacha20-poly1305", "none"}));
}

}  // namespace
}  // namespace kz::migrate
