/* kz-memload: keeps rewriting a piece of memory and finds out when one page of it is stale or torn.
 *
 *   kz-memload -m MIB [-r MIB_PER_S] [-p PASSES] [-x] [-z PERCENT] [-t PERCENT] [-v]
 *   kz-memload --self-test
 *
 *   -m MIB        memory to use
 *   -r MIB_PER_S  how much is rewritten each second (default 10; 0 is as fast as the CPU goes)
 *   -p PASSES     end with status 0 after so many passes over the memory (default: never)
 *   -x            fill with words that do not compress (default: one word repeated over the page)
 *   -z PERCENT    so many of every 100 pages are left zero, and checked for that
 *   -t PERCENT    so many of every 100 pages hold words of a vocabulary, which compress as text and program
 *                 code do, to a half or a third; with -x, the pages behind those of -z
 *   -v            a line at the end of each pass too
 *
 * Pass 0 fills; pass P visits every page in order, checks that each of its 512 words is what pass P-1 wrote
 * there, and writes those of pass P. What is expected follows from the pass and the page alone: nothing about
 * a page is remembered anywhere but in that page, so memory that goes back in time as a piece cannot agree
 * with itself unless all of it, this program's registers included, goes back together; then the pass on the
 * console goes back. Once a second it prints "memload pass P pages V ok", V being the pages checked so far.
 * The first wrong word ends it with "MEMLOAD FAILED: page N word W: found X expected Y" and status 1.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { kWords = 512, kPageSize = 4096, kPagesPerMib = 256, kBatch = 64, kVocabulary = 256 };
static const int64_t kSecond = 1000000000;

struct load {
    volatile uint64_t* words;
    uint64_t pages;
    uint64_t rate;   /* MiB per second, 0: no limit */
    uint64_t passes; /* UINT64_MAX: for ever */
    uint64_t zero_percent;
    uint64_t text_percent;
    int incompressible;
    int verbose;
    int quiet; /* the self-test expects failures */
    uint64_t checked;
    int64_t next_report;
};

/* The finaliser of splitmix64: distinct inputs give distinct, random-looking words. */
static uint64_t mix(uint64_t value) {
    value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
    return value ^ (value >> 31);
}

/* What pass `pass` writes to word `word` of page `page`. */
static uint64_t pattern(const struct load* load, uint64_t page, uint64_t pass, unsigned word) {
    if (page % 100 < load->zero_percent) return 0;
    const uint64_t base = (page << 32) ^ (pass + 1);
    if (!load->incompressible) return mix(base);
    const uint64_t random = mix(base * kWords + word);
    return page % 100 < load->zero_percent + load->text_percent ? mix(random % kVocabulary) : random;
}

static int64_t monotonic_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * kSecond + now.tv_nsec;
}

static void write_page(struct load* load, uint64_t page, uint64_t pass) {
    volatile uint64_t* words = load->words + page * kWords;
    if (page % 100 < load->zero_percent) return;
    const uint64_t repeated = pattern(load, page, pass, 0);
    for (unsigned w = 0; w < kWords; ++w)
        words[w] = load->incompressible ? pattern(load, page, pass, w) : repeated;
}

/* 0 when the page holds what `pass` wrote. */
static int check_page(struct load* load, uint64_t page, uint64_t pass) {
    const volatile uint64_t* words = load->words + page * kWords;
    const uint64_t repeated = pattern(load, page, pass, 0);
    for (unsigned w = 0; w < kWords; ++w) {
        const uint64_t expected = load->incompressible ? pattern(load, page, pass, w) : repeated;
        const uint64_t found = words[w];
        if (found == expected) continue;
        if (!load->quiet) {
            printf("MEMLOAD FAILED: page %" PRIu64 " word %u: found %016" PRIx64 " expected %016" PRIx64 "\n",
                   page, w, found, expected);
            fflush(stdout);
        }
        return 1;
    }
    ++load->checked;
    return 0;
}

static void report(struct load* load, uint64_t pass) {
    const int64_t now = monotonic_now();
    if (now < load->next_report) return;
    printf("memload pass %" PRIu64 " pages %" PRIu64 " ok\n", pass, load->checked);
    fflush(stdout);
    load->next_report += kSecond;
    if (load->next_report < now) load->next_report = now + kSecond;
}

/* Sleeps until a batch's time is over; one that is behind by more than a second gives up what it missed. */
static void pace(const struct load* load, int64_t* due) {
    if (load->rate == 0) return;
    *due += kBatch * kSecond / (int64_t)(load->rate * kPagesPerMib);
    const int64_t now = monotonic_now();
    if (*due + kSecond < now) *due = now;
    const struct timespec when = {.tv_sec = *due / kSecond, .tv_nsec = *due % kSecond};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL) == EINTR) {
    }
}

