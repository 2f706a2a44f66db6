// The program kz-radd, but for the routes that floors above this one add. For src/bin/kz-radd.
#pragma once

#include <functional>

#include "base/log.h"
#include "os/paths.h"
#include "rad/router.h"

namespace kz::rad {

// Adds further routes before the server starts.
using AddRoutes = std::function<void(Router& router, const HostPaths& paths, Log& log)>;

// The program; returns its exit status (0, 1 for failures, 2 for wrong usage).
int radd_main(int argc, char** argv, const AddRoutes& add_routes);

// GET /api/1/host.
void add_host_routes(Router& router, const HostPaths& paths);

}  // namespace kz::rad
