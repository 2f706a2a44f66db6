#include "zonecfg/parse_export.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "zone/export.h"
#include "zone/verify.h"

namespace kz::zonecfg {
namespace {

std::string read_text(const std::filesystem::path& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::string error_of(std::string_view text) {
    const auto config = parse_export(text, "z");
    return config ? "(no error)" : config.error().message();
}

// Each golden file is what export prints: reading and writing it changes nothing.
TEST(ParseExport, GoldenFilesRoundTrip) {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(KZ_TEST_DATA)) {
        SCOPED_TRACE(entry.path().filename().string());
        const std::string text = read_text(entry.path());
        const auto config = parse_export(text, "ant1");
        ASSERT_TRUE(config) << config.error().message();
        EXPECT_EQ(config->name(), "ant1");
        EXPECT_EQ(zone::export_text(*config, true), text);
        EXPECT_TRUE(zone::verify(*config).ok());
        ++count;
    }
    EXPECT_GE(count, 4u);
}

TEST(ParseExport, EverythingIsInTheGoldenFiles) {
    const std::string text = read_text(std::filesystem::path(KZ_TEST_DATA) / "everything.cfg") +
                             read_text(std::filesystem::path(KZ_TEST_DATA) / "dedicated.cfg");
    for (const zone::ResourceSpec& type : zone::resource_specs())
        EXPECT_NE(text.find("add " + std::string(type.type) + '\n'), std::string::npos) << type.type;
    for (const zone::PropertySpec& spec : zone::global_specs()) {
        if (spec.name != "zonename") {
            EXPECT_NE(text.find("set " + std::string(spec.name) + '='), std::string::npos) << spec.name;
        }
    }
}

TEST(ParseExport, ReadsWhatPeopleWrite) {
    const auto config = parse_export(
        "# my zone\n\ncreate -b; set brand=solaris-kz\r\n"
        "add device; set storage=dev:/dev/sdb; set id=4; end\n  select device id=4\nset bootpri=0\nend",
        "z");
    ASSERT_TRUE(config) << config.error().message();
    EXPECT_EQ(config->brand(), "linux-kz");
    EXPECT_EQ(config->devices().at(0).bootpri, 0u);
}

TEST(ParseExport, NamesTheLineOfAnError) {
    EXPECT_EQ(error_of("create -b\nset brand=linux-kz\nset host-compatible=memlzrr\n"),
              "line 3: memlzrr: Invalid argument\nhost-compatible must be a comma list of native, level1, "
              "level2, adi "
              "and memlzr.");
    EXPECT_EQ(error_of("create -b\nbogus\n"),
              "line 2: syntax error at 'bogus'\nUse 'help' for a list of the commands.");
    EXPECT_EQ(error_of("create -b\nset\n"), "line 2: usage: set <property-name>=<property-value>");
}

TEST(ParseExport, RefusesWhatIsNoStoredConfiguration) {
    EXPECT_EQ(error_of("create\n"), "line 1: only 'create -b' may stand here, as the first command");
    EXPECT_EQ(error_of("set autoboot=true\ncreate -b\n"),
              "line 2: only 'create -b' may stand here, as the first command");
    EXPECT_EQ(error_of("create -b\ndelete -F\n"), "line 2: 'delete' has no place in a stored configuration");
    EXPECT_EQ(error_of("create -b\nend\n"),
              "line 2: The end command only makes sense in the resource scope.");
    EXPECT_EQ(error_of("create -b\nadd device\n"), "the device resource at the end is incomplete");
    EXPECT_EQ(error_of("create -b\nset zonename=other\n"), "other: Invalid argument: the zone is z");
    EXPECT_EQ(error_of(std::string(kMaxConfigText + 1, '\n')), "the configuration is too long");
}

TEST(ParseExport, EmptyTextIsABlankZone) {
    const auto config = parse_export("", "z");
    ASSERT_TRUE(config);
    EXPECT_EQ(*config, zone::Config("z"));
}

}  // namespace
}  // namespace kz::zonecfg
