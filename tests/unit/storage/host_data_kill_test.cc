// A writer that is killed at, in the middle of, or after any of its writes leaves the old host data or the
// new.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <thread>

#include "../support/temp_folder.h"
#include "simulation.h"

namespace kz::storage {
namespace {

enum class Blow { before, halfway, after };

// Kills its process at a write.
class DeadlyVolume final : public Volume {
  public:
    DeadlyVolume(Volume& under, int write, Blow blow) : under_(under), left_(write), blow_(blow) {}
    const Suri& suri() const override { return under_.suri(); }
    std::uint64_t size_bytes() const override { return under_.size_bytes(); }
    Result<void> read(std::uint64_t offset, MutableBytes out) override { return under_.read(offset, out); }
    Result<void> write_durable(std::uint64_t offset, ByteView bytes) override {
        if (left_-- > 0) return under_.write_durable(offset, bytes);
        if (blow_ == Blow::halfway) {
            Bytes torn(bytes.size());
            KZ_CHECK(under_.read(offset, torn));
            std::copy_n(bytes.begin(), 128, torn.begin());
            KZ_CHECK(under_.write_durable(offset, torn));
        }
        if (blow_ == Blow::after) KZ_CHECK(under_.write_durable(offset, bytes));
        ::raise(SIGKILL);
        return {};
    }
    Result<VolumeBacking> backing() override { return under_.backing(); }

  private:
    Volume& under_;
    int left_;
    Blow blow_;
};

[[noreturn]] void write_until_killed(const Suri& suri, int write, Blow blow) {
    const std::unique_ptr<Volume> volume = *open_volume(suri, {});
    DeadlyVolume deadly(*volume, write, blow);
    HostDataArea area = *HostDataArea::open(deadly, sim::key());
    HostData data = area.read()->data;
    while (area.write(data))
        ++data.heartbeat;
    ::_exit(3);
}

TEST(HostDataKilled, AtEachWriteTheOldOrTheNewIsRead) {
    const test::TempFolder folder;
    const Suri suri = *Suri::of_file(folder.path() / "disk0");
    ASSERT_TRUE(create_volume(suri, 2 * kHostDataBytes, {}));
    const std::unique_ptr<Volume> volume = *open_volume(suri, {});
    for (int write = 0; write < 5; ++write) {
        for (const Blow blow : {Blow::before, Blow::halfway, Blow::after}) {
            HostDataArea area = *HostDataArea::open(*volume, sim::key());
            HostData start = sim::unowned();
            start.heartbeat = 100;
            ASSERT_TRUE(area.initialize(start));
            const pid_t writer = ::fork();
            if (writer == 0) write_until_killed(suri, write, blow);
            int status = 0;
            ASSERT_EQ(::waitpid(writer, &status, 0), writer);
            ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
            const Result<HostDataRead> read = HostDataArea::open(*volume, sim::key())->read();
            ASSERT_TRUE(read) << read.error().message();
            // The first write repeats what was there.
            const auto done = static_cast<std::uint64_t>(write + (blow == Blow::after ? 1 : 0));
            EXPECT_EQ(read->data.heartbeat, 100 + (done == 0 ? 0 : done - 1));
            EXPECT_EQ(read->warning.empty(), blow != Blow::halfway) << "write " << write;
        }
    }
}

// A writer that is stopped between its look and its write does not write when it goes on.
TEST(HostDataKilled, AStoppedWriterIsKilledByItsBound) {
    class Stopping final : public Volume {
      public:
        explicit Stopping(Volume& under) : under_(under) {}
        const Suri& suri() const override { return under_.suri(); }
        std::uint64_t size_bytes() const override { return under_.size_bytes(); }
        Result<void> read(std::uint64_t offset, MutableBytes out) override {
            return under_.read(offset, out);
        }
        Result<void> write_durable(std::uint64_t, ByteView) override {
            ::raise(SIGSTOP);
            ::_exit(3);
        }
        Result<VolumeBacking> backing() override { return under_.backing(); }

      private:
        Volume& under_;
    };
    const test::TempFolder folder;
    const Suri suri = *Suri::of_file(folder.path() / "disk0");
    ASSERT_TRUE(create_volume(suri, 2 * kHostDataBytes, {}));
    const std::unique_ptr<Volume> volume = *open_volume(suri, {});
    ASSERT_TRUE(HostDataArea::open(*volume, sim::key())->initialize(sim::unowned()));
    const pid_t writer = ::fork();
    if (writer == 0) {
        Stopping stopping(*volume);
        HostDataArea area = *HostDataArea::open(stopping, sim::key());
        area.bound_writes(std::chrono::milliseconds(300));
        const HostData data = area.read()->data;
        ::_exit(area.write(data) ? 4 : 5);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(writer, &status, 0), writer);
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

// Renewals and other writes of one process, through one area.
TEST(HostDataThreads, TakeTurns) {
    const test::TempFolder folder;
    const Suri suri = *Suri::of_file(folder.path() / "disk0");
    ASSERT_TRUE(create_volume(suri, 2 * kHostDataBytes, {}));
    const std::unique_ptr<Volume> volume = *open_volume(suri, {});
    HostDataArea area = *HostDataArea::open(*volume, sim::key());
    ASSERT_TRUE(area.initialize(sim::unowned()));
    {
        std::vector<std::jthread> threads;
        for (int thread = 0; thread < 4; ++thread) {
            threads.emplace_back([&] {
                for (int i = 0; i < 25; ++i)
                    EXPECT_TRUE(area.write(sim::unowned()));
            });
        }
    }
    EXPECT_EQ(area.read()->generation, 101U);
}

}  // namespace
}  // namespace kz::storage
