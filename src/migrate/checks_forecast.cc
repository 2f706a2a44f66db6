#include "migrate/checks_forecast.h"

#include <algorithm>

#include "os/io.h"

namespace kz::migrate {
namespace {

using std::chrono::milliseconds;

constexpr unsigned kMostPasses = 30;
// A pass that is not clearly shorter than the one before will not be the last but one.
constexpr double kShorter = 0.9;
// QEMU samples no smaller RAM block.
constexpr std::uint64_t kLeastSampled = 128 << 20;
constexpr unsigned kSamplesPerGib = 4096;
constexpr unsigned kSampleSeconds = 1;
constexpr std::chrono::seconds kSampleTime{15};
constexpr milliseconds kSampleStep{100};

milliseconds time_for(double bytes, double rate) {
    constexpr double kLongest = 1e12;
    return milliseconds(static_cast<std::int64_t>(std::min(bytes * 1000 / rate, kLongest)));
}

std::string rate_text(std::uint64_t bytes_per_second) {
    return fmt::format("{:.1f} MB/s", static_cast<double>(bytes_per_second) / 1e6);
}

bool is_limited(const ForecastFacts& facts) {
    return facts.allowed_bytes_per_second != 0 &&
           facts.allowed_bytes_per_second < facts.link_bytes_per_second;
}

std::uint64_t usable_rate(const ForecastFacts& facts) {
    return is_limited(facts) ? facts.allowed_bytes_per_second : facts.link_bytes_per_second;
}

std::string link_text(const ForecastFacts& facts) {
    const std::string link = "the link carries " + rate_text(facts.link_bytes_per_second);
    if (!is_limited(facts)) return link;
    return fmt::format("{}, of which {} are allowed", link, rate_text(facts.allowed_bytes_per_second));
}

std::string changes_text(const ForecastFacts& facts) {
    if (!facts.dirty_bytes_per_second) return "how fast memory changes was not measured";
    return "memory changes at " + rate_text(*facts.dirty_bytes_per_second);
}

}  // namespace

Forecast forecast(const ForecastFacts& facts) {
    Forecast result;
    const auto memory = static_cast<double>(facts.memory_bytes);
    const double rate = std::max(1.0, static_cast<double>(usable_rate(facts)));
    const auto dirty = static_cast<double>(facts.dirty_bytes_per_second.value_or(0));
    const double fits = rate * static_cast<double>(facts.max_pause.count()) / 1000;
    double left = memory;
    double sent = 0;
    while (result.passes < kMostPasses && !result.converges) {
        ++result.passes;
        sent += left;
        const double changed = std::min(memory, dirty * left / rate);
        result.converges = changed <= fits;
        const bool stands_still = changed > left * kShorter;
        left = changed;
        if (stands_still && !result.converges) break;
    }
    result.bytes = static_cast<std::uint64_t>(sent + left);
    result.time = time_for(sent + left, rate);
    result.pause = time_for(left, rate);
    return result;
}

std::string forecast_text(const ForecastFacts& facts, const Forecast& result) {
    const std::string measured = fmt::format("Measured: {}, {}.", link_text(facts), changes_text(facts));
    if (result.converges) {
        return fmt::format("{}\nForecast: {} MiB in {:.1f} s, {} passes, a pause of {} ms for memory.",
                           measured, result.bytes >> 20, static_cast<double>(result.time.count()) / 1000,
                           result.passes, result.pause.count());
    }
    return fmt::format(
        "{}\nForecast: it will not converge within a pause of {} ms unless the guest is slowed down or its "
        "memory compresses well.\nWhat helps: --max-pause {}, --deadline S --on-deadline force, or {}.",
        measured, facts.max_pause.count(), result.pause.count(),
        is_limited(facts) ? "more --bandwidth" : "a faster link");
}

Json forecast_json(const ForecastFacts& facts, const Forecast& result) {
    return {{"converges", result.converges},
            {"bytes", result.bytes},
            {"time_ms", result.time.count()},
            {"pause_ms", result.pause.count()},
            {"passes", result.passes},
            {"memory_bytes", facts.memory_bytes},
            {"dirty_bytes_per_second",
             facts.dirty_bytes_per_second ? Json(*facts.dirty_bytes_per_second) : Json()},
            {"link_bytes_per_second", facts.link_bytes_per_second},
            {"allowed_bytes_per_second", facts.allowed_bytes_per_second}};
}

Result<std::optional<std::uint64_t>> measure_dirty_rate(qemu::Qmp& qmp, std::uint64_t memory_bytes,
                                                        int cancel_fd) {
    if (memory_bytes <= kLeastSampled) return std::nullopt;
    KZ_CHECK(
        qmp.execute("calc-dirty-rate", {{"calc-time", kSampleSeconds}, {"sample-pages", kSamplesPerGib}}));
    const Deadline deadline = Deadline::after(kSampleTime);
    while (true) {
        KZ_TRY(const Json answer, qmp.execute("query-dirty-rate"));
        KZ_TRY(const std::string status, json_text(answer, "status"));
        // Of a host that is busy with other things QEMU may tell nothing.
        const auto rate = json_optional_u64(answer, "dirty-rate");
        if (status == "measured" && rate && *rate) return std::optional(**rate << 20);
        if (status == "measured") return std::nullopt;
        if (deadline.passed()) return fail(Errc::timeout, "QEMU does not tell how fast memory changes");
        if (wait_readable(cancel_fd, Deadline::after(kSampleStep))) return fail(Errc::cancelled, "cancelled");
    }
}

}  // namespace kz::migrate
