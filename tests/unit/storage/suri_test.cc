#include "storage/suri.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kz::storage {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

Suri good(std::string_view text) {
    Result<Suri> suri = Suri::parse(text);
    EXPECT_TRUE(suri) << text << ": " << (suri ? "" : suri.error().message());
    return suri ? *suri : *Suri::of_file("/unparsed");
}

std::string reason(std::string_view text) {
    const Result<Suri> suri = Suri::parse(text);
    EXPECT_FALSE(suri) << text;
    if (suri) return suri->render();
    EXPECT_EQ(suri.error().code(), Errc::invalid_argument);
    return suri.error().message();
}

TEST(SuriParse, Iscsi) {
    const Suri suri = good("iscsi://target/luname.naa.600144F035FF8500000050C884E50001");
    EXPECT_EQ(suri.type(), SuriType::iscsi);
    EXPECT_EQ(suri.hostname(), "target");
    EXPECT_FALSE(suri.port());
    EXPECT_EQ(suri.luname(), "naa.600144F035FF8500000050C884E50001");
    EXPECT_FALSE(suri.target());
    EXPECT_TRUE(suri.shareable());
    EXPECT_EQ(suri.local_path(), "");
}

TEST(SuriParse, IscsiTargetAndLun) {
    const Suri suri = good("iscsi://[2001:db8::7]:3261/target.iqn.1986-03.com.sun:02:a_b-c.d,lun.14");
    EXPECT_EQ(suri.hostname(), "2001:db8::7");
    EXPECT_EQ(suri.port(), 3261);
    EXPECT_EQ(suri.target(), "iqn.1986-03.com.sun:02:a_b-c.d");
    EXPECT_EQ(suri.lun(), 14U);
    EXPECT_FALSE(suri.luname());
}

TEST(SuriParse, IscsiWithoutAuthority) {
    EXPECT_FALSE(good("iscsi:///luname.eui.0123456789abcdef").hostname());
    EXPECT_FALSE(good("iscsi:///target.iqn.2026-11.org.x:d,lun.0").hostname());
}

TEST(SuriParse, DeviceForms) {
    for (const char* text : {"dev:dsk/c4t1d0", "dev:/dev/dsk/c4t1d0", "dev:///dev/dsk/c4t1d0"}) {
        const Suri suri = good(text);
        EXPECT_EQ(suri.type(), SuriType::dev);
        EXPECT_EQ(suri.local_path(), "/dev/dsk/c4t1d0");
        EXPECT_EQ(suri.normalized().render(), "dev:dsk/c4t1d0");
        EXPECT_FALSE(suri.shareable());
    }
    EXPECT_EQ(good("dev:/dev/dsk/c4t1d0").path(), "/dev/dsk/c4t1d0");
    EXPECT_EQ(good("dev:chassis/SYS/HD1/disk").local_path(), "/dev/chassis/SYS/HD1/disk");
    EXPECT_EQ(good("dev:disk/by-path/ip-10.0.0.1:3260-iscsi-iqn.x:y-lun-1").local_path(),
              "/dev/disk/by-path/ip-10.0.0.1:3260-iscsi-iqn.x:y-lun-1");
}

TEST(SuriParse, Lu) {
    EXPECT_EQ(good("lu:luname.naa.5000c5000288fa25").luname(), "naa.5000c5000288fa25");
    const Suri full =
        good("lu:initiator.naa.2100001b329f9c8a,target.naa.5000c50a1b2c3d4e,luname.eui.0123456789ABCDEF");
    EXPECT_EQ(full.initiator(), "naa.2100001b329f9c8a");
    EXPECT_EQ(full.target(), "naa.5000c50a1b2c3d4e");
    EXPECT_EQ(full.luname(), "eui.0123456789ABCDEF");
}

TEST(SuriParse, Nfs) {
    const Suri suri = good("nfs://zoss:zoss@kzx-05/zones/zoss/mig1.disk0");
    EXPECT_EQ(suri.user(), "zoss");
    EXPECT_EQ(suri.group(), "zoss");
    EXPECT_EQ(suri.hostname(), "kzx-05");
    EXPECT_EQ(suri.path(), "/zones/zoss/mig1.disk0");
    EXPECT_EQ(good("nfs://1001:1001@[::1]:20049/s/f").port(), 20049);
}

