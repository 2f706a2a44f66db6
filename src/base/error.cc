#include "base/error.h"

#include <array>
#include <cerrno>
#include <cstring>

namespace kz {
namespace {

struct ErrcName {
    Errc code;
    std::string_view name;
};

constexpr std::array kErrcNames{
    ErrcName{Errc::invalid_argument, "invalid_argument"},
    ErrcName{Errc::not_found, "not_found"},
    ErrcName{Errc::already_exists, "already_exists"},
    ErrcName{Errc::wrong_state, "wrong_state"},
    ErrcName{Errc::permission, "permission"},
    ErrcName{Errc::busy, "busy"},
    ErrcName{Errc::io, "io"},
    ErrcName{Errc::protocol, "protocol"},
    ErrcName{Errc::timeout, "timeout"},
    ErrcName{Errc::cancelled, "cancelled"},
    ErrcName{Errc::unsupported, "unsupported"},
    ErrcName{Errc::no_space, "no_space"},
    ErrcName{Errc::corrupt, "corrupt"},
    ErrcName{Errc::unavailable, "unavailable"},
    ErrcName{Errc::internal, "internal"},
};

Errc code_of_errno(int sys_errno) {
    switch (sys_errno) {
        case ENOENT:
        case ENOTDIR:
        case ENXIO:
        case ENODEV:
            return Errc::not_found;
        case EEXIST:
            return Errc::already_exists;
        case EACCES:
        case EPERM:
        case EROFS:
            return Errc::permission;
        case EBUSY:
        case EADDRINUSE:
        case ETXTBSY:
            return Errc::busy;
        case ENOSPC:
        case EDQUOT:
            return Errc::no_space;
        case ETIMEDOUT:
            return Errc::timeout;
        case ECONNREFUSED:
        case EHOSTUNREACH:
        case ENETUNREACH:
            return Errc::unavailable;
        case EINVAL:
        case ENAMETOOLONG:
            return Errc::invalid_argument;
        case ENOSYS:
        case EOPNOTSUPP:
            return Errc::unsupported;
        default:
            return Errc::io;
    }
}

}  // namespace

std::string_view errc_name(Errc code) {
    for (const ErrcName& entry : kErrcNames) {
        if (entry.code == code) return entry.name;
    }
    return "internal";
}

Errc errc_from_name(std::string_view name) {
    for (const ErrcName& entry : kErrcNames) {
        if (entry.name == name) return entry.code;
    }
    return Errc::internal;
}

Error Error::from_errno(int sys_errno, std::string_view what) {
    std::array<char, 256> buffer{};
    const char* reason = strerror_r(sys_errno, buffer.data(), buffer.size());
    Error error(code_of_errno(sys_errno), fmt::format("{}: {}", what, reason));
    error.sys_errno_ = sys_errno;
    return error;
}

Error Error::context(std::string_view outer) && {
    message_ = fmt::format("{}: {}", outer, message_);
    return std::move(*this);
}

Error Error::append(std::string_view sentence) && {
    message_ = fmt::format("{}; {}", message_, sentence);
    return std::move(*this);
}

}  // namespace kz
