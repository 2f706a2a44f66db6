#include "user.h"

#include <cstdlib>

#include "files.h"

namespace kzagent {
namespace {

constexpr std::size_t kMaxFile = 4 * 1024 * 1024;

std::optional<unsigned> number(const std::string& text) {
    if (text.empty() || text.find_first_not_of("0123456789") != std::string::npos || text.size() > 10)
        return std::nullopt;
    return static_cast<unsigned>(std::strtoul(text.c_str(), nullptr, 10));
}

std::vector<gid_t> groups_of(const User& user) {
    std::vector<gid_t> groups{user.gid};
    for (const std::string& line : split(read_text("/etc/group", kMaxFile), '\n')) {
        const std::vector<std::string> fields = split(line, ':');
        if (fields.size() != 4) continue;
        const auto gid = number(fields[2]);
        for (const std::string& member : split(fields[3], ',')) {
            if (gid && member == user.name && *gid != user.gid) groups.push_back(*gid);
        }
    }
    return groups;
}

}  // namespace

std::optional<User> find_user(const std::string& name) {
    for (const std::string& line : split(read_text("/etc/passwd", kMaxFile), '\n')) {
        const std::vector<std::string> fields = split(line, ':');
        if (fields.size() != 7 || fields[0] != name || name.empty()) continue;
        const auto uid = number(fields[2]);
        const auto gid = number(fields[3]);
        if (!uid || !gid) return std::nullopt;
        User user{.name = name, .uid = *uid, .gid = *gid};
        if (!fields[5].empty()) user.home = fields[5];
        if (!fields[6].empty()) user.shell = fields[6];
        user.groups = groups_of(user);
        return user;
    }
    return std::nullopt;
}

User plain_root() {
    return {.name = "root", .groups = {0}};
}

}  // namespace kzagent
