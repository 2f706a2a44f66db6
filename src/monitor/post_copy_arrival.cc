#include "monitor/post_copy_arrival.h"

#include <poll.h>

#include <array>
#include <cerrno>

namespace kz::monitor {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kLook{500};
constexpr milliseconds kWaitForGuest{50};
constexpr seconds kRegisterTime{5};
constexpr seconds kWordTime{10};
constexpr seconds kPauseTime{20};
constexpr seconds kSocketTime{10};
constexpr seconds kLastWords{10};
constexpr seconds kTryAgain{1};

}  // namespace

PostCopyArrival::PostCopyArrival(Parts parts, migrate::Session recovery, EventFd stop, EventFd ended)
    : parts_(std::move(parts)),
      recovery_(std::move(recovery)),
      stop_(std::move(stop)),
      ended_(std::move(ended)) {}

Result<std::unique_ptr<PostCopyArrival>> PostCopyArrival::start(Parts parts) {
    KZ_TRY(migrate::Session recovery, migrate::recovery_session(parts.record.session));
    KZ_TRY(EventFd stop, EventFd::create());
    KZ_TRY(EventFd ended, EventFd::create());
    std::unique_ptr<PostCopyArrival> arrival(
        new PostCopyArrival(std::move(parts), std::move(recovery), std::move(stop), std::move(ended)));
    // A monitor that has taken the machine over has none: QEMU saw the old one's end.
    if (!arrival->parts_.pumps) {
        arrival->qemu_paused_ = true;
        arrival->pause("the zone's monitor was started again");
    }
    arrival->thread_ = std::jthread([self = arrival.get()] { self->run(); });
    return arrival;
}

PostCopyArrival::~PostCopyArrival() {
    stop_.signal();
}

void PostCopyArrival::run() {
    const Result<void> served = serve();
    if (!served && served.error().code() != Errc::cancelled) {
        {
            const std::lock_guard lock(mutex_);
            failure_ = served.error();
        }
        parts_.actions.lost(served.error().message());
    }
    registration_.reset();
    ended_.signal();
}

Result<void> PostCopyArrival::wait_until_complete(int cancel_fd) {
    KZ_CHECK(wait_readable(ended_.fd(), Deadline::never(), cancel_fd));
    if (complete_) return {};
    const std::lock_guard lock(mutex_);
    return std::unexpected(failure_.value_or(Error(Errc::cancelled, "the zone was ended")));
}

Result<void> PostCopyArrival::serve() {
    while (!all_in_) {
        ask_for_connections();
        KZ_CHECK(wait_for_something());
        KZ_TRY(all_in_, take_events());
        if (all_in_) break;
        look_at_pumps();
        if (registration_ && wait_readable(registration_->fd(), Deadline::after(milliseconds(0)))) {
            if (const Result<void> taken = take_connection(); !taken) {
                if (taken.error().code() == Errc::io) return taken;
                parts_.actions.log("a new connection from " + parts_.record.peer + ": " +
                                   taken.error().message());
            }
        }
        settle_guest();
        if (broken_ && Clock::now() - broken_since_ > parts_.patience)
            return fail(Errc::timeout, "{} could not be reached for {} s ({})", parts_.record.peer,
                        std::chrono::duration_cast<seconds>(parts_.patience).count(), why_);
    }
    return finish();
}

Result<void> PostCopyArrival::wait_for_something() {
    std::array<pollfd, 4> polled{pollfd{stop_.fd(), POLLIN, 0}, pollfd{parts_.events.fd(), POLLIN, 0},
                                 pollfd{parts_.pumps ? parts_.pumps->failed_fd() : -1, POLLIN, 0},
                                 pollfd{registration_ ? registration_->fd() : -1, POLLIN, 0}};
    if (::poll(polled.data(), polled.size(), static_cast<int>(kLook.count())) < 0 && errno != EINTR)
        return fail_errno(errno, "poll");
    if (polled[0].revents != 0) return fail(Errc::cancelled, "the zone was ended");
    return {};
}

Result<bool> PostCopyArrival::take_events() {
    while (wait_readable(parts_.events.fd(), Deadline::after(milliseconds(0)))) {
        Result<qemu::QmpEvent> event = parts_.events.next(Deadline::after(milliseconds(0)));
        // The end of QEMU is the monitor's affair, which ends this object.
        if (!event) {
            KZ_CHECK(wait_readable(stop_.fd(), Deadline::never()));
            return fail(Errc::cancelled, "QEMU has ended");
        }
        KZ_TRY(const bool done, take_event(qemu::status_of_event(*event)));
        if (done) return true;
    }
    return false;
}

Result<bool> PostCopyArrival::take_event(qemu::MigrationStatus status) {
    using qemu::MigrationStatus;
    switch (status) {
        case MigrationStatus::completed:
            return true;
        case MigrationStatus::postcopy_paused:
            qemu_paused_ = true;
            pause("the connection broke");
            return false;
        case MigrationStatus::postcopy_active:
            if (parts_.pumps && !parts_.pumps->failure()) broken_ = false;
            return false;
        case MigrationStatus::failed:
            return fail(Errc::io, "QEMU could not take its memory in");
        default:
            return false;
    }
}

void PostCopyArrival::look_at_pumps() {
    if (!parts_.pumps) return;
    if (const std::optional<Error> failure = parts_.pumps->failure()) pause(failure->message());
}

