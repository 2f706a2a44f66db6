// zlogin: a zone's console. For src/bin/zlogin.
#pragma once

namespace kz::cli {

int zlogin_main(int argc, char** argv);

}  // namespace kz::cli
