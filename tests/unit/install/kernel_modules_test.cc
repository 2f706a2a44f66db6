#include "install/kernel_modules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fixture.h"
#include "os/process.h"

namespace kz::install {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string module_text(std::string_view depends) {
    return std::string("\x7f") + "ELF license=GPL" + '\0' + "depends=" + std::string(depends) + '\0' +
           "name=x" + '\0';
}

class ModulesTest : public FolderTest {
  protected:
    void SetUp() override {
        put(folder() / "modules.builtin", "kernel/fs/ext4/ext4.ko\n");
        module("kernel/v/virtio.ko", "virtio-ring");
        module("kernel/v/virtio_ring.ko", "");
        module("kernel/v/virtio_pci.ko", "virtio_ring,virtio");
        module("kernel/b/virtio-rng.ko", "virtio,ext4");
    }
    void module(const Path& path, std::string_view depends) { put(folder() / path, module_text(depends)); }
    Result<std::vector<KernelModule>> closure(const std::vector<std::string>& names) {
        const Result<ModuleIndex> index = ModuleIndex::scan(folder());
        if (!index) return std::unexpected(index.error());
        return index->closure(names);
    }
};

TEST(ModuleDependencies, AreReadFromModinfo) {
    EXPECT_THAT(module_dependencies(as_bytes(module_text("a-b,c"))), ElementsAre("a_b", "c"));
    EXPECT_TRUE(module_dependencies(as_bytes(module_text(""))).empty());
    EXPECT_TRUE(module_dependencies(as_bytes("softdepends=x")).empty());
}

TEST_F(ModulesTest, AreOrderedForLoadingWithoutWhatIsBuiltIn) {
    const auto modules = closure({"virtio_rng", "virtio_pci"});
    ASSERT_TRUE(modules) << modules.error().message();
    std::vector<std::string> names;
    for (const KernelModule& one : *modules)
        names.push_back(one.name);
    EXPECT_THAT(names, ElementsAre("virtio_ring", "virtio", "virtio_rng", "virtio_pci"));
    EXPECT_EQ(as_text(modules->front().content), module_text(""));
}

TEST_F(ModulesTest, ModulesDepNamesAllThatIsNeededNearestFirst) {
    const auto modules = closure({"virtio_pci"});
    ASSERT_TRUE(modules);
    EXPECT_EQ(render_modules_dep(*modules),
              "kernel/v/virtio_ring.ko:\n"
              "kernel/v/virtio.ko: kernel/v/virtio_ring.ko\n"
              "kernel/v/virtio_pci.ko: kernel/v/virtio.ko kernel/v/virtio_ring.ko\n");
}

TEST_F(ModulesTest, AnUnknownOneIsNamedWithWhatNeedsIt) {
    module("kernel/x/x.ko", "missing");
    const auto modules = closure({"x"});
    ASSERT_FALSE(modules);
    EXPECT_EQ(modules.error().code(), Errc::not_found);
    EXPECT_EQ(modules.error().message(), "x: this kernel has no module missing");
}

TEST_F(ModulesTest, ARingOfModulesIsRefused) {
    module("kernel/x/x.ko", "y");
    module("kernel/x/y.ko", "x");
    const auto modules = closure({"x"});
    ASSERT_FALSE(modules);
    EXPECT_EQ(modules.error().code(), Errc::corrupt);
}

TEST_F(ModulesTest, CompressedOnesAreUnpacked) {
    module("kernel/z/zz.ko", "virtio");
    if (!run_checked({"xz", folder() / "kernel/z/zz.ko"})) GTEST_SKIP() << "no xz here";
    const auto modules = closure({"zz"});
    ASSERT_TRUE(modules) << modules.error().message();
    EXPECT_EQ(modules->back().path, "kernel/z/zz.ko");
    EXPECT_EQ(as_text(modules->back().content), module_text("virtio"));
}

}  // namespace
}  // namespace kz::install
