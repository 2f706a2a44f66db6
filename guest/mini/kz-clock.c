/* kz-clock: prints one numbered line at each interval, so that a lost, doubled or late line shows.
 *
 *   kz-clock [-i MILLISECONDS] [-n COUNT] [-o FILE]
 *
 * Each line is "tick SEQUENCE UNIX-TIME.mmm"; SEQUENCE starts at 1 and grows by exactly one. It sleeps to
 * absolute times of CLOCK_MONOTONIC, which stands still while the machine is stopped; a clock that woke up
 * more than one interval late starts a new schedule instead of printing a burst.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const int64_t kNanosecondsPerSecond = 1000000000;

static int usage(void) {
    fprintf(stderr, "usage: kz-clock [-i MILLISECONDS] [-n COUNT] [-o FILE]\n");
    return 2;
}

/* A decimal number from 1 to `most`; 0 when it is not one. */
static uint64_t parse_number(const char* text, uint64_t most) {
    char* end = NULL;
    errno = 0;
    const unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || *text < '0' || *text > '9' || *end != '\0' || value > most) return 0;
    return value;
}

static int64_t monotonic_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * kNanosecondsPerSecond + now.tv_nsec;
}

static void sleep_until(int64_t moment) {
    const struct timespec when = {.tv_sec = moment / kNanosecondsPerSecond,
                                  .tv_nsec = moment % kNanosecondsPerSecond};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL) == EINTR) {
    }
}

/* One write(2) per line, so that a line is never split by another writer of the console. */
static int print_tick(FILE* out, uint64_t sequence) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    fprintf(out, "tick %" PRIu64 " %lld.%03ld\n", sequence, (long long)now.tv_sec, now.tv_nsec / 1000000);
    return fflush(out);
}

int main(int argc, char** argv) {
    uint64_t interval_ms = 1000;
    uint64_t count = UINT64_MAX;
    FILE* out = stdout;
    int option;
    while ((option = getopt(argc, argv, "i:n:o:")) != -1) {
        if (option == 'i' && (interval_ms = parse_number(optarg, 86400000)) == 0) return usage();
        if (option == 'n' && (count = parse_number(optarg, UINT64_MAX)) == 0) return usage();
        if (option == 'o' && (out = fopen(optarg, "we")) == NULL) {
            fprintf(stderr, "kz-clock: %s: %s\n", optarg, strerror(errno));
            return 1;
        }
        if (option == '?') return usage();
    }
    if (optind != argc) return usage();

    const int64_t interval = (int64_t)interval_ms * 1000000;
    int64_t next = monotonic_now();
    for (uint64_t sequence = 1;; ++sequence) {
        if (print_tick(out, sequence) != 0) {
            fprintf(stderr, "kz-clock: cannot write: %s\n", strerror(errno));
            return 1;
        }
        if (sequence == count) return 0;
        next += interval;
        const int64_t now = monotonic_now();
        if (now > next + interval) next = now;
        sleep_until(next);
    }
}
