// BareQemu: a QEMU without a machine, that only answers questions about itself. For src/qemu.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "os/process.h"
#include "qemu/qmp.h"

namespace kz::qemu {

// QEMU is ended when it goes out of scope.
class BareQemu {
  public:
    // `accel`: "tcg" or "kvm"; empty: QEMU's own choice, for what does not depend on it.
    static Result<BareQemu> start(const Path& binary, std::string_view accel = {});
    BareQemu(BareQemu&&) = default;
    ~BareQemu();

    // Once. What QEMU wrote to its standard error is part of the error.
    Result<std::unique_ptr<Qmp>> attach(Deadline deadline);

  private:
    BareQemu(Process process, UniqueFd socket, UniqueFd errors)
        : process_(std::move(process)), socket_(std::move(socket)), errors_(std::move(errors)) {}
    std::string last_words();

    Process process_;
    UniqueFd socket_;
    UniqueFd errors_;  // what it writes to its standard error
};

}  // namespace kz::qemu
