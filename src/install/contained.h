// Running programs in a new system's tree so that nothing of it is left behind. For the builders.
//
// Theory of operation
//
// Every such program is the first process of a process namespace, and has a mount namespace: whatever it
// mounts, and whatever it leaves running, is gone when it ends, when it is killed and when we are killed
// (PR_SET_PDEATHSIG). Nothing is ever mounted where the host sees it.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "install/activity.h"
#include "os/paths.h"

namespace kz::install {

enum class Network { host = 1, none };

// `command` in namespaces of its own, with the host's file system. Errors: those of find_tool().
Result<std::vector<std::string>> contained(std::vector<std::string> command, Network network = Network::host);

// Runs `command` with `tree` as its root, without a network, with /proc and the harmless devices, and an
// environment of its own.
Result<std::string> run_in_tree(const Path& tree, std::vector<std::string> command, const Activity& activity,
                                std::string standard_input = {});

// Puts what is below `overlay` into the tree, owners and modes included. Links are followed as the tree's own
// programs would, never out of it.
Result<void> lay_over(const Path& overlay, const Path& tree, const Activity& activity);

}  // namespace kz::install
