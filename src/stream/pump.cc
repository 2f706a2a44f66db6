#include "stream/pump.h"

#include <algorithm>

#include "stream/fd_channel.h"
#include "stream/fd_io.h"

namespace kz::stream {
namespace {

// Adds to the shared counters and to the totals of this pump.
class Tally {
  public:
    explicit Tally(PumpCounters& counters) : counters_(counters) {}

    void record(std::size_t plain, std::size_t sealed) {
        ++totals_.records;
        totals_.plain_bytes += plain;
        counters_.records.fetch_add(1, std::memory_order_relaxed);
        counters_.plain_bytes.fetch_add(plain, std::memory_order_relaxed);
        this->sealed(sealed);
    }
    void sealed(std::size_t bytes) {
        totals_.sealed_bytes += bytes;
        counters_.sealed_bytes.fetch_add(bytes, std::memory_order_relaxed);
    }
    const PumpTotals& totals() const { return totals_; }

  private:
    PumpCounters& counters_;
    PumpTotals totals_;
};

// Under a limit the input is taken in small pieces too: who writes it measures how fast it is taken, and what
// the pump holds back is not there yet.
MutableBytes even_space(ChannelWriter& channel, const RateLimiter* limiter) {
    const MutableBytes space = channel.space();
    return limiter == nullptr ? space : space.first(std::min(space.size(), limiter->even_piece()));
}

Result<PumpTotals> pump_to_channel(FdInput input, ChannelWriter& channel, int watch_fd,
                                   const RateLimiter* limiter, PumpCounters& counters) {
    Tally tally(counters);
    while (true) {
        KZ_TRY(const std::size_t got, input.read(even_space(channel, limiter), watch_fd));
        if (got == 0) break;
        KZ_TRY(const std::size_t sealed, channel.commit(got));
        tally.record(got, sealed);
    }
    KZ_TRY(const std::size_t sealed, channel.finish());
    tally.sealed(sealed);
    return tally.totals();
}

}  // namespace

Result<PumpTotals> pump_in(int plain_fd, ChannelWriter& channel, const PumpRules& rules,
                           PumpCounters& counters) {
    KZ_TRY(const FdInput input, FdInput::create(plain_fd, rules));
    return pump_to_channel(input, channel, -1, nullptr, counters);
}

Result<PumpTotals> pump_out(ChannelReader& channel, int plain_fd, const PumpRules& rules,
                            PumpCounters& counters) {
    KZ_TRY(FdOutput output, FdOutput::create(plain_fd, rules));
    Tally tally(counters);
    while (true) {
        KZ_TRY(const ChannelReader::Chunk chunk, channel.next());
        if (chunk.plain.empty()) {
            tally.sealed(chunk.sealed);
            return tally.totals();
        }
        KZ_CHECK(output.write(chunk.plain));
        tally.record(chunk.plain.size(), chunk.sealed);
    }
}

Result<PumpTotals> pump_seal(int plain_fd, int sealed_fd, RecordSealer& sealer, const PumpRules& rules,
                             PumpCounters& counters) {
    KZ_TRY(const FdInput input, FdInput::create(plain_fd, rules));
    KZ_TRY(const FdOutput output, FdOutput::create(sealed_fd, rules));
    FdChannelWriter channel(sealer, output);
    return pump_to_channel(input, channel, sealed_fd, rules.limiter, counters);
}

Result<PumpTotals> pump_open(int sealed_fd, int plain_fd, RecordOpener& opener, const PumpRules& rules,
                             PumpCounters& counters) {
    KZ_TRY(const FdInput input, FdInput::create(sealed_fd, rules));
    FdChannelReader channel(opener, input);
    return pump_out(channel, plain_fd, rules, counters);
}

}  // namespace kz::stream
