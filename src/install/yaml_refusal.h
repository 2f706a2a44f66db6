// What the readers of YAML throw at what they do not take; caught where the document enters. For the readers
// of profiles and manifests only.
#pragma once

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "install/profile.h"

namespace kz::install {

struct YamlRefusal {
    int line;  // from 1
    std::string message;
};

template <typename... Args>
[[noreturn]] void refuse(const YAML::Mark& mark, fmt::format_string<Args...> format, Args&&... args) {
    throw YamlRefusal{std::max(mark.line, 0) + 1, fmt::format(format, std::forward<Args>(args)...)};
}

template <typename... Args>
[[noreturn]] void refuse(const YAML::Node& node, fmt::format_string<Args...> format, Args&&... args) {
    throw YamlRefusal{std::max(node.Mark().line, 0) + 1, fmt::format(format, std::forward<Args>(args)...)};
}

// The list under "users". Throws.
std::vector<ProfileUser> read_users(const YAML::Node& node);

}  // namespace kz::install
