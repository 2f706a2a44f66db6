// PostCopyRecord: what a monitor must know to go on with a post-copy migration that an earlier one has begun,
// at either side: run/zones/ZONE/post-copy.json, readable by root alone. For the monitor's own files.
//
// Theory of operation. The source writes it before the commit, the destination before it says that the
// devices are loaded; both remove it when all memory is there. It names the machine: one that is left over
// says nothing of another machine. {"side": "source"|"destination", "machine": "PID:START", "migration_id",
// "peer", "host", "tunnel", "cipher", and those of migrate::Session}.
#pragma once

#include <optional>
#include <string>

#include "migrate/offer.h"
#include "monitor/stream_channels.h"
#include "os/paths.h"
#include "os/process.h"

namespace kz::monitor {

struct PostCopyRecord {
    enum class Side { source = 1, destination };
    Side side = Side::source;
    ProcessIdentity machine;
    std::string migration_id;
    std::string peer;   // the other host's name
    MemoryRoute route;  // of the source: how port 8102 is reached
    crypto::Cipher cipher = crypto::kDefaultCipher;
    migrate::Session session;

    PostCopyRecord clone() const;
    Json to_json() const;
    // Errors: Errc::protocol for what is not such an object.
    static Result<PostCopyRecord> from_json(const Json& json);
};

Result<void> save_post_copy(const HostPaths& paths, const std::string& zone, const PostCopyRecord& record);
// Nothing when there is none of this machine and side.
std::optional<PostCopyRecord> load_post_copy(const HostPaths& paths, const std::string& zone,
                                             const ProcessIdentity& machine, PostCopyRecord::Side side);
Result<void> remove_post_copy(const HostPaths& paths, const std::string& zone);

}  // namespace kz::monitor
