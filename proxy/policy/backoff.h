/* backoff.h - how long to wait before retry n, so that callers that failed together do not come
 * back together (AWS Architecture Blog, "Exponential Backoff And Jitter").
 *
 * With top = min(max, base x 2^n): full is U(0, top), equal top / 2 + U(0, top / 2), none top
 * itself; decorrelated is min(max, U(base, 3 x previous)). Both ends are included. Example: backoff
 * 25 ms, max 250 ms, full: retry 0 waits U(0, 25 ms), retry 4 waits U(0, 250 ms).
 * Pure: randomness is an argument; no state, no errors. Units: ns; everything saturates. */
#ifndef OUTRIGGER_POLICY_BACKOFF_H
#define OUTRIGGER_POLICY_BACKOFF_H

#include "base/mono.h"
#include "base/rng.h"

#include <stdbool.h>
#include <stdint.h>

enum jitter { JITTER_FULL = 0, JITTER_EQUAL, JITTER_DECORRELATED, JITTER_NONE };

struct backoff_config {
    dur_ns base;
    dur_ns max;
    enum jitter jitter;
};

dur_ns backoff_delay(const struct backoff_config *cfg, uint32_t retry, dur_ns previous,
                     struct rng *rng);
/* The wait before retry number `retry` (0 = the first), at most cfg->max. `previous` is what this
 * returned last time, used by decorrelated jitter; less than the base (0 at first) is the base. */

dur_ns backoff_longest(const struct backoff_config *cfg, uint32_t retries);
/* All waits before so many retries together, each at its longest. */

#endif
