#include "cli/sysconfig.h"

int main(int argc, char** argv) {
    return kz::cli::sysconfig_main(argc, argv);
}
