#include "monitor/lazy_resume.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "monitor/page_image.h"

namespace kz::monitor {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::seconds kTryAgain{1};
constexpr std::chrono::milliseconds kGoingOnLook{5};
// QEMU has all it needs, and only has to say so.
constexpr std::chrono::seconds kShutTime{60};
constexpr std::size_t kZerosAtOnce = 256;
// What QEMU has not taken yet delays what it asks for.
constexpr int kSocketBuffer = 1 << 20;

}  // namespace

// The image, open. At one place: its parts refer to each other.
struct MemoryServer::Memory {
    Memory(std::unique_ptr<image::ImageReader> opened, image::PageReader reader)
        : image(std::move(opened)), pages(std::move(reader)), source(pages.source()) {}

    std::unique_ptr<image::ImageReader> image;
    image::PageReader pages;
    image::PageReader::Source source;
    std::unique_ptr<image::PagePrefetch> prefetch;
};

MemoryServer::MemoryServer(std::unique_ptr<Memory> memory, std::uint32_t ram_section, UniqueFd socket,
                           Actions actions, EventFd stop, EventFd ended)
    : memory_(std::move(memory)),
      sections_(ram_blocks_of(memory_->pages.table()), ram_section),
      return_path_(sections_.blocks()),
      socket_(std::move(socket)),
      actions_(std::move(actions)),
      stop_(std::move(stop)),
      ended_(std::move(ended)),
      sent_groups_(memory_->pages.groups()) {
    for (const image::PageBlock& block : memory_->pages.table().blocks())
        sent_zeros_.emplace_back(block.pages());
}

Result<std::unique_ptr<MemoryServer>> MemoryServer::start(std::unique_ptr<image::ImageReader> image,
                                                          UniqueFd socket, Actions actions) {
    KZ_TRY(image::PageReader pages, image::PageReader::open(*image));
    KZ_TRY(const qemu::MachineState state, machine_state_of(pages.parts()));
    KZ_TRY(const Bytes prelude, qemu::postcopy_prelude(state, ram_blocks_of(pages.table())));
    KZ_TRY(EventFd stop, EventFd::create());
    KZ_TRY(EventFd ended, EventFd::create());
    auto memory = std::make_unique<Memory>(std::move(image), std::move(pages));
    KZ_TRY(memory->prefetch,
           image::PagePrefetch::create(memory->pages, memory->pages.in_order_of_memory(), opening_threads()));
    const int buffer = kSocketBuffer;
    ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
    std::unique_ptr<MemoryServer> server(new MemoryServer(std::move(memory), state.ram_section,
                                                          std::move(socket), std::move(actions),
                                                          std::move(stop), std::move(ended)));
    // QEMU takes these in without asking for anything but what comes right behind.
    KZ_CHECK_CONTEXT(server->send(prelude), "QEMU");
    server->thread_ = std::jthread([self = server.get()] { self->run(); });
    return server;
}

MemoryServer::~MemoryServer() {
    stop_.signal();
}

void MemoryServer::run() {
    const Result<void> served = serve();
    if (!served && served.error().code() != Errc::cancelled) give_up(served.error());
    ended_.signal();
}

void MemoryServer::give_up(const Error& error) {
    bool loading = false;
    {
        const std::lock_guard lock(mutex_);
        failure_ = error;
        loading = phase_ == Phase::loading;
    }
    // QEMU shall notice, too.
    ::shutdown(socket_.get(), SHUT_RDWR);
    if (!loading) actions_.lost(error);
}

std::optional<Error> MemoryServer::failure() {
    const std::lock_guard lock(mutex_);
    return failure_;
}

Result<void> MemoryServer::commit() {
    const std::lock_guard lock(mutex_);
    if (failure_) return std::unexpected(*failure_);
    phase_ = Phase::committed;
    return {};
}

void MemoryServer::guest_runs() {
    const std::lock_guard lock(mutex_);
    phase_ = Phase::running;
}

Result<void> MemoryServer::wait_until_complete(int cancel_fd) {
    KZ_CHECK(wait_readable(ended_.fd(), Deadline::never(), cancel_fd));
    if (complete_) return {};
    return std::unexpected(failure().value_or(Error(Errc::cancelled, "the memory's source has ended")));
}

