#include "storage/lu.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <fstream>

#include "../support/temp_folder.h"
#include "storage/local_volume.h"
#include "storage/lu_names.h"

namespace kz::storage {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* kNaa = "naa.600144f035ff8500000050c884e50001";

Bytes designator(unsigned association, unsigned type, ByteView name) {
    Bytes bytes;
    for (const std::size_t each :
         {std::size_t{1}, std::size_t{association << 4 | type}, std::size_t{0}, name.size()})
        bytes.push_back(static_cast<Byte>(each));
    bytes.insert(bytes.end(), name.begin(), name.end());
    return bytes;
}

Bytes page(const std::vector<Bytes>& designators) {
    Bytes body;
    for (const Bytes& part : designators)
        body.insert(body.end(), part.begin(), part.end());
    Bytes bytes;
    for (const std::size_t each : {std::size_t{0}, std::size_t{0x83}, body.size() >> 8, body.size()})
        bytes.push_back(static_cast<Byte>(each));
    bytes.insert(bytes.end(), body.begin(), body.end());
    return bytes;
}

Bytes hex(std::string_view digits) {
    return from_hex(digits).value();
}

TEST(Luname, OfWhatSysfsAndUdevWrite) {
    EXPECT_EQ(luname_of_wwid("naa.5000C500A1B2C3D4\n"), "naa.5000c500a1b2c3d4");
    EXPECT_EQ(luname_of_wwid("eui.0025385b71b00001"), "eui.0025385b71b00001");
    EXPECT_EQ(luname_of_wwid("t10.ATA     QEMU HARDDISK"), std::nullopt);
    EXPECT_EQ(luname_of_wwid("naa.5000c500"), std::nullopt);
    EXPECT_EQ(luname_of_wwid("naa.5000c500a1b2c3dx"), std::nullopt);
    EXPECT_EQ(luname_of_wwid(""), std::nullopt);
    EXPECT_EQ(luname_of_link("wwn-0x5000c500a1b2c3d4"), "naa.5000c500a1b2c3d4");
    EXPECT_EQ(luname_of_link("wwn-0x5000c500a1b2c3d4-part1"), std::nullopt);
    EXPECT_EQ(luname_of_link("scsi-3600144f035ff8500000050c884e50001"), kNaa);
    EXPECT_EQ(luname_of_link("scsi-20025385b71b00001"), "eui.0025385b71b00001");
    EXPECT_EQ(luname_of_link("scsi-1IET_00010001"), std::nullopt);
    EXPECT_EQ(luname_of_link("dm-uuid-mpath-3600144f035ff8500000050c884e50001"), kNaa);
    EXPECT_EQ(luname_of_link("dm-uuid-part1-mpath-3600144f035ff8500000050c884e50001"), std::nullopt);
    EXPECT_EQ(luname_of_link("nvme-eui.0025385b71b00001"), "eui.0025385b71b00001");
    EXPECT_EQ(luname_of_link("ata-QEMU_HARDDISK"), std::nullopt);
    EXPECT_EQ(name_of_port("0x21000024FF3A1B2C\n"), "naa.21000024ff3a1b2c");
    EXPECT_EQ(name_of_port("21000024ff3a1b2c"), std::nullopt);
    EXPECT_EQ(name_of_port(""), std::nullopt);
}

// A host made of files.
class LuTest : public testing::Test {
  protected:
    LuTest() {
        std::filesystem::create_directories(places_.sys / "block");
        std::filesystem::create_directories(places_.dev / "disk/by-id");
    }
    void put(const std::filesystem::path& file, std::string_view content) const {
        std::filesystem::create_directories(file.parent_path());
        std::ofstream(file, std::ios::binary) << content;
    }
    // A SCSI disk at HOST:0:0:0 that tells `naa`; its target port is that of a Fibre Channel, when given.
    void scsi(const std::string& name, int host, std::string_view naa, std::string_view target = "") const {
        const std::string address = std::to_string(host) + ":0:0:0";
        const std::filesystem::path device = places_.sys / "devices" / address;
        put(device / "vpd_pg83",
            as_text(page({designator(0, 1, as_bytes("IET     00010001")), designator(0, 3, hex(naa))})));
        if (!target.empty())
            put(places_.sys / "class/fc_transport" / ("target" + std::to_string(host) + ":0:0") / "port_name",
                "0x" + std::string(target) + "\n");
        std::filesystem::create_directories(places_.sys / "block" / name);
        std::filesystem::create_directory_symlink(device, places_.sys / "block" / name / "device");
        put(places_.dev / name, "");
    }
    void multipath(const std::string& name, std::string_view wwid, const std::vector<std::string>& members) {
        put(places_.sys / "block" / name / "dm/uuid", "mpath-" + std::string(wwid) + "\n");
        for (const std::string& member : members)
            std::filesystem::create_directories(places_.sys / "block" / name / "slaves" / member);
        put(places_.dev / name, "");
    }
    Result<std::string> node_of(const std::string& suri) const {
        KZ_TRY(const LocalDisk disk, find_lu(Suri::parse(suri).value(), places_));
        return disk.node.filename().string();
    }

