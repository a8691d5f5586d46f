/* backoff.h - how long to wait before retry n (AWS Architecture Blog, "Exponential Backoff And Jitter").
 * Pure; randomness is an argument. Example: backoff 25 ms, max 250 ms, full: retry 0 in U(0, 25 ms], retry 4 in U(0, 250 ms]. */
#ifndef OUTRIGGER_POLICY_BACKOFF_H
#define OUTRIGGER_POLICY_BACKOFF_H

#include "base/mono.h"
#include "base/rng.h"

enum jitter { JITTER_FULL = 0, JITTER_EQUAL, JITTER_DECORRELATED, JITTER_NONE };

struct backoff_config {
    dur_ns base;
    dur_ns max;
    enum jitter jitter;
};

dur_ns backoff_delay(const struct backoff_config *cfg, uint32_t retry, dur_ns previous, struct rng *rng);
/* The wait before retry number `retry` (0 = the first); `previous` is what this returned last time (0 at first), used
 * by decorrelated jitter. The exponent saturates. */

#endif
