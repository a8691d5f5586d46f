/* window.c - see window.h.
 *   INVARIANT: `sum` is the sum of `buckets`; buckets outside the window are zero. */
#include "policy/window.h"

#include "base/check.h"

static void empty(struct window *window)
{
    window->head = 0;
    window->sum = (struct window_counts){0, 0, 0};
    for (uint32_t i = 0; i < WINDOW_BUCKETS; i++)
        window->buckets[i] = (struct window_counts){0, 0, 0};
}

/* The head bucket ends on a multiple of its length, so that a window needs no start of its own. */
static mono_ns end_of_bucket(const struct window *window, mono_ns now)
{
    return mono_add(now - now % window->bucket_length, window->bucket_length);
}

void window_init(struct window *window, dur_ns span, uint32_t calls, mono_ns now)
{
    window->bucket_calls = calls / WINDOW_BUCKETS + (calls % WINDOW_BUCKETS != 0);
    window->bucket_length = 0;
    if (calls > 0) { /* few calls, or a last bucket that would never be needed */
        window->used_buckets = calls / window->bucket_calls + (calls % window->bucket_calls != 0);
    } else {
        INVARIANT(span > 0);
        window->bucket_length = span / WINDOW_BUCKETS + (span % WINDOW_BUCKETS != 0);
        window->used_buckets = WINDOW_BUCKETS;
    }
    window_clear(window, now);
}

void window_clear(struct window *window, mono_ns now)
{
    empty(window);
    window->head_ends = window->bucket_calls > 0 ? MONO_NEVER : end_of_bucket(window, now);
}

static void next_bucket(struct window *window)
{
    window->head = window->head + 1 == window->used_buckets ? 0 : window->head + 1;
    struct window_counts *leaving = &window->buckets[window->head];
    window->sum.calls -= leaving->calls;
    window->sum.failures -= leaving->failures;
    window->sum.slow -= leaving->slow;
    *leaving = (struct window_counts){0, 0, 0};
}

/* Only of a window of time. A clock that goes back finds the head bucket still open. */
static void roll(struct window *window, mono_ns now)
{
    const mono_ns ends = end_of_bucket(window, now);
    int64_t steps = (ends - window->head_ends) / window->bucket_length;
    window->head_ends = ends;
    if (steps >= WINDOW_BUCKETS) {
        empty(window);
        return;
    }
    for (; steps > 0; steps--)
        next_bucket(window);
}

void window_add(struct window *window, bool is_failure, bool is_slow, mono_ns now)
{
    if (now >= window->head_ends)
        roll(window, now);
    else if (window->bucket_calls > 0 &&
             window->buckets[window->head].calls == window->bucket_calls)
        next_bucket(window);
    if (window->sum.calls == UINT32_MAX)
        return;
    struct window_counts *bucket = &window->buckets[window->head];
    bucket->calls++;
    bucket->failures += is_failure;
    bucket->slow += is_slow;
    window->sum.calls++;
    window->sum.failures += is_failure;
    window->sum.slow += is_slow;
}

struct window_counts window_counts(struct window *window, mono_ns now)
{
    if (now >= window->head_ends)
        roll(window, now);
    return window->sum;
}