// QEMU notices by the end of its socket.
void PostCopyArrival::pause(const std::string& why) {
    if (parts_.pumps) before_ = before_ + parts_.pumps->totals();
    parts_.pumps.reset();
    if (std::exchange(broken_, true)) return;
    broken_since_ = Clock::now();
    why_ = why;
}

void PostCopyArrival::settle_guest() {
    if (!guest_runs_) return;
    if (broken_ && !told_paused_) {
        told_paused_ = true;
        parts_.actions.paused(why_);
    }
    if (!broken_ && told_paused_ && parts_.actions.goes_on()) told_paused_ = false;
}

// kz-migrd may have been started again.
void PostCopyArrival::ask_for_connections() {
    if (registration_ || Clock::now() < next_registration_) return;
    next_registration_ = Clock::now() + kTryAgain;
    Result<migrate::SessionRegistration> registered = migrate::SessionRegistration::open(
        parts_.paths, recovery_.id, recovery_.secret, 1, Deadline::after(kRegisterTime));
    if (registered)
        registration_.emplace(*std::move(registered));
    else if (broken_)
        parts_.actions.log(registered.error().message());
}

// Errc::io alone is the end: the source says that the memory is lost.
Result<void> PostCopyArrival::take_connection() {
    const auto taken = [&]() -> Result<std::shared_ptr<migrate::SealedLink>> {
        KZ_TRY(migrate::ChannelConnection connection,
               registration_->next(Deadline::after(kWordTime), stop_.fd()));
        KZ_TRY(std::unique_ptr<migrate::SealedLink> link,
               migrate::SealedLink::open(std::move(connection), recovery_, parts_.record.cipher,
                                         migrate::SealedLink::Side::destination, Deadline::after(kWordTime),
                                         stop_.fd()));
        return std::shared_ptr<migrate::SealedLink>(std::move(link));
    }();
    // Each session takes a channel once.
    registration_.reset();
    next_registration_ = Clock::now();
    if (!taken) return fail(Errc::unavailable, "{}", taken.error().message());
    const Result<std::string> word = (*taken)->hear(Deadline::after(kWordTime), stop_.fd());
    if (!word) return fail(Errc::unavailable, "{}", word.error().message());
    if (word->starts_with(migrate::kWordLost))
        return fail(Errc::io, "{} says: {}", parts_.record.peer,
                    migrate::plain_text(word->substr(migrate::kWordLost.size()), 400));
    if (*word != migrate::kWordResume) return fail(Errc::protocol, "a word that is not understood");
    const Result<void> again = reconnect(*taken);
    if (!again) return fail(Errc::unavailable, "{}", again.error().message());
    return {};
}

Result<void> PostCopyArrival::reconnect(std::shared_ptr<migrate::SealedLink> link) {
    pause("the source has made a new connection");
    KZ_CHECK(wait_for_qemu_to_pause());
    KZ_CHECK(qemu::recover_incoming(parts_.qmp, "unix:" + parts_.socket.filename().string()));
    KZ_TRY(std::unique_ptr<migrate::PumpGroup> pumps, migrate::PumpGroup::create());
    KZ_CHECK(link->say(migrate::kWordReady, Deadline::after(kWordTime), stop_.fd()));
    KZ_CHECK(pumps->connect_channels(parts_.socket, 1,
                                     carrying_body(std::move(link), migrate::SealedLink::Side::destination),
                                     Deadline::after(kSocketTime)));
    parts_.pumps = std::move(pumps);
    qemu_paused_ = false;
    parts_.actions.log(parts_.record.peer + " is connected again");
    return {};
}

Result<void> PostCopyArrival::wait_for_qemu_to_pause() {
    const Deadline deadline = Deadline::after(kPauseTime);
    while (!qemu_paused_) {
        KZ_TRY(const qemu::QmpEvent event, parts_.events.next(deadline, stop_.fd()));
        KZ_TRY(all_in_, take_event(qemu::status_of_event(event)));
        if (all_in_) return fail(Errc::wrong_state, "all memory is in");
    }
    return {};
}

Result<void> PostCopyArrival::finish() {
    if (parts_.pumps) before_ = before_ + parts_.pumps->totals();
    // It may all have come before the source's commit.
    while (!guest_runs_) {
        if (wait_readable(stop_.fd(), Deadline::after(kWaitForGuest)))
            return fail(Errc::cancelled, "the zone was ended");
    }
    while (true) {
        if (const Result<void> done = parts_.actions.all_in(before_)) break;
        const auto stopped = wait_readable(stop_.fd(), Deadline::after(kTryAgain));
        if (stopped) return fail(Errc::cancelled, "the zone was ended");
    }
    complete_ = true;
    broken_ = false;
    for (settle_guest(); told_paused_; settle_guest()) {
        if (wait_readable(stop_.fd(), Deadline::after(kTryAgain)))
            return fail(Errc::cancelled, "the zone was ended");
    }
    return end_connection();
}

// The source's QEMU waits to hear that this one has everything, and then ends the stream.
Result<void> PostCopyArrival::end_connection() {
    const std::unique_ptr<migrate::PumpGroup> pumps = std::move(parts_.pumps);
    if (!pumps) return {};
    KZ_TRY(const EventFd joined, EventFd::create());
    const std::jthread joiner([&] {
        [[maybe_unused]] const auto ended = pumps->join();
        joined.signal();
    });
    [[maybe_unused]] const auto ended = wait_readable(joined.fd(), Deadline::after(kLastWords), stop_.fd());
    pumps->cancel();
    return {};
}

}  // namespace kz::monitor
