#include "cli/suriadm.h"

int main(int argc, char** argv) {
    return kz::cli::suriadm_main(argc, argv);
}