static void fill(struct load* load) {
    for (uint64_t page = 0; page < load->pages; ++page)
        write_page(load, page, 0);
}

static int run(struct load* load) {
    fill(load);
    int64_t due = monotonic_now();
    load->next_report = due + kSecond;
    for (uint64_t pass = 1; pass <= load->passes; ++pass) {
        for (uint64_t page = 0; page < load->pages; ++page) {
            if (check_page(load, page, pass - 1) != 0) return 1;
            write_page(load, page, pass);
            if (page % kBatch != kBatch - 1) continue;
            pace(load, &due);
            report(load, pass);
        }
        if (load->verbose) printf("memload pass %" PRIu64 " complete\n", pass);
    }
    printf("memload done: %" PRIu64 " passes, %" PRIu64 " pages checked\n", load->passes, load->checked);
    return 0;
}

static int allocate(struct load* load) {
    void* memory = mmap(NULL, load->pages * kPageSize, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (memory == MAP_FAILED) {
        fprintf(stderr, "kz-memload: %" PRIu64 " MiB: %s\n", load->pages / kPagesPerMib, strerror(errno));
        return -1;
    }
    load->words = memory;
    return 0;
}

/* One fault put into memory that pass `pass` has written; it must be found, and only there. */
static int self_test_fault(struct load* load, const char* name, uint64_t page, unsigned first, unsigned count,
                           int stale) {
    const uint64_t pass = 7;
    for (uint64_t p = 0; p < load->pages; ++p)
        write_page(load, p, pass);
    for (uint64_t p = 0; p < load->pages; ++p)
        if (check_page(load, p, pass) != 0)
            return printf("self-test FAILED: %s: a good page was refused\n", name), 1;
    volatile uint64_t* words = load->words + page * kWords;
    for (unsigned w = first; w < first + count; ++w)
        words[w] = stale ? pattern(load, page, pass - 1, w) : words[w] ^ (UINT64_C(1) << (w % 64));
    const int found = check_page(load, page, pass);
    for (unsigned w = first; w < first + count; ++w)
        words[w] = pattern(load, page, pass, w);
    if (!found) return printf("self-test FAILED: %s was not noticed\n", name), 1;
    return 0;
}

static int self_test(void) {
    struct load load = {.pages = 200, .zero_percent = 10, .text_percent = 30, .quiet = 1};
    if (allocate(&load) != 0) return 1;
    int failures = 0;
    for (load.incompressible = 0; load.incompressible <= 1; ++load.incompressible) {
        failures += self_test_fault(&load, "one flipped bit in the first word", 50, 0, 1, 0);
        failures += self_test_fault(&load, "one flipped bit in the last word", 199, kWords - 1, 1, 0);
        failures += self_test_fault(&load, "a stale page", 51, 0, kWords, 1);
        failures += self_test_fault(&load, "a stale page of text", 120, 0, kWords, 1);
        failures += self_test_fault(&load, "a torn page", 52, kWords / 2, kWords / 2, 1);
        failures += self_test_fault(&load, "a dirtied zero page", 105, 17, 1, 0);
    }
    if (failures == 0) printf("self-test ok\n");
    return failures != 0;
}

static int usage(void) {
    fprintf(stderr,
            "usage: kz-memload -m MIB [-r MIB_PER_S] [-p PASSES] [-x] [-z PERCENT] [-t PERCENT] [-v]\n"
            "       kz-memload --self-test\n");
    return 2;
}

static int parse_number(const char* text, uint64_t most, uint64_t* out) {
    char* end = NULL;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && *text >= '0' && *text <= '9' && *end == '\0' && *out <= most;
}

int main(int argc, char** argv) {
    if (argc == 2 && strcmp(argv[1], "--self-test") == 0) return self_test();
    struct load load = {.rate = 10, .passes = UINT64_MAX};
    uint64_t mib = 0;
    int option;
    while ((option = getopt(argc, argv, "m:r:p:xz:t:v")) != -1) {
        int good = option != '?';
        if (option == 'm') good = parse_number(optarg, 1 << 20, &mib);
        if (option == 'r') good = parse_number(optarg, 1 << 20, &load.rate);
        if (option == 'p') good = parse_number(optarg, UINT64_MAX - 1, &load.passes);
        if (option == 'z') good = parse_number(optarg, 100, &load.zero_percent);
        if (option == 't') good = parse_number(optarg, 100, &load.text_percent);
        if (option == 'x') load.incompressible = 1;
        if (option == 'v') load.verbose = 1;
        if (!good) return usage();
    }
    if (mib == 0 || optind != argc) return usage();
    load.pages = mib * kPagesPerMib;
    if (allocate(&load) != 0) return 1;
    return run(&load);
}