Result<void> MemoryServer::serve() {
    while (true) {
        KZ_TRY(const bool more, step());
        if (!more) break;
    }
    KZ_CHECK(finish());
    // The image may be removed now, and shall take no room any more.
    memory_.reset();
    complete_ = true;
    actions_.all_in();
    return {};
}

// Does what is most urgent, or waits for something to do. False when all memory was sent.
Result<bool> MemoryServer::step() {
    const bool zeros_left = zero_block_ < sent_zeros_.size();
    if (!zeros_left && unreadable_.empty() && !told_paused_ && memory_->prefetch->drained()) return false;
    // Drained, it stays readable.
    const int prefetched = memory_->prefetch->drained() ? -1 : memory_->prefetch->fd();
    std::array<pollfd, 3> polled{pollfd{stop_.fd(), POLLIN, 0}, pollfd{socket_.get(), POLLIN, 0},
                                 pollfd{prefetched, POLLIN, 0}};
    const auto until_try = std::chrono::ceil<std::chrono::milliseconds>(next_try_ - steady_clock::now());
    const bool waits_for_try = !unreadable_.empty() || told_paused_;
    const int timeout = zeros_left      ? 0
                        : waits_for_try ? static_cast<int>(std::max<std::int64_t>(0, until_try.count()))
                                        : -1;
    if (::poll(polled.data(), polled.size(), timeout) < 0 && errno != EINTR) return fail_errno(errno, "poll");
    if (polled[0].revents != 0) return fail(Errc::cancelled, "the memory's source was ended");
    if (polled[1].revents != 0) {
        KZ_CHECK(take_requests());
    } else if (std::optional<image::PagePrefetch::Group> group = memory_->prefetch->take()) {
        if (group->bytes) {
            KZ_CHECK(send_group(group->number, *group->bytes, std::nullopt));
        } else {
            KZ_CHECK(set_aside(group->number, group->bytes.error()));
        }
    } else if (zeros_left) {
        KZ_CHECK(send_next_zeros());
    }
    if (waits_for_try && steady_clock::now() >= next_try_) KZ_CHECK(try_again());
    return true;
}

Result<void> MemoryServer::take_requests() {
    std::array<Byte, 16 << 10> buffer;
    KZ_TRY(const std::size_t got, read_some(socket_.get(), buffer, Deadline::never(), stop_.fd()));
    if (got == 0) return fail(Errc::unavailable, "QEMU has ended the connection before it had all memory");
    KZ_TRY(const std::vector<qemu::ReturnMessage> messages, return_path_.feed(ByteView(buffer).first(got)));
    for (const qemu::ReturnMessage& message : messages) {
        if (message.kind == qemu::ReturnMessage::Kind::pages) KZ_CHECK(answer(message));
        if (message.kind != qemu::ReturnMessage::Kind::shut) continue;
        if (message.value != 0) return fail(Errc::io, "QEMU could not take its memory in");
        shut_ = true;
    }
    return {};
}

Result<void> MemoryServer::answer(const qemu::ReturnMessage& request) {
    const std::uint64_t first = request.offset / image::kPageSize;
    for (std::uint64_t page = first; page < first + request.bytes / image::kPageSize; ++page) {
        const image::PagePlace place = memory_->pages.table().place(request.block, page);
        if (place.channel == 0) {
            KZ_CHECK(send_zeros(request.block, page));
            continue;
        }
        const std::size_t group = memory_->pages.group_of(place);
        if (sent_groups_[group] || std::ranges::find(unreadable_, group) != unreadable_.end()) continue;
        ++requests_;
        const Result<Bytes> bytes = memory_->source.read(group);
        if (!bytes) {
            KZ_CHECK(set_aside(group, bytes.error()));
            continue;
        }
        KZ_CHECK(send_group(group, *bytes, image::PageId{request.block, static_cast<std::uint32_t>(page)}));
    }
    return {};
}

