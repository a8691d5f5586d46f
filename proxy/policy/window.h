/* window.h - failure and slow-call rates over the recent past, exactly, not as a decaying average (a fast burst of
 * successes must not hide an outage). A ring of 10 buckets over a time, or over the last N calls.
 * Pure, single-threaded. Example: window 10 s: a failure at t = 3.2 s leaves when the bucket of t = 13..14 s starts. */
#ifndef OUTRIGGER_POLICY_WINDOW_H
#define OUTRIGGER_POLICY_WINDOW_H

#include "base/mono.h"

#include <stdbool.h>
#include <stdint.h>

#define WINDOW_BUCKETS 10

struct window_counts {
    uint32_t calls;
    uint32_t failures;
    uint32_t slow;
};

struct window {
    dur_ns bucket_length;  /* time window: span / 10; 0 for a window of calls */
    uint32_t bucket_calls; /* calls window: ceil(N / 10); 0 for a window of time */
    int64_t head_epoch;    /* index of the newest bucket since the start */
    struct window_counts buckets[WINDOW_BUCKETS];
    struct window_counts sum; /* of the buckets still inside */
};

void window_init(struct window *window, dur_ns span, uint32_t calls, mono_ns now);
/* `calls` > 0 makes a window of that many calls, else `span` (> 0) of time. Empty. */

void window_clear(struct window *window, mono_ns now);

void window_add(struct window *window, bool is_failure, bool is_slow, mono_ns now);

struct window_counts window_counts(struct window *window, mono_ns now);
/* What is inside at `now`; drops what has left. */

#endif
