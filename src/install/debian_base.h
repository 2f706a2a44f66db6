// What all zones of a manifest have in common. For the Debian builder.
#pragma once

#include "base/result.h"
#include "install/activity.h"
#include "install/apt_sources.h"
#include "install/manifest.h"
#include "os/paths.h"

namespace kz::install {

// Makes a system in `tree`, which does not exist; `work` takes what is needed meanwhile. Nothing in it
// belongs to one zone: no keys, no machine id, no host name. Errors: Errc::io with what mmdebstrap complained
// about.
Result<void> make_debian_base(const Manifest& manifest, const AptSources& sources, const Activity& activity,
                              const Path& tree, const Path& work);

}  // namespace kz::install
