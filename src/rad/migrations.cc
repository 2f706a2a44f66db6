#include "rad/migrations.h"

#include <algorithm>
#include <system_error>

#include "base/log.h"
#include "os/uuid.h"

namespace kz::rad {

Migrations::~Migrations() {
    {
        const std::lock_guard lock(mutex_);
        for (const Running& each : all_)
            each.cancel.signal();
    }
    for (Running& each : all_)
        if (each.thread.joinable()) each.thread.join();
}

Result<Json> Migrations::start(const std::string& zone, const client::MigrateOptions& options,
                               const std::string& by) {
    KZ_TRY(const std::string id, random_uuid());
    KZ_TRY(EventFd cancel, EventFd::create());
    const std::lock_guard lock(mutex_);
    forget_old();
    const auto runs = [](const Running& each) { return !each.ended; };
    if (static_cast<std::size_t>(std::ranges::count_if(all_, runs)) >= kAtOnce)
        return fail(Errc::busy, "{} migrations are under way already", kAtOnce);
    if (std::ranges::any_of(all_,
                            [&](const Running& each) { return runs(each) && each.facts["zone"] == zone; }))
        return fail(Errc::busy, "a migration of the zone is under way");
    Json facts{{"id", id},
               {"zone", zone},
               {"destination", options.destination},
               {"type", options.type},
               {"dry_run", options.dry_run},
               {"by", by},
               {"started", utc_timestamp()},
               {"status", "running"},
               {"messages", Json::array()},
               {"progress", nullptr}};
    Running& running = all_.emplace_back(std::move(facts), std::move(cancel), false, std::thread());
    try {
        running.thread = std::thread([this, &running, options] { run(running, options); });
    } catch (const std::system_error& error) {
        all_.pop_back();
        return fail(Errc::unavailable, "no thread for a migration: {}", error.what());
    }
    return running.facts;
}

client::Reporter Migrations::reporter(Running& running) {
    client::Reporter reporter;
    reporter.cancel_fd = running.cancel.fd();
    reporter.message = [this, &running](const std::string& text) {
        const std::lock_guard lock(mutex_);
        say(running, text);
    };
    reporter.progress = [this, &running](const Json& progress) {
        const std::lock_guard lock(mutex_);
        running.facts["progress"] = progress;
        tell(running, {{"progress", progress}});
    };
    return reporter;
}

void Migrations::run(Running& running, const client::MigrateOptions& options) {
    std::string zone;
    {
        const std::lock_guard lock(mutex_);
        zone = running.facts["zone"].get<std::string>();
        tell(running, {{"status", "running"}});
    }
    Result<Json> report;
    try {
        report = move_(zone, options, reporter(running));
    } catch (const std::exception& error) {
        report = fail(Errc::internal, "internal error: {}", error.what());
    }
    const std::lock_guard lock(mutex_);
    const bool given_up =
        wait_readable(running.cancel.fd(), Deadline::after(std::chrono::milliseconds(0))).has_value();
    if (report && given_up && !options.dry_run) say(running, "too late: moved");
    const bool cancelled = !report && report.error().code() == Errc::cancelled;
    running.facts["status"] = report ? "succeeded" : cancelled ? "cancelled" : "failed";
    running.facts["ended"] = utc_timestamp();
    if (report)
        running.facts["report"] = *std::move(report);
    else
        running.facts["error"] = {{"code", errc_name(report.error().code())},
                                  {"message", report.error().message()}};
    tell(running, {{"status", running.facts["status"]}});
    running.ended = true;
}

void Migrations::say(Running& running, const std::string& text) {
    Json& messages = running.facts["messages"];
    if (messages.size() < kMessages) messages.push_back(text);
    tell(running, {{"message", text}});
}

void Migrations::tell(const Running& running, Json what) {
    what["type"] = "migration";
    what["zone"] = running.facts["zone"];
    what["migration"] = running.facts["id"];
    hub_.publish(std::move(what));
}

// Of those that have ended; their threads are done but for their last few instructions.
void Migrations::forget_old() {
    for (auto each = all_.begin(); all_.size() > kRemembered && each != all_.end();) {
        const auto next = std::next(each);
        if (each->ended) {
            each->thread.join();
            all_.erase(each);
        }
        each = next;
    }
}

Result<Migrations::Running*> Migrations::at(const std::string& zone, const std::string& id) {
    for (Running& each : all_)
        if (each.facts["id"] == id && each.facts["zone"] == zone) return &each;
    return fail(Errc::not_found, "no such migration of the zone");
}

Result<Json> Migrations::find(const std::string& zone, const std::string& id) const {
    const std::lock_guard lock(mutex_);
    for (const Running& each : all_)
        if (each.facts["id"] == id && each.facts["zone"] == zone) return each.facts;
    return fail(Errc::not_found, "no such migration of the zone");
}

std::vector<Json> Migrations::list(const std::string& zone) const {
    const std::lock_guard lock(mutex_);
    std::vector<Json> found;
    for (const Running& each : all_)
        if (each.facts["zone"] == zone) found.push_back(each.facts);
    return found;
}

std::unexpected<Error> Migrations::has_ended(const Running& running) {
    const std::string status = running.facts["status"];
    const bool moved = status == "succeeded" && running.facts["dry_run"] == false;
    return fail(Errc::wrong_state, "{}the migration has ended: it {}", moved ? "too late: moved; " : "",
                status);
}

Result<Json> Migrations::cancel(const std::string& zone, const std::string& id) {
    const std::lock_guard lock(mutex_);
    KZ_TRY(Running* const running, at(zone, id));
    if (running->ended) return has_ended(*running);
    running->cancel.signal();
    return running->facts;
}

Result<Json> Migrations::limit(const std::string& zone, const std::string& id,
                               std::uint64_t bandwidth_bytes) {
    {
        const std::lock_guard lock(mutex_);
        KZ_TRY(const Running* const running, at(zone, id));
        if (running->ended) return has_ended(*running);
    }
    // The monitor answers at its own speed, and knows which phase this is.
    KZ_CHECK(limit_(zone, bandwidth_bytes));
    return find(zone, id);
}

}  // namespace kz::rad
