/* histogram.h - how long things take, in the buckets of OpenTelemetry's HTTP conventions (5 ms to
 * 10 s).
 *
 * The buckets are kept apart, not cumulated, and there is no count: it is the sum of the buckets,
 * so a reader can never see the two disagree. One writer (the data loop) without locks; any thread
 * may read.
 * Example: histogram_observe(&target->request_duration, mono_since(now, call->started_at)). */
#ifndef OUTRIGGER_TELEMETRY_HISTOGRAM_H
#define OUTRIGGER_TELEMETRY_HISTOGRAM_H

#include "base/mono.h"
#include "telemetry/cell.h"

#include <stdint.h>

/* HISTOGRAM_BOUND(upper bound in us, as the label `le` says it) */
#define HISTOGRAM_BOUND_LIST(X)                                                                    \
    X(5000, "0.005")                                                                               \
    X(10000, "0.01")                                                                               \
    X(25000, "0.025")                                                                              \
    X(50000, "0.05")                                                                               \
    X(75000, "0.075")                                                                              \
    X(100000, "0.1")                                                                               \
    X(250000, "0.25")                                                                              \
    X(500000, "0.5")                                                                               \
    X(750000, "0.75")                                                                              \
    X(1000000, "1.0")                                                                              \
    X(2500000, "2.5")                                                                              \
    X(5000000, "5.0")                                                                              \
    X(7500000, "7.5")                                                                              \
    X(10000000, "10.0")

#define HISTOGRAM_BOUNDS 14
#define HISTOGRAM_BUCKETS (HISTOGRAM_BOUNDS + 1) /* the last one is +Inf */
#define HISTOGRAM_SERIES (HISTOGRAM_BUCKETS + 2) /* with _sum and _count */

struct histogram {
    metric_cell buckets[HISTOGRAM_BUCKETS];
    metric_cell sum_ns;
};

extern const dur_ns histogram_bounds[HISTOGRAM_BUCKETS];           /* the last is the end of time */
extern const char *const histogram_bound_words[HISTOGRAM_BUCKETS]; /* "0.005" ... "+Inf" */

static inline unsigned histogram_bucket(dur_ns value)
{
    unsigned at = 0;
    for (unsigned step = 8; step > 0; step /= 2) {
        at += histogram_bounds[at + step - 1] < value ? step : 0;
    }
    return at;
}
/* The bucket that `value` belongs to; a bound belongs to the bucket below it (`le`). A binary
 * search over 2^4 - 1 bounds: four steps, no branch that could be mispredicted. */

static inline void histogram_observe(struct histogram *histogram, dur_ns value)
{
    cell_add(&histogram->buckets[histogram_bucket(value)], 1);
    cell_add(&histogram->sum_ns, value > 0 ? (uint64_t)value : 0);
}

#endif
