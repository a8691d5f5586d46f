/* seed.h - the seed of a randomised test: printed, and accepted back as OUTRIGGER_SEED, so that
 * what failed once can be made to fail again. */
#ifndef OUTRIGGER_TESTS_UNIT_BASE_SEED_H
#define OUTRIGGER_TESTS_UNIT_BASE_SEED_H

#include "base/rng.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline struct rng seeded_rng(const char *test)
{
    const char *given = getenv("OUTRIGGER_SEED");
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    const uint64_t seed = given != NULL ? strtoull(given, NULL, 10)
                                        : (uint64_t)now.tv_sec * 1000003 + (uint64_t)now.tv_nsec;
    fprintf(stderr, "%s: OUTRIGGER_SEED=%" PRIu64 "\n", test, seed);
    struct rng rng;
    rng_seed(&rng, seed);
    return rng;
}
/* A generator for the test of that name. */

#endif
