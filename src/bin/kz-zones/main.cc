#include "cli/kz_zones.h"

int main(int argc, char** argv) {
    return kz::cli::kz_zones_main(argc, argv);
}