    test::TempFolder folder_;
    LuPlaces places_{folder_.path() / "sys", folder_.path() / "dev"};
};

TEST_F(LuTest, FindsADiskByItsNameInEitherCase) {
    scsi("sda", 1, "5000c500a1b2c3d4");
    scsi("sdb", 2, "600144F035FF8500000050C884E50001");
    EXPECT_EQ(node_of("lu:luname.naa.600144F035FF8500000050C884E50001").value(), "sdb");
    EXPECT_EQ(node_of("lu:luname.naa.5000c500a1b2c3d4").value(), "sda");
    const auto missing = node_of("lu:luname.naa.5000c500a1b2c3d5");
    EXPECT_EQ(missing.error().code(), Errc::not_found);
    EXPECT_THAT(missing.error().message(), HasSubstr("lu:luname.naa.5000c500a1b2c3d5: this host shows no"));
    EXPECT_EQ(node_of("lu:luname.eui.5000c500a1b2c3d4").error().code(), Errc::not_found);
}

TEST_F(LuTest, FindsByWwidAndByLinks) {
    put(places_.sys / "block/nvme0n1/wwid", "eui.0025385b71b00001\n");
    put(places_.dev / "nvme0n1", "");
    put(places_.sys / "block/cciss!c0d0/device/wwid", "naa.600508b1001c1234");
    put(places_.sys / "block/vda/size", "2048");
    put(places_.dev / "vda", "");
    put(places_.dev / "vda1", "");
    std::filesystem::create_symlink("../../vda", places_.dev / "disk/by-id/wwn-0x5000c500a1b2c3d4");
    std::filesystem::create_symlink("../../vda1", places_.dev / "disk/by-id/wwn-0x5000c500a1b2c3d5");
    std::filesystem::create_symlink("../../gone", places_.dev / "disk/by-id/wwn-0x5000c500a1b2c3d6");
    EXPECT_EQ(node_of("lu:luname.eui.0025385b71b00001").value(), "nvme0n1");
    EXPECT_EQ(node_of("lu:luname.naa.5000c500a1b2c3d4").value(), "vda");
    EXPECT_EQ(find_lu(Suri::parse("lu:luname.naa.600508b1001c1234").value(), places_)->node,
              places_.dev / "cciss/c0d0");
    EXPECT_FALSE(node_of("lu:luname.naa.5000c500a1b2c3d5")) << "a partition is no LUN";
    EXPECT_FALSE(node_of("lu:luname.naa.5000c500a1b2c3d6"));
}

TEST_F(LuTest, TwoDisksOfOneNameAreAnErrorThatNamesBoth) {
    scsi("sda", 1, "5000c500a1b2c3d4");
    scsi("sdb", 2, "5000c500a1b2c3d4");
    const auto found = node_of("lu:luname.naa.5000c500a1b2c3d4");
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code(), Errc::wrong_state);
    EXPECT_THAT(found.error().message(),
                testing::AllOf(HasSubstr("/sda "), HasSubstr("/sdb;"), HasSubstr("multipath")));
}

TEST_F(LuTest, AMultipathDeviceStandsForItsPaths) {
    scsi("sda", 1, "600144F035FF8500000050C884E50001", "5000c500a1b2c3d4");
    scsi("sdb", 2, "600144F035FF8500000050C884E50001", "5000c500a1b2c3d5");
    put(places_.sys / "class/fc_host/host1/port_name", "0x21000024ff3a1b2c\n");
    put(places_.sys / "class/fc_host/host2/port_name", "0x21000024ff3a1b2d\n");
    multipath("dm-0", "3600144f035ff8500000050c884e50001", {"sda", "sdb"});
    put(places_.sys / "block/dm-1/dm/uuid", "LVM-abcdef");
    EXPECT_EQ(node_of(std::string("lu:luname.") + kNaa).value(), "dm-0");
    const std::string way = "lu:initiator.naa.21000024ff3a1b2d,target.naa.5000c500a1b2c3d5,luname.";
    EXPECT_EQ(node_of(way + kNaa).value(), "dm-0");
    EXPECT_FALSE(
        node_of("lu:initiator.naa.21000024ff3a1b2c,target.naa.5000c500a1b2c3d5,luname." + std::string(kNaa)))
        << "those two ports do not see each other";
    std::vector<std::string> texts;
    for (const Suri& suri : lu_suris(disk_at(places_.dev / "dm-0", places_).value()))
        texts.push_back(suri.render());
    EXPECT_THAT(texts, ElementsAre(std::string("lu:luname.") + kNaa,
                                   "lu:initiator.naa.21000024ff3a1b2c,target.naa.5000c500a1b2c3d4,luname." +
                                       std::string(kNaa),
                                   way + kNaa));
}

