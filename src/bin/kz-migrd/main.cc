#include "migrate/gateway.h"

int main(int argc, char** argv) {
    return kz::migrate::gateway_main(argc, argv);
}
