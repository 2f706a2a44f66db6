#include "client/destination.h"

#include <pwd.h>
#include <unistd.h>

#include <array>

#include "migrate/peer_login.h"
#include "os/process.h"

namespace kz::client {
namespace {

using std::chrono::milliseconds;

constexpr std::chrono::seconds kConnectTime{15};
constexpr std::chrono::seconds kCallTime{30};
// ssh connects, proves itself, and root's shell starts kz-radd.
constexpr std::chrono::seconds kSshTime{45};
constexpr std::chrono::seconds kQueryTime{10};
// From the end of the stream to the end of ssh, which then says why.
constexpr milliseconds kReasonTime{3000};
constexpr unsigned kPasswordAttempts = 3;

migrate::TrustPolicy trust_policy(const MigrateOptions& options) {
    if (options.host_fingerprint) return migrate::TrustPolicy::exactly(*options.host_fingerprint);
    if (options.accept_new_host_key) return migrate::TrustPolicy::accept_new();
    if (options.confirm_host_key) return migrate::TrustPolicy::ask(options.confirm_host_key);
    return migrate::TrustPolicy::refuse();
}

// A question that every host answers which lets us in.
Result<void> probe(migrate::Peer& peer, milliseconds timeout, int cancel_fd) {
    const Result<Json> answer = peer.call("GET", "/api/1/migration-ciphers", nullptr, timeout, cancel_fd);
    return answer ? Result<void>() : std::unexpected(answer.error());
}

std::string login_name() {
    std::array<char, 256> name{};
    if (::getlogin_r(name.data(), name.size()) == 0 && name[0] != '\0') return name.data();
    const passwd* const entry = ::getpwuid(::geteuid());
    return entry != nullptr ? entry->pw_name : "root";
}

// What ssh makes of the name; the name itself when it does not tell.
std::string ssh_destination(const migrate::PeerAddress& address, const migrate::SshPrograms& programs) {
    const auto output =
        run_command(migrate::ssh_query_command(address, programs), {.deadline = Deadline::after(kQueryTime)});
    if (!output || output->status != 0) return address.host;
    return migrate::ssh_host_name(output->standard_output).value_or(address.host);
}

}  // namespace

Result<Destination> Destination::connect(const HostPaths& paths, const MigrateOptions& options,
                                         const Reporter& reporter, bool live) {
    KZ_TRY(migrate::PeerAddress address, migrate::PeerAddress::parse(options.destination));
    const bool ssh = address.scheme == migrate::PeerScheme::ssh;
    if (options.tunnel && !ssh)
        return fail(Errc::invalid_argument, "--tunnel goes through ssh: name the host as ssh://{}",
                    address.host);
    if (ssh && options.host_fingerprint)
        return fail(Errc::invalid_argument,
                    "--fingerprint is about the key of kz-radd; ssh:// goes by the keys that ssh knows");
    Destination destination(std::move(address), live);
    KZ_CHECK(ssh ? destination.connect_ssh(paths, options, reporter.cancel_fd)
                 : destination.connect_rads(paths, options, reporter));
    return destination;
}

Result<void> Destination::connect_ssh(const HostPaths& paths, const MigrateOptions& options, int cancel_fd) {
    migrate::SshOptions ssh{.accept_new = options.accept_new_host_key, .tunnel = live_ && options.tunnel};
    KZ_TRY(ssh.programs, migrate::SshPrograms::from_environment());
    memory_host_ = live_ && !ssh.tunnel ? ssh_destination(address_, ssh.programs) : address_.host;
    KZ_TRY(migrate::SshLink link, migrate::SshLink::start(address_, paths, ssh));
    link_.emplace(std::move(link));
    KZ_TRY(migrate::Peer peer, link_->peer());
    peer_.emplace(std::move(peer));
    const Result<void> answered = probe(*peer_, kSshTime, cancel_fd);
    if (answered || answered.error().code() == Errc::cancelled) return answered;
    if (auto failure = link_->failure(kReasonTime)) return std::unexpected(*std::move(failure));
    if (answered.error().code() == Errc::protocol)
        return fail(Errc::protocol,
                    "{}\nWhat answers through ssh is not kz-radd. Does a start-up file of root's shell print "
                    "text there, or another command take its place?",
                    answered.error().message());
    return answered;
}

Result<void> Destination::connect_rads(const HostPaths& paths, const MigrateOptions& options,
                                       const Reporter& reporter) {
    KZ_TRY(migrate::Peer peer,
           migrate::Peer::connect(address_, paths, trust_policy(options), kConnectTime, reporter.cancel_fd));
    peer_.emplace(std::move(peer));
    user_ = address_.user;
    if (user_.empty()) {
        const Result<void> answered = probe(*peer_, kCallTime, reporter.cancel_fd);
        if (answered || answered.error().code() != Errc::permission) return answered;
        if (!options.ask_password)
            return std::unexpected(
                Error(answered.error())
                    .append(fmt::format("Or migrate to ssh://{}, or from a terminal, where "
                                        "a password can be given",
                                        address_.host)));
        user_ = login_name();
    } else if (!options.ask_password) {
        return fail(Errc::permission,
                    "user '{0}' of host '{1}' needs a password, and there is no terminal to ask for it. "
                    "Scripts go by keys: authorise this host's (kz-radd --fingerprint) there with kz-radd "
                    "--authorize, and leave '{0}@' out; or migrate to ssh://{1}",
                    user_, address_.host);
    }
    return log_in(paths, options, reporter);
}

// The other host ends a connection on which something was refused, and one that says nothing for as long as a
// person types: each attempt has its own.
Result<void> Destination::log_in(const HostPaths& paths, const MigrateOptions& options,
                                 const Reporter& reporter) {
    for (unsigned attempt = 1;; ++attempt) {
        peer_.reset();
        KZ_TRY(password_, options.ask_password("Password: "));
        KZ_TRY(migrate::Peer peer, migrate::Peer::connect(address_, paths, migrate::TrustPolicy::refuse(),
                                                          kConnectTime, reporter.cancel_fd));
        const Result<void> proven = peer.login(user_, password_, kCallTime, reporter.cancel_fd);
        if (proven) {
            peer_.emplace(std::move(peer));
            return {};
        }
        if (proven.error().code() != Errc::permission || attempt == kPasswordAttempts) return proven;
        reporter.say(proven.error().message());
    }
}

Result<std::vector<UniqueFd>> Destination::hand_to_monitor(Json& request) {
    peer_.reset();
    std::vector<UniqueFd> descriptors;
    if (link_) {
        request["memory_host"] = memory_host_;
        if (const Path socket = link_->memory_socket(); !socket.empty())
            request["memory_socket"] = socket.string();
        descriptors.push_back(link_->take_stream());
    } else if (!user_.empty()) {
        request["login"] = user_;
        KZ_TRY(UniqueFd pipe, migrate::password_to_pipe(password_));
        descriptors.push_back(std::move(pipe));
    }
    return descriptors;
}

Error Destination::explain(Error error) {
    if (!link_ || error.code() == Errc::cancelled) return error;
    const std::optional<Error> failure = link_->failure(kReasonTime);
    return failure ? std::move(error).append(failure->message()) : error;
}

}  // namespace kz::client
