/* rng.h - seeded pseudo-random numbers (xoshiro256**). Not for secrets. Same seed, same sequence,
 * on every machine. Example: rng_seed(&rng, 42); delay = rng_between(&rng, 0, 25 * NS_PER_MS). A
 * plain value in its owner's memory; single-threaded. */
#ifndef OUTRIGGER_BASE_RNG_H
#define OUTRIGGER_BASE_RNG_H

#include <stdint.h>

struct rng {
    uint64_t state[4];
};

void rng_seed(struct rng *rng, uint64_t seed);
/* Starts the sequence that belongs to `seed` (expanded by splitmix64, so any seed is good). */

uint64_t rng_next(struct rng *rng);
/* The next 64 bits. */

uint64_t rng_below(struct rng *rng, uint64_t limit);
/* Uniform in [0, limit); 0 when limit is 0. Without modulo bias (Lemire). */

int64_t rng_between(struct rng *rng, int64_t low, int64_t high);
/* Uniform in [low, high], both included; `low` when high <= low. */

#endif
