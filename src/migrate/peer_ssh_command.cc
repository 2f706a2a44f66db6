// The command lines of ssh, and what its answers mean.
#include <algorithm>
#include <array>
#include <cstdlib>

#include "base/text.h"
#include "migrate/peer_ssh.h"

namespace kz::migrate {
namespace {

constexpr std::size_t kMaxHostName = 255;
constexpr int kSshFailed = 255;
constexpr int kNotFound = 127;
constexpr int kNotExecutable = 126;

bool is_plain(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("/._-+").contains(c);
}

void append_target(std::vector<std::string>& argv, const PeerAddress& address) {
    if (address.port != 0) argv.insert(argv.end(), {"-p", std::to_string(address.port)});
    if (!address.user.empty()) argv.insert(argv.end(), {"-l", address.user});
    argv.insert(argv.end(), {"--", address.host});
}

// Whatever shell root has there: it need only run sh. Its PATH may lack the folders of administrators.
std::string remote_command(const std::string& radd) {
    return fmt::format(R"(exec sh -c 'PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"; exec {} --stdio')", radd);
}

struct Cause {
    std::string_view printed;  // the words by which it is known
    Errc code;
    std::string_view advice;  // {0} is the host
};

constexpr std::array kCauses{
    Cause{
        "REMOTE HOST IDENTIFICATION HAS CHANGED", Errc::permission,
        "the ssh key of host '{0}' has changed: either it was set up anew, or somebody sits between you and "
        "it. When you know that the new key is right, remove the old one with: ssh-keygen -R {0}"},
    Cause{
        "Host key verification failed", Errc::permission,
        "ssh does not know the key of host '{0}'. Connect once with ssh and compare it, or use --accept-new"},
    Cause{"Permission denied", Errc::permission,
          "host '{0}' did not let this user in by a key: no password is asked for with ssh://. Load a key "
          "(ssh-add) that root there has in authorized_keys"},
    Cause{"Could not resolve hostname", Errc::not_found, "there is no host '{0}'"},
    Cause{"Connection refused", Errc::unavailable, "nothing answers for ssh on host '{0}'; is sshd running?"},
    Cause{"timed out", Errc::unavailable, "host '{0}' does not answer"},
    Cause{"not responding", Errc::unavailable, "host '{0}' does not answer any more"},
    Cause{"No route to host", Errc::unavailable, "host '{0}' cannot be reached"},
    Cause{"Network is unreachable", Errc::unavailable, "host '{0}' cannot be reached"},
    Cause{"administratively prohibited", Errc::permission, "sshd on host '{0}' does not allow the tunnel"},
};

// What another host made appear goes to a terminal: lines of text and nothing else.
std::string printable(std::string_view printed) {
    std::string text;
    for (const char c : printed) {
        if (c == '\r') continue;
        const auto byte = static_cast<unsigned char>(c);
        text += (byte >= 0x20 && byte != 0x7f) || c == '\n' ? c : '?';
    }
    return std::string(trim(text));
}

// ssh draws a frame of @ around its gravest message.
std::string without_frames(const std::string& text) {
    std::vector<std::string> lines;
    for (const std::string& line : split(text, '\n'))
        if (!trim(line).empty() && !line.starts_with('@')) lines.emplace_back(trim(line));
    return join(lines, "\n");
}

std::string with_details(std::string message, const std::string& details) {
    return details.empty() ? message : message + "\nssh: " + join(split(details, '\n'), "\nssh: ");
}

}  // namespace

Result<SshPrograms> SshPrograms::from_environment() {
    SshPrograms programs;
    if (const char* ssh = std::getenv("KZONES_SSH"); ssh != nullptr && *ssh != '\0') programs.ssh = ssh;
    if (const char* radd = std::getenv("KZONES_SSH_RADD"); radd != nullptr && *radd != '\0')
        programs.radd = radd;
    if (programs.radd.starts_with('-') || !std::ranges::all_of(programs.radd, is_plain))
        return fail(Errc::invalid_argument, "KZONES_SSH_RADD: '{}' is not the name of a program",
                    programs.radd);
    return programs;
}

std::vector<std::string> ssh_command(const PeerAddress& address, const SshOptions& options) {
    std::vector<std::string> argv{options.programs.ssh, "-T", "-a", "-x", "-e", "none"};
    const auto set = [&](std::string setting) { argv.insert(argv.end(), {"-o", std::move(setting)}); };
    // No question, no second use of this connection, nothing that the user's configuration would add to it.
    for (const char* each :
         {"BatchMode=yes", "LogLevel=ERROR", "ConnectTimeout=15", "ServerAliveInterval=5",
          "ServerAliveCountMax=3", "ControlMaster=no", "ControlPath=none", "PermitLocalCommand=no",
          "RemoteCommand=none", "ForkAfterAuthentication=no", "SessionType=default", "StdinNull=no"})
        set(each);
    if (options.accept_new) set("StrictHostKeyChecking=accept-new");
    if (options.tunnel) {
        set("ExitOnForwardFailure=yes");
        set("StreamLocalBindUnlink=yes");
        set("StreamLocalBindMask=0177");
        // Relative to ssh's working folder: a path of any length and any characters.
        argv.insert(argv.end(), {"-L", fmt::format("./{}:127.0.0.1:8102", kTunnelSocket)});
    } else {
        set("ClearAllForwardings=yes");
    }
    append_target(argv, address);
    argv.push_back(remote_command(options.programs.radd));
    return argv;
}

std::vector<std::string> ssh_query_command(const PeerAddress& address, const SshPrograms& programs) {
    std::vector<std::string> argv{programs.ssh, "-G"};
    append_target(argv, address);
    return argv;
}

std::optional<std::string> ssh_host_name(std::string_view answer) {
    constexpr std::string_view kKey = "hostname ";
    for (const std::string& line : split(answer, '\n')) {
        if (!line.starts_with(kKey)) continue;
        const std::string name(trim(std::string_view(line).substr(kKey.size())));
        const auto is_known = [](char c) { return is_plain(c) || c == ':' || c == '%'; };
        if (!name.empty() && name.size() <= kMaxHostName && std::ranges::all_of(name, is_known)) return name;
    }
    return std::nullopt;
}

Error ssh_error(const PeerAddress& address, int status, std::string_view printed) {
    const std::string said = without_frames(printable(printed));
    if (status == kNotFound || status == kNotExecutable) {
        return Error(
            Errc::not_found,
            with_details(fmt::format("kz-radd was not found on host '{}'. Install kzones there, or name "
                                     "the program in KZONES_SSH_RADD",
                                     address.host),
                         said));
    }
    if (status == kSshFailed) {
        for (const Cause& cause : kCauses) {
            if (printed.find(cause.printed) == std::string_view::npos) continue;
            const std::string advice = fmt::format(fmt::runtime(cause.advice), address.host);
            return Error(cause.code, with_details(advice, said));
        }
        return Error(
            Errc::unavailable,
            with_details(fmt::format("ssh could not keep a connection to host '{}'", address.host), said));
    }
    const std::string reason = said.empty() ? fmt::format("it ended with status {}", status) : said;
    return Error::make(Errc::unavailable, "host '{}': {}", address.host, reason);
}

}  // namespace kz::migrate
