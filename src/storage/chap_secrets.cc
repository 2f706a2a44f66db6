#include "storage/chap_secrets.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>

#include "base/text.h"
#include "os/file.h"
#include "os/io.h"

namespace kz::storage {
namespace {

bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

// Views into the line, so that no copy of a password is left behind. Nothing when it has not three words.
std::optional<std::array<std::string_view, 3>> three_words(std::string_view line) {
    std::array<std::string_view, 3> words;
    std::size_t count = 0;
    while (!line.empty()) {
        const auto start = std::ranges::find_if_not(line, is_blank);
        line.remove_prefix(static_cast<std::size_t>(start - line.begin()));
        if (line.empty()) break;
        const auto end = std::ranges::find_if(line, is_blank);
        const auto size = static_cast<std::size_t>(end - line.begin());
        if (count == words.size()) return std::nullopt;
        words[count++] = line.substr(0, size);
        line.remove_prefix(size);
    }
    if (count != words.size()) return std::nullopt;
    return words;
}

Result<void> check_private(int fd, const std::filesystem::path& path) {
    struct stat info{};
    if (::fstat(fd, &info) != 0) return fail_errno(errno, path.string());
    if (!S_ISREG(info.st_mode)) return fail(Errc::invalid_argument, "{}: not a regular file", path.string());
    if ((info.st_mode & 077) != 0)
        return fail(Errc::permission, "{}: others may read or write it; chmod 600 {}", path.string(),
                    path.string());
    if (info.st_uid != 0 && info.st_uid != ::geteuid())
        return fail(Errc::permission, "{}: it belongs to user {}, not to root", path.string(), info.st_uid);
    return {};
}

Result<Secret> read_secret(int fd, const std::filesystem::path& path) {
    Secret text = Secret::of_size(kMaxChapFile + 1);
    std::size_t size = 0;
    while (size < text.size()) {
        KZ_TRY_CONTEXT(const std::size_t count,
                       read_some(fd, text.mutable_view().subspan(size), Deadline::never()), path.string());
        if (count == 0) return Secret(text.view().first(size));
        size += count;
    }
    return fail(Errc::invalid_argument, "{}: larger than {} bytes", path.string(), kMaxChapFile);
}

}  // namespace

Result<ChapSecrets> ChapSecrets::load(const std::filesystem::path& path) {
    if (path.empty()) return ChapSecrets{};
    auto fd = open_file(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (!fd && fd.error().code() == Errc::not_found) return ChapSecrets{};
    if (!fd) return std::unexpected(std::move(fd).error());
    KZ_CHECK(check_private(fd->get(), path));
    KZ_TRY(const Secret text, read_secret(fd->get(), path));
    KZ_TRY_CONTEXT(ChapSecrets secrets, parse(text.view()), path.string());
    return secrets;
}

Result<ChapSecrets> ChapSecrets::parse(ByteView text) {
    ChapSecrets secrets;
    std::string_view rest = as_text(text);
    for (std::size_t number = 1; !rest.empty(); ++number) {
        const std::string_view line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(line.size() + 1, rest.size()));
        const std::string_view content = trim(line);
        if (content.empty() || content.starts_with('#')) continue;
        const auto words = three_words(content);
        if (!words || std::ranges::any_of(content, [](char c) { return c == '\0'; }))
            return fail(Errc::invalid_argument, "line {}: not \"TARGET|HOST|* USER PASSWORD\"", number);
        const auto& [scope, user, password] = *words;
        if (std::ranges::any_of(*words, [](std::string_view word) { return word.size() > kMaxChapWord; }))
            return fail(Errc::invalid_argument, "line {}: a word of more than {} bytes", number,
                        kMaxChapWord);
        if (secrets.exactly(to_lower(scope)) != nullptr)
            return fail(Errc::invalid_argument, "line {}: a second login for the same", number);
        if (secrets.entries_.size() == kMaxChapEntries)
            return fail(Errc::invalid_argument, "line {}: more than {} logins", number, kMaxChapEntries);
        secrets.entries_.push_back(
            {to_lower(scope), {.user = std::string(user), .password = Secret(as_bytes(password))}});
    }
    return secrets;
}

const ChapLogin* ChapSecrets::exactly(std::string_view scope) const {
    const auto found = std::ranges::find(entries_, scope, &Entry::scope);
    return found == entries_.end() ? nullptr : &found->login;
}

const ChapLogin* ChapSecrets::find(std::string_view target, std::string_view host) const {
    for (const std::string_view scope : {target, host, std::string_view("*")}) {
        if (scope.empty()) continue;
        if (const ChapLogin* login = exactly(to_lower(scope))) return login;
    }
    return nullptr;
}

}  // namespace kz::storage
