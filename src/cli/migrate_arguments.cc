#include "cli/migrate_arguments.h"

#include <getopt.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "cli/rate.h"
#include "migrate/peer.h"
#include "migrate/session.h"

namespace kz::cli {
namespace {

// Options without a letter.
enum LongOption : int {
    kConnections = 0x100,
    kAcceptNew,
    kFingerprint,
    kTunnel,
    kMaxPause,
    kDeadline,
    kOnDeadline,
    kBandwidth,
    kSetBandwidth,
    kPostCopy,
    kJson
};

constexpr std::array kLongOptions{option{"connections", required_argument, nullptr, kConnections},
                                  option{"accept-new", no_argument, nullptr, kAcceptNew},
                                  option{"fingerprint", required_argument, nullptr, kFingerprint},
                                  option{"tunnel", no_argument, nullptr, kTunnel},
                                  option{"max-pause", required_argument, nullptr, kMaxPause},
                                  option{"deadline", required_argument, nullptr, kDeadline},
                                  option{"on-deadline", required_argument, nullptr, kOnDeadline},
                                  option{"bandwidth", required_argument, nullptr, kBandwidth},
                                  option{"set-bandwidth", required_argument, nullptr, kSetBandwidth},
                                  option{"post-copy", no_argument, nullptr, kPostCopy},
                                  option{"json", no_argument, nullptr, kJson},
                                  option{nullptr, 0, nullptr, 0}};

constexpr std::uint64_t kLongestPauseMs = 60'000;
constexpr std::uint64_t kLongestDeadlineS = 30ULL * 24 * 3600;

Result<std::uint64_t> take_number(std::string_view name, const std::string& text, std::uint64_t least,
                                  std::uint64_t most) {
    const auto number = parse_u64(text);
    if (!number || *number < least || *number > most)
        return fail(Errc::invalid_argument, "{} is a number from {} to {}, not '{}'", name, least, most,
                    text);
    return *number;
}

Result<std::string> take_word(std::string_view name, const std::string& text,
                              std::initializer_list<std::string_view> words) {
    if (std::ranges::find(words, text) != words.end()) return text;
    return fail(Errc::invalid_argument, "{} is one of {}, not '{}'", name,
                join(std::vector<std::string>(words.begin(), words.end()), ", "), text);
}

// Of a migration as such. False: not one of these.
Result<bool> take_policy(int letter, const std::string& text, client::MigrateOptions& options) {
    if (letter == kMaxPause) {
        KZ_TRY(const std::uint64_t number, take_number("--max-pause", text, 1, kLongestPauseMs));
        options.max_pause_ms = static_cast<unsigned>(number);
    } else if (letter == kDeadline) {
        KZ_TRY(options.deadline_s, take_number("--deadline", text, 1, kLongestDeadlineS));
    } else if (letter == kOnDeadline) {
        KZ_TRY(options.on_deadline, take_word("--on-deadline", text, {"cancel", "force"}));
    } else if (letter == kBandwidth) {
        KZ_TRY(options.bandwidth_bytes, parse_rate(text));
    } else if (letter == kPostCopy) {
        options.post_copy = true;
    } else if (letter == kConnections) {
        KZ_TRY(const std::uint64_t number, take_number("--connections", text, 1, migrate::kMaxChannels - 1));
        options.connections = static_cast<unsigned>(number);
    } else {
        return false;
    }
    return true;
}

// Of the way to the other host.
Result<bool> take_connection(int letter, const std::string& text, client::MigrateOptions& options) {
    if (letter == kAcceptNew) {
        options.accept_new_host_key = true;
    } else if (letter == kFingerprint) {
        if (!migrate::is_host_key_fingerprint(text))
            return fail(Errc::invalid_argument, "--fingerprint is SHA256: and 43 characters, not '{}'", text);
        options.host_fingerprint = text;
    } else if (letter == kTunnel) {
        options.tunnel = true;
    } else {
        return false;
    }
    return true;
}

Result<void> take_option(int letter, const std::string& text, MigrateArguments& arguments) {
    KZ_TRY(const bool policy, take_policy(letter, text, arguments.options));
    KZ_TRY(const bool connection, take_connection(letter, text, arguments.options));
    if (policy || connection) return {};
    switch (letter) {
        case 'n':
            arguments.options.dry_run = true;
            return {};
        case 'q':
            arguments.quiet = true;
            return {};
        case 'v':
            arguments.verbose = true;
            return {};
        case 'w':
            arguments.boot_writable = true;
            return {};
        case kSetBandwidth: {
            KZ_TRY(arguments.set_bandwidth, text == "none" ? Result<std::uint64_t>(0) : parse_rate(text));
            return {};
        }
        case kJson:
            arguments.json = true;
            return {};
        case 'c':
            arguments.options.cipher = text;
            return {};
        case 't': {
            KZ_TRY(arguments.options.type, take_word("-t", text, {"auto", "live", "warm", "cold"}));
            return {};
        }
        default:
            return fail(Errc::invalid_argument, "");
    }
}

Result<void> check_combination(const client::MigrateOptions& options, bool deadline_action) {
    if (deadline_action && options.deadline_s == 0)
        return fail(Errc::invalid_argument, "--on-deadline needs a --deadline");
    if (options.post_copy && options.connections > 1)
        return fail(Errc::invalid_argument,
                    "--post-copy and --connections exclude each other: its memory goes over one connection");
    if (options.accept_new_host_key && options.host_fingerprint)
        return fail(Errc::invalid_argument, "--accept-new and --fingerprint exclude each other");
    return {};
}

}  // namespace

Result<MigrateArguments> read_migrate_arguments(const std::vector<std::string>& words) {
    MigrateArguments arguments;
    std::vector<char*> argv;
    for (const std::string& word : words)
        argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    const int argc = static_cast<int>(words.size());
    bool deadline_action = false;
    unsigned given = 0;
    ::optind = 0;
    for (int letter = 0;
         (letter = ::getopt_long(argc, argv.data(), "+:nqvwc:t:", kLongOptions.data(), nullptr)) != -1;) {
        ++given;
        KZ_CHECK(take_option(letter, ::optarg != nullptr ? ::optarg : "", arguments));
        deadline_action = deadline_action || letter == kOnDeadline;
    }
    KZ_CHECK(check_combination(arguments.options, deadline_action));
    if (arguments.set_bandwidth) {
        if (given != 1 || ::optind != argc)
            return fail(Errc::invalid_argument, "--set-bandwidth stands alone");
        return arguments;
    }
    if (::optind + 1 != argc) return fail(Errc::invalid_argument, "");
    arguments.options.destination = argv[static_cast<std::size_t>(::optind)];
    return arguments;
}

}  // namespace kz::cli
