// sysconfig: the command that makes profiles for new zones. For src/bin/sysconfig.
//
// sysconfig.cc reads the command line; sysconfig_options.* make a profile of options, sysconfig_dialogue.*
// one of questions, which sysconfig_lines.cc (one line each) or sysconfig_screen.cc (a full screen) ask.
#pragma once

namespace kz::cli {

int sysconfig_main(int argc, char** argv);

}  // namespace kz::cli
