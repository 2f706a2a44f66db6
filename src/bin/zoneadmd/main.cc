#include "monitor/monitor.h"

int main(int argc, char** argv) {
    return kz::monitor::monitor_main(argc, argv);
}
