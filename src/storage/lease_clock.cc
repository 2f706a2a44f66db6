#include "storage/lease_clock.h"

#include "crypto/random.h"
#include "os/io.h"

namespace kz::storage {
namespace {

class SystemLeaseClock final : public LeaseClock {
  public:
    BootTime now() override { return BootClock::now(); }

    Result<void> wait(BootClock::duration span, int cancel_fd) override {
        const BootTime until = now() + span;
        while (true) {
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - now());
            if (left.count() <= 0) return {};
            const Result<void> cancelled = wait_readable(cancel_fd, Deadline::after(left));
            if (cancelled) return fail(Errc::cancelled, "cancelled");
            if (cancelled.error().code() != Errc::timeout) return cancelled;
        }
    }

    std::uint64_t random_below(std::uint64_t bound) override {
        std::array<Byte, sizeof(std::uint64_t)> bytes{};
        // Without entropy contenders stay in step for longer; nothing worse.
        if (!crypto::fill_random(bytes)) return 0;
        return load_le<std::uint64_t>(bytes.data()) % bound;
    }
};

}  // namespace

LeaseClock& system_lease_clock() {
    static SystemLeaseClock clock;
    return clock;
}

}  // namespace kz::storage
