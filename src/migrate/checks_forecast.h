// Forecast: what a live migration would come to, from what a dry run measures. For the source's monitor.
//
// The model: the whole memory that the guest uses crosses once; each further pass carries what changed during
// the one before. It ends when what is left fits the longest pause, and it does not converge when passes stop
// getting shorter. Compression, pages of zeros and the slowing down of the guest that QEMU does before giving
// up would make it better; more connections too, where a processor is the limit: so it is a careful guess.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "base/json.h"
#include "qemu/qmp.h"

namespace kz::migrate {

struct ForecastFacts {
    std::uint64_t memory_bytes = 0;  // that the guest uses
    // Nothing: it could not be measured, and is taken for none.
    std::optional<std::uint64_t> dirty_bytes_per_second{};
    std::uint64_t link_bytes_per_second = 0;
    std::uint64_t allowed_bytes_per_second = 0;  // what the administrator lets the move have; 0: all there is
    std::chrono::milliseconds max_pause{300};
};

struct Forecast {
    bool converges = false;
    std::uint64_t bytes = 0;
    std::chrono::milliseconds time{0};
    // For the memory; devices and storage add theirs. For one that does not converge: the pause with which it
    // would.
    std::chrono::milliseconds pause{0};
    unsigned passes = 0;
};

Forecast forecast(const ForecastFacts& facts);

// For the administrator: lines.
std::string forecast_text(const ForecastFacts& facts, const Forecast& result);
Json forecast_json(const ForecastFacts& facts, const Forecast& result);

// How much memory the guest changes, looked at for one second (QEMU samples pages, whatever the accelerator,
// and the guest hardly notices). Nothing for a guest whose memory is too small to be sampled (below 128 MiB).
// Errors: Errc::timeout, Errc::cancelled, those of Qmp.
Result<std::optional<std::uint64_t>> measure_dirty_rate(qemu::Qmp& qmp, std::uint64_t memory_bytes,
                                                        int cancel_fd);

}  // namespace kz::migrate
