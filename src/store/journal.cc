#include "store/journal.h"

#include <fcntl.h>

#include "base/log.h"
#include "base/text.h"
#include "os/file.h"
#include "os/io.h"

namespace kz::store {
namespace {

constexpr std::size_t kMaxJournal = 64 * 1024 * 1024;
constexpr std::size_t kMaxEntries = 1000;

Path journal_file(const HostPaths& paths) {
    return paths.log_dir() / "journal.jsonl";
}

}  // namespace

Result<void> append_journal(const HostPaths& paths, std::string_view zone, std::string_view move,
                            Json facts) {
    facts["when"] = utc_timestamp();
    facts["zone"] = zone;
    facts["move"] = move;
    KZ_CHECK(make_directories(paths.log_dir(), 0755));
    KZ_TRY(const UniqueFd fd, open_file(journal_file(paths), O_WRONLY | O_CREAT | O_APPEND, 0600));
    return write_all(fd.get(), as_bytes(render_json(facts) + "\n"), Deadline::never());
}

Result<std::vector<Json>> read_journal(const HostPaths& paths, std::string_view zone) {
    std::vector<Json> entries;
    Result<std::string> text = read_file(journal_file(paths), kMaxJournal);
    if (!text && text.error().code() == Errc::not_found) return entries;
    if (!text) return std::unexpected(std::move(text).error());
    for (const std::string& line : split(*text, '\n')) {
        Result<Json> entry = parse_json(line);
        if (entry && json_text(*entry, "zone").value_or("") == zone) entries.push_back(std::move(*entry));
    }
    if (entries.size() > kMaxEntries) entries.erase(entries.begin(), entries.end() - kMaxEntries);
    return entries;
}

}  // namespace kz::store
