#include "storage/host_data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <fstream>
#include <random>
#include <sstream>
#include <thread>

#include "../support/temp_folder.h"
#include "storage/host_data_slot.h"

namespace kz::storage {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t kMiB = 1024 * 1024;
constexpr std::uint64_t kVolumeBytes = 3 * kMiB;
constexpr std::uint64_t kArea = 2 * kMiB;

Secret key_of(Byte fill) {
    return Secret(Bytes(16, fill));
}

HostData sample() {
    HostData data;
    data.zone_uuid = "69ed2e6a-e25a-4d36-a022-ed7261ed8899";
    data.epoch = 3;
    data.owner = Owner{"0b7a8f5e-58a5-4b0c-9d7e-2f4a4be7d001", "global1"};
    data.state = "installed";
    data.heartbeat = 41;
    data.last_update = "2026-11-22T02:30:00.123Z";
    data.suspend = SuspendRecord{"3f0e", "file:///export/ant1/suspend", "2026-11-22T02:29:00.000Z"};
    data.handover = Handover{"77aa", {"1c4d", "global2"}, "commit"};
    data.other["boot_environment"] = "debian-1";
    return data;
}

class HostDataTest : public testing::Test {
  protected:
    void SetUp() override {
        ASSERT_TRUE(create_volume(suri_, kVolumeBytes, {}));
        volume_ = *open_volume(suri_, {});
    }
    HostDataArea area(Byte fill = 1) { return *HostDataArea::open(*volume_, key_of(fill)); }
    Errc read_error(Byte fill = 1) {
        const Result<HostDataRead> read = area(fill).read();
        return read ? Errc{} : read.error().code();
    }
    void poke(std::uint64_t offset, Byte value) {
        std::fstream file(suri_.local_path(), std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(static_cast<std::streamoff>(offset));
        file.put(static_cast<char>(value));
        ASSERT_TRUE(file.flush());
    }
    // Flips one bit of the body of a slot.
    void tear(unsigned slot) {
        Bytes byte(1);
        const std::uint64_t at = kArea + kSlotOffsets[slot] + kSlotHeaderBytes + 5;
        ASSERT_TRUE(volume_->read(at, byte));
        poke(at, byte[0] ^ 1);
    }

    test::TempFolder folder_;
    Suri suri_ = *Suri::of_file(folder_.path() / "disk0");
    std::unique_ptr<Volume> volume_;
};

TEST(GuestBytes, LeavesTheLastMebibyte) {
    EXPECT_EQ(guest_bytes(10 * kMiB), 9 * kMiB);
    EXPECT_EQ(guest_bytes(10 * kMiB + 4095), 9 * kMiB);
    EXPECT_EQ(guest_bytes(kMiB + 4096), 4096U);
    EXPECT_EQ(guest_bytes(kMiB).error().code(), Errc::invalid_argument);
    EXPECT_EQ(guest_bytes(0).error().code(), Errc::invalid_argument);
}

TEST_F(HostDataTest, BlankDiskHasNone) {
    EXPECT_EQ(read_error(), Errc::not_found);
    EXPECT_EQ(HostDataArea::probe(*volume_)->kind, HostDataProbe::Kind::blank);
    HostDataArea blank = area();
    EXPECT_EQ(blank.write(sample()).error().code(), Errc::not_found);
}

TEST_F(HostDataTest, DiskWithOtherContentHasNone) {
    ASSERT_TRUE(volume_->write_durable(kArea, Bytes(kMiB, 0xa5)));
    EXPECT_EQ(read_error(), Errc::not_found);
    EXPECT_EQ(HostDataArea::probe(*volume_)->kind, HostDataProbe::Kind::blank);
}

TEST_F(HostDataTest, ReadsBackWhatWasWritten) {
    ASSERT_TRUE(area().initialize(sample()));
    HostDataArea host = area();
    EXPECT_EQ(host.read()->data, sample());
    EXPECT_EQ(host.read()->generation, 1U);
    HostData next = sample();
    for (std::uint64_t i = 2; i < 8; ++i) {
        next.heartbeat = i;
        ASSERT_TRUE(host.write(next));
        const Result<HostDataRead> read = area().read();
        EXPECT_EQ(read->generation, i);
        EXPECT_EQ(read->data, next);
        EXPECT_EQ(read->warning, "");
    }
    next.owner.reset();
    next.suspend.reset();
    next.handover.reset();
    ASSERT_TRUE(host.write(next));
    EXPECT_EQ(area().read()->data, next);
}

TEST_F(HostDataTest, NeverTouchesTheGuestsBytes) {
    const Bytes guest(kArea, 0x5a);
    ASSERT_TRUE(volume_->write_durable(0, guest));
    HostDataArea host = area();
    ASSERT_TRUE(host.initialize(sample()));
    ASSERT_TRUE(host.write(sample()));
    ASSERT_TRUE(HostDataArea::erase(*volume_));
    Bytes seen(kArea);
    ASSERT_TRUE(volume_->read(0, seen));
    EXPECT_EQ(seen, guest);
}

TEST_F(HostDataTest, OneTornSlotLeavesTheOther) {
    HostDataArea host = area();
    ASSERT_TRUE(host.initialize(sample()));
    HostData next = sample();
    next.heartbeat = 42;
    ASSERT_TRUE(host.write(next));
    tear(1);
    HostDataArea after = area();
    const Result<HostDataRead> read = after.read();
    ASSERT_TRUE(read);
    EXPECT_EQ(read->data, sample());
    EXPECT_THAT(read->warning, HasSubstr("damaged"));
    // The next write repairs it.
    ASSERT_TRUE(after.write(next));
    EXPECT_EQ(area().read()->data, next);
    EXPECT_EQ(area().read()->warning, "");
}

TEST_F(HostDataTest, TwoTornSlotsAreAnErrorThatSaysWhatToDo) {
    HostDataArea host = area();
    ASSERT_TRUE(host.initialize(sample()));
    ASSERT_TRUE(host.write(sample()));
    tear(0);
    tear(1);
    const Result<HostDataRead> read = area().read();
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code(), Errc::corrupt);
    EXPECT_THAT(read.error().message(), HasSubstr("attach -x initialize-hostdata"));
    EXPECT_EQ(host.write(sample()).error().code(), Errc::corrupt);
    EXPECT_EQ(HostDataArea::probe(*volume_)->kind, HostDataProbe::Kind::damaged);
    ASSERT_TRUE(area().initialize(sample()));
    EXPECT_EQ(area().read()->data, sample());
}

TEST_F(HostDataTest, EveryFlippedBitOfARecordIsNoticed) {
    ASSERT_TRUE(area().initialize(sample()));
    Bytes record(kVolumeBlock);
    ASSERT_TRUE(volume_->read(kArea, record));
    const Secret key = *host_data_key(key_of(1));
    const std::size_t used = kSlotHeaderBytes + render_host_data(sample()).size() + 64;
    for (std::size_t bit = 0; bit < used * 8; ++bit) {
        record[bit / 8] = static_cast<Byte>(record[bit / 8] ^ (1U << (bit % 8)));
        const Result<Slot> slot = decode_slot(record, &key);
        ASSERT_TRUE(slot);
        EXPECT_FALSE(slot->kind == SlotKind::intact && slot->authentic) << "bit " << bit;
        record[bit / 8] = static_cast<Byte>(record[bit / 8] ^ (1U << (bit % 8)));
    }
}

TEST_F(HostDataTest, WrongKeyIsToldFromDamage) {
    ASSERT_TRUE(area(1).initialize(sample()));
    EXPECT_EQ(read_error(2), Errc::permission);
    HostDataArea other = area(2);
    EXPECT_EQ(other.write(sample()).error().code(), Errc::permission);
    EXPECT_EQ(area(1).read()->generation, 1U);
    const HostDataProbe probe = *HostDataArea::probe(*volume_);
    EXPECT_EQ(probe.kind, HostDataProbe::Kind::present);
    EXPECT_EQ(probe.unverified->owner->host_name, "global1");
    EXPECT_EQ(wrong_key_message("kzone1"),
              "Encryption key is incorrect.  See linux-kz(7) for configuration migration\n"
              "procedure or update /etc/zones/keys/kzone1.");
}

TEST_F(HostDataTest, InitializeTakesItFromTheOldKey) {
    HostDataArea old_owner = area(1);
    ASSERT_TRUE(old_owner.initialize(sample()));
    ASSERT_TRUE(old_owner.write(sample()));
    ASSERT_TRUE(area(2).initialize(sample()));
    EXPECT_EQ(read_error(1), Errc::permission);
    EXPECT_EQ(old_owner.write(sample()).error().code(), Errc::permission);
    EXPECT_EQ(area(2).read()->warning, "");
}

TEST_F(HostDataTest, NewerVersionIsLeftAlone) {
    ASSERT_TRUE(area().initialize(sample()));
    poke(kArea + 8, 2);
    EXPECT_EQ(read_error(), Errc::unsupported);
    HostDataArea host = area();
    EXPECT_EQ(host.write(sample()).error().code(), Errc::unsupported);
    EXPECT_EQ(HostDataArea::probe(*volume_)->kind, HostDataProbe::Kind::newer_version);
}

TEST_F(HostDataTest, AnotherWriterIsNoticed) {
    HostDataArea one = area();
    ASSERT_TRUE(one.initialize(sample()));
    HostDataArea two = area();
    EXPECT_EQ(two.write(sample()).error().code(), Errc::wrong_state);
    ASSERT_TRUE(two.read());
    HostData taken = sample();
    taken.owner = Owner{"9", "global2"};
    ASSERT_TRUE(two.write(taken));
    EXPECT_EQ(one.write(sample()).error().code(), Errc::busy);
    EXPECT_EQ(area().read()->data, taken);
    ASSERT_TRUE(one.read());
    EXPECT_TRUE(one.write(sample()));
}

TEST_F(HostDataTest, ErasedDiskHasNone) {
    HostDataArea host = area();
    ASSERT_TRUE(host.initialize(sample()));
    ASSERT_TRUE(HostDataArea::erase(*volume_));
    EXPECT_EQ(read_error(), Errc::not_found);
    EXPECT_EQ(host.write(sample()).error().code(), Errc::not_found);
}

TEST_F(HostDataTest, LargeBodiesFitUpToTheLimit) {
    HostData data = sample();
    data.other["padding"] = "";
    data.other["padding"] = std::string(kMaxBodyBytes - render_host_data(data).size(), 'x');
    HostDataArea host = area();
    ASSERT_TRUE(host.initialize(data));
    EXPECT_EQ(area().read()->data, data);
    // A short one over a long one.
    ASSERT_TRUE(host.write(sample()));
    ASSERT_TRUE(host.write(sample()));
    EXPECT_EQ(area().read()->data, sample());
    data.other["padding"] = data.other["padding"].get<std::string>() + "x";
    EXPECT_EQ(host.write(data).error().code(), Errc::invalid_argument);
    EXPECT_EQ(area().read()->data, sample());
}

TEST_F(HostDataTest, OpenRefusesSmallVolumesAndNoKey) {
    EXPECT_FALSE(HostDataArea::open(*volume_, Secret()));
    const Suri small = *Suri::of_file(folder_.path() / "small");
    ASSERT_TRUE(create_volume(small, kMiB, {}));
    const std::unique_ptr<Volume> volume = *open_volume(small, {});
    EXPECT_EQ(HostDataArea::open(*volume, key_of(1)).error().code(), Errc::invalid_argument);
}

// A volume whose writes fail after (or before) they reached the disk.
class FailingVolume final : public Volume {
  public:
    explicit FailingVolume(Volume& under) : under_(under) {}
    const Suri& suri() const override { return under_.suri(); }
    std::uint64_t size_bytes() const override { return under_.size_bytes(); }
    Result<void> read(std::uint64_t offset, MutableBytes out) override { return under_.read(offset, out); }
    Result<void> write_durable(std::uint64_t offset, ByteView bytes) override {
        if (mode == Mode::lost_before) return fail(Errc::io, "cable cut");
        const Result<void> written = mode == Mode::half ? under_.write_durable(offset, Bytes(bytes.size(), 3))
                                                        : under_.write_durable(offset, bytes);
        return mode == Mode::works ? written : fail(Errc::io, "cable cut");
    }
    Result<VolumeBacking> backing() override { return under_.backing(); }

