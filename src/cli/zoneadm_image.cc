// zoneadm image: what a suspend image is, and whether all of it is whole.
#include <unistd.h>

#include <cstdio>

#include "base/text.h"
#include "cli/interrupts.h"
#include "cli/zoneadm.h"
#include "client/image_file.h"

namespace kz::cli {
namespace {

constexpr std::uint64_t kShowEvery = 256;  // records

void print_line(std::string_view name, const std::string& value) {
    fmt::print("{:<15}{}\n", fmt::format("{}:", name), value);
}

std::string text_of(const Json& facts, const char* name) {
    const Json& value = facts.at(name);
    return value.is_string() ? value.get<std::string>() : value.dump();
}

void print_facts(const Json& facts) {
    print_line("zone", fmt::format("{} ({})", text_of(facts, "zone"), text_of(facts, "uuid")));
    for (const char* name : {"created", "epoch", "image_id", "machine", "qemu", "cpu", "cpus"})
        print_line(name, text_of(facts, name));
    print_line("memory", render_size(facts.at("memory_bytes").get<std::uint64_t>()));
    for (const Json& device : facts.at("devices"))
        print_line("device", device.get<std::string>());
    print_line("cipher", text_of(facts, "cipher"));
    print_line("layout", text_of(facts, "layout"));
    if (!facts.contains("verified_as")) {
        print_line("authenticated", "no: this host does not have the zone's key");
        return;
    }
    print_line("bytes", text_of(facts, "bytes"));
    print_line("holds", fmt::format("{} bytes in {} records", text_of(facts, "plain_bytes"),
                                    text_of(facts, "records")));
    print_line("authenticated", fmt::format("yes, with the key of zone {}", text_of(facts, "verified_as")));
}

void show_progress(const Json& figures) {
    const auto records = figures.at("records").get<std::uint64_t>();
    const auto all = figures.at("of").get<std::uint64_t>();
    if (records % kShowEvery != 0 && records != all) return;
    fmt::print(stderr, "\r\x1b[K{} of {} records{}", records, all, records == all ? "\n" : "");
    std::fflush(stderr);
}

}  // namespace

int zoneadm_image(const ZoneadmCall& call) {
    if (call.words.size() != 3 || call.words[2].empty()) return zoneadm_usage(call);
    const std::string& place = call.words[2];
    const bool verify = call.words[1] == "verify";
    if (!verify && call.words[1] != "info") return zoneadm_usage(call);
    const Interrupts interrupts;
    client::Reporter reporter = zoneadm_reporter(call);
    reporter.cancel_fd = interrupts.fd();
    if (::isatty(STDERR_FILENO) != 0) reporter.progress = show_progress;
    const Result<Json> facts =
        verify ? client::verify_image(call.client, place, reporter) : client::image_info(call.client, place);
    if (!facts) {
        zoneadm_message(call.zone, fmt::format("{}: {}", place, facts.error().message()));
        return kExitError;
    }
    print_facts(*facts);
    if (verify) print_line("verified", fmt::format("all {} records", text_of(*facts, "records")));
    return kExitOk;
}

}  // namespace kz::cli
