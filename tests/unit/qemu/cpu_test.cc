#include "qemu/cpu.h"

#include <gmock/gmock.h>

#include "fake_qemu.h"
#include "qemu/machine.h"

namespace kz::qemu {
namespace {

using testing::ElementsAre;
using testing::Key;
using testing::UnorderedElementsAre;

CpuModels models_of(std::map<std::string, std::vector<std::string>, std::less<>> lacking) {
    return {std::move(lacking), {"sse2"}};
}

TEST(CpuModels, AnswersOfQemuAreRead) {
    FakeQemu fake;
    const std::jthread qemu([&] {
        fake.greet();
        fake.answer(fake.hear(),
                    R"([{"name": "Nehalem", "unavailable-features": ["popcnt", "pni", "pni", 3]},)"
                    R"({"name": "qemu64"}, {"name": "Opteron_G1", "unavailable-features": []},)"
                    R"("strange"])");
        const auto question = fake.hear();
        EXPECT_EQ(question["arguments"]["model"]["name"], "host");
        fake.answer(question,
                    R"({"model": {"name": "base", "props": {"sse2": true, "avx": true, "x-tuned": true,)"
                    R"("kvm_asyncpf": true, "aes": false, "family": 6}}})");
        fake.hear();
    });
    const auto qmp = Qmp::attach(fake.take_client(), soon()).value();
    const CpuModels models = ask_cpu_models(*qmp, "kvm", soon()).value();
    EXPECT_THAT(models.lacking, UnorderedElementsAre(testing::Pair("Nehalem", ElementsAre("pni", "popcnt")),
                                                     testing::Pair("qemu64", ElementsAre())));
    EXPECT_THAT(models.fullest, ElementsAre("avx", "sse2"));
    qmp->close();
}

TEST(CpuModels, StrangeAnswersAreErrors) {
    for (const char* answer : {R"({})", R"({"model": []})", R"({"model": {"props": {"sse2": "yes"}}})"}) {
        FakeQemu fake;
        const std::jthread qemu([&] {
            fake.greet();
            fake.answer(fake.hear(), "[]");
            fake.answer(fake.hear(), answer);
            fake.hear();
        });
        const auto qmp = Qmp::attach(fake.take_client(), soon()).value();
        const auto models = ask_cpu_models(*qmp, "tcg", soon());
        ASSERT_FALSE(models) << answer;
        EXPECT_EQ(models.error().code(), Errc::protocol);
        qmp->close();
    }
}

TEST(CpuModels, TheQemuOfThisHostTells) {
    const auto info = probe_qemu();
    ASSERT_TRUE(info) << info.error().message();
    const auto models = probe_cpu_models(info->binary, "tcg");
    ASSERT_TRUE(models) << models.error().message();
    EXPECT_THAT(models->lacking, UnorderedElementsAre(Key("qemu64"), Key("Nehalem"), Key("Haswell-noTSX"),
                                                      Key("Skylake-Server-noTSX-IBRS")));
    EXPECT_TRUE(std::ranges::is_sorted(models->fullest));
    EXPECT_TRUE(std::ranges::binary_search(models->fullest, "sse2"));
    // What a generic machine needs TCG has, and it has no AVX-512.
    EXPECT_THAT(models->lacking.at("qemu64"), ElementsAre());
    EXPECT_TRUE(std::ranges::binary_search(models->lacking.at("Skylake-Server-noTSX-IBRS"), "avx512f"));
    EXPECT_EQ(common_cpu_class(*models, *models, "tcg"), "migration-class1");
}

TEST(CpuModels, AnAcceleratorThatIsNoneIsAnError) {
    const auto info = probe_qemu();
    ASSERT_TRUE(info);
    const auto models = probe_cpu_models(info->binary, "abacus");
    ASSERT_FALSE(models);
    EXPECT_THAT(models.error().message(), testing::HasSubstr("abacus"));
}

TEST(CpuModels, LostIsWhatOnlyTheOtherHad) {
    EXPECT_THAT(features_lost({"aes", "avx", "sse2"}, {"avx", "fma", "sse2"}), ElementsAre("aes"));
    EXPECT_THAT(features_lost({}, {"avx"}), ElementsAre());
}

TEST(CpuModels, TheHighestClassThatBothRunIsFound) {
    const CpuModels fine = models_of(
        {{"qemu64", {}}, {"Nehalem", {}}, {"Haswell-noTSX", {}}, {"Skylake-Server-noTSX-IBRS", {}}});
    const CpuModels older = models_of({{"qemu64", {}}, {"Nehalem", {}}, {"Haswell-noTSX", {"avx2"}}});
    const CpuModels oldest = models_of({{"qemu64", {"cx16"}}, {"Nehalem", {"popcnt"}}});
    EXPECT_EQ(common_cpu_class(fine, fine, "kvm"), "migration-class3");
    EXPECT_EQ(common_cpu_class(fine, older, "kvm"), "migration-class1");
    EXPECT_EQ(common_cpu_class(older, fine, "kvm"), "migration-class1");
    EXPECT_EQ(common_cpu_class(fine, oldest, "kvm"), std::nullopt);
}

TEST(CpuModels, ClassesAreLevels) {
    EXPECT_EQ(cpu_class_level(""), "x86-64-v2");
    EXPECT_EQ(cpu_class_level("migration-class3"), "x86-64-v4");
    EXPECT_EQ(cpu_class_level("host"), "host");
    EXPECT_TRUE(is_host_model("host"));
    EXPECT_TRUE(is_host_model("max"));
    EXPECT_FALSE(is_host_model("Nehalem"));
}

}  // namespace
}  // namespace kz::qemu
