#include "rad/radd.h"

int main(int argc, char** argv) {
    return kz::rad::radd_main(argc, argv);
}
