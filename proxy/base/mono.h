/* mono.h - time as the proxy sees it.
 *
 * One clock (CLOCK_MONOTONIC, nanoseconds) is read once per loop turn and handed down as `now`;
 * nobody below asks a clock. All arithmetic saturates: a deadline that would overflow is
 * MONO_NEVER, a time that has passed is 0 away. Example: deadline = mono_add(now, 3 * NS_PER_S);
 * left = mono_until(now, deadline). */
#ifndef OUTRIGGER_BASE_MONO_H
#define OUTRIGGER_BASE_MONO_H

#include <stdint.h>

typedef int64_t mono_ns; /* a point on the monotonic clock; MONO_NEVER is later than every other */
typedef int64_t dur_ns;  /* a length of time, never negative; DUR_FOREVER has no end */

#define MONO_NEVER INT64_MAX
#define DUR_FOREVER INT64_MAX
#define NS_PER_US INT64_C(1000)
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

static inline mono_ns mono_add(mono_ns at, dur_ns later)
{
    return at > INT64_MAX - later ? MONO_NEVER : at + later;
}
/* `at` plus `later`; MONO_NEVER where that overflows. */

static inline dur_ns mono_until(mono_ns now, mono_ns at)
{
    return at == MONO_NEVER ? DUR_FOREVER : at > now ? at - now : 0;
}
/* How long from `now` to `at`: 0 if `at` has passed, DUR_FOREVER for MONO_NEVER. */

static inline dur_ns mono_since(mono_ns now, mono_ns at)
{
    return now > at ? now - at : 0;
}
/* How long ago `at` was; 0 if it is still to come (a clock that went back costs nothing). */

static inline mono_ns mono_min(mono_ns a, mono_ns b)
{
    return a < b ? a : b;
}

static inline dur_ns dur_min(dur_ns a, dur_ns b)
{
    return a < b ? a : b;
}

static inline dur_ns dur_max(dur_ns a, dur_ns b)
{
    return a > b ? a : b;
}

static inline dur_ns dur_add(dur_ns a, dur_ns b)
{
    return a > INT64_MAX - b ? DUR_FOREVER : a + b;
}

static inline dur_ns dur_mul(dur_ns a, int64_t times)
{
    dur_ns product;
    return __builtin_mul_overflow(a, times, &product) ? DUR_FOREVER : product;
}
/* `a` (>= 0) taken `times` (>= 0); DUR_FOREVER where that overflows. */

#endif
