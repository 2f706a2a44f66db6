// InstallLog: what an installation says, to the user and into var/log/zones. For the client API's own files.
#pragma once

#include <string>

#include "base/fd.h"
#include "client/client.h"

namespace kz::client {

class InstallLog {
  public:
    // "zoneadm.YYYYMMDDThhmmssZ.ZONE.OPERATION"; the user is told its path.
    static Result<InstallLog> create(const HostPaths& paths, const std::string& zone,
                                     const std::string& operation, const Reporter& reporter);
    void say(const std::string& text);
    // Into the file alone.
    void note(const std::string& text);

  private:
    InstallLog(UniqueFd fd, const Reporter& reporter) : fd_(std::move(fd)), reporter_(&reporter) {}
    UniqueFd fd_;
    const Reporter* reporter_;
};

}  // namespace kz::client