Result<void> MemoryServer::send_group(std::size_t group, const Bytes& bytes,
                                      std::optional<image::PageId> first) {
    if (sent_groups_[group]) return {};
    sent_groups_[group] = true;
    memory_->prefetch->skip(group);
    const std::span<const image::PageId> pages = memory_->pages.pages_of(group);
    const auto is_first = [&](const image::PageId& page) {
        return first && page.block == first->block && page.page == first->page;
    };
    const auto add = [&](std::size_t i) {
        sections_.page(out_, pages[i].block, std::uint64_t{pages[i].page} * image::kPageSize,
                       ByteView(bytes).subspan(i * image::kPageSize, image::kPageSize));
    };
    out_.clear();
    sections_.begin(out_);
    // The page that a processor waits for goes ahead of its neighbours.
    for (std::size_t i = 0; i < pages.size(); ++i) {
        if (pages[i].exists() && is_first(pages[i])) add(i);
    }
    for (std::size_t i = 0; i < pages.size(); ++i) {
        if (pages[i].exists() && !is_first(pages[i])) add(i);
    }
    sections_.end(out_);
    return send(out_);
}

// The page and those behind it, as far as they are zeros.
Result<void> MemoryServer::send_zeros(std::uint32_t block, std::uint64_t first) {
    std::vector<bool>& sent = sent_zeros_[block];
    out_.clear();
    const auto wanted = [&](std::uint64_t page) {
        return !sent[page] && memory_->pages.table().place(block, page).channel == 0;
    };
    const std::uint64_t end = std::min<std::uint64_t>(first + kZerosAtOnce, sent.size());
    for (std::uint64_t page = first; page < end; ++page) {
        if (!wanted(page)) continue;
        sent[page] = true;
        if (out_.empty()) sections_.begin(out_);
        sections_.zero_page(out_, block, page * image::kPageSize);
    }
    if (out_.empty()) return {};
    sections_.end(out_);
    return send(out_);
}

Result<void> MemoryServer::send_next_zeros() {
    KZ_CHECK(send_zeros(zero_block_, zero_page_));
    zero_page_ += kZerosAtOnce;
    if (zero_page_ >= sent_zeros_[zero_block_].size()) {
        ++zero_block_;
        zero_page_ = 0;
    }
    return {};
}

// A group that cannot be read now. Before the guest runs that is the end.
Result<void> MemoryServer::set_aside(std::size_t group, const Error& error) {
    if (sent_groups_[group]) return {};
    {
        const std::lock_guard lock(mutex_);
        if (phase_ == Phase::loading) return std::unexpected(error);
    }
    if (unreadable_.empty()) next_try_ = steady_clock::now() + kTryAgain;
    if (std::ranges::find(unreadable_, group) == unreadable_.end()) unreadable_.push_back(group);
    tell_paused(error);
    return {};
}

// Not before the guest was made to run: it would be made to run after it had been stopped.
void MemoryServer::tell_paused(const Error& error) {
    if (told_paused_) return;
    {
        const std::lock_guard lock(mutex_);
        if (phase_ != Phase::running) return;
    }
    told_paused_ = true;
    actions_.paused(error);
}

Result<void> MemoryServer::try_again() {
    next_try_ = steady_clock::now() + kTryAgain;
    while (!unreadable_.empty()) {
        const std::size_t group = unreadable_.back();
        const Result<Bytes> bytes = memory_->source.read(group);
        if (!bytes) {
            tell_paused(bytes.error());
            return {};
        }
        unreadable_.pop_back();
        KZ_CHECK(send_group(group, *bytes, std::nullopt));
    }
    if (told_paused_) let_guest_go_on();
    return {};
}

void MemoryServer::let_guest_go_on() {
    if (!going_on_.valid()) going_on_ = std::async(std::launch::async, actions_.goes_on);
    if (going_on_.wait_for(std::chrono::seconds(0)) == std::future_status::ready)
        told_paused_ = !going_on_.get();
    else
        next_try_ = steady_clock::now() + kGoingOnLook;
}

Result<void> MemoryServer::finish() {
    out_.clear();
    sections_.last(out_);
    out_.push_back(qemu::kEndOfStream);
    KZ_CHECK(send(out_));
    const Deadline deadline = Deadline::after(kShutTime);
    while (!shut_) {
        KZ_CHECK_CONTEXT(wait_readable(socket_.get(), deadline, stop_.fd()), "QEMU has all memory");
        KZ_CHECK(take_requests());
    }
    return {};
}

Result<void> MemoryServer::send(ByteView bytes) {
    return write_all(socket_.get(), bytes, Deadline::never(), stop_.fd());
}

}  // namespace kz::monitor
