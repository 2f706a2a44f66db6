// Archives: what they may be, and what becomes of their partition tables.
#include "install/archive.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fixture.h"
#include "install/gpt.h"
#include "install/iso9660.h"
#include "install/partition_edit.h"
#include "os/file.h"
#include "os/uuid.h"

namespace kz::install {
namespace {

using ::testing::HasSubstr;

std::string qcow2(std::uint8_t version = 3) {
    std::string header(512, '\0');
    header.replace(0, 4, "QFI\xfb");
    header[7] = static_cast<char>(version);
    header[29] = 16;  // 1 MiB
    return header;
}
std::string refusal(const std::string& start) {
    const Result<ImageHeader> header = probe_image(as_bytes(start));
    return header ? "no error" : header.error().message();
}

TEST(Archive, AnImageIsKnownByItsBytes) {
    const Result<ImageHeader> header = probe_image(as_bytes(qcow2()));
    ASSERT_TRUE(header) << header.error().message();
    EXPECT_EQ(header->format, ImageFormat::qcow2);
    EXPECT_EQ(header->virtual_size, 1U << 20);
    std::string raw(512, '\0');
    raw.replace(510, 2, "\x55\xaa");
    ASSERT_TRUE(probe_image(as_bytes(raw)));
    EXPECT_EQ(probe_image(as_bytes(raw))->format, ImageFormat::raw);
}

TEST(Archive, WhatReachesOutsideIsRefused) {
    std::string image = qcow2();
    image[15] = 104;
    image[19] = 11;
    image.replace(104, 11, "/etc/shadow");
    EXPECT_EQ(refusal(image), "the image has a backing file ('/etc/shadow'), which is not taken");
    image = qcow2();
    image[79] = 4;
    EXPECT_EQ(refusal(image), "the image has an external data file, which is not taken");
    image = qcow2();
    image[35] = 1;
    EXPECT_EQ(refusal(image), "the image is encrypted");
    image = qcow2();
    image[72] = 1;
    EXPECT_EQ(refusal(image), "the image has features that are not known here");
    EXPECT_EQ(refusal(qcow2(7)), "qcow2 of version 7 is not taken");
    EXPECT_EQ(refusal(qcow2().substr(0, 50)), "the image is too short");
    EXPECT_THAT(refusal("conectix"), HasSubstr("VHD"));
    EXPECT_THAT(refusal(""), HasSubstr("no known format"));
}

class PartitionEditTest : public FolderTest {
  protected:
    static constexpr std::uint64_t kOld = 32 * kMebibyte;
    static constexpr std::uint64_t kNew = 56 * kMebibyte + 512 * 7;

