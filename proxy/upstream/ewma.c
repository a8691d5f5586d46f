/* ewma.c - see ewma.h. */
#include "upstream/ewma.h"

#define STEP (EWMA_DECAY / 4)
#define ONE_BITS 16
#define FAILURE_LEAST (1 * NS_PER_S)
#define FAILURE_MOST (10 * NS_PER_S)

/* e^(-k/4), in 65536ths; between them a straight line is at most 0.8 % off. */
static const uint32_t weights[] = {65536, 51039, 39750, 30957, 24109, 18776, 14623,
                                   11388, 8869,  6907,  5380,  4190,  3263};
_Static_assert(sizeof weights / sizeof *weights == EWMA_FORGET / STEP + 1,
               "a weight for each step");

static uint64_t weight_of(dur_ns age)
{
    const uint64_t step = (uint64_t)(age / STEP);
    const uint64_t rest = (uint64_t)(age % STEP);
    return weights[step] - (weights[step] - weights[step + 1]) * rest / (uint64_t)STEP;
}

uint64_t ewma_cost(const struct ewma *ewma, mono_ns now)
{
    const dur_ns age = mono_since(now, ewma->at);
    if (ewma->cost_ns == 0 || age >= EWMA_FORGET)
        return 0;
    const uint64_t cost = (ewma->cost_ns * weight_of(age)) >> ONE_BITS;
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
        ewma->cost_ns = cost + ((sample * ((UINT64_C(1) << ONE_BITS) - weight)) >> ONE_BITS);
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
