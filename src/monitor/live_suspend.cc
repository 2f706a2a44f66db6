#include "monitor/live_suspend.h"

#include "image/page_writer.h"
#include "migrate/pump_group.h"
#include "monitor/carried_stream.h"
#include "monitor/page_image.h"
#include "os/socket.h"
#include "qemu/migration.h"

namespace kz::monitor {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::chrono::hours kStreamTime{2};
constexpr milliseconds kLook{100};
// What is left may take that long with the guest stopped.
constexpr milliseconds kWantedPause{100};
// The first pass is all of memory.
constexpr std::uint64_t kMaxPasses = 3;
// As much as QEMU takes.
constexpr std::chrono::seconds kAnyPause{2000};
constexpr std::uint64_t kUnlimited = 1ULL << 40;

// QEMU's stream on its way into the image.
class PageRecorder final : public stream::ChannelWriter, private qemu::RamSink {
  public:
    explicit PageRecorder(image::ImageWriter& writer) : writer_(writer), parser_(*this) {}

    MutableBytes space() override { return parser_.space(); }
    Result<std::size_t> commit(std::size_t size) override {
        KZ_CHECK(parser_.commit(size));
        return size;
    }
    Result<std::size_t> finish() override {
        KZ_TRY(qemu::MachineState state, parser_.finish());
        const std::size_t size = state.tail.size();
        KZ_CHECK(pages_->finish(parts_of(std::move(state))));
        return size;
    }

  private:
    Result<void> blocks(const std::vector<qemu::RamBlock>& blocks) override {
        std::vector<image::PageBlock> list;
        for (const qemu::RamBlock& block : blocks)
            list.push_back({block.name, block.bytes});
        KZ_TRY(pages_, image::PageWriter::create(writer_, std::move(list)));
        return {};
    }
    Result<void> page(std::uint32_t block, std::uint64_t offset, ByteView bytes) override {
        return pages_->put(block, offset / qemu::kGuestPage, bytes);
    }
    Result<void> zero_page(std::uint32_t block, std::uint64_t offset) override {
        return pages_->put_zeros(block, offset / qemu::kGuestPage);
    }

    image::ImageWriter& writer_;
    qemu::RamStreamParser parser_;
    std::unique_ptr<image::PageWriter> pages_;
};

// Waits until QEMU has stopped the guest.
Result<std::uint64_t> copy_while_running(ZoneRun& run, const migrate::PumpGroup& pumps) {
    qemu::Qmp& qmp = run.machine()->qmp();
    bool last_pass = false;
    while (true) {
        const Result<qemu::MigrationState> state = qemu::wait_for_status(
            qmp, {qemu::MigrationStatus::pre_switchover}, Deadline::after(kLook), run.interrupt().fd());
        if (!state && state.error().code() != Errc::timeout) return std::unexpected(state.error());
        if (const auto failure = pumps.failure()) return std::unexpected(*failure);
        if (state && state->status == qemu::MigrationStatus::pre_switchover) return state->iteration;
        if (state)
            return fail(Errc::io, "QEMU: {}", state->error.empty() ? "the recording ended" : state->error);
        KZ_TRY(const qemu::MigrationState now, qemu::query_migration(qmp));
        if (now.iteration <= kMaxPasses || last_pass) continue;
        last_pass = true;
        KZ_CHECK(qemu::set_migration_limits(qmp, kUnlimited, kAnyPause));
    }
}

Result<Recording> record(ZoneRun& run, migrate::PumpGroup& pumps, bool live) {
    qemu::Qmp& qmp = run.machine()->qmp();
    Recording recording{.stopped = steady_clock::now(), .passes = 1};
    KZ_CHECK(qemu::set_up_outgoing(
        qmp, {.channels = 0, .downtime_limit = kWantedPause, .pause_before_switchover = live}));
    KZ_CHECK(qemu::start_outgoing(qmp, "unix:out.sock"));
    if (live) {
        KZ_TRY(recording.passes, copy_while_running(run, pumps));
        recording.stopped = steady_clock::now();
        // Not earlier: the guest goes on printing until then.
        run.console().notice("suspending");
        KZ_CHECK(qemu::continue_after_pause(qmp));
    }
    KZ_CHECK(wait_for_stream(qmp, pumps, Deadline::after(kStreamTime), run.interrupt().fd()));
    // Not before: a recording that fails lets the guest go on by itself.
    if (live) run.guest_stopped();
    KZ_CHECK(pumps.join());
    return recording;
}

}  // namespace

Result<Recording> record_pages(ZoneRun& run, image::ImageWriter& writer, bool live) {
    PageRecorder recorder(writer);
    KZ_TRY(const std::unique_ptr<migrate::PumpGroup> pumps, migrate::PumpGroup::create());
    const Path socket = run.machine()->socket_folder() / "out.sock";
    KZ_TRY(UniqueFd listener, unix_listen(socket, 0600));
    KZ_CHECK(run.machine()->give_to_machine(socket));
    pumps->accept_channels(
        std::move(listener), 1,
        [&recorder](unsigned, int fd, const stream::PumpRules& rules, stream::PumpCounters& counters) {
            return stream::pump_in(fd, recorder, rules, counters);
        });
    Result<Recording> recording = record(run, *pumps, live);
    if (!recording) stop_sending(run.machine()->qmp(), *pumps);
    return recording;
}

}  // namespace kz::monitor
