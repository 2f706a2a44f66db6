// suriadm: the command about storage URIs. For src/bin/suriadm.
//
// suriadm.cc reads the command line and finds the sub-command in the table; suriadm_*.cc hold the
// sub-commands.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "os/paths.h"
#include "storage/access.h"
#include "storage/suri.h"

namespace kz::cli {

int suriadm_main(int argc, char** argv);

// What a sub-command is called with, its options read.
struct SuriadmCall {
    std::string root;
    std::string subcommand;
    bool no_header = false;                         // -H
    std::vector<std::string> output;                // -o, checked
    std::map<std::string, std::string> properties;  // -p, names checked
    std::string type;                               // -t, checked
    bool force = false;                             // -F
    std::vector<std::string> operands;

    Result<storage::Suri> suri() const;
    Result<HostPaths> paths() const { return HostPaths::from_environment(root); }
    // What network volumes need; a type that is this host's own needs nothing, and no rights to /etc/zones.
    Result<storage::StorageAccess> access(const storage::Suri& suri) const;
    Result<storage::StorageAccess> network_access() const;
};

// "suriadm: TEXT" on stderr.
void suriadm_message(std::string_view text);

Result<void> suriadm_parse(const SuriadmCall& call);
Result<void> suriadm_normalize(const SuriadmCall& call);
Result<void> suriadm_map(const SuriadmCall& call);
Result<void> suriadm_lookup_mapping(const SuriadmCall& call);
Result<void> suriadm_unmap(const SuriadmCall& call);
Result<void> suriadm_create(const SuriadmCall& call);
Result<void> suriadm_destroy(const SuriadmCall& call);
Result<void> suriadm_lookup_uri(const SuriadmCall& call);
Result<void> suriadm_discover(const SuriadmCall& call);

}  // namespace kz::cli
