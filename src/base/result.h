// Result<T>: a value or an Error. For every floor; see base/error.h for how errors travel.
//
//   Result<Zone> load(...) {
//       KZ_TRY(std::string text, read_file(path));          // returns the error as it is
//       KZ_TRY_CONTEXT(Config c, parse(text), path);        // returns it with "path: " in front
//       KZ_CHECK(c.verify());                               // for Result<void>
//       return Zone{std::move(c)};
//   }
#pragma once

#include <expected>
#include <utility>

#include "base/error.h"

namespace kz {

template <typename T = void>
using Result = std::expected<T, Error>;

// Shorthand for returning a freshly made error from a function that returns any Result.
template <typename... Args>
std::unexpected<Error> fail(Errc code, fmt::format_string<Args...> format, Args&&... args) {
    return std::unexpected(Error::make(code, format, std::forward<Args>(args)...));
}

inline std::unexpected<Error> fail_errno(int sys_errno, std::string_view what) {
    return std::unexpected(Error::from_errno(sys_errno, what));
}

}  // namespace kz

#define KZ_CONCAT_INNER(a, b) a##b
#define KZ_CONCAT(a, b) KZ_CONCAT_INNER(a, b)

#define KZ_TRY_INNER(result, declaration, ...)                                 \
    auto result = (__VA_ARGS__);                                               \
    if (!result) return std::unexpected<kz::Error>(std::move(result).error()); \
    declaration = *std::move(result)
#define KZ_TRY(declaration, ...) KZ_TRY_INNER(KZ_CONCAT(kz_result_, __LINE__), declaration, __VA_ARGS__)

#define KZ_TRY_CONTEXT_INNER(result, declaration, expression, outer)                          \
    auto result = (expression);                                                               \
    if (!result) return std::unexpected<kz::Error>(std::move(result).error().context(outer)); \
    declaration = *std::move(result)
#define KZ_TRY_CONTEXT(declaration, expression, outer) \
    KZ_TRY_CONTEXT_INNER(KZ_CONCAT(kz_result_, __LINE__), declaration, expression, outer)

#define KZ_CHECK(...)                                                                                \
    do {                                                                                             \
        auto kz_check_result = (__VA_ARGS__);                                                        \
        if (!kz_check_result) return std::unexpected<kz::Error>(std::move(kz_check_result).error()); \
    } while (false)
#define KZ_CHECK_CONTEXT(expression, outer)                                                       \
    do {                                                                                          \
        auto kz_check_result = (expression);                                                      \
        if (!kz_check_result)                                                                     \
            return std::unexpected<kz::Error>(std::move(kz_check_result).error().context(outer)); \
    } while (false)