TEST(SuriParse, File) {
    EXPECT_EQ(good("file:///zones/ant1/disk0").local_path(), "/zones/ant1/disk0");
    EXPECT_EQ(good("file:/zones/ant1/disk0").render(), "file:///zones/ant1/disk0");
    EXPECT_EQ(good("FILE:///zones/d").type(), SuriType::file);
    const Suri suri = good("file://kz:disk@/zones/my%20disk%3f");
    EXPECT_EQ(suri.user(), "kz");
    EXPECT_EQ(suri.path(), "/zones/my disk?");
    EXPECT_EQ(suri.render(), "file://kz:disk@/zones/my%20disk%3F");
}

TEST(SuriParse, SaysWhereAndWhy) {
    EXPECT_THAT(reason(""), StartsWith("position 0: expected a storage URI"));
    EXPECT_THAT(reason("http://x/y"), StartsWith("position 0: expected a storage URI"));
    EXPECT_EQ(reason("iscsi:/x"), "position 6: expected '//'");
    EXPECT_EQ(reason("iscsi://host:0/luname.naa.5000c5000288fa25"),
              "position 13: expected a port, 1 to 65535");
    EXPECT_EQ(reason("iscsi://host:99999/luname.naa.5000c5000288fa25"),
              "position 13: expected a port, 1 to 65535");
    EXPECT_EQ(reason("iscsi://host/luname.naa.5000c5000288fa2"),
              "position 24: 15 hexadecimal digits where 16 or 32 are expected");
    EXPECT_EQ(reason("iscsi://host/luname.naa.5000c5000288fa2g"),
              "position 39: 'g' is not a hexadecimal digit");
    EXPECT_EQ(reason("iscsi://host/luname.t10.x"), "position 20: expected 'naa.' or 'eui.' after 'luname.'");
    EXPECT_EQ(reason("iscsi://host/lun.3"), "position 13: expected 'luname.' or 'target.'");
    EXPECT_EQ(reason("iscsi:///target.iqn.x"), "position 21: expected ',lun.' after the target");
    EXPECT_EQ(reason("iscsi:///target.foo,lun.0"), "position 16: expected an iSCSI name: iqn., eui. or naa.");
    EXPECT_EQ(reason("iscsi:///target.iqn.x,lun.16384"),
              "position 26: expected the number of a LUN, 0 to 16383");
    EXPECT_EQ(reason("iscsi:///target.iqn.x,lun.0/"), "position 27: unexpected '/'");
    EXPECT_EQ(reason("iscsi://[::1/luname.x"), "position 8: '[' without ']'");
    EXPECT_EQ(reason("iscsi://[1.2.3.4]/luname.x"), "position 8: not an IPv6 address in brackets");
    EXPECT_EQ(reason("iscsi://a..b/luname.x"), "position 8: 'a..b' is not a host name");
    EXPECT_EQ(reason("nfs://host/share/file"), "position 10: expected ':' and a group after the user");
    EXPECT_EQ(reason("nfs://u:g@host/file"), "position 14: expected a share and a file in it: /share/file");
    EXPECT_EQ(reason("nfs://u:@host/s/f"), "position 8: expected the name or number of a group");
    EXPECT_EQ(reason("dev:"), "position 4: expected a device path");
    EXPECT_EQ(reason("dev:/etc/passwd"), "position 4: an absolute device path begins with /dev/");
    EXPECT_EQ(reason("dev:../etc/passwd"), "position 4: '..' is not allowed as part of a path");
    EXPECT_EQ(reason("dev:/dev/../etc/x"), "position 4: '..' is not allowed as part of a path");
    EXPECT_EQ(reason("dev://dev/sdb"), "position 6: expected '/'");
    EXPECT_EQ(reason("dev:sda b"), "position 7: unexpected the byte 0x20");
    EXPECT_EQ(reason("file://zones/x"), "position 12: expected ':' and a group after the user");
    EXPECT_EQ(reason("file:zones/x"), "position 5: expected an absolute path");
    EXPECT_EQ(reason("file:///a/"), "position 10: expected the name of a file");
    EXPECT_EQ(reason("file:///a/%2e%2e/b"), "position 7: '..' is not allowed as part of a path");
    EXPECT_EQ(reason("file:///a b"), "position 9: the byte 0x20 must be written %20");
    EXPECT_EQ(reason("file:///a%4"), "position 9: '%' must be followed by two hexadecimal digits");
    EXPECT_EQ(reason("file:///a%0x1"), "position 9: '%' must be followed by two hexadecimal digits");
    EXPECT_EQ(reason("file:///a%00b"), "position 9: a path cannot hold a NUL");
    EXPECT_EQ(reason("lu:luname.naa.5000c5000288fa25,x"), "position 30: unexpected ','");
    EXPECT_EQ(reason("lu:initiator.naa.2100001b329f9c8a,luname.naa.5000c5000288fa25"),
              "position 33: expected ',target.' after the initiator");
}

