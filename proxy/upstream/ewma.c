/* ewma.c - see ewma.h. */
#include "upstream/ewma.h"

#define STEP (EWMA_DECAY / 4)
#define ONE_BITS 32 /* of a weight: at 50 000 answers a second each still lets it fall */
#define ONE (UINT64_C(1) << ONE_BITS)
#define FAILURE_LEAST (1 * NS_PER_S)
#define FAILURE_MOST (10 * NS_PER_S)

__extension__ typedef unsigned __int128 wide;

/* e^(-k/4). Within a step 1 - x + x^2/2 goes on: at most 0.3 % off, and exact where answers are
 * dense, for there errors would add up. */
static const uint64_t weights[] = {4294967296, 3344923893, 2605029347, 2028798896, 1580030169,
                                   1230528733, 958336741,  746353404,  581260615,  452686223,
                                   352552385,  274568073,  213833830};
_Static_assert(sizeof weights / sizeof *weights == EWMA_FORGET / STEP + 1,
               "a weight for each step");

static uint64_t weighted(uint64_t cost, uint64_t weight)
{
    return (uint64_t)((wide)cost * weight >> ONE_BITS);
}

static uint64_t weight_of(dur_ns age)
{
    const uint64_t x = ((uint64_t)(age % STEP) << ONE_BITS) / (uint64_t)EWMA_DECAY;
    return weighted(weights[age / STEP], ONE - x + (x * x >> (ONE_BITS + 1)));
}

uint64_t ewma_cost(const struct ewma *ewma, mono_ns now)
{
    const dur_ns age = mono_since(now, ewma->at);
    if (ewma->cost_ns == 0 || age >= EWMA_FORGET)
        return 0;
    const uint64_t cost = weighted(ewma->cost_ns, weight_of(age));
    return cost > 0 ? cost : 1;
}

void ewma_observe(struct ewma *ewma, dur_ns took, mono_ns now)
{
    const uint64_t sample = (uint64_t)dur_min(dur_max(took, 1), EWMA_MOST);
    const uint64_t cost = ewma_cost(ewma, now);
    if (sample >= cost) {
        ewma->cost_ns = sample;
    } else {
        const uint64_t weight = weight_of(mono_since(now, ewma->at));
        ewma->cost_ns = cost + weighted(sample, ONE - weight);
    }
    ewma->at = now;
}

void ewma_observe_failure(struct ewma *ewma, dur_ns took, mono_ns now)
{
    const dur_ns twice = 2 * (dur_ns)ewma_cost(ewma, now);
    const dur_ns counts = dur_min(dur_max(FAILURE_LEAST, twice), FAILURE_MOST);
    ewma_observe(ewma, dur_max(took, counts), now);
}

void ewma_observe_least(struct ewma *ewma, dur_ns took, mono_ns now)
{
    if ((uint64_t)dur_max(took, 0) > ewma_cost(ewma, now))
        ewma_observe(ewma, took, now);
}
