/* loop_driver.h - turns a loop in a test until something is true, without sleeping and without
 * hanging: a turn waits for at most a few milliseconds, and after a bounded number of them the test
 * fails and says what it waited for. */
#ifndef OUTRIGGER_TESTS_LOOP_DRIVER_H
#define OUTRIGGER_TESTS_LOOP_DRIVER_H

#include "base/wheel.h"
#include "net/loop.h"

#include <criterion/criterion.h>

#define DRIVER_TURN (5 * NS_PER_MS)
#define DRIVER_TURNS 2000

static inline void driver_on_fire(struct timer *timer, mono_ns now)
{
    (void)timer;
    (void)now;
}

static inline void driver_turn(struct loop *loop)
{
    struct timer guard;
    timer_init(&guard, driver_on_fire);
    wheel_set(loop->wheel, &guard, mono_add(loop->now, DRIVER_TURN));
    loop_turn(loop, true);
    wheel_clear(loop->wheel, &guard);
}

#define TURN_UNTIL(loop, condition)                                                                \
    for (int turns_left_ = DRIVER_TURNS;; turns_left_--) {                                         \
        if (condition) {                                                                           \
            break;                                                                                 \
        }                                                                                          \
        cr_assert(turns_left_ > 0, "still waiting for: %s", #condition);                           \
        driver_turn(loop);                                                                         \
    }

/* Enough turns for anything that could still happen on loopback to have happened. */
static inline void driver_settle(struct loop *loop)
{
    for (int i = 0; i < 10; i++) {
        loop_turn(loop, false);
    }
}

static inline struct loop *driver_loop(void)
{
    const struct loop_options options = {.seed = 1};
    return loop_new(&options);
}

#endif
