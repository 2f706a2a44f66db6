#include "cli/zonecfg.h"

int main(int argc, char** argv) {
    return kz::cli::zonecfg_main(argc, argv);
}
