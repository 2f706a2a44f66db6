#include "cli/zoneadm.h"

int main(int argc, char** argv) {
    return kz::cli::zoneadm_main(argc, argv);
}
