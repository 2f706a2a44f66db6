#include "base/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "base/result.h"

namespace kz {
namespace {

TEST(Error, ContextGoesInFront) {
    const Error error = Error::make(Errc::io, "disk {}", 3).context("zone ant1").context("boot");
    EXPECT_EQ(error.message(), "boot: zone ant1: disk 3");
    EXPECT_EQ(error.code(), Errc::io);
}

TEST(Error, ErrnoChoosesTheCode) {
    EXPECT_EQ(Error::from_errno(ENOENT, "x").code(), Errc::not_found);
    EXPECT_EQ(Error::from_errno(EACCES, "x").code(), Errc::permission);
    EXPECT_EQ(Error::from_errno(ENOSPC, "x").code(), Errc::no_space);
    EXPECT_EQ(Error::from_errno(EIO, "x").code(), Errc::io);
    EXPECT_EQ(Error::from_errno(ENOENT, "/a/b").message(), "/a/b: No such file or directory");
    EXPECT_EQ(Error::from_errno(ENOSPC, "x").context("y").sys_errno(), ENOSPC);
}

TEST(Error, NamesOfCodesAreStable) {
    for (int code = 1; code <= static_cast<int>(Errc::internal); ++code) {
        const auto errc = static_cast<Errc>(code);
        EXPECT_EQ(errc_from_name(errc_name(errc)), errc);
    }
    EXPECT_EQ(errc_name(Errc::wrong_state), "wrong_state");
    EXPECT_EQ(errc_from_name("of a later version"), Errc::internal);
}

Result<int> half(int number) {
    if (number % 2 != 0) return fail(Errc::invalid_argument, "{} is odd", number);
    return number / 2;
}

Result<int> quarter(int number) {
    KZ_TRY(const int once, half(number));
    KZ_TRY_CONTEXT(const int twice, half(once), "second half");
    return twice;
}

TEST(Result, TryPassesValuesAndErrors) {
    EXPECT_EQ(quarter(8), 2);
    EXPECT_EQ(quarter(7).error().message(), "7 is odd");
    EXPECT_EQ(quarter(6).error().message(), "second half: 3 is odd");
}

}  // namespace
}  // namespace kz
