// The real PAM, with a service file of the test's own.
#include "rad/pam_check.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "../support/temp_folder.h"
#include "os/file.h"

namespace kz::rad {
namespace {

using namespace std::chrono_literals;

class PamCheck : public testing::Test {
  protected:
    void SetUp() override {
        ASSERT_TRUE(make_directories(pam_folder_, 0755).has_value());
        // Says yes to the password on its standard input, and what it was told about who asks.
        write_script("#!/bin/sh\npassword=$(tr -d '\\000')\nenv | grep -c 'open sesame' >'" + seen("env") +
                     "'\necho \"$PAM_USER $PAM_RHOST $PAM_SERVICE\" >'" + seen("who") +
                     "'\n[ \"$password\" = 'open sesame' ]\n");
        service(
            "auth [success=1 default=ignore] pam_exec.so quiet expose_authtok " + script() +
            "\nauth requisite pam_deny.so\nauth required pam_permit.so\naccount required pam_permit.so\n");
    }
    std::string script() const { return (folder_.path() / "check").string(); }
    std::string seen(const std::string& what) const { return (folder_.path() / what).string(); }
    void write_script(const std::string& text) {
        ASSERT_TRUE(write_file_atomic(script(), text, 0755).has_value());
    }
    void service(const std::string& text) {
        ASSERT_TRUE(write_file_atomic(pam_folder_ / "kzones", text, 0644).has_value());
    }
    Result<std::string> check(const std::string& user, std::string_view password) const {
        PamOptions options = pam_options(HostPaths(folder_.path()));
        options.program = Path(KZ_PROGRAMS) / "kz-radd";
        options.patience = patience_;
        return check_by_pam(options)(user, Secret(as_bytes(password)), "192.0.2.7");
    }

    test::TempFolder folder_;
    Path pam_folder_ = folder_.path() / "etc/pam.d";
    std::chrono::milliseconds patience_ = 30s;
};

TEST_F(PamCheck, TheRightPasswordIsAccepted) {
    const auto user = check("daemon", "open sesame");
    ASSERT_TRUE(user.has_value()) << user.error().message();
    EXPECT_EQ(*user, "daemon");
    EXPECT_EQ(read_file(seen("who"), 100).value(), "daemon 192.0.2.7 kzones\n");
    EXPECT_EQ(read_file(seen("env"), 100).value(), "0\n");
}

TEST_F(PamCheck, AWrongOneIsRefused) {
    for (const std::string_view password : {"open", "", "open sesame ", "open\nsesame"}) {
        const auto user = check("daemon", password);
        ASSERT_FALSE(user.has_value()) << password;
        EXPECT_EQ(user.error().code(), Errc::permission) << user.error().message();
    }
}

TEST_F(PamCheck, WhatCannotBeAPasswordIsRefused) {
    using namespace std::string_view_literals;
    EXPECT_EQ(check("daemon", "open sesame\0x"sv).error().code(), Errc::permission);
    EXPECT_EQ(check("daemon", std::string(100'000, 'x')).error().code(), Errc::permission);
    EXPECT_EQ(check(std::string(100'000, 'x'), "open sesame").error().code(), Errc::permission);
}

TEST_F(PamCheck, AnAccountThatMayNotLogInIsRefused) {
    service("auth required pam_permit.so\naccount required pam_deny.so\n");
    EXPECT_EQ(check("daemon", "open sesame").error().code(), Errc::permission);
}

TEST_F(PamCheck, APamThatIsBrokenIsNoRefusal) {
    service("auth required pam_no_such_module.so\naccount required pam_permit.so\n");
    const auto user = check("daemon", "open sesame");
    ASSERT_FALSE(user.has_value());
    EXPECT_EQ(user.error().code(), Errc::internal) << user.error().message();
}

TEST_F(PamCheck, AModuleThatHangsIsEnded) {
    write_script("#!/bin/sh\necho $$ >'" + seen("pid") + "'\nexec sleep 60\n");
    patience_ = 500ms;
    const auto user = check("daemon", "open sesame");
    ASSERT_FALSE(user.has_value());
    EXPECT_EQ(user.error().code(), Errc::timeout) << user.error().message();
}

TEST_F(PamCheck, TheServiceFileOfTheRootCounts) {
    EXPECT_EQ(pam_options(HostPaths(folder_.path())).service_folder, pam_folder_);
    ASSERT_TRUE(remove_file(pam_folder_ / "kzones").has_value());
    EXPECT_EQ(pam_options(HostPaths(folder_.path())).service_folder, std::nullopt);
    EXPECT_EQ(pam_options(HostPaths("/")).service_folder, std::nullopt);
}

}  // namespace
}  // namespace kz::rad
