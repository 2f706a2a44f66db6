#include "qemu/accel.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <fstream>

namespace kz::qemu {
namespace {

AccelFacts working_kvm() {
    AccelFacts facts;
    facts.device_exists = true;
    facts.user_may_open = true;
    facts.cpu_virtualization = true;
    return facts;
}

struct Case {
    std::string name;
    std::string requested;
    AccelFacts facts;
    std::string accel;  // empty: an error
    std::string reason;
};

std::vector<Case> decisions() {
    const AccelFacts works = working_kvm();
    AccelFacts no_device;
    no_device.cpu_virtualization = true;
    AccelFacts broken = works;
    broken.device_problem = "/dev/kvm has API version 11, not 12";
    AccelFacts forbidden = works;
    forbidden.user_may_open = false;
    AccelFacts emulated = works;
    emulated.cpu_virtualization = false;
    return {
        {"auto_works", "auto", works, "kvm", "/dev/kvm works"},
        {"unset_is_auto", "", works, "kvm", "/dev/kvm works"},
        {"auto_no_device", "auto", no_device, "tcg", "/dev/kvm does not exist"},
        {"auto_broken", "auto", broken, "tcg", "API version 11"},
        {"auto_forbidden", "auto", forbidden, "tcg", "may not be opened by the user"},
        {"auto_emulated", "auto", emulated, "tcg", "neither vmx nor svm"},
        {"kvm_works", "kvm", works, "kvm", "accel=kvm is set"},
        {"kvm_emulated", "kvm", emulated, "kvm", "accel=kvm is set"},
        {"kvm_no_device", "kvm", no_device, "", "/dev/kvm does not exist"},
        {"kvm_broken", "kvm", broken, "", "API version 11"},
        {"kvm_forbidden", "kvm", forbidden, "", "may not be opened by the user"},
        {"tcg_although_kvm_works", "tcg", works, "tcg", "accel=tcg is set"},
        {"nonsense", "xen", works, "", "must be auto, kvm or tcg, not 'xen'"},
    };
}

class Decision : public testing::TestWithParam<Case> {};

TEST_P(Decision, IsTakenAndExplained) {
    const Case& c = GetParam();
    const Result<AccelChoice> choice = choose_accel(c.requested, c.facts);
    if (c.accel.empty()) {
        ASSERT_FALSE(choice);
        EXPECT_THAT(choice.error().message(), testing::HasSubstr(c.reason));
    } else {
        ASSERT_TRUE(choice) << choice.error().message();
        EXPECT_EQ(choice->accel, c.accel);
        EXPECT_THAT(choice->reason, testing::HasSubstr(c.reason));
    }
}

INSTANTIATE_TEST_SUITE_P(Table, Decision, testing::ValuesIn(decisions()),
                         [](const auto& each) { return each.param.name; });

TEST(Accel, GroupIsPassedOnWithKvmOnly) {
    AccelFacts facts = working_kvm();
    facts.group = 106;
    EXPECT_EQ(choose_accel("auto", facts)->group, std::optional<gid_t>(106));
    EXPECT_EQ(choose_accel("tcg", facts)->group, std::nullopt);
}

// A plain file stands for the device: its mode decides about rights, and it is no KVM.
class Rights : public testing::Test {
  protected:
    void SetUp() override {
        std::string name = testing::TempDir() + "kz-accel-XXXXXX";
        folder_ = ::mkdtemp(name.data());
        device_ = folder_ / "kvm";
        std::ofstream(device_) << "x";
        std::ofstream(folder_ / "cpuinfo") << "processor\t: 0\nflags\t\t: fpu vme vmx sse\n";
        ASSERT_EQ(::stat(device_.c_str(), &status_), 0);
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }
    AccelFacts facts(mode_t mode, uid_t uid, gid_t gid, const std::vector<gid_t>& groups = {}) {
        EXPECT_EQ(::chmod(device_.c_str(), mode), 0);
        return gather_accel_facts(uid, gid, groups, device_, folder_ / "cpuinfo");
    }
    Path folder_;
    Path device_;
    struct stat status_{};
    static constexpr uid_t kStranger = 1879100001;
};

TEST_F(Rights, FollowTheMode) {
    EXPECT_FALSE(facts(0600, kStranger, kStranger).user_may_open);
    EXPECT_TRUE(facts(0666, kStranger, kStranger).user_may_open);
    EXPECT_TRUE(facts(0660, kStranger, status_.st_gid).user_may_open);
    EXPECT_TRUE(facts(0660, kStranger, kStranger, {7, status_.st_gid}).user_may_open);
    EXPECT_FALSE(facts(0640, kStranger, status_.st_gid).user_may_open);
}

TEST_F(Rights, NameTheGroupToAdd) {
    constexpr gid_t kKvm = 4242;
    if (::chown(device_.c_str(), 0, kKvm) != 0) GTEST_SKIP() << "needs root to give the file a group";
    const AccelFacts found = facts(0660, kStranger, kStranger);
    EXPECT_TRUE(found.user_may_open);
    EXPECT_EQ(found.group, std::optional<gid_t>(kKvm));
    EXPECT_EQ(facts(0666, kStranger, kStranger).group, std::nullopt);
}

TEST_F(Rights, NeverAddTheGroupOfRoot) {
    if (::chown(device_.c_str(), 0, 0) != 0) GTEST_SKIP() << "needs root to give the file a group";
    EXPECT_FALSE(facts(0660, kStranger, kStranger).user_may_open);
}

TEST_F(Rights, FileThatIsNoDeviceIsAProblem) {
    const AccelFacts found = facts(0666, kStranger, kStranger);
    EXPECT_TRUE(found.device_exists);
    EXPECT_THAT(found.device_problem, testing::HasSubstr("is not KVM"));
    EXPECT_TRUE(found.cpu_virtualization);
}

TEST_F(Rights, MissingDeviceAndFlags) {
    std::ofstream(folder_ / "cpuinfo") << "processor\t: 0\nflags\t\t: fpu vme sse vmxnot\n";
    std::filesystem::remove(device_);
    const AccelFacts found = gather_accel_facts(0, 0, {}, device_, folder_ / "cpuinfo");
    EXPECT_FALSE(found.device_exists);
    EXPECT_FALSE(found.cpu_virtualization);
}

}  // namespace
}  // namespace kz::qemu
