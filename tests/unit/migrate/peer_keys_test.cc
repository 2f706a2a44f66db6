#include "migrate/peer_keys.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <future>
#include <set>

#include "../support/temp_folder.h"
#include "os/file.h"

namespace kz::migrate {
namespace {

// Fingerprints of the right form.
std::string fingerprint(char digit) {
    return "SHA256:" + std::string(42, digit) + "A";
}

class KeyFiles : public testing::Test {
  protected:
    void write(const std::string& name, const std::string& text) {
        ASSERT_TRUE(make_directories(paths_.rad_dir(), 0755).has_value());
        std::ofstream(paths_.rad_dir() / name) << text;
    }
    std::string read(const std::string& name) {
        return read_file(paths_.rad_dir() / name, 1 << 20).value_or("");
    }
    mode_t mode(const std::string& name) {
        struct stat status{};
        return ::stat((paths_.rad_dir() / name).c_str(), &status) == 0 ? status.st_mode & 0777 : 0;
    }

    test::TempFolder folder_;
    HostPaths paths_{folder_.path()};
};

TEST_F(KeyFiles, TheHostKeyIsMadeOnceAndStays) {
    const auto first = load_or_create_host_key(paths_);
    ASSERT_TRUE(first.has_value()) << first.error().message();
    EXPECT_TRUE(crypto::is_fingerprint(first->fingerprint));
    EXPECT_EQ(mode("host.key"), 0600U);
    EXPECT_EQ(mode("host.crt"), 0644U);
    const auto second = load_or_create_host_key(paths_);
    ASSERT_TRUE(second.has_value());
    EXPECT_EQ(second->fingerprint, first->fingerprint);
}

TEST_F(KeyFiles, ManyFirstCallersGetTheSameHostKey) {
    std::vector<std::future<std::string>> calls;
    for (int i = 0; i < 8; ++i)
        calls.push_back(std::async(std::launch::async,
                                   [&] { return load_or_create_host_key(paths_).value().fingerprint; }));
    std::set<std::string> fingerprints;
    for (auto& call : calls)
        fingerprints.insert(call.get());
    EXPECT_EQ(fingerprints.size(), 1U);
}

TEST_F(KeyFiles, ADamagedHostKeyIsNeverReplaced) {
    ASSERT_TRUE(load_or_create_host_key(paths_).has_value());
    const std::string key = read("host.key");
    std::filesystem::remove(paths_.rad_dir() / "host.crt");
    const auto without = load_or_create_host_key(paths_);
    ASSERT_FALSE(without.has_value());
    EXPECT_EQ(without.error().code(), Errc::corrupt);
    EXPECT_NE(without.error().message().find("host.crt is missing"), std::string::npos);
    write("host.crt", "junk");
    EXPECT_EQ(load_or_create_host_key(paths_).error().code(), Errc::corrupt);
    EXPECT_EQ(read("host.key"), key);
}

TEST_F(KeyFiles, ACrashBeforeTheKeyWasWrittenIsMadeGood) {
    write("host.crt", "left over");
    EXPECT_TRUE(load_or_create_host_key(paths_).has_value());
}

TEST_F(KeyFiles, HostsAreRememberedAndOtherLinesKept) {
    write("known_hosts", "# by hand\nstrange line of another program\n\nnode1 " + fingerprint('a') + "\n");
    ASSERT_TRUE(remember_host(paths_, "node2", fingerprint('b')).has_value());
    ASSERT_TRUE(remember_host(paths_, "node2", fingerprint('b')).has_value());
    ASSERT_TRUE(remember_host(paths_, "node2", fingerprint('c')).has_value());
    EXPECT_EQ(read("known_hosts"), "# by hand\nstrange line of another program\n\nnode1 " + fingerprint('a') +
                                       "\nnode2 " + fingerprint('b') + "\nnode2 " + fingerprint('c') + "\n");
    const auto known = KnownHosts::load(paths_).value();
    EXPECT_EQ(known.find("NODE1").value(), std::vector{fingerprint('a')});
    EXPECT_EQ(known.find("node2").value(), (std::vector{fingerprint('b'), fingerprint('c')}));
    EXPECT_TRUE(known.find("node").value().empty());
    EXPECT_TRUE(known.find("#").value().empty());
}

TEST_F(KeyFiles, ALineThatNamesTheHostAndCannotBeReadIsAnError) {
    write("known_hosts", "node1 " + fingerprint('a') + "\nnode2 SHA256:short\n");
    const auto known = KnownHosts::load(paths_).value();
    EXPECT_EQ(known.find("node2").error().code(), Errc::corrupt);
    EXPECT_NE(known.find("node2").error().message().find("line 2"), std::string::npos);
    EXPECT_TRUE(known.find("node1").has_value());
    EXPECT_EQ(remember_host(paths_, "node2", fingerprint('b')).error().code(), Errc::corrupt);
}

TEST_F(KeyFiles, WhatWouldBreakALineIsNotWritten) {
    for (const std::string name : {"", "a b", "a\nb", "#a"})
        EXPECT_EQ(remember_host(paths_, name, fingerprint('a')).error().code(), Errc::invalid_argument)
            << name;
    EXPECT_EQ(remember_host(paths_, "node1", "SHA256:x").error().code(), Errc::invalid_argument);
    EXPECT_EQ(authorize_key(paths_, "SHA1:abc", "x").error().code(), Errc::invalid_argument);
    EXPECT_EQ(authorize_key(paths_, fingerprint('a'), "x\ny").error().code(), Errc::invalid_argument);
    EXPECT_EQ(read("known_hosts"), "");
    EXPECT_EQ(read("authorized_keys"), "");
}

TEST_F(KeyFiles, KeysAreAuthorisedByTheirFingerprintAlone) {
    ASSERT_TRUE(authorize_key(paths_, fingerprint('a'), "").has_value());
    ASSERT_TRUE(authorize_key(paths_, fingerprint('b'), "node 2").has_value());
    const auto keys = AuthorizedKeys::load(paths_).value();
    EXPECT_EQ(keys.find(fingerprint('a')), "");
    EXPECT_EQ(keys.find(fingerprint('b')), "node 2");
    EXPECT_EQ(keys.find(fingerprint('c')), std::nullopt);
    EXPECT_EQ(keys.find(""), std::nullopt);
    EXPECT_EQ(keys.find("node 2"), std::nullopt);
}

TEST_F(KeyFiles, AuthorisingAgainRenamesTheKey) {
    ASSERT_TRUE(authorize_key(paths_, fingerprint('a'), "old").has_value());
    ASSERT_TRUE(authorize_key(paths_, fingerprint('a'), "new").has_value());
    ASSERT_TRUE(authorize_key(paths_, fingerprint('a'), "").has_value());
    EXPECT_EQ(read("authorized_keys"), fingerprint('a') + " new\n");
}

TEST_F(KeyFiles, AKeyMayCarryARole) {
    ASSERT_TRUE(authorize_key(paths_, fingerprint('a'), "ops desk", "viewer").has_value());
    ASSERT_TRUE(authorize_key(paths_, fingerprint('b'), "node2").has_value());
    // A new name does not widen what the key may do.
    ASSERT_TRUE(authorize_key(paths_, fingerprint('a'), "desk 2").has_value());
    const auto keys = AuthorizedKeys::load(paths_).value();
    EXPECT_EQ(keys.look_up(fingerprint('a'))->role, "viewer");
    EXPECT_EQ(keys.look_up(fingerprint('a'))->name, "desk 2");
    EXPECT_EQ(keys.find(fingerprint('a')), "desk 2");
    EXPECT_EQ(keys.look_up(fingerprint('b'))->role, std::nullopt);
    EXPECT_EQ(keys.look_up(fingerprint('c')), std::nullopt);
    EXPECT_EQ(authorize_key(paths_, fingerprint('a'), "", "view er").error().code(), Errc::invalid_argument);
    EXPECT_EQ(authorize_key(paths_, fingerprint('a'), "role=full").error().code(), Errc::invalid_argument);
    // An empty role is one that nobody knows, not none.
    auto edited = AuthorizedKeys::parse(fingerprint('a') + " role=\n").value();
    EXPECT_EQ(edited.look_up(fingerprint('a'))->role, "");
    // And a name that it is given does not become one.
    ASSERT_TRUE(edited.add(fingerprint('a'), "full", ""));
    const auto again = AuthorizedKeys::parse(edited.render());
    EXPECT_EQ(again->look_up(fingerprint('a'))->role, "");
    EXPECT_EQ(again->look_up(fingerprint('a'))->name, "full");
}

TEST_F(KeyFiles, ACommentedKeyIsNotAuthorised) {
    write("authorized_keys", "#" + fingerprint('a') + " x\n# " + fingerprint('a') + "\n");
    EXPECT_EQ(AuthorizedKeys::load(paths_).value().find(fingerprint('a')), std::nullopt);
}

TEST(KeyTables, AnEndlessFileIsRefused) {
    const std::string endless(2 * 1024 * 1024, 'x');
    EXPECT_EQ(KnownHosts::parse(endless).error().code(), Errc::invalid_argument);
    EXPECT_EQ(AuthorizedKeys::parse(endless).error().code(), Errc::invalid_argument);
}

}  // namespace
}  // namespace kz::migrate
