#include "qemu/migration.h"

#include <algorithm>
#include <array>
#include <utility>

#include "os/io.h"

namespace kz::qemu {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr std::array<std::pair<MigrationStatus, std::string_view>, 13> kStatusNames{{
    {MigrationStatus::none, "none"},
    {MigrationStatus::setup, "setup"},
    {MigrationStatus::active, "active"},
    {MigrationStatus::pre_switchover, "pre-switchover"},
    {MigrationStatus::device, "device"},
    {MigrationStatus::postcopy_active, "postcopy-active"},
    {MigrationStatus::postcopy_paused, "postcopy-paused"},
    {MigrationStatus::postcopy_recover, "postcopy-recover"},
    {MigrationStatus::wait_unplug, "wait-unplug"},
    {MigrationStatus::cancelling, "cancelling"},
    {MigrationStatus::cancelled, "cancelled"},
    {MigrationStatus::completed, "completed"},
    {MigrationStatus::failed, "failed"},
}};

MigrationStatus status_of(std::string_view name) {
    const auto* found = std::ranges::find(kStatusNames, name, &decltype(kStatusNames)::value_type::second);
    return found == kStatusNames.end() ? MigrationStatus::unknown : found->first;
}

std::uint64_t number(const json& object, const char* name) {
    const auto found = object.find(name);
    return found != object.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

milliseconds span(const json& object, const char* name) {
    // QEMU sends the largest integer for what will never be; a day is as good.
    constexpr std::uint64_t kLongest = 24ULL * 3600 * 1000;
    return milliseconds(std::min(number(object, name), kLongest));
}

std::string text(const json& object, const char* name) {
    const auto found = object.find(name);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

void read_memory_counters(const json& ram, MigrationState& state) {
    state.transferred = number(ram, "transferred");
    state.remaining = number(ram, "remaining");
    state.total = number(ram, "total");
    if (const std::uint64_t size = number(ram, "page-size"); size != 0) state.page_size = size;
    state.dirty_pages_per_second = number(ram, "dirty-pages-rate");
    state.iteration = number(ram, "dirty-sync-count");
    state.zero_pages = number(ram, "duplicate");
    state.multifd_bytes = number(ram, "multifd-bytes");
    if (const auto rate = ram.find("mbps"); rate != ram.end() && rate->is_number())
        state.megabits_per_second = rate->get<double>();
}

Result<void> set_capabilities(Qmp& qmp, std::initializer_list<std::pair<const char*, bool>> wanted) {
    json list = json::array();
    for (const auto& [name, on] : wanted)
        list.push_back({{"capability", name}, {"state", on}});
    KZ_CHECK(qmp.execute("migrate-set-capabilities", {{"capabilities", std::move(list)}}));
    return {};
}

Result<void> set_parameters(Qmp& qmp, json parameters) {
    KZ_CHECK(qmp.execute("migrate-set-parameters", std::move(parameters)));
    return {};
}

// QEMU tells a migration's end a moment before its run state follows; until then it refuses `cont`.
Result<void> wait_for_run_state(Qmp& qmp, Deadline deadline, int cancel_fd) {
    constexpr milliseconds kMoment{2};
    constexpr int kNoFd = -1;
    while (true) {
        KZ_TRY(const json answer, qmp.execute("query-status"));
        if (!answer.is_object() || text(answer, "status") != "finish-migrate") return {};
        const auto moment = wait_readable(kNoFd, deadline.earlier(Deadline::after(kMoment)), cancel_fd);
        if (moment.error().code() != Errc::timeout || deadline.passed())
            return std::unexpected(moment.error());
    }
}

}  // namespace

std::string_view migration_status_name(MigrationStatus status) {
    const auto* found = std::ranges::find(kStatusNames, status, &decltype(kStatusNames)::value_type::first);
    return found == kStatusNames.end() ? "unknown" : found->second;
}

MigrationStatus status_of_event(const QmpEvent& event) {
    return status_of(text(event.data, "status"));
}

bool migration_ended(MigrationStatus status) {
    return status == MigrationStatus::completed || status == MigrationStatus::failed ||
           status == MigrationStatus::cancelled;
}

Result<void> set_up_outgoing(Qmp& qmp, const MigrationSetup& setup) {
    KZ_CHECK(set_capabilities(qmp, {{"events", true},
                                    {"multifd", setup.channels > 0},
                                    {"pause-before-switchover", setup.pause_before_switchover},
                                    {"auto-converge", setup.auto_converge},
                                    {"postcopy-ram", setup.post_copy}}));
    if (setup.channels > 0) KZ_CHECK(set_parameters(qmp, {{"multifd-channels", setup.channels}}));
    return set_migration_limits(qmp, setup.max_bytes_per_second, setup.downtime_limit);
}

Result<void> set_up_incoming(Qmp& qmp, unsigned channels) {
    KZ_CHECK(set_capabilities(qmp, {{"events", true}, {"multifd", channels > 0}, {"postcopy-ram", false}}));
    if (channels > 0) KZ_CHECK(set_parameters(qmp, {{"multifd-channels", channels}}));
    return {};
}

Result<void> start_outgoing(Qmp& qmp, std::string_view uri) {
    KZ_CHECK(qmp.execute("migrate", {{"uri", uri}}));
    return {};
}

Result<void> start_incoming(Qmp& qmp, std::string_view uri) {
    KZ_CHECK(qmp.execute("migrate-incoming", {{"uri", uri}}));
    return {};
}

Result<MigrationState> query_migration(Qmp& qmp) {
    KZ_TRY(const json answer, qmp.execute("query-migrate"));
    MigrationState state;
    if (!answer.is_object()) return fail(Errc::protocol, "query-migrate: the answer is not an object");
    if (!answer.contains("status")) return state;
    state.status = status_of(text(answer, "status"));
    state.error = text(answer, "error-desc");
    state.total_time = span(answer, "total-time");
    state.expected_downtime = span(answer, "expected-downtime");
    state.downtime = span(answer, "downtime");
    state.throttle_percent = number(answer, "cpu-throttle-percentage");
    if (const auto ram = answer.find("ram"); ram != answer.end() && ram->is_object())
        read_memory_counters(*ram, state);
    return state;
}

Result<MigrationState> wait_for_status(Qmp& qmp, std::initializer_list<MigrationStatus> wanted,
                                       Deadline deadline, int cancel_fd) {
    // Subscribed before the first look, so that no change falls between.
    KZ_TRY(EventWait changes, EventWait::subscribe(qmp, {"MIGRATION"}));
    // A look now and then all the same: events come only where set_up_* was called.
    constexpr milliseconds kLook{500};
    while (true) {
        KZ_TRY(MigrationState state, query_migration(qmp));
        if (migration_ended(state.status)) {
            KZ_CHECK(wait_for_run_state(qmp, deadline, cancel_fd));
            return state;
        }
        if (std::ranges::find(wanted, state.status) != wanted.end()) return state;
        const auto change = changes.next(deadline.earlier(Deadline::after(kLook)), cancel_fd);
        if (change) continue;
        if (change.error().code() != Errc::timeout || deadline.passed())
            return std::unexpected(change.error());
    }
}

Result<MigrationState> wait_for_end(Qmp& qmp, Deadline deadline, int cancel_fd) {
    KZ_TRY(MigrationState state, wait_for_status(qmp, {}, deadline, cancel_fd));
    if (state.status == MigrationStatus::cancelled) return fail(Errc::cancelled, "migration was cancelled");
    if (state.status == MigrationStatus::failed) {
        return fail(Errc::io, "migration failed: {}",
                    state.error.empty() ? std::string("QEMU gives no reason") : state.error);
    }
    return state;
}

Result<void> continue_after_pause(Qmp& qmp) {
    KZ_CHECK(qmp.execute("migrate-continue", {{"state", "pre-switchover"}}));
    return {};
}

Result<void> start_post_copy(Qmp& qmp) {
    KZ_CHECK(qmp.execute("migrate-start-postcopy"));
    return {};
}

Result<void> recover_incoming(Qmp& qmp, std::string_view uri) {
    KZ_CHECK(qmp.execute_out_of_band("migrate-recover", {{"uri", uri}}));
    return {};
}

Result<void> resume_outgoing(Qmp& qmp, std::string_view uri) {
    KZ_CHECK(qmp.execute("migrate", {{"uri", uri}, {"resume", true}}));
    return {};
}

Result<void> cancel_migration(Qmp& qmp) {
    KZ_CHECK(qmp.execute("migrate_cancel"));
    return {};
}

Result<void> set_migration_limits(Qmp& qmp, std::uint64_t max_bytes_per_second, milliseconds downtime_limit) {
    return set_parameters(
        qmp, {{"max-bandwidth", max_bytes_per_second}, {"downtime-limit", downtime_limit.count()}});
}

}  // namespace kz::qemu
