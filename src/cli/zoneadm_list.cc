// zoneadm list: who is there, in the original's column formats.
#include <algorithm>

#include "base/text.h"
#include "cli/zoneadm.h"

namespace kz::cli {
namespace {

enum class Form { names = 1, table, parsable, states };

struct ListOptions {
    bool configured = false;
    bool installed = false;
    bool without_global = false;
    bool table = false;
    bool parsable = false;
    bool states = false;

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
};

Row global_row() {
    return {"0", "global", "running", "/", "/", "", "linux", "shared", ""};
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
            status.aux.text()};
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
    if (form == Form::states) fmt::print("{:<16} {:<16} {}\n", "NAME", "STATUS", "AUXILIARY STATE");
}

bool shown(const store::ZoneStatus& status, const ListOptions& options) {
    if (options.configured) return true;
    if (options.installed) return status.state != zone::State::configured;
    return status.state >= zone::State::ready;
}

Result<std::vector<Row>> collect_rows(const ZoneadmCall& call, const ListOptions& options) {
    const HostPaths& paths = call.client.paths();
    if (call.zone == "global") return std::vector{global_row()};
    if (!call.zone.empty()) {
        KZ_TRY(const store::ZoneStatus status, call.client.status(call.zone));
        return std::vector{zone_row(status, paths)};
    }
    KZ_TRY(std::vector<store::ZoneStatus> statuses, call.client.statuses());
    // Zones that have a number first, in its order, as the original does.
    std::ranges::stable_sort(statuses, [](const auto& a, const auto& b) {
        return a.id.value_or(INT32_MAX) < b.id.value_or(INT32_MAX);
    });
    std::vector<Row> rows;
    if (!options.without_global) rows.push_back(global_row());
    for (const store::ZoneStatus& status : statuses) {
        if (shown(status, options)) rows.push_back(zone_row(status, paths));
    }
    return rows;
}

}  // namespace

int zoneadm_list(const ZoneadmCall& call) {
    ListOptions options;
    std::vector<std::string> rest;
    const auto take = [&](int letter, const std::string&) { return options.take(letter); };
    if (!read_options(call, "cinpvsd", take, rest) || !rest.empty()) return zoneadm_usage(call);
    if (options.parsable && options.table) {
        zoneadm_message("", "list -p and -v are mutually exclusive.");
        return kExitError;
    }
    if (options.states && (options.table || options.parsable)) {
        zoneadm_message("",
                        fmt::format("list -{} and -s are mutually exclusive.", options.table ? 'v' : 'p'));
        return kExitError;
    }
    const Form form = options.table      ? Form::table
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