TEST_F(LuTest, PortsChooseAmongPathsWithoutMultipath) {
    scsi("sda", 1, "600144F035FF8500000050C884E50001", "5000c500a1b2c3d4");
    scsi("sdb", 2, "600144F035FF8500000050C884E50001");
    put(places_.sys / "devices/2:0:0:0/sas_address", "0x5000c500a1b2c3d4\n");
    put(places_.sys / "class/fc_host/host1/port_name", "0x21000024ff3a1b2c\n");
    put(places_.sys / "class/scsi_host/host2/host_sas_address", "0x500605b000000001\n");
    EXPECT_EQ(
        node_of("lu:initiator.naa.500605b000000001,target.naa.5000c500a1b2c3d4,luname." + std::string(kNaa))
            .value(),
        "sdb");
}

TEST_F(LuTest, WhatADeviceIs) {
    scsi("sda", 1, "5000c500a1b2c3d4");
    put(places_.dev / "sda1", "");
    std::filesystem::create_symlink("sda", places_.dev / "link");
    EXPECT_THAT(disk_at(places_.dev / "link", places_)->lunames, ElementsAre("naa.5000c500a1b2c3d4"));
    EXPECT_EQ(disk_at(places_.dev / "sda1", places_).error().code(), Errc::invalid_argument);
    EXPECT_EQ(disk_at(places_.dev / "none", places_).error().code(), Errc::not_found);
    put(places_.sys / "block/nvme0c0n1/hidden", "1\n");
    put(places_.sys / "block/sdc/size", "0");
    EXPECT_EQ(local_disks(places_)->size(), 2U) << "sda and sdc";
    EXPECT_THAT(local_disks(places_)->back().lunames, IsEmpty());
}

TEST_F(LuTest, OpensTheDeviceOrSaysWhyNot) {
    const Suri suri = Suri::parse("lu:luname.naa.5000c500a1b2c3d4").value();
    EXPECT_FALSE(local_exists(suri, places_).value());
    EXPECT_EQ(open_local_volume(suri, places_).error().code(), Errc::not_found);
    scsi("sda", 1, "5000c500a1b2c3d4");
    EXPECT_TRUE(local_exists(suri, places_).value());
    const auto opened = open_local_volume(suri, places_);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().message(), (places_.dev / "sda").string() + ": not a block device");
    scsi("sdb", 2, "5000c500a1b2c3d4");
    EXPECT_EQ(local_exists(suri, places_).error().code(), Errc::wrong_state);
    EXPECT_EQ(create_volume(suri, 4096, {}).error().code(), Errc::unsupported);
    EXPECT_EQ(destroy_volume(suri, {}).error().code(), Errc::unsupported);
}

// The kernel's own block devices, where the test may make nodes of them.
TEST_F(LuTest, ReadsAndWritesABlockDevice) {
    scsi("sda", 1, "5000c500a1b2c3d4");
    std::filesystem::remove(places_.dev / "sda");
    std::ifstream zram("/sys/block/zram0/dev");
    unsigned major = 0;
    char colon = 0;
    unsigned minor = 0;
    if (!(zram >> major >> colon >> minor) ||
        ::mknod((places_.dev / "sda").c_str(), S_IFBLK | 0600, makedev(major, minor)) != 0)
        GTEST_SKIP() << "no block device can be made here";
    const auto volume = open_local_volume(Suri::parse("lu:luname.naa.5000c500a1b2c3d4").value(), places_);
    if (!volume) GTEST_SKIP() << volume.error().message();
    const Result<VolumeBacking> backing = (*volume)->backing();
    ASSERT_TRUE(backing);
    EXPECT_TRUE(std::get<LocalBacking>(*backing).block_device);
}

}  // namespace
}  // namespace kz::storage
