// Users of the guest, from its own files: a static program has no NSS. For kz-agent's own files.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace kzagent {

struct User {
    std::string name;
    uid_t uid = 0;
    gid_t gid = 0;
    std::vector<gid_t> groups{};
    std::string home = "/";
    std::string shell = "/bin/sh";
};

// By /etc/passwd and /etc/group.
std::optional<User> find_user(const std::string& name);
// root, whatever the files say.
User plain_root();

}  // namespace kzagent
