// The program kz-radd. For src/bin/kz-radd.
#pragma once

#include "os/paths.h"
#include "rad/router.h"

namespace kz::rad {

// Returns the exit status (0, 1 for failures, 2 for wrong usage).
int radd_main(int argc, char** argv);

// GET /api/1/host, /api/1/zones and /api/1/zones/{zone}.
void add_host_routes(Router& router, const HostPaths& paths);

}  // namespace kz::rad
