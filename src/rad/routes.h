// The routes of remote administration by subject; docs/openapi.yaml describes each. For
// rad/administration.cc and tests. What they are given outlives the router.
#pragma once

#include "client/client.h"
#include "rad/event_hub.h"
#include "rad/guard.h"
#include "rad/migrations.h"
#include "rad/router.h"

namespace kz::rad {

// POST /api/1/login.
void add_login_route(Router& router, Guard& guard);
// GET /api/1/host, /api/1/zones, /api/1/zones/{zone}.
void add_host_routes(Router& router, const HostPaths& paths, const Guard& guard);
// GET, PUT and DELETE /api/1/zones/{zone}/configuration.
void add_configuration_routes(Router& router, client::Client& client);
// POST /api/1/zones/{zone}/state.
void add_state_routes(Router& router, client::Client& client);
// /api/1/zones/{zone}/migrations: the moves away from this host.
void add_migrate_routes(Router& router, Migrations& migrations, const HostPaths& paths, const Guard& guard);
// GET /api/1/events.
void add_event_routes(Router& router, EventHub& hub, const Guard& guard);

}  // namespace kz::rad