TEST(SuriParse, RefusesWhatIsTooLong) {
    EXPECT_THAT(reason("file:///" + std::string(4000, 'a')), HasSubstr("longer than 2048 bytes"));
    EXPECT_THAT(reason("file:///" + std::string(256, 'a')), HasSubstr("longer than 255 bytes"));
    EXPECT_THAT(reason("iscsi://" + std::string(254, 'a') + "/x"), HasSubstr("the host is longer"));
    EXPECT_THAT(reason("iscsi:///target.iqn." + std::string(220, 'a') + ",lun.0"),
                HasSubstr("an iSCSI name"));
}

TEST(SuriRender, ParsesToTheSameValue) {
    for (const char* text : {
             "file:///zones/ant1/disk0",
             "file://u:g@/zones/%25%20x",
             "dev:dsk/c4t1d0",
             "dev:/dev/sdb",
             "lu:luname.naa.5000c5000288fa25",
             "lu:initiator.naa.2100001b329f9c8a,target.naa.5000c50a1b2c3d4e,luname.eui.0123456789ABCDEF",
             "iscsi:///luname.naa.600144f068d1cd00000053ecd3d20001",
             "iscsi://storage1:3261/luname.naa.600144f068d1cd00000053ecd3d20001",
             "iscsi://[fe80::1]/target.iqn.2026-11.org.kzones:disk,lun.0",
             "nfs://zoss:zoss@kzx-05/zones/zoss/mig1.disk0",
         }) {
        const Suri suri = good(text);
        EXPECT_EQ(suri.render(), text);
        EXPECT_EQ(good(suri.render()), suri);
        EXPECT_EQ(good(suri.normalized().render()), suri.normalized());
        EXPECT_EQ(suri.normalized().normalized(), suri.normalized());
    }
}

TEST(SuriNormalize, LowersAndDropsDefaults) {
    EXPECT_EQ(good("iscsi://Target:3260/luname.naa.600144F035FF8500000050C884E50001").normalized().render(),
              "iscsi://target/luname.naa.600144f035ff8500000050c884e50001");
    EXPECT_EQ(good("iscsi://[2001:DB8:0:0::7]/target.IQN.2026-11.org:D,lun.0").normalized().render(),
              "iscsi://[2001:db8::7]/target.iqn.2026-11.org:d,lun.0");
    EXPECT_EQ(good("lu:luname.NAA.5000C5000288FA25").normalized().render(), "lu:luname.naa.5000c5000288fa25");
    EXPECT_EQ(good("nfs://U:G@Host:2049/Share//File").normalized().render(), "nfs://U:G@host/Share/File");
    EXPECT_EQ(good("file:////zones//D").normalized().render(), "file:///zones/D");
    EXPECT_EQ(good("dev:///dev//dsk/C0").normalized().render(), "dev:dsk/C0");
}

TEST(SuriOf, Paths) {
    EXPECT_EQ(Suri::of_file("/zones/my disk")->render(), "file:///zones/my%20disk");
    EXPECT_EQ(Suri::of_file("/zones/my disk")->local_path(), "/zones/my disk");
    EXPECT_EQ(Suri::of_device("/dev/loop0")->local_path(), "/dev/loop0");
    EXPECT_FALSE(Suri::of_file("zones/x"));
    EXPECT_FALSE(Suri::of_device("/zones/x"));
}

}  // namespace
}  // namespace kz::storage
