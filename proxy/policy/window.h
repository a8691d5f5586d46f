/* window.h - failure and slow-call rates over the recent past, exactly, not as a decaying average
 * (a fast burst of successes must not hide an outage).
 *
 * A ring of up to 10 buckets over a time, or over the last N calls. Old calls leave by the bucket:
 * a window of time holds between 9/10 and the whole of its span; a window of N calls holds N once
 * it is warm, and at most a bucket (N / 10, rounded up) more or fewer.
 * Example: window 10 s: a failure at t = 3.2 s leaves when the bucket of t = 13..14 s starts.
 * Example: window of 25 calls: 9 buckets of 3; after call 25 it holds 25, after call 28 it
 * holds 25. Ownership: none, a plain value in its owner's memory. Units: ns. Counters stop at
 * UINT32_MAX. Pure, single-threaded; a clock that goes back counts into the newest bucket. */
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
    uint32_t bucket_calls; /* calls window: N / 10; 0 for a window of time; both round up */
    mono_ns head_ends;     /* when the newest bucket is over; MONO_NEVER for a window of calls */
    uint32_t head;         /* index of the newest bucket */
    uint32_t used_buckets; /* of WINDOW_BUCKETS; fewer only where a window of calls needs fewer */
    struct window_counts buckets[WINDOW_BUCKETS];
    struct window_counts sum; /* of the buckets still inside */
};

void window_init(struct window *window, dur_ns span, uint32_t calls, mono_ns now);
/* `calls` > 0 makes a window of that many calls, else of `span` (> 0). Starts empty. */

void window_clear(struct window *window, mono_ns now);
/* Empties it and keeps its shape. */

void window_add(struct window *window, bool is_failure, bool is_slow, mono_ns now);
/* Counts one call; what has left by `now` goes first. `window->sum` is then what is inside. */

struct window_counts window_counts(struct window *window, mono_ns now);
/* What is inside at `now`; drops what has left. (A window of calls does not depend on `now`.) */

#endif