    enum class Mode { works, lost_before, lost_after, half } mode = Mode::works;

  private:
    Volume& under_;
};

TEST_F(HostDataTest, WriterGoesOnAfterAFailedWrite) {
    FailingVolume cable(*volume_);
    HostDataArea host = *HostDataArea::open(cable, key_of(1));
    ASSERT_TRUE(host.initialize(sample()));
    HostData next = sample();
    for (const auto mode :
         {FailingVolume::Mode::lost_before, FailingVolume::Mode::lost_after, FailingVolume::Mode::half}) {
        cable.mode = mode;
        ++next.heartbeat;
        EXPECT_EQ(host.write(next).error().code(), Errc::io);
        cable.mode = FailingVolume::Mode::works;
        ++next.heartbeat;
        ASSERT_TRUE(host.write(next));
        EXPECT_EQ(area().read()->data, next);
    }
}

std::string golden(const std::string& name) {
    std::ifstream file(std::string(KZ_TEST_DATA) + "/" + name, std::ios::binary);
    std::ostringstream content;
    content << file.rdbuf();
    return content.str();
}

// The bytes of version 1 never change: disks in the field hold them. The file was made by another program,
// from the layout in storage/host_data.h.
TEST(HostDataFormat, IsTheGoldenFile) {
    const Bytes bytes =
        *encode_slot(0x0102030405060708, render_host_data(sample()), *host_data_key(key_of(0x42)));
    EXPECT_EQ(bytes.size(), kVolumeBlock);
    EXPECT_TRUE(as_text(bytes) == golden("host_data_slot_v1.bin"));
}

TEST(HostDataFormat, GoldenFileIsRead) {
    const std::string file = golden("host_data_slot_v1.bin");
    const Secret key = *host_data_key(key_of(0x42));
    const Slot slot = *decode_slot(as_bytes(file), &key);
    EXPECT_EQ(slot.kind, SlotKind::intact);
    EXPECT_TRUE(slot.authentic);
    EXPECT_EQ(slot.generation, 0x0102030405060708U);
    EXPECT_EQ(*parse_host_data(slot.body), sample());
}

TEST(HostDataFormat, LengthsThatLieAreRefused) {
    const Secret key = *host_data_key(key_of(1));
    Bytes bytes = *encode_slot(1, "{}", key);
    for (const std::uint32_t length : {0xffffffffU, 65441U, 65440U, 5000U}) {
        store_le(bytes.data() + 12, length);
        EXPECT_EQ(decode_slot(bytes, &key)->kind, SlotKind::damaged);
    }
    EXPECT_EQ(slot_bytes_needed(bytes), 2 * kVolumeBlock);
    store_le(bytes.data() + 12, 65441U);
    EXPECT_EQ(slot_bytes_needed(bytes), 0U);
    EXPECT_EQ(decode_slot(ByteView(bytes).first(20), &key)->kind, SlotKind::foreign);
}

TEST(HostDataBody, ErrorsNameTheField) {
    const auto reason = [](std::string_view body) { return parse_host_data(body).error().message(); };
    EXPECT_THAT(reason("[]"), HasSubstr("not a JSON object"));
    EXPECT_THAT(reason("{"), HasSubstr("not valid JSON"));
    EXPECT_THAT(reason("{}"), HasSubstr("'zone_uuid'"));
    Json body = Json::parse(render_host_data(sample()));
    body["owner"].erase("host_name");
    EXPECT_EQ(reason(body.dump()), "owner: field 'host_name' is missing or not a text");
    body = Json::parse(render_host_data(sample()));
    body["epoch"] = -1;
    EXPECT_THAT(reason(body.dump()), HasSubstr("'epoch'"));
    body = Json::parse(render_host_data(sample()));
    body["suspend"] = 5;
    EXPECT_THAT(reason(body.dump()), HasSubstr("'suspend'"));
}

// Writes generations until it is killed.
[[noreturn]] void write_for_ever(const Suri& suri) {
    const std::unique_ptr<Volume> volume = *open_volume(suri, {});
    HostDataArea area = *HostDataArea::open(*volume, key_of(1));
    HostData data = area.read()->data;
    while (true) {
        ++data.heartbeat;
        data.other["padding"] = std::string(data.heartbeat % 3 * 5000, 'x');
        if (!area.write(data)) ::_exit(3);
    }
}

TEST_F(HostDataTest, KilledWriterLeavesTheOldOrTheNew) {
    ASSERT_TRUE(area().initialize(sample()));
    std::minstd_rand random(std::random_device{}());
    std::uniform_int_distribution<int> microseconds(0, 4000);
    std::uint64_t last = sample().heartbeat;
    for (int round = 0; round < 200; ++round) {
        const pid_t writer = ::fork();
        if (writer == 0) write_for_ever(suri_);
        std::this_thread::sleep_for(std::chrono::microseconds(microseconds(random)));
        ASSERT_EQ(::kill(writer, SIGKILL), 0);
        int status = 0;
        ASSERT_EQ(::waitpid(writer, &status, 0), writer);
        ASSERT_TRUE(WIFSIGNALED(status)) << "the writer failed by itself in round " << round;
        const Result<HostDataRead> read = area().read();
        ASSERT_TRUE(read) << read.error().message();
        ASSERT_GE(read->data.heartbeat, last);
        last = read->data.heartbeat;
    }
    EXPECT_GT(last, sample().heartbeat);
}

}  // namespace
}  // namespace kz::storage
