// The routes by which another host moves a zone here (migrate/offer.h). For
// rad/administration.cc.
#pragma once

#include "base/log.h"
#include "client/client.h"
#include "rad/router.h"

namespace kz::rad {

// `client` and `log` outlive the router.
void add_migration_routes(Router& router, client::Client& client, Log& log);

}  // namespace kz::rad
