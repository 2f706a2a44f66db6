#include "install/profile.h"

#include <crypt.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fixture.h"
#include "install/profile_checks.h"
#include "install/profile_password.h"
#include "install/profile_time_zone.h"

namespace kz::install {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const Path kGolden = Path(KZ_TEST_DATA) / "profile.yaml";

std::string error_of(const std::string& body) {
    const auto profile = parse_profile("#cloud-config\n" + body, "p");
    return profile ? "no error" : profile.error().message();
}
std::string golden_with(std::string_view from, std::string_view to) {
    std::string text = get(kGolden);
    text.replace(text.find(from), from.size(), to);
    const auto profile = parse_profile(text, "p");
    return profile ? "no error" : profile.error().message();
}
template <typename Check>
std::string refusal(Check check, const std::string& text) {
    const Result<void> checked = check(text);
    return checked ? "" : checked.error().message();
}

TEST(Profile, AllKeysAreRead) {
    const auto profile = load_profile(kGolden);
    ASSERT_TRUE(profile) << profile.error().message();
    EXPECT_EQ(profile->host_name, "ant1");
    EXPECT_EQ(profile->time_zone, "Europe/Berlin");
    EXPECT_EQ(profile->locale, "de_DE.UTF-8");
    EXPECT_EQ(profile->keyboard, (ProfileKeyboard{"de", "", "nodeadkeys", ""}));
    ASSERT_EQ(profile->users.size(), 2U);
    EXPECT_EQ(profile->users[0].name, "root");
    EXPECT_THAT(profile->users[0].password_hash, StartsWith("$6$abcdefgh$"));
    EXPECT_EQ(profile->users[1].full_name, "Jack \"the\" Administrator");
    EXPECT_EQ(profile->users[1].sudo, kSudoWithoutPassword);
    EXPECT_EQ(profile->users[1].password_hash, "");
    EXPECT_THAT(profile->users[1].ssh_keys, ElementsAre(StartsWith("ssh-ed25519 AAAA")));
    ASSERT_EQ(profile->interfaces.size(), 3U);
    EXPECT_THAT(profile->interfaces[0].addresses, ElementsAre("192.0.2.5/24", "2001:db8::5/64"));
    EXPECT_THAT(profile->interfaces[0].routers, ElementsAre("192.0.2.1"));
    EXPECT_THAT(profile->interfaces[0].name_servers, ElementsAre("192.0.2.53"));
    EXPECT_THAT(profile->interfaces[0].search, ElementsAre("example.com"));
    EXPECT_TRUE(profile->interfaces[1].dhcp4 && profile->interfaces[1].dhcp6);
    EXPECT_FALSE(profile->interfaces[2].dhcp4);
}

TEST(Profile, WhatIsWrittenIsReadAsTheSame) {
    const auto profile = load_profile(kGolden);
    ASSERT_TRUE(profile) << profile.error().message();
    EXPECT_EQ(render_profile(*profile), get(kGolden));
    for (const char* word : {"no", "on", "y", "null", "1e5", "007", "x-1.y"}) {
        Profile odd;
        odd.host_name = word;
        const auto again = parse_profile(render_profile(odd), "p");
        ASSERT_TRUE(again) << again.error().message();
        EXPECT_EQ(*again, odd) << word;
    }
    EXPECT_EQ(parse_profile(render_profile({}), "p").value(), Profile{});
}

class ProfileFolder : public FolderTest {};

TEST_F(ProfileFolder, AFolderStandsForTheFileInIt) {
    EXPECT_THAT(load_profile(folder()).error().message(), HasSubstr("sc_profile.yaml: No such file"));
    put(folder() / "sc_profile.yaml", "#cloud-config\nhostnam: x\n");
    EXPECT_EQ(load_profile(folder()).error().message(),
              (folder() / "sc_profile.yaml").string() + ":2: unknown key 'hostnam'");
    put(folder() / "sc_profile.yaml", "#cloud-config\nhostname: x\n");
    EXPECT_EQ(load_profile(folder()).value().host_name, "x");
}

TEST(Profile, ErrorsNameTheLineAndTheReason) {
    EXPECT_EQ(golden_with("locale:", "lokale:"), "p:5: unknown key 'lokale'");
    EXPECT_EQ(golden_with("timezone: Europe/Berlin", "hostname: b"), "p:4: key 'hostname' is given twice");
    EXPECT_EQ(
        golden_with("ant1", "an_t1"),
        "p:3: hostname: 'an_t1' is not a host name: letters, digits and hyphens, 64 characters at most");
    EXPECT_EQ(golden_with("  layout: de", "  model: de"), "p:7: 'keyboard' lacks the key 'layout'");
    EXPECT_EQ(golden_with("name: jack", "name: root"),
              "p:13: of root, only the password and the ssh keys can be given");
    EXPECT_EQ(golden_with("lock_passwd: false", "lock_passwd: true"),
              "p:10: user 'root' has a password, which needs 'lock_passwd: false'");
    EXPECT_EQ(golden_with("lock_passwd: false", "lock_passwd: 'no'"),
              "p:11: 'lock_passwd' must be true or false");
    EXPECT_EQ(golden_with("version: 2", "version: 1"), "p:21: the version of 'network' must be 2");
    EXPECT_EQ(golden_with("192.0.2.5/24", "192.0.2.5"),
              "p:26: addresses: '192.0.2.5' is not an address with a prefix such as 192.0.2.5/24");
    EXPECT_EQ(golden_with("to: default", "to: 192.0.3.0/24"),
              "p:29: 'to' must be default: a profile has no other routes");
    EXPECT_EQ(golden_with("eth1:", "ens3:"),
              "p:36: ethernets: 'ens3' is not an interface: eth0 is the zone's first, eth1 its second");
    EXPECT_EQ(error_of("users: [{name: a}, {name: a}]\n"), "p:2: user 'a' is given twice");
    EXPECT_EQ(error_of("users: [default]\n"), "p:2: an entry of 'users' must be a map of keys and values");
    EXPECT_EQ(error_of("users: [{name: a, lock_passwd: false}]\n"),
              "p:2: user 'a' has no password and must stay locked");
    EXPECT_EQ(error_of("network: {version: 2, ethernets: {eth0: {routes: [{to: default, via: 192.0.2.1}, "
                       "{to: default, via: 192.0.2.2}]}}}"),
              "p:2: there is more than one default route of a family");
    EXPECT_EQ(error_of("hostname:\n"), "p:2: key 'hostname' has no value");
    EXPECT_EQ(error_of("- a\n"), "p:2: the profile must be a map of keys and values");
    EXPECT_EQ(error_of(""), "no error");
}

TEST(Profile, HostileTextIsRefused) {
    EXPECT_EQ(parse_profile("hostname: a\n", "p").error().message(),
              "p:1: the first line of a profile is '#cloud-config'");
    EXPECT_EQ(error_of("hostname: &a x\nlocale: *a\n"),
              "p:2: anchors and aliases have no place in a profile");
    EXPECT_EQ(error_of("hostname: !!binary x\n"), "p:2: tags have no place in a profile");
    EXPECT_EQ(error_of("hostname: x\n---\nlocale: C\n"), "p:3: there is a second document");
    EXPECT_EQ(error_of(std::string("hostname: x\0\n", 13)), "p:2: there is a control character");
    EXPECT_THAT(error_of("hostname: \"a\\0b\"\n"), StartsWith("p:2: hostname: 'a?b' is not a host name"));
    EXPECT_THAT(error_of("users: [{name: a, gecos: \"x\\ny\"}]\n"), HasSubstr("is not a full name"));
    EXPECT_EQ(error_of("network: " + std::string(30'000, '[')), "p:2: there are more than 8 levels");
    std::string many = "users: [";
    for (int i = 0; i < 5000; ++i)
        many += "a,";
    EXPECT_EQ(error_of(many + "]"), "p:2: there are more than 4096 values");
    EXPECT_EQ(error_of("users: [{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}]"),
              "p:2: 'users' has more than 17 entries");
    EXPECT_EQ(error_of(std::string(70'000, '#')), "p: a profile has at most 65536 bytes");
    EXPECT_THAT(error_of("hostname: [\n"), StartsWith("p:3: "));
}

TEST(ProfileChecks, TellWhatIsWrong) {
    EXPECT_EQ(refusal(check_host_name, "a.b-c"), "");
    for (const char* bad : {"", "-a", "a-", "a..b", "a b", "a/b", "."})
        EXPECT_THAT(refusal(check_host_name, bad), HasSubstr("is not a host name")) << bad;
    EXPECT_NE(refusal(check_host_name, std::string(65, 'a')), "");
    EXPECT_EQ(refusal(check_time_zone, "America/Argentina/Buenos_Aires"), "");
    EXPECT_EQ(refusal(check_time_zone, "Etc/GMT+5"), "");
    for (const char* bad : {"", "/etc/passwd", "Europe/../x", "Europe//x", "Europe/"})
        EXPECT_NE(refusal(check_time_zone, bad), "") << bad;
    EXPECT_EQ(refusal(check_locale, "ca_ES.UTF-8@valencia"), "");
    EXPECT_NE(refusal(check_locale, "C;rm"), "");
    EXPECT_EQ(refusal(check_user_name, "_a-1"), "");
    for (const char* bad : {"", "Jack", "1a", "a:b", "-a"})
        EXPECT_NE(refusal(check_user_name, bad), "") << bad;
    EXPECT_NE(refusal(check_shell, "bin/sh"), "");
    EXPECT_NE(refusal(check_full_name, "a:b"), "");
    EXPECT_EQ(refusal(check_interface, "eth10"), "");
    for (const char* bad : {"eth", "eth01", "eth100", "eth-1", "lo"})
        EXPECT_NE(refusal(check_interface, bad), "") << bad;
    EXPECT_EQ(refusal(check_address, "2001:db8::1"), "");
    EXPECT_NE(refusal(check_address, std::string("192.0.2.1\0", 10)), "");
    EXPECT_NE(refusal(check_address_with_prefix, "2001:db8::1/129"), "");
    EXPECT_NE(refusal(check_sudo, "ALL"), "");
}

TEST(ProfileChecks, KeysOfSsh) {
    const std::string key = load_profile(kGolden).value().users[1].ssh_keys[0];
    EXPECT_EQ(refusal(check_ssh_key, key), "");
    std::string other_type = key;
    other_type.replace(0, 11, "ssh-rsa");
    EXPECT_THAT(refusal(check_ssh_key, other_type), HasSubstr("is not a public key of ssh"));
    EXPECT_NE(refusal(check_ssh_key, key.substr(0, 20)), "");
    EXPECT_NE(refusal(check_ssh_key, "command=\"x\" " + key), "");
    EXPECT_NE(refusal(check_ssh_key, key + "\nssh-ed25519 AAAA"), "");
    const std::string secret = refusal(check_ssh_key, "-----BEGIN OPENSSH PRIVATE KEY-----");
    EXPECT_EQ(secret, "this is a private key; the public one is in the file .pub");
}

TEST(ProfileChecks, HashesOfPasswords) {
    const std::string known = load_profile(kGolden).value().users[0].password_hash;
    EXPECT_EQ(refusal(check_password_hash, known), "");
    EXPECT_EQ(refusal(check_password_hash, "$y$j9T$abcdefgh$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
              "");
    for (const char* plain : {"", "secret", "$6$", "$6$x$", "$6$salt$short", "*", "!"})
        EXPECT_THAT(refusal(check_password_hash, plain), HasSubstr("is not the hash of a password")) << plain;
    EXPECT_NE(refusal(check_password_hash, known + ":0:"), "");
    EXPECT_THAT(refusal(check_password_hash, "$1$abcdefgh$AAAAAAAAAAAAAAAAAAAAAA"), HasSubstr("too weak"));
    EXPECT_THAT(refusal(check_password_hash, "$nope$abcdefgh$AAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
                HasSubstr("does not know"));
}

TEST(ProfilePassword, TheHashOpensForThePassword) {
    const auto hash = hash_password(Secret(as_bytes("s3cret: x")));
    ASSERT_TRUE(hash) << hash.error().message();
    EXPECT_THAT(*hash, StartsWith("$6$rounds=100000$"));
    EXPECT_EQ(refusal(check_password_hash, *hash), "");
    crypt_data data{};
    EXPECT_EQ(std::string(::crypt_r("s3cret: x", hash->c_str(), &data)), *hash);
    EXPECT_NE(std::string(::crypt_r("s3cret: y", hash->c_str(), &data)), *hash);
    EXPECT_NE(hash_password(Secret(as_bytes("s3cret: x"))).value(), *hash);
    EXPECT_FALSE(hash_password(Secret()));
    EXPECT_FALSE(hash_password(Secret(as_bytes("a\nb"))));
    EXPECT_FALSE(hash_password(Secret::of_size(512)));
}

TEST_F(ProfileFolder, TimeZonesAreThoseOfTheHost) {
    EXPECT_EQ(read_time_zone("UTC", folder() / "none").value(), "");
    EXPECT_THAT(read_time_zone("Europe/Berlin", folder() / "none").error().message(),
                HasSubstr("install the package tzdata"));
    put(folder() / "Europe/Berlin", "TZif2...");
    put(folder() / "zone.tab", "# c\nDE\t+5230+01322\tEurope/Berlin\tmost\nXX\t+0+0\t../etc\n");
    EXPECT_EQ(read_time_zone("Europe/Berlin", folder()).value(), "TZif2...");
    EXPECT_EQ(read_time_zone("Europe/Bonn", folder()).error().message(),
              "this host knows no time zone 'Europe/Bonn'");
    EXPECT_THAT(read_time_zone("Europe", folder()).error().message(), HasSubstr("knows no time zone"));
    EXPECT_THAT(list_time_zones(folder()).value(), ElementsAre("Europe/Berlin", "UTC"));
}

}  // namespace
}  // namespace kz::install
