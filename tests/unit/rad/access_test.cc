#include "rad/access.h"

#include <gtest/gtest.h>

#include "../support/temp_folder.h"
#include "os/file.h"
#include "rad/permissions.h"
#include "store/registry.h"
#include "zonecfg/parse_export.h"

namespace kz::rad {
namespace {

TEST(Roles, PermitWhatTheyAreFor) {
    const auto allowed = [](Role role) {
        std::string text;
        for (const Need need :
             {Need::anyone, Need::known, Need::view, Need::migrate, Need::operate, Need::full})
            text += permits(role, need) ? '+' : '-';
        return text;
    };
    EXPECT_EQ(allowed(Role::delegate), "++----");
    EXPECT_EQ(allowed(Role::viewer), "+++---");
    EXPECT_EQ(allowed(Role::migrate), "++++--");
    EXPECT_EQ(allowed(Role::operate), "+++-+-");
    EXPECT_EQ(allowed(Role::full), "++++++");
}

TEST(Roles, HaveNames) {
    for (const Role role : {Role::viewer, Role::migrate, Role::operate, Role::full})
        EXPECT_EQ(parse_role(role_name(role)), role);
    // Nobody is made a delegate by a file but by a zone's configuration.
    for (const std::string_view other : {"delegate", "", "root", "Full", "operate"})
        EXPECT_EQ(parse_role(other), std::nullopt) << other;
}

TEST(RolesFile, TheFirstRuleThatFitsDecides) {
    const std::string text =
        "# who may what\n\nuser  bob\tviewer\ngroup ops operator\nuser bob full\n group nodes migrate \n";
    EXPECT_EQ(find_role(text, {.name = "bob", .groups = {"ops"}}).value(), Role::viewer);
    EXPECT_EQ(find_role(text, {.name = "eve", .groups = {"users", "ops"}}).value(), Role::operate);
    EXPECT_EQ(find_role(text, {.name = "n", .groups = {"nodes"}}).value(), Role::migrate);
    EXPECT_EQ(find_role(text, {.name = "mallory", .groups = {"users"}}).value(), std::nullopt);
    // A group's rule is not for a user of that name.
    EXPECT_EQ(find_role(text, {.name = "ops", .groups = {}}).value(), std::nullopt);
}

TEST(RolesFile, ASlipOfTheEditorGivesNothing) {
    for (const std::string_view slip :
         {"user bob viewr", "user bob", "bob viewer", "user bob viewer now", "user"}) {
        const auto role =
            find_role(std::string(slip) + "\ngroup ops full\n", {.name = "bob", .groups = {"ops"}});
        ASSERT_FALSE(role.has_value()) << slip;
        EXPECT_EQ(role.error().code(), Errc::corrupt);
        EXPECT_NE(role.error().message().find("line 1"), std::string::npos);
    }
    EXPECT_FALSE(find_role("user bob full\nnonsense\n", {.name = "bob", .groups = {}}).has_value());
}

class PermissionFiles : public testing::Test {
  protected:
    void SetUp() override {
        const auto registry = store::Registry::open(paths_).value();
        const auto config = zonecfg::parse_export(
            "create -b\nset brand=linux-kz\nadd admin\nset user=ann\nset auths=manage,migrate.cold\nend\n",
            "web1");
        ASSERT_TRUE(config.has_value()) << config.error().message();
        ASSERT_TRUE(registry.save_config(*config).has_value());
    }
    void write_roles(const std::string& text) {
        ASSERT_TRUE(make_directories(paths_.rad_dir(), 0755).has_value());
        ASSERT_TRUE(write_file_atomic(paths_.rad_dir() / "roles", text, 0644).has_value());
    }
    test::TempFolder folder_;
    HostPaths paths_{folder_.path()};
    Permissions permissions_{paths_};
};

TEST_F(PermissionFiles, RootNeedsNoRuleAndOthersDo) {
    EXPECT_EQ(permissions_.role_of({.name = "root", .groups = {}, .superuser = true}).value(), Role::full);
    EXPECT_EQ(permissions_.role_of({.name = "bob", .groups = {}}).value(), std::nullopt);
    write_roles("user bob operator\n");
    EXPECT_EQ(permissions_.role_of({.name = "bob", .groups = {}}).value(), Role::operate);
    write_roles("user bob\n");
    EXPECT_FALSE(permissions_.role_of({.name = "bob", .groups = {}}).has_value());
    EXPECT_TRUE(permissions_.role_of({.name = "root", .groups = {}, .superuser = true}).has_value());
}

TEST_F(PermissionFiles, AZoneIsDelegatedByItsConfiguration) {
    EXPECT_EQ(permissions_.role_of({.name = "ann", .groups = {}}).value(), Role::delegate);
    EXPECT_TRUE(permissions_.delegates("web1", "ann", "manage"));
    EXPECT_TRUE(permissions_.delegates("web1", "ann", "migrate|migrate.cold"));
    EXPECT_TRUE(permissions_.delegates("web1", "ann", kAnyAuth));
    EXPECT_FALSE(permissions_.delegates("web1", "ann", "migrate"));
    EXPECT_FALSE(permissions_.delegates("web1", "ann", "config"));
    EXPECT_FALSE(permissions_.delegates("web1", "bob", kAnyAuth));
    EXPECT_FALSE(permissions_.delegates("web1", "", kAnyAuth));
    EXPECT_FALSE(permissions_.delegates("web1", "ann", ""));
    EXPECT_FALSE(permissions_.delegates("web2", "ann", kAnyAuth));
    EXPECT_FALSE(permissions_.delegates("../web1", "ann", kAnyAuth));
}

TEST(Users, AreLookedUpWithTheirGroups) {
    const User root = look_up_user("root").value();
    EXPECT_TRUE(root.superuser);
    EXPECT_NE(std::ranges::find(root.groups, "root"), root.groups.end());
    EXPECT_FALSE(look_up_user("daemon").value().superuser);
    EXPECT_EQ(look_up_user("no-such-user-here").error().code(), Errc::not_found);
}

}  // namespace
}  // namespace kz::rad
