// NfsPlace: where an nfs: SURI leads: the server, a mounted folder on the way, and what is below it. Internal
// to storage.
#pragma once

#include "storage/nfs_session.h"

namespace kz::storage {

struct NfsPlace {
    NfsServer server;
    std::string address;     // numeric, so that reconnecting asks no name service
    std::uint16_t port = 0;  // of the NFS service
    // The nearest folder above the file that the server mounts.
    NfsMount mount;
    std::vector<std::string> below;  // the folders between that and the file
    std::string name;                // of the file
    NfsSession session;

    // Errors: those of MountService; Errc::invalid_argument when the path names no file.
    static Result<NfsPlace> reach(const Suri& suri, Deadline deadline);

    // The folder that holds the file. Errors: Errc::not_found.
    Result<NfsHandle> folder();
    // Errors: Errc::not_found; Errc::invalid_argument when it is not a regular file.
    Result<NfsObject> file();
    // As the session is after a fault: a new connection.
    Result<void> reconnect(Deadline deadline);
};

}  // namespace kz::storage
