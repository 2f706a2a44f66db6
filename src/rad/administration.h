// Administration: everything that remote administration of one host consists of, but for its sockets. For
// rad/radd.cc, rad/stdio.cc and tests.
#pragma once

#include <memory>

#include "client/client.h"
#include "rad/audit.h"
#include "rad/event_hub.h"
#include "rad/exchange.h"
#include "rad/guard.h"
#include "rad/migrations.h"
#include "rad/zone_watch.h"

namespace kz::rad {

class Administration {
  public:
    // `log` outlives it. A host whose zones cannot be watched is administered all the same, without events of
    // their states; the log says so.
    static Result<std::unique_ptr<Administration>> open(const HostPaths& paths, PasswordCheck check, Log& log,
                                                        GuardLimits limits = {});
    Administration(const Administration&) = delete;
    Administration& operator=(const Administration&) = delete;

    // Valid as long as this object.
    Desk desk() { return {router_, guard_, audit_, log_}; }
    const Router& router() const { return router_; }
    Guard& guard() { return guard_; }
    EventHub& events() { return hub_; }

  private:
    Administration(client::Client client, PasswordCheck check, Log& log, GuardLimits limits);
    void add_routes();

    Log& log_;
    client::Client client_;
    Audit audit_;
    Guard guard_;
    EventHub hub_;
    Migrations migrations_;
    Router router_;
    std::unique_ptr<ZoneWatch> watch_;
};

}  // namespace kz::rad
