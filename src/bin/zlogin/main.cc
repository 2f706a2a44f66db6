#include "cli/zlogin.h"

int main(int argc, char** argv) {
    return kz::cli::zlogin_main(argc, argv);
}