    void SetUp() override {
        path_ = folder() / "disk";
        std::string disk(kOld, '\0');
        const Result<DiskLayout> layout = plan_disk(kOld);
        const auto table = encode_gpt(*layout, *random_disk_uuids());
        ASSERT_TRUE(table);
        disk.replace(0, table->primary.size(), as_text(table->primary));
        disk.replace(table->backup_offset, table->backup.size(), as_text(table->backup));
        put(path_, disk);
        std::filesystem::resize_file(path_, kNew);
        disk_ = *open_file(path_, O_RDWR);
    }
    // The table as the copy at the end alone tells it.
    std::vector<Partition> backup() const {
        std::string disk = get(path_);
        const std::string header = disk.substr(disk.size() - 512, 92);
        EXPECT_EQ(header.substr(0, 8), "EFI PART");
        const auto entries = load_le<std::uint64_t>(as_bytes(header).data() + 72);
        const auto crc = load_le<std::uint32_t>(as_bytes(header).data() + 88);
        EXPECT_EQ(gpt_crc32(as_bytes(disk.substr(entries * 512, 128 * 128))), crc);
        EXPECT_EQ(load_le<std::uint64_t>(as_bytes(header).data() + 24), disk.size() / 512 - 1);
        EXPECT_EQ(disk.substr(entries * 512, 128 * 128), disk.substr(1024, 128 * 128));
        return {};
    }
    Path path_;
    UniqueFd disk_;
};

TEST_F(PartitionEditTest, TheCopyMovesToTheEnd) {
    ASSERT_TRUE(grow_table(disk_.get(), kNew));
    backup();
    const auto partitions = read_partitions(disk_.get());
    ASSERT_TRUE(partitions) << partitions.error().message();
    ASSERT_EQ(partitions->size(), 3U);
    EXPECT_EQ((*partitions)[2].name, "root");
}

TEST_F(PartitionEditTest, ThereIsRoomForTheSeed) {
    ASSERT_TRUE(grow_table(disk_.get(), kNew));
    const auto seed = append_partition(disk_.get(), kNew, kMebibyte, "cidata");
    ASSERT_TRUE(seed) << seed.error().message();
    EXPECT_EQ(seed->first, 54 * 2048U);
    EXPECT_EQ(seed->last, 55 * 2048U - 1);
    backup();
    const auto partitions = read_partitions(disk_.get());
    ASSERT_TRUE(partitions);
    ASSERT_EQ(partitions->size(), 4U);
    EXPECT_EQ((*partitions)[3].name, "cidata");
    EXPECT_EQ((*partitions)[3].first, seed->first);
}

TEST_F(PartitionEditTest, WhatMayStartFromIt) {
    const auto ways = [&] { return boot_ways(disk_.get()).value_or(BootWays{}); };
    EXPECT_FALSE(ways().bios) << "GRUB is not there yet";
    EXPECT_TRUE(ways().uefi);
    ASSERT_EQ(::pwrite(disk_.get(), "\xeb", 1, 0), 1);
    EXPECT_TRUE(ways().bios);
    std::string mbr(512, '\0');
    mbr.replace(510, 2, "\x55\xaa");
    mbr[446 + 16 + 4] = '\xef';
    ASSERT_EQ(::pwrite(disk_.get(), mbr.data(), mbr.size(), 0), 512);
    EXPECT_FALSE(ways().bios);
    EXPECT_TRUE(ways().uefi);
    mbr[446 + 16 + 4] = '\x83';
    ASSERT_EQ(::pwrite(disk_.get(), mbr.data(), mbr.size(), 0), 512);
    EXPECT_FALSE(ways().uefi);
}

TEST_F(PartitionEditTest, ADiskThatIsTooSmallIsRefused) {
    EXPECT_EQ(grow_table(disk_.get(), kOld - 2 * kMebibyte).error().code(), Errc::no_space);
    ASSERT_TRUE(grow_table(disk_.get(), kOld));
    EXPECT_EQ(append_partition(disk_.get(), kOld, kMebibyte, "cidata").error().code(), Errc::no_space);
}

TEST_F(PartitionEditTest, ADamagedTableIsNotBelieved) {
    for (const std::uint64_t at : {std::uint64_t{512}, std::uint64_t{512 + 60}, std::uint64_t{1024 + 40}}) {
        SetUp();
        ASSERT_EQ(::pwrite(disk_.get(), "\x7f", 1, static_cast<off_t>(at)), 1);
        EXPECT_FALSE(grow_table(disk_.get(), kNew)) << at;
    }
}

TEST_F(PartitionEditTest, AnMbrGetsTheSeedToo) {
    std::string mbr(512, '\0');
    mbr[446 + 4] = '\x83';
    mbr[446 + 9] = 8;   // from 2048
    mbr[446 + 13] = 8;  // 2048 sectors
    mbr.replace(510, 2, "\x55\xaa");
    put(path_, mbr);
    std::filesystem::resize_file(path_, kNew);
    disk_ = *open_file(path_, O_RDWR);
    ASSERT_TRUE(grow_table(disk_.get(), kNew));
    const auto seed = append_partition(disk_.get(), kNew, kMebibyte, "cidata");
    ASSERT_TRUE(seed) << seed.error().message();
    EXPECT_EQ(seed->last, 56 * 2048U - 1);
    const auto partitions = read_partitions(disk_.get());
    ASSERT_TRUE(partitions);
    ASSERT_EQ(partitions->size(), 2U);
    EXPECT_EQ((*partitions)[1].first, seed->first);
}

TEST(Iso9660, TheFolderNamesTheFiles) {
    const auto image = make_iso9660("cidata", {{"user-data", "#cloud-config\n"}, {"meta-data", "x"}});
    ASSERT_TRUE(image) << image.error().message();
    const std::string text(as_text(*image));
    EXPECT_EQ(text.substr(0x8001, 5), "CD001");
    EXPECT_EQ(text.substr(0x8028, 32), "cidata" + std::string(26, ' '));
    const std::size_t meta = text.find("META-DATA.;1");
    const std::size_t user = text.find("USER-DATA.;1");
    ASSERT_NE(meta, std::string::npos);
    ASSERT_LT(meta, user);
    const auto sector = load_le<std::uint32_t>(image->data() + user - 33 + 2);
    EXPECT_EQ(text.substr(std::size_t{sector} * 2048, 14), "#cloud-config\n");
    EXPECT_EQ(load_le<std::uint32_t>(image->data() + user - 33 + 10), 14U);
    EXPECT_EQ(load_le<std::uint32_t>(image->data() + 0x8000 + 80) * 2048U, image->size());
    EXPECT_FALSE(make_iso9660("cidata", {{"../x", ""}}));
}

// What Linux makes of such a file system, tests/e2e/cloud_test.py sees.
TEST(Iso9660, MatchesTheGoldenFileSystem) {
    const auto image = make_iso9660("cidata", {{"user-data", "#cloud-config\n"}, {"meta-data", "x"}});
    ASSERT_TRUE(image) << image.error().message();
    constexpr std::size_t kBegin = std::size_t{16} * 2048;
    EXPECT_EQ(as_text(*image).substr(0, kBegin), std::string(kBegin, '\0'));
    const Path golden = Path(KZ_TEST_DATA) / "cidata.iso9660";
    if (std::getenv("KZ_UPDATE_GOLDEN") != nullptr) put(golden, as_text(*image).substr(kBegin));
    EXPECT_EQ(as_text(*image).substr(kBegin), get(golden));
}

TEST(Iso9660, AFileMayHaveManySectors) {
    const std::string large(400'000, 'x');
    const auto image = make_iso9660("cidata", {{"a", large}, {"b", "behind"}});
    ASSERT_TRUE(image) << image.error().message();
    const std::string text(as_text(*image));
    const std::size_t record = text.find("B.;1") - 33;
    const auto sector = load_le<std::uint32_t>(image->data() + record + 2);
    EXPECT_EQ(text.substr(std::size_t{sector} * 2048, 6), "behind");
    EXPECT_EQ(text.find(large), 21U * 2048);
    EXPECT_EQ(sector, 21 + 196U);
}

TEST(Iso9660, ItsFilesAreFoundByTheirNames) {
    auto image = make_iso9660("cidata", {{"user-data", "META-DATA.;1"}, {"network-config", ""}});
    ASSERT_TRUE(image);
    EXPECT_TRUE(iso9660_has(*image, "user-data"));
    EXPECT_TRUE(iso9660_has(*image, "network-config"));
    for (const char* name : {"meta-data", "user", "user-data2", "", "../x"})
        EXPECT_FALSE(iso9660_has(*image, name)) << name;
    EXPECT_FALSE(iso9660_has(ByteView(*image).first(21 * 2048 - 1), "user-data"));
    for (const int length : {0, 1, 33, 34, 255}) {
        const auto folder = image->begin() + 20 * 2048;
        std::fill(folder, folder + 2048, static_cast<Byte>(length));
        EXPECT_FALSE(iso9660_has(*image, "user-data")) << length;
    }
}

TEST(Seed, ItSaysWhatTheProfileSays) {
    InstallRequest request;
    request.zone_name = "ant1";
    request.profile.users = {{"root", "", "", "", "$6$hash", {}}};
    request.profile.interfaces = {{"eth1", true, false, {}, {}, {}, {}}};
    request.network = {{"eth0", "192.0.2.5/24", "192.0.2.1"}};
    const Seed seed = plan_seed(request, "id-1", {"02:00:00:00:00:01", "02:00:00:00:00:02"});
    EXPECT_THAT(seed.user_data, HasSubstr("#cloud-config\n"));
    EXPECT_THAT(seed.user_data, HasSubstr("\nhostname: "));
    EXPECT_THAT(seed.user_data, HasSubstr("chpasswd:\n"));
    EXPECT_THAT(seed.user_data, ::testing::Not(HasSubstr("machine-id")));
    EXPECT_EQ(seed.meta_data, "instance-id: \"id-1\"\nlocal-hostname: \"ant1\"\n");
    EXPECT_THAT(seed.network_config,
                HasSubstr("macaddress: \"02:00:00:00:00:01\"\n    set-name: eth0\n    dhcp4: false"));
    EXPECT_THAT(seed.network_config,
                HasSubstr("- \"192.0.2.5/24\"\n    routes:\n      - to: \"0.0.0.0/0\"\n"));
    EXPECT_THAT(seed.network_config,
                HasSubstr("set-name: eth1\n    dhcp4: true\n    dhcp6: false\n    dhcp-identifier: mac\n"));
    EXPECT_THAT(plan_seed(request, "id-2", {}, true).user_data,
                HasSubstr("\nbootcmd:\n  - [cloud-init-per, instance, kzones-machine-id, "));
    EXPECT_THAT(seed.user_data, ::testing::Not(HasSubstr("bootcmd")));
    request.profile.locale = "de_DE.UTF-8";
    EXPECT_THAT(plan_seed(request, "id-2", {}).user_data,
                HasSubstr("\nbootcmd:\n  - [cloud-init-per, instance, kzones-locale, sh, -c, \"test "));
    EXPECT_TRUE(make_seed_image(seed));
}

TEST(Seed, TheAgentFitsWhereTheSeedLies) {
    Seed seed{"#cloud-config\n", "instance-id: x\n", "version: 2\n"};
    auto image = make_seed_image(seed);
    ASSERT_TRUE(image);
    EXPECT_FALSE(seed_has_agent(*image));
    const auto agent = load_seed_agent(KZ_SHARE, {});
    ASSERT_TRUE(agent) << agent.error().message();
    ASSERT_TRUE(*agent);
    EXPECT_TRUE((*agent)->vendor_data.starts_with("#!/bin/sh\n"));
    EXPECT_THAT((*agent)->unit, HasSubstr("\nExecStart=/usr/sbin/kz-agent\n"));
    EXPECT_TRUE((*agent)->packed_program.starts_with("\x1f\x8b"));
    seed.agent = *agent;
    image = make_seed_image(seed);
    ASSERT_TRUE(image) << image.error().message();
    EXPECT_LT(image->size(), kMebibyte - 256 * 1024);
    EXPECT_TRUE(seed_has_agent(*image));
    // cloud-init and the script ask for these.
    for (const char* name : {"vendor-data", "kz-agent-gz", "kz-agent-service"})
        EXPECT_TRUE(iso9660_has(*image, name)) << name;
    // Equal bytes for equal input.
    EXPECT_EQ((*load_seed_agent(KZ_SHARE, {}))->packed_program, (*agent)->packed_program);
}

TEST(Seed, WhereThereIsNoAgentItIsSaid) {
    Activity activity;
    std::string said;
    activity.progress = [&](std::string_view line) { said = line; };
    const auto agent = load_seed_agent("/nonexistent", activity);
    ASSERT_TRUE(agent);
    EXPECT_FALSE(*agent);
    EXPECT_THAT(said, HasSubstr("has no kz-agent for the zone"));
}

}  // namespace
}  // namespace kz::install
