#include "install/activity.h"

#include <poll.h>

namespace kz::install {

Result<void> Activity::check() const {
    pollfd entry{cancel_fd, POLLIN, 0};
    if (cancel_fd >= 0 && ::poll(&entry, 1, 0) == 1) return fail(Errc::cancelled, "cancelled");
    return {};
}

Result<std::string> Activity::run(std::vector<std::string> argv, const Path& working_directory) const {
    CommandOptions options;
    options.cancel_fd = cancel_fd;
    options.environment.emplace("LC_ALL", "C");
    options.working_directory = working_directory;
    return run_checked(std::move(argv), options);
}

}  // namespace kz::install
