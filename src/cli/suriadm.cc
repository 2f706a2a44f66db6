#include "cli/suriadm.h"

#include <getopt.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <optional>

#include "base/text.h"
#include "cli/help_text.h"
#include "cli/suriadm_properties.h"
#include "store/host.h"

namespace kz::cli {
namespace {

constexpr int kExitOk = 0;
constexpr int kExitError = 1;
constexpr int kExitUsage = 2;

struct Subcommand {
    const char* name;
    const char* options;  // letters as of getopt
    // The properties that -p may name, and those of -o.
    std::vector<std::string_view> settable;
    std::span<const std::string_view> printable;
    unsigned least_operands;
    unsigned most_operands;
    const char* usage;
    const char* help;
    Result<void> (*run)(const SuriadmCall& call);
};

// -p mountpoint-prefix is the original's; nothing is mounted here, so it changes nothing.
const std::vector<Subcommand>& subcommands() {
    static const std::vector<Subcommand> table{
        {"parse",
         "Ho:",
         {},
         kSuriProperties,
         1,
         1,
         "parse [-H] [-o property,...] URI",
         "Show what the URI says, property by property.",
         suriadm_parse},
        {"normalize",
         "",
         {},
         {},
         1,
         1,
         "normalize URI",
         "Print the URI as kzones writes it: short names and default ports filled in or left away.",
         suriadm_normalize},
        {"map",
         "Ho:p:",
         {"mountpoint-prefix"},
         kSuriProperties,
         1,
         1,
         "map [-H] [-o property,...] [-p property=value] URI",
         "Check that this host can open the volume; show its size and, where it has one, its device.",
         suriadm_map},
        {"lookup-mapping",
         "Ho:p:",
         {"mountpoint-prefix"},
         kSuriProperties,
         1,
         1,
         "lookup-mapping [-H] [-o property,...] [-p property=value] URI",
         "Show the device of the volume, where it has one.",
         suriadm_lookup_mapping},
        {"unmap",
         "p:",
         {"mountpoint-prefix"},
         {},
         1,
         1,
         "unmap [-p property=value] URI",
         "Accepted for the sake of scripts: nothing is ever mapped here.",
         suriadm_unmap},
        {"create",
         "Ho:p:",
         {"create-size", "mountpoint-prefix"},
         kSuriProperties,
         1,
         1,
         "create [-H] [-o property,...] -p create-size=SIZE URI",
         "Make the volume, of that size: a file, or a file on an NFS server. A LUN is made on its target.",
         suriadm_create},
        {"destroy",
         "Fp:",
         {"mountpoint-prefix"},
         {},
         1,
         1,
         "destroy [-F] [-p property=value] URI",
         "Delete the volume; -F also one that holds something.",
         suriadm_destroy},
        {"lookup-uri",
         "t:p:",
         {"mapped-dev", "luname", "target", "lun", "hostname"},
         {},
         0,
         1,
         "lookup-uri [-t uri-type] {device-path | -p mapped-dev=device-path |\n"
         "\t    [-p hostname=HOST] {-p luname=NAME | -p target=TARGET -p lun=LUN}}",
         "Print the URIs by which a device of this host, or a LUN of a host, may be named.",
         suriadm_lookup_uri},
        {"discover",
         "Ho:",
         {},
         kDiscoverProperties,
         1,
         1,
         "discover [-H] [-o property,...] {iscsi://[host[:port]] | nfs://user:group@host[:port]}",
         "Show every LUN of an iSCSI host, or every export of an NFS server: URI, size, name, and the "
         "zone\n\tthat owns it.",
         suriadm_discover},
    };
    return table;
}

std::string usage_of(const Subcommand& subcommand) {
    return fmt::format("suriadm {}", subcommand.usage);
}

int print_usage() {
    std::vector<std::string> lines;
    for (const Subcommand& subcommand : subcommands())
        lines.push_back(usage_of(subcommand));
    fmt::print(stderr, "usage:\t{}\n", join(lines, "\n\t"));
    return kExitUsage;
}

int print_help() {
    fmt::print("usage:\tsuriadm help\n\tsuriadm [-R root] subcommand [options] URI\n\n");
    for (const Subcommand& subcommand : subcommands())
        fmt::print("{}", help_entry(subcommand.usage, subcommand.help));
    return kExitOk;
}

Result<void> take_output(const Subcommand& subcommand, SuriadmCall& call, const std::string& list) {
    for (const std::string& name : split(list, ',')) {
        if (std::ranges::find(subcommand.printable, name) == subcommand.printable.end())
            return fail(Errc::invalid_argument, "-o: there is no property '{}'", name);
        call.output.push_back(name);
    }
    return {};
}

Result<void> take_property(const Subcommand& subcommand, SuriadmCall& call, const std::string& text) {
    const auto equals = text.find('=');
    const std::string name = text.substr(0, equals);
    if (equals == std::string::npos)
        return fail(Errc::invalid_argument, "-p: expected property=value instead of '{}'", text);
    if (std::ranges::find(subcommand.settable, name) == subcommand.settable.end())
        return fail(Errc::invalid_argument, "-p: property '{}' cannot be given to {}; there {}: {}", name,
                    subcommand.name, subcommand.settable.size() == 1 ? "is" : "are",
                    fmt::join(subcommand.settable, ", "));
    if (!call.properties.emplace(name, text.substr(equals + 1)).second)
        return fail(Errc::invalid_argument, "-p: property '{}' is given twice", name);
    return {};
}

Result<void> take_type(SuriadmCall& call, const std::string& type) {
    constexpr std::array<std::string_view, 5> kTypes{"file", "dev", "lu", "iscsi", "nfs"};
    if (std::ranges::find(kTypes, type) == kTypes.end())
        return fail(Errc::invalid_argument, "-t: there is no type '{}'; there are: {}", type,
                    fmt::join(kTypes, ", "));
    call.type = type;
    return {};
}

Result<void> take_option(const Subcommand& subcommand, SuriadmCall& call, int letter) {
    switch (letter) {
        case 'H':
            call.no_header = true;
            return {};
        case 'F':
            call.force = true;
            return {};
        case 'o':
            return take_output(subcommand, call, ::optarg);
        case 'p':
            return take_property(subcommand, call, ::optarg);
        case 't':
            return take_type(call, ::optarg);
        default:
            return fail(Errc::invalid_argument, "");
    }
}

// `argv[0]` is the sub-command. Errors: Errc::invalid_argument; an empty text says nothing but the usage.
Result<void> read_options(const Subcommand& subcommand, int argc, char** argv, SuriadmCall& call) {
    const std::string letters = fmt::format("+:{}", subcommand.options);
    ::optind = 1;
    for (int letter = ::getopt(argc, argv, letters.c_str()); letter != -1;
         letter = ::getopt(argc, argv, letters.c_str()))
        KZ_CHECK(take_option(subcommand, call, letter));
    call.operands.assign(argv + ::optind, argv + argc);
    if (call.operands.size() < subcommand.least_operands || call.operands.size() > subcommand.most_operands)
        return fail(Errc::invalid_argument, "");
    return {};
}

int run(const Subcommand& subcommand, int argc, char** argv, SuriadmCall call) {
    call.subcommand = subcommand.name;
    if (const Result<void> read = read_options(subcommand, argc, argv, call); !read) {
        if (!read.error().message().empty()) suriadm_message(read.error().message());
        fmt::print(stderr, "usage:\t{}\n", usage_of(subcommand));
        return kExitUsage;
    }
    const Result<void> done = subcommand.run(call);
    if (done) return kExitOk;
    suriadm_message(done.error().message());
    return kExitError;
}

}  // namespace

Result<storage::Suri> SuriadmCall::suri() const {
    KZ_TRY_CONTEXT(storage::Suri suri, storage::Suri::parse(operands.front()), operands.front());
    return suri;
}

Result<storage::StorageAccess> SuriadmCall::network_access() const {
    KZ_TRY(const HostPaths host, paths());
    return store::storage_access(host);
}

Result<storage::StorageAccess> SuriadmCall::access(const storage::Suri& suri) const {
    if (suri.type() == storage::SuriType::iscsi || suri.type() == storage::SuriType::nfs)
        return network_access();
    return storage::StorageAccess{};
}

void suriadm_message(std::string_view text) {
    for (const std::string& line : split(text, '\n'))
        fmt::print(stderr, "suriadm: {}\n", line);
}

int suriadm_main(int argc, char** argv) {
    if (asks_for_help(argc, argv)) return print_help();
    SuriadmCall call;
    ::opterr = 0;
    for (int letter = ::getopt(argc, argv, "+R:"); letter != -1; letter = ::getopt(argc, argv, "+R:")) {
        if (letter != 'R') return print_usage();
        call.root = ::optarg;
    }
    if (::optind == argc) return print_usage();
    const std::string_view name = argv[::optind];
    if (name == "help") return print_help();
    const auto& table = subcommands();
    const auto found = std::ranges::find(table, name, &Subcommand::name);
    if (found == table.end()) {
        suriadm_message(fmt::format("unknown subcommand '{}'", name));
        return print_usage();
    }
    return run(*found, argc - ::optind, argv + ::optind, std::move(call));
}

}  // namespace kz::cli
