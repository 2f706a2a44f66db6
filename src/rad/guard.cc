#include "rad/guard.h"

#include <algorithm>
#include <cstring>

namespace kz::rad {
namespace {

constexpr std::string_view kAttachment = "login";
constexpr unsigned kUnauthorized = 401;
constexpr unsigned kTooManyRequests = 429;
constexpr std::size_t kMaxUser = 256;

// Whom a connection has proved to be by password.
struct LoggedIn : Attachment {
    explicit LoggedIn(User proved) : user(std::move(proved)) {}
    User user;
};

bool is_user_name(std::string_view name) {
    return !name.empty() && name.size() <= kMaxUser &&
           std::ranges::none_of(name, [](unsigned char c) { return c <= 0x20 || c == 0x7f; });
}

// Moves the text out of the body, and wipes it there.
Result<Secret> take_password(Json& body) {
    const auto found = body.find("password");
    if (found == body.end() || !found->is_string())
        return fail(Errc::invalid_argument, "'password' is missing");
    auto& text = found->get_ref<std::string&>();
    Secret password(as_bytes(text));
    ::explicit_bzero(text.data(), text.size());
    body.erase(found);
    return password;
}

}  // namespace

Guard::Guard(HostPaths paths, PasswordCheck check, Log& log, GuardLimits limits)
    : paths_(std::move(paths)),
      permissions_(paths_),
      check_(std::move(check)),
      log_(log),
      rate_(limits.request_burst, limits.requests_per_second) {}

Result<bool> Guard::identify(PeerIdentity& peer, const ConnectionContext& connection) const {
    peer.user.clear();
    peer.role = Role::delegate;
    if (peer.local) {
        peer.role = Role::full;
        return true;
    }
    const auto* login = connection.find<LoggedIn>(kAttachment);
    if (login == nullptr) return identify_key(peer);
    KZ_TRY(const std::optional<Role> role, permissions_.role_of(login->user));
    if (!role) return false;
    peer.user = login->user.name;
    peer.name = peer.user;
    peer.role = *role;
    return true;
}

Result<bool> Guard::identify_key(PeerIdentity& peer) const {
    if (peer.fingerprint.empty()) return false;
    KZ_TRY(const migrate::AuthorizedKeys keys, migrate::AuthorizedKeys::load(paths_));
    const auto key = keys.look_up(peer.fingerprint);
    if (!key) return false;
    const auto role = key->role ? parse_role(*key->role) : std::optional(Role::full);
    if (!role)
        return fail(Errc::corrupt, "authorized_keys: '{}' of key {} is not a role", *key->role,
                    peer.fingerprint);
    peer.name = key->name.empty() ? peer.address : key->name;
    peer.role = *role;
    return true;
}

Result<User> Guard::prove(const std::string& name, const Secret& password, const std::string& address) {
    if (!is_user_name(name))
        return fail(Errc::permission, "'{}' is not a user's name", name.substr(0, kMaxUser));
    KZ_TRY(const std::string known_as, check_(name, password, address));
    KZ_TRY(User user, look_up_user(known_as));
    KZ_TRY(const std::optional<Role> role, permissions_.role_of(user));
    if (!role) return fail(Errc::permission, "the user has no role on this host");
    return user;
}

Result<Json> Guard::login(Request& request) {
    if (!request.body.is_object()) return fail(Errc::invalid_argument, "'user' and 'password' are missing");
    KZ_TRY(const Secret password, take_password(request.body));
    const Result<std::string> name = json_text(request.body, "user");
    if (!name) return fail(Errc::invalid_argument, "'user' is missing");
    const std::string& address = request.peer.address;
    request.audit = {{"action", "login"}, {"user", name->substr(0, kMaxUser)}};
    if (auto limited = login_limits_.begin(address, Deadline::Clock::now()); !limited) {
        request.failure_status = kTooManyRequests;
        return std::unexpected(std::move(limited).error());
    }
    Result<User> user = prove(*name, password, address);
    login_limits_.end(address, user.has_value(), Deadline::Clock::now());
    if (!user) {
        // Why is for this host alone; a stranger does not learn which part was wrong.
        log_.info("login of '{}' from {} failed: {}", name->substr(0, kMaxUser), address,
                  user.error().message());
        request.failure_status = kUnauthorized;
        return fail(Errc::permission, "login incorrect, or the user has no role on this host");
    }
    const std::string proved = user->name;
    request.connection.attach(std::string(kAttachment), std::make_unique<LoggedIn>(*std::move(user)));
    PeerIdentity peer = request.peer;
    KZ_TRY(const bool known, identify(peer, request.connection));
    if (!known) return fail(Errc::permission, "the user's role was taken away");
    return Json{{"user", proved}, {"role", role_name(peer.role)}};
}

bool Guard::allows(const PeerIdentity& peer, const Access& access, const std::string& zone) const {
    if (permits(peer.role, access.need)) return true;
    return !zone.empty() && !peer.user.empty() && permissions_.delegates(zone, peer.user, access.delegated);
}

bool Guard::in_time(const PeerIdentity& peer) {
    if (peer.local) return true;
    const std::string& client = !peer.user.empty() ? peer.user : peer.fingerprint;
    return rate_.take(client, Deadline::Clock::now());
}

}  // namespace kz::rad
