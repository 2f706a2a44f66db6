#include "rad/audit.h"

#include <fcntl.h>

#include <algorithm>

#include "os/file.h"
#include "os/io.h"

namespace kz::rad {

void Audit::write(Json entry) {
    entry["when"] = utc_timestamp();
    const auto append = [&]() -> Result<void> {
        KZ_CHECK(make_directories(paths_.log_dir(), 0755));
        KZ_TRY(const UniqueFd fd,
               open_file(paths_.log_dir() / "audit.jsonl", O_WRONLY | O_CREAT | O_APPEND, 0600));
        return write_all(fd.get(), as_bytes(render_json(entry) + "\n"), Deadline::never());
    };
    if (const Result<void> written = append(); !written)
        log_.error("audit: {}: {}", written.error().message(), render_json(entry));
}

void Audit::action(Json entry) {
    const std::lock_guard lock(mutex_);
    write(std::move(entry));
}

void Audit::stranger(Json entry) {
    const std::lock_guard lock(mutex_);
    const auto now = Deadline::Clock::now();
    allowance_ = std::min(kBurst, allowance_ + std::chrono::duration<double>(now - counted_).count());
    counted_ = now;
    if (allowance_ < 1) {
        ++left_out_;
        return;
    }
    allowance_ -= 1;
    if (left_out_ > 0) entry["left_out"] = left_out_;
    left_out_ = 0;
    write(std::move(entry));
}

}  // namespace kz::rad
