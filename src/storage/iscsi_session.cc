#include "storage/iscsi_session.h"

#include <fcntl.h>
#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "base/text.h"
#include "os/io.h"
#include "os/sigpipe.h"
#include "storage/suri_text.h"

namespace kz::storage {
namespace {

constexpr unsigned kMaxRedirections = 3;
constexpr std::size_t kMaxPortalsOfTarget = 64;
// libiscsi has nothing to wait for: look again after this.
constexpr int kIdleMilliseconds = 100;

// How login is refused (RFC 7143, 11.13.5): class and detail.
enum LoginStatus : unsigned {
    kAuthenticationFailed = 0x0201,
    kForbidden = 0x0202,
    kNoSuchTarget = 0x0203,
};

struct FreeTask {
    void operator()(scsi_task* task) const { ::scsi_free_scsi_task(task); }
};
using Task = std::unique_ptr<scsi_task, FreeTask>;

// The number at the end of "Status: Authentication failure(513)"; 0: there is none.
unsigned login_status(std::string_view message) {
    const auto open = message.rfind('(');
    if (open == std::string_view::npos) return 0;
    const auto rest = message.substr(open + 1);
    const auto number = parse_u64(rest.substr(0, rest.find(')')));
    return number && *number <= UINT16_MAX ? static_cast<unsigned>(*number) : 0;
}

// libiscsi hands out the sense data with its length of two bytes in front.
Sense sense_of(const scsi_task& task) {
    constexpr std::size_t kLength = 2;
    if (task.datain.data == nullptr || task.datain.size < static_cast<int>(kLength)) return {};
    return decode_sense(ByteView(task.datain.data, static_cast<std::size_t>(task.datain.size)).subspan(2));
}

// RFC 3720, 3.2.6.1, without the letters beyond ASCII: no SURI can hold others, and libiscsi cuts long ones.
bool is_target_name(std::string_view name) {
    constexpr std::size_t kMaxName = 223;
    return !name.empty() && name.size() <= kMaxName &&
           std::ranges::all_of(name, [](char c) { return is_alnum(c) || c == '.' || c == '-' || c == ':'; });
}

// Each name once: some targets list one for every portal.
void add_target(const iscsi_discovery_address& from, const IscsiPortal& asked,
                std::vector<ListedTarget>& targets) {
    const std::string name = from.target_name != nullptr ? to_lower(from.target_name) : "";
    if (!is_target_name(name)) return;
    auto target = std::ranges::find(targets, name, &ListedTarget::name);
    if (target == targets.end()) target = targets.insert(targets.end(), {.name = name, .portals = {}});
    for (const auto* each = from.portals; each != nullptr; each = each->next) {
        if (each->portal == nullptr || target->portals.size() == kMaxPortalsOfTarget) continue;
        auto portal = parse_listed_portal(each->portal, asked);
        if (portal && std::ranges::find(target->portals, *portal) == target->portals.end())
            target->portals.push_back(*std::move(portal));
    }
}

}  // namespace

// What libiscsi's callbacks leave for us. They come from iscsi_service() and iscsi_destroy_context() only.
struct IscsiSession::Completion {
    bool done = false;
    int status = 0;
    IscsiPortal asked;
    std::vector<ListedTarget> targets;
    std::size_t listed = 0;

    void begin() { done = false; }

