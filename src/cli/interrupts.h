// Interrupts: ^C and SIGTERM as a descriptor, for commands that clean up before they end. For src/cli.
#pragma once

#include "base/fd.h"

namespace kz::cli {

// While it lives the signals do not end the process; fd() becomes readable instead, and stays so.
class Interrupts {
  public:
    Interrupts();
    ~Interrupts();
    Interrupts(const Interrupts&) = delete;
    Interrupts& operator=(const Interrupts&) = delete;

    int fd() const { return fd_.get(); }

  private:
    UniqueFd fd_;
};

}  // namespace kz::cli
