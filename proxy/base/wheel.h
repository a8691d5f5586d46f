/* wheel.h - many timers for the price of a few list operations: a hashed timing wheel of 1 ms
 * ticks.
 *
 * Never early: a timer set for T fires at the first wheel_advance whose now has reached T rounded
 * up to a whole ms. What is set for a time that the wheel has passed fires in the wheel's next
 * tick: a callback that sets itself for `now` does not fire again in the same advance of that tick.
 * Pure: whoever drives it (the loop, or a simulation in virtual time) says what time it is and asks
 * when to come back.
 * Example: wheel_set(w, &t, mono_add(now, 3 * NS_PER_S)); ... wheel_advance(w, now); at =
 * wheel_next(w). Ownership: a timer is embedded in its owner and must be cleared before that goes.
 * Callbacks may set and clear any timer, their own included; when one is called its timer is no
 * longer set. Timers due in one advance fire in order of tick, then of setting. Units: ns.
 * Single-threaded. */
#ifndef OUTRIGGER_BASE_WHEEL_H
#define OUTRIGGER_BASE_WHEEL_H

#include "list.h"
#include "mono.h"

#include <stdbool.h>
#include <stdint.h>

struct timer;
typedef void (*timer_callback)(struct timer *timer, mono_ns now);

struct timer {
    struct list link;
    mono_ns at; /* MONO_NEVER when not set */
    timer_callback on_fire;
};

struct wheel; /* about 8 KiB; levels of slots, see wheel.c */

struct wheel *wheel_new(mono_ns now);
/* Aborts when there is no memory (start of the process). */

void wheel_free(struct wheel **wheel);
/* Timers still set are left unlinked. */

void timer_init(struct timer *timer, timer_callback on_fire);
/* Not set. */

static inline bool timer_is_set(const struct timer *timer)
{
    return list_is_linked(&timer->link);
}
/* Between wheel_set and firing or wheel_clear. */

void wheel_set(struct wheel *wheel, struct timer *timer, mono_ns at);
/* Arms, or moves, `timer`; MONO_NEVER clears it. O(1). */

void wheel_clear(struct wheel *wheel, struct timer *timer);
/* Disarms; harmless when not set. O(1). */

void wheel_advance(struct wheel *wheel, mono_ns now);
/* Fires every timer whose time has come; work is bounded by the timers set, not by how far `now`
 * jumps. A `now` that went back fires nothing. Must not be called from a timer's callback
 * (INVARIANT). */

mono_ns wheel_next(const struct wheel *wheel);
/* When wheel_advance has something to do next: never later than the first timer may fire, maybe
 * earlier (a far timer is looked at up to seven times on its way); MONO_NEVER if none. O(1). */

#endif