    static void finished(iscsi_context*, int status, void*, void* self) {
        auto* completion = static_cast<Completion*>(self);
        completion->done = true;
        completion->status = status;
    }
    static void discovered(iscsi_context* context, int status, void* data, void* self) {
        auto* completion = static_cast<Completion*>(self);
        if (status == SCSI_STATUS_GOOD) {
            for (auto* each = static_cast<iscsi_discovery_address*>(data); each != nullptr; each = each->next)
                if (++completion->listed <= kMaxTargets)
                    add_target(*each, completion->asked, completion->targets);
        }
        finished(context, status, nullptr, self);
    }
};

IscsiSession::IscsiSession(IscsiPortal portal, std::string target, std::string host)
    : portal_(std::move(portal)),
      target_(std::move(target)),
      host_(std::move(host)),
      completion_(std::make_unique<Completion>()) {
    completion_->asked = portal_;
}

IscsiSession::~IscsiSession() {
    // Between commands nothing is under way: there is nothing that a logout would add.
    reset();
}

std::string IscsiSession::where() const {
    if (target_.empty()) return fmt::format("portal {}", portal_.text());
    return fmt::format("portal {}, target {}", portal_.text(), target_);
}

void IscsiSession::reset() {
    if (context_ == nullptr) return;
    const int fd = ::iscsi_get_fd(context_);
    if (fd >= 0) {
        const linger at_once{.l_onoff = 1, .l_linger = 0};
        ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        sockaddr nobody{};
        nobody.sa_family = AF_UNSPEC;
        ::connect(fd, &nobody, sizeof(nobody));
    }
    ::iscsi_destroy_context(context_);
    context_ = nullptr;
}

std::string IscsiSession::library_error() const {
    constexpr std::string_view kClosed = "the connection was closed";
    const char* text = context_ != nullptr ? ::iscsi_get_error(context_) : nullptr;
    // libiscsi's last word on a connection that ended is that it will not make another one.
    if (text == nullptr || *text == '\0' || std::string_view(text).contains("reconnect"))
        return std::string(kClosed);
    return printable(as_bytes(text));
}

Result<void> IscsiSession::service(short events) {
    // What came before the end is taken first: it may say why.
    if ((events & (POLLIN | POLLOUT)) == 0 || (events & (POLLIN | POLLERR)) == POLLERR) {
        int cause = 0;
        socklen_t size = sizeof(cause);
        ::getsockopt(::iscsi_get_fd(context_), SOL_SOCKET, SO_ERROR, &cause, &size);
        return fail(Errc::io, "{}: {}", where(),
                    cause != 0 ? std::generic_category().message(cause) : "the connection was closed");
    }
    const SigpipeBlock no_sigpipe;
    const bool failed = ::iscsi_service(context_, events & (POLLIN | POLLOUT)) != 0;
    const bool cancelled = completion_->done && completion_->status == SCSI_STATUS_CANCELLED;
    if (!failed && !cancelled) return {};
    return fail(Errc::io, "{}: {}", where(), library_error());
}

Result<void> IscsiSession::wait(Deadline deadline) {
    const auto timed_out = [&] {
        reset();
        return fail(Errc::timeout, "{}: no answer in time; the connection was reset", where());
    };
    while (!completion_->done) {
        pollfd item{.fd = ::iscsi_get_fd(context_),
                    .events = static_cast<short>(::iscsi_which_events(context_)),
                    .revents = 0};
        int timeout = deadline.poll_timeout();
        if (item.events == 0)
            timeout = timeout < 0 ? kIdleMilliseconds : std::min(timeout, kIdleMilliseconds);
        const int ready = ::poll(&item, 1, timeout);
        // Before anything is served: a target that asks for data after the deadline gets none.
        if (deadline.passed()) return timed_out();
        if (ready < 0 && errno != EINTR) {
            const int cause = errno;
            reset();
            return fail_errno(cause, "poll");
        }
        if (ready <= 0) continue;
        if (auto served = service(item.revents); !served) {
            reset();
            return served;
        }
    }
    return {};
}

bool IscsiSession::alive() {
    if (context_ == nullptr) return false;
    completion_->begin();
    constexpr int kMostAtOnce = 64;
    for (int i = 0; i < kMostAtOnce; ++i) {
        pollfd item{.fd = ::iscsi_get_fd(context_),
                    .events = static_cast<short>(::iscsi_which_events(context_)),
                    .revents = 0};
        if (::poll(&item, 1, 0) <= 0) return true;
        const bool served = service(item.revents).has_value();
        // After the target's end there is always something to read.
        if (!served || (i + 1 == kMostAtOnce && (item.revents & POLLIN) != 0)) {
            reset();
            return false;
        }
    }
    return true;
}

Result<void> IscsiSession::prepare(const IscsiInitiator& initiator, const ChapLogin* login) {
    context_ = ::iscsi_create_context(initiator.name().c_str());
    if (context_ == nullptr) return fail(Errc::internal, "libiscsi: out of memory");
    ::iscsi_set_noautoreconnect(context_, 1);
    ::iscsi_set_immediate_data(context_, ISCSI_IMMEDIATE_DATA_NO);
    ::iscsi_set_initial_r2t(context_, ISCSI_INITIAL_R2T_YES);
    bool set =
        ::iscsi_set_session_type(context_,
                                 target_.empty() ? ISCSI_SESSION_DISCOVERY : ISCSI_SESSION_NORMAL) == 0 &&
        ::iscsi_set_isid_random(context_, initiator.session_random(), initiator.session_qualifier()) == 0 &&
        (target_.empty() || ::iscsi_set_targetname(context_, target_.c_str()) == 0);
    if (set && login != nullptr) {
        Secret password = Secret::of_size(login->password.size() + 1);
        std::ranges::copy(login->password.view(), password.mutable_view().begin());
        set = ::iscsi_set_initiator_username_pwd(context_, login->user.c_str(),
                                                 reinterpret_cast<const char*>(password.view().data())) == 0;
    }
    if (!set) return fail(Errc::invalid_argument, "{}: {}", where(), library_error());
    return {};
}

Result<void> IscsiSession::connect(Deadline deadline) {
    completion_->begin();
    const bool begun = ::iscsi_connect_async(context_, portal_.text().c_str(), &Completion::finished,
                                             completion_.get()) == 0;
    if (!begun) return fail(Errc::unavailable, "{}: {}", where(), library_error());
    KZ_CHECK(set_cloexec(::iscsi_get_fd(context_), true));
    if (auto done = wait(deadline); !done) {
        if (done.error().code() == Errc::timeout)
            return fail(Errc::timeout, "{}: no connection in time; is the host up, and no firewall between?",
                        where());
        return fail(Errc::unavailable, "{}", done.error().message());
    }
    if (completion_->status != SCSI_STATUS_GOOD)
        return fail(Errc::unavailable, "{}: {}", where(), library_error());
    return {};
}

Error IscsiSession::login_refused(const IscsiInitiator& initiator, const ChapLogin* login) const {
    const std::string reason = library_error();
    const std::string file = initiator.secrets_path().string();
    switch (login_status(reason)) {
        case kAuthenticationFailed:
            if (login == nullptr)
                return Error::make(Errc::permission,
                                   "{}: it demands a CHAP login, and {} has none for it or its host", where(),
                                   file);
            return Error::make(Errc::permission,
                               "{}: it refused the CHAP login of user {}; correct the password in {}",
                               where(), login->user, file);
        case kForbidden:
            return Error::make(Errc::permission,
                               "{}: it does not let this host in; let initiator {} in on the target", where(),
                               initiator.name());
        case kNoSuchTarget:
            return Error::make(Errc::not_found,
                               "{}: the portal has no such target, or does not show it to initiator {}",
                               where(), initiator.name());
        default:
            return Error::make(Errc::unavailable, "{}: the login failed: {}", where(), reason);
    }
}

Result<std::string> IscsiSession::login(const IscsiInitiator& initiator, const ChapLogin* login,
                                        Deadline deadline) {
    completion_->begin();
    if (::iscsi_login_async(context_, &Completion::finished, completion_.get()) != 0)
        return fail(Errc::internal, "{}: {}", where(), library_error());
    if (auto done = wait(deadline); !done) {
        if (done.error().code() == Errc::timeout) return std::unexpected(std::move(done).error());
        return fail(Errc::unavailable, "{}: it closed the connection during the login", where());
    }
    // Overwrites the password in libiscsi's memory.
    ::iscsi_set_initiator_username_pwd(context_, "", "");
    if (completion_->status == SCSI_STATUS_REDIRECT) {
        const char* address = ::iscsi_get_target_address(context_);
        if (address != nullptr && *address != '\0') return std::string(address);
    }
    if (completion_->status != SCSI_STATUS_GOOD) return std::unexpected(login_refused(initiator, login));
    return std::string();
}

Result<std::unique_ptr<IscsiSession>> IscsiSession::establish(const IscsiPortal& portal,
                                                              const std::string& target,
                                                              const IscsiInitiator& initiator,
                                                              const std::string& host, Deadline deadline) {
    const ChapLogin* login = initiator.secrets().find(target, host);
    IscsiPortal address = portal;
    for (unsigned hop = 0; hop <= kMaxRedirections; ++hop) {
        std::unique_ptr<IscsiSession> session(new IscsiSession(address, target, host));
        KZ_CHECK(session->prepare(initiator, login));
        KZ_CHECK(session->connect(deadline));
        KZ_TRY(const std::string elsewhere, session->login(initiator, login, deadline));
        if (elsewhere.empty()) return session;
        KZ_TRY_CONTEXT(const IscsiPortal named, parse_listed_portal(elsewhere, address),
                       session->where() + ": redirected to what is no address");
        KZ_TRY(const auto addresses, resolve(named));
        address = addresses.front();
    }
    return fail(Errc::unavailable, "portal {}, target {}: it is redirected again and again", portal.text(),
                target);
}

Result<std::unique_ptr<IscsiSession>> IscsiSession::log_in(const IscsiPortal& portal,
                                                           const std::string& target,
                                                           const IscsiInitiator& initiator,
                                                           const std::string& host, Deadline deadline) {
    return establish(portal, target, initiator, host, deadline);
}

Result<std::vector<ListedTarget>> IscsiSession::send_targets(const IscsiPortal& portal,
                                                             const IscsiInitiator& initiator,
                                                             const std::string& host, Deadline deadline) {
    KZ_TRY(const auto session, establish(portal, "", initiator, host, deadline));
    return session->list_targets(deadline);
}

Result<std::vector<ListedTarget>> IscsiSession::list_targets(Deadline deadline) {
    completion_->begin();
    if (::iscsi_discovery_async(context_, &Completion::discovered, completion_.get()) != 0)
        return fail(Errc::internal, "{}: {}", where(), library_error());
    KZ_CHECK(wait(deadline));
    if (completion_->status != SCSI_STATUS_GOOD)
        return fail(Errc::unavailable, "{}: the list of targets: {}", where(), library_error());
    if (completion_->listed > kMaxTargets)
        return fail(Errc::protocol, "{}: it lists {} targets; at most {} are looked at", where(),
                    completion_->listed, kMaxTargets);
    return std::move(completion_->targets);
}

Result<ScsiReply> IscsiSession::read_command(unsigned lun, const Cdb& cdb, std::size_t expected,
                                             Deadline deadline) {
    return command(lun, cdb, {}, expected, deadline);
}

Result<ScsiReply> IscsiSession::write_command(unsigned lun, const Cdb& cdb, ByteView data,
                                              Deadline deadline) {
    return command(lun, cdb, data, 0, deadline);
}

Result<ScsiReply> IscsiSession::command(unsigned lun, const Cdb& cdb, ByteView out, std::size_t expected,
                                        Deadline deadline) {
    if (context_ == nullptr) return fail(Errc::io, "{}: the session is over", where());
    auto raw = cdb.bytes;
    const int direction = !out.empty() ? SCSI_XFER_WRITE : expected != 0 ? SCSI_XFER_READ : SCSI_XFER_NONE;
    const Task task(::scsi_create_task(static_cast<int>(cdb.size), raw.data(), direction,
                                       static_cast<int>(out.empty() ? expected : out.size())));
    if (!task) return fail(Errc::internal, "libiscsi: out of memory");
    // libiscsi reads from it only.
    iscsi_data data{.size = out.size(), .data = const_cast<unsigned char*>(out.data())};
    ScsiReply reply;
    reply.data.resize(expected);
    if (expected != 0 &&
        ::scsi_task_add_data_in_buffer(task.get(), static_cast<int>(expected), reply.data.data()) != 0)
        return fail(Errc::internal, "libiscsi: out of memory");
    completion_->begin();
    if (::iscsi_scsi_command_async(context_, static_cast<int>(lun), task.get(), &Completion::finished,
                                   out.empty() ? nullptr : &data, completion_.get()) != 0) {
        const std::string reason = library_error();
        reset();
        return fail(Errc::io, "{}: {}", where(), reason);
    }
    KZ_CHECK(wait(deadline));
    return take_reply(*task, std::move(reply));
}

Result<ScsiReply> IscsiSession::take_reply(const scsi_task& task, ScsiReply reply) {
    switch (completion_->status) {
        case SCSI_STATUS_GOOD:
            if (task.residual_status == SCSI_RESIDUAL_UNDERFLOW)
                reply.data.resize(reply.data.size() - std::min(task.residual, reply.data.size()));
            return reply;
        case SCSI_STATUS_CHECK_CONDITION:
            reply.status = ScsiStatus::check_condition;
            reply.sense = sense_of(task);
            return reply;
        case SCSI_STATUS_RESERVATION_CONFLICT:
            reply.status = ScsiStatus::reservation_conflict;
            return reply;
        case SCSI_STATUS_BUSY:
        case SCSI_STATUS_TASK_SET_FULL:
            reply.status = ScsiStatus::busy;
            return reply;
        default: {
            const std::string reason = library_error();
            reset();
            return fail(Errc::io, "{}: {}", where(), reason);
        }
    }
}

}  // namespace kz::storage
