/* backoff.c - see backoff.h. */
#include "policy/backoff.h"

#define LAST_DOUBLING                                                                              \
    62 /* 1 ns doubled 62 times is 146 years: more would say nothing new, and overflow */

/* The tallest wait of retry n: min(max, base x 2^n). */
static dur_ns ceiling(const struct backoff_config *cfg, uint32_t retry)
{
    const uint32_t doublings = retry < LAST_DOUBLING ? retry : LAST_DOUBLING;
    return dur_min(cfg->max, dur_mul(cfg->base, INT64_C(1) << doublings));
}

static dur_ns decorrelated(const struct backoff_config *cfg, dur_ns previous, struct rng *rng)
{
    const dur_ns from = dur_max(previous, cfg->base);
    return dur_min(cfg->max, rng_between(rng, cfg->base, dur_mul(from, 3)));
}

dur_ns backoff_delay(const struct backoff_config *cfg, uint32_t retry, dur_ns previous,
                     struct rng *rng)
{
    const dur_ns most = ceiling(cfg, retry);
    switch (cfg->jitter) {
    case JITTER_EQUAL: return most / 2 + rng_between(rng, 0, most - most / 2);
    case JITTER_DECORRELATED: return decorrelated(cfg, previous, rng);
    case JITTER_NONE: return most;
    default: /* JITTER_FULL */ return rng_between(rng, 0, most);
    }
}

dur_ns backoff_longest(const struct backoff_config *cfg, uint32_t retries)
{
    const bool is_decorrelated = cfg->jitter == JITTER_DECORRELATED;
    const int64_t growth = is_decorrelated ? 3 : 2;
    dur_ns sum = 0;
    dur_ns wait = is_decorrelated ? dur_mul(cfg->base, growth) : cfg->base;
    for (uint32_t i = 0; i < retries; i++) {
        sum = dur_add(sum, dur_min(wait, cfg->max));
        wait = dur_mul(wait, growth);
    }
    return sum;
}
