// kz-zones: what the host's init runs for its zones when it starts and when it goes down. For
// src/bin/kz-zones.
#pragma once

namespace kz::cli {

int kz_zones_main(int argc, char** argv);

}  // namespace kz::cli
