// zoneadm list: who is there, in the original's column formats.
#include <algorithm>

#include "base/text.h"
#include "cli/zoneadm.h"
#include "store/zone_json.h"

namespace kz::cli {
namespace {

enum class Form { names = 1, table, long_table, parsable, states };

struct ListOptions {
    bool configured = false;
    bool installed = false;
    bool without_global = false;
    bool table = false;
    bool parsable = false;
    bool states = false;
    bool wide = false;
    bool json = false;

    bool take(int letter) {
        switch (letter) {
            case 'c':
                return configured = true;
            case 'i':
                return installed = true;
            case 'n':
                return without_global = true;
            case 'v':
                return table = true;
            case 'p':
                return parsable = true;
            case 's':
                return states = true;
            default:
                return letter == 'd';
        }
    }
};

struct Row {
    std::string id;
    std::string name;
    std::string state;
    std::string path;  // as -v shows it
    std::string data_path;
    std::string uuid;
    std::string brand;
    std::string ip_type;
    std::string aux;
    std::string agent = "-";
    std::string addresses = "-";
};

Row global_row() {
    return {"0", "global", "running", "/", "/", "", "linux", "shared", "", "-", "-"};
}

std::string agent_text(const store::ZoneStatus& status) {
    if (!status.guest) return "-";
    return status.guest->agent + (status.guest->usable ? "" : " (starting)");
}

std::string addresses_text(const store::ZoneStatus& status) {
    std::vector<std::string> texts;
    if (status.guest) {
        for (const store::GuestAddress& each : status.guest->addresses)
            texts.push_back(each.address);
    }
    return texts.empty() ? "-" : join(texts, ",");
}

Row zone_row(const store::ZoneStatus& status, const HostPaths& paths) {
    return {status.id ? std::to_string(*status.id) : "-",
            status.name,
            std::string(zone::state_name(status.state)),
            "-",
            paths.zone_dir(status.name).string(),
            status.uuid,
            status.brand,
            "excl",
            status.aux.text(),
            agent_text(status),
            addresses_text(status)};
}

std::string escape_colons(const std::string& text) {
    return join(split(text, ':'), "\\:");
}

void print_row(const Row& row, Form form) {
    switch (form) {
        case Form::names:
            fmt::print("{}\n", row.name);
            break;
        case Form::table:
            fmt::print("{:>4} {:<16} {:<11} {:<28} {:<10} {:<6}\n", row.id, row.name, row.state, row.path,
                       row.brand, row.ip_type);
            break;
        case Form::long_table:
            fmt::print("{:>4} {:<16} {:<11} {:<10} {:<26} {}\n", row.id, row.name, row.state, row.brand,
                       row.agent, row.addresses);
            break;
        case Form::parsable:
            fmt::print("{}:{}:{}:{}:{}:{}:{}:-:{}:{}\n", row.id, row.name, row.state,
                       escape_colons(row.data_path), row.uuid, row.brand, row.ip_type,
                       row.name == "global" ? "none" : "-", row.aux);
            break;
        case Form::states:
            fmt::print("{:<16} {:<16} {}\n", row.name, row.state, row.aux);
            break;
    }
}

void print_header(Form form) {
    if (form == Form::table) {
        fmt::print("{:>4} {:<16} {:<11} {:<28} {:<10} {:<6}\n", "ID", "NAME", "STATUS", "PATH", "BRAND",
                   "IP");
    }
    if (form == Form::long_table) {
        fmt::print("{:>4} {:<16} {:<11} {:<10} {:<26} {}\n", "ID", "NAME", "STATUS", "BRAND", "AGENT",
                   "ADDRESSES");
    }
    if (form == Form::states) fmt::print("{:<16} {:<16} {}\n", "NAME", "STATUS", "AUXILIARY STATE");
}

bool shown(const store::ZoneStatus& status, const ListOptions& options) {
    if (options.configured) return true;
    if (options.installed) return status.state != zone::State::configured;
    return status.state >= zone::State::ready;
}

// The zones that are to be shown, those that have a number first, in its order, as the original does.
Result<std::vector<store::ZoneStatus>> collect(const ZoneadmCall& call, const ListOptions& options) {
    if (!call.zone.empty()) {
        KZ_TRY(store::ZoneStatus status, call.client.status(call.zone));
        return std::vector{std::move(status)};
    }
    KZ_TRY(std::vector<store::ZoneStatus> statuses, call.client.statuses());
    std::erase_if(statuses, [&](const store::ZoneStatus& status) { return !shown(status, options); });
    std::ranges::stable_sort(statuses, [](const auto& a, const auto& b) {
        return a.id.value_or(INT32_MAX) < b.id.value_or(INT32_MAX);
    });
    return statuses;
}

Result<std::vector<Row>> collect_rows(const ZoneadmCall& call, const ListOptions& options) {
    if (call.zone == "global") return std::vector{global_row()};
    KZ_TRY(const std::vector<store::ZoneStatus> statuses, collect(call, options));
    std::vector<Row> rows;
    if (call.zone.empty() && !options.without_global) rows.push_back(global_row());
    for (const store::ZoneStatus& status : statuses)
        rows.push_back(zone_row(status, call.client.paths()));
    return rows;
}

// As REST tells it; the global zone is no zone of ours.
Result<void> print_json(const ZoneadmCall& call, const ListOptions& options) {
    Json zones = Json::array();
    if (call.zone != "global") {
        KZ_TRY(const std::vector<store::ZoneStatus> statuses, collect(call, options));
        for (const store::ZoneStatus& status : statuses)
            zones.push_back(store::describe_zone(status));
    }
    fmt::print("{}\n", render_json(zones, 2));
    return {};
}

// Takes the long options out of the words; what is left is for getopt.
ZoneadmCall take_long_options(ZoneadmCall call, ListOptions& options) {
    std::erase_if(call.words, [&](const std::string& word) {
        if (word == "--long") return options.wide = true;
        if (word == "--json") return options.json = true;
        return false;
    });
    return call;
}

}  // namespace

int zoneadm_list(const ZoneadmCall& call) {
    ListOptions options;
    std::vector<std::string> rest;
    const auto take = [&](int letter, const std::string&) { return options.take(letter); };
    if (!read_options(take_long_options(call, options), "cinpvsd", take, rest) || !rest.empty() ||
        (options.wide && !options.table))
        return zoneadm_usage(call);
    if (options.json && (options.table || options.parsable || options.states)) {
        zoneadm_message("", "list --json and -p, -s, -v are mutually exclusive.");
        return kExitError;
    }
    if (options.parsable && options.table) {
        zoneadm_message("", "list -p and -v are mutually exclusive.");
        return kExitError;
    }
    if (options.states && (options.table || options.parsable)) {
        zoneadm_message("",
                        fmt::format("list -{} and -s are mutually exclusive.", options.table ? 'v' : 'p'));
        return kExitError;
    }
    if (options.json) return zoneadm_report(call, print_json(call, options));
    const Form form = options.wide       ? Form::long_table
                      : options.table    ? Form::table
                      : options.parsable ? Form::parsable
                      : options.states   ? Form::states
                                         : Form::names;
    const Result<std::vector<Row>> rows = collect_rows(call, options);
    if (!rows) {
        zoneadm_message(call.zone, rows.error().message());
        return kExitError;
    }
    print_header(form);
    for (const Row& row : *rows)
        print_row(row, form);
    return kExitOk;
}

}  // namespace kz::cli
