// zonecfg: the command that configures zones. For src/bin/zonecfg.
//
// The language is src/zonecfg; here are the command line, the files (zonecfg_environment.h) and the terminal
// (line_editor.h).
#pragma once

namespace kz::cli {

// Exit status: 0 success, 1 error, 2 invalid usage.
int zonecfg_main(int argc, char** argv);

}  // namespace kz::cli
