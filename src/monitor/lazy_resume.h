// MemoryServer: gives a resumed machine its memory while it runs: what it asks for first, the rest in the
// background. For the monitor's own files.
//
// Theory of operation. We are the source of a post-copy migration (qemu/postcopy.h) whose memory is a suspend
// image. One thread talks to QEMU: it looks for what QEMU asks for, sends the group of the image in which
// that page is (whose other pages are its neighbours in memory mostly), and otherwise passes on what
// PagePrefetch has opened ahead. So each record of the image is opened about once. Pages that are all zeros
// are in no group; they are sent when there is nothing better to do.
//
// When a group cannot be read the server does not give up: it says so (Actions::paused; the guest must stand
// still), tries again every second, and goes on with all else meanwhile: a processor that waits for a page
// that can be read must be able to come to rest. When all is read again the guest goes on. What is sent was
// authenticated: the guest stands still rather than seeing wrong memory.
//
// Until commit() nothing of that applies: whatever goes wrong is the end, for nothing has run yet.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <thread>

#include "image/page_prefetch.h"
#include "image/reader.h"
#include "monitor/memory_source.h"
#include "os/io.h"
#include "qemu/postcopy.h"

namespace kz::monitor {

class MemoryServer : public MemorySource {
  public:
    // All but goes_on are called on the server's thread, none after its destructor.
    struct Actions {
        // Part of the image cannot be read. The guest must be stopped, as far as that can be done while one
        // of its processors waits for a page.
        std::function<void(const Error&)> paused;
        // All that was missing is there again. Fails when the guest cannot go on yet: it is called again. On
        // a thread of its own, since QEMU may want another page first; the destructor waits for it.
        std::function<Result<void>()> goes_on;
        // QEMU has everything. The image is not read any more.
        std::function<void()> all_in;
        // QEMU will not get its memory: the machine is lost.
        std::function<void(const Error&)> lost;
    };

    // `socket` is connected to a QEMU that waits in migrate-incoming, set up for post-copy. Returns when the
    // devices are on their way.
    static Result<std::unique_ptr<MemoryServer>> start(std::unique_ptr<image::ImageReader> image,
                                                       UniqueFd socket, Actions actions);
    // Ends the thread; a machine that does not have all its memory is lost then.
    ~MemoryServer() override;
    MemoryServer(const MemoryServer&) = delete;
    MemoryServer& operator=(const MemoryServer&) = delete;

    // Why it has given up, before commit() or after Actions::lost.
    std::optional<Error> failure();
    // The guest is about to run. Fails when the server has failed already.
    Result<void> commit();
    // It runs.
    void guest_runs();

    bool complete() const override { return complete_; }
    // Waits until QEMU has everything. Errors: Errc::cancelled, what has gone wrong.
    Result<void> wait_until_complete(int cancel_fd) override;
    // Pages that were asked for before they had been sent.
    std::uint64_t requests() const { return requests_; }

  private:
    struct Memory;
    MemoryServer(std::unique_ptr<Memory> memory, std::uint32_t ram_section, UniqueFd socket, Actions actions,
                 EventFd stop, EventFd ended);

    void run();
    Result<void> serve();
    Result<bool> step();
    Result<void> take_requests();
    Result<void> answer(const qemu::ReturnMessage& request);
    Result<void> send_group(std::size_t group, const Bytes& bytes, std::optional<image::PageId> first);
    Result<void> send_zeros(std::uint32_t block, std::uint64_t first);
    Result<void> send_next_zeros();
    Result<void> set_aside(std::size_t group, const Error& error);
    Result<void> try_again();
    void let_guest_go_on();
    void tell_paused(const Error& error);
    Result<void> finish();
    Result<void> send(ByteView bytes);
    void give_up(const Error& error);

    enum class Phase { loading = 1, committed, running };

    std::unique_ptr<Memory> memory_;  // until all of it was sent
    qemu::RamSections sections_;
    qemu::ReturnPath return_path_;
    UniqueFd socket_;
    Actions actions_;
    EventFd stop_;
    EventFd ended_;

    // Of the server's thread.
    std::vector<bool> sent_groups_;
    std::vector<std::vector<bool>> sent_zeros_;  // of each block, the pages that are zeros
    std::uint32_t zero_block_ = 0;               // where the background is
    std::uint64_t zero_page_ = 0;
    std::vector<std::size_t> unreadable_;
    std::chrono::steady_clock::time_point next_try_;
    bool told_paused_ = false;
    std::future<Result<void>> going_on_;  // Actions::goes_on while it is under way
    bool shut_ = false;
    Bytes out_;

    std::mutex mutex_;
    Phase phase_ = Phase::loading;  // by mutex_
    std::optional<Error> failure_;  // by mutex_
    std::atomic<bool> complete_ = false;
    std::atomic<std::uint64_t> requests_ = 0;
    std::jthread thread_;
};

}  // namespace kz::monitor
