// IscsiSession: one login to an iSCSI target, and SCSI commands through it. Internal to storage.
//
// Theory of operation
//
// libiscsi keeps the protocol's state; we own its time. Every wait is a poll(2) with a deadline, libiscsi
// never reconnects by itself, and a session that failed once is over: its connection is reset at once
// (connect(AF_UNSPEC), which empties the socket's buffers and works however many processes hold it), and
// every later command is refused.
//
// What has not been answered at the deadline must not reach the medium later. A reset alone does not do
// that: what lies in the socket of a target that stands still is read when it goes on. So writes carry no
// data of their own (ImmediateData=No, InitialR2T=Yes): the target must ask for it, and after the deadline
// nobody answers. What remains is a target that stops between asking and writing; it is the next login
// under the same session id, which ends the old session's commands, that settles this for us.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "os/deadline.h"
#include "storage/iscsi_initiator.h"
#include "storage/iscsi_portal.h"
#include "storage/scsi_data.h"

struct iscsi_context;
struct scsi_task;

namespace kz::storage {

inline constexpr std::size_t kMaxTargets = 4096;

// A target as SendTargets lists it.
struct ListedTarget {
    std::string name;
    std::vector<IscsiPortal> portals;  // none: the one that was asked
};

enum class ScsiStatus { good, check_condition, busy, reservation_conflict };

struct ScsiReply {
    ScsiStatus status = ScsiStatus::good;
    Sense sense;  // check_condition only
    Bytes data;   // at most what was asked for
};

class IscsiSession {
  public:
    // `portal` is an address, not a name. `host`: as the user names it, for the choice of the CHAP login.
    // Follows redirections. Errors name portal and target: Errc::permission (CHAP, access list),
    // Errc::not_found (the portal has no such target), Errc::unavailable, Errc::timeout.
    static Result<std::unique_ptr<IscsiSession>> log_in(const IscsiPortal& portal, const std::string& target,
                                                        const IscsiInitiator& initiator,
                                                        const std::string& host, Deadline deadline);
    // The targets of a portal, each name once, in its order; what is no name of a target is left out.
    static Result<std::vector<ListedTarget>> send_targets(const IscsiPortal& portal,
                                                          const IscsiInitiator& initiator,
                                                          const std::string& host, Deadline deadline);

    IscsiSession(const IscsiSession&) = delete;
    IscsiSession& operator=(const IscsiSession&) = delete;
    ~IscsiSession();

    // Errors, after which the session is over: Errc::timeout, Errc::io.
    Result<ScsiReply> read_command(unsigned lun, const Cdb& cdb, std::size_t expected, Deadline deadline);
    Result<ScsiReply> write_command(unsigned lun, const Cdb& cdb, ByteView data, Deadline deadline);

    // Takes what came while nobody waited (pings of the target, its end); false when the session is over.
    bool alive();
    // Where it is connected, after redirections.
    const IscsiPortal& portal() const { return portal_; }
    const std::string& target() const { return target_; }
    // As given to log_in().
    const std::string& host() const { return host_; }
    // "portal 192.0.2.1:3260, target iqn...."
    std::string where() const;

  private:
    struct Completion;
    struct Login;
    enum class Kind { normal, discovery };
    IscsiSession(IscsiPortal portal, std::string target, std::string host);

    static Result<std::unique_ptr<IscsiSession>> establish(const IscsiPortal& portal,
                                                           const std::string& target,
                                                           const IscsiInitiator& initiator,
                                                           const std::string& host, Deadline deadline);
    Result<void> prepare(const IscsiInitiator& initiator, const ChapLogin* login);
    Result<void> connect(Deadline deadline);
    // The address to go to instead, empty when logged in.
    Result<std::string> login(const IscsiInitiator& initiator, const ChapLogin* login, Deadline deadline);
    Result<std::vector<ListedTarget>> list_targets(Deadline deadline);
    Error login_refused(const IscsiInitiator& initiator, const ChapLogin* login) const;

    Result<ScsiReply> command(unsigned lun, const Cdb& cdb, ByteView out, std::size_t expected,
                              Deadline deadline);
    Result<ScsiReply> take_reply(const scsi_task& task, ScsiReply reply);
    // Until the operation that was begun is complete. Any failure ends the session.
    Result<void> wait(Deadline deadline);
    Result<void> service(short events);
    std::string library_error() const;
    void reset();

    IscsiPortal portal_;
    std::string target_;  // empty: a discovery
    std::string host_;
    std::unique_ptr<Completion> completion_;
    iscsi_context* context_ = nullptr;
};

}  // namespace kz::storage
