// The program kz-radd. For src/bin/kz-radd.
#pragma once

namespace kz::rad {

// Returns the exit status (0, 1 for failures, 2 for wrong usage).
int radd_main(int argc, char** argv);

}  // namespace kz::rad
