#include "base/wheel.h"

#include "base/check.h"
#include "unit/base/seed.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

#define MS NS_PER_MS
#define HOUR (3600 * NS_PER_S)
#define DAY (24 * HOUR)

static struct timer *fired[64];
static mono_ns fired_at[64];
static int fired_count;

static void note(struct timer *timer, mono_ns now)
{
    fired[fired_count % 64] = timer;
    fired_at[fired_count % 64] = now;
    fired_count++;
}

static struct wheel *start(mono_ns now, struct timer *timers, int count)
{
    for (int i = 0; i < count; i++)
        timer_init(&timers[i], note);
    return wheel_new(now);
}

Test(wheel, with_nothing_set_has_nothing_to_do)
{
    struct wheel *wheel = wheel_new(5 * MS);
    cr_assert_eq(wheel_next(wheel), MONO_NEVER);
    wheel_advance(wheel, 10 * DAY);
    cr_assert_eq(wheel_next(wheel), MONO_NEVER);
    wheel_free(&wheel);
    cr_assert_null(wheel);
    wheel_free(&wheel);
}

Test(wheel, fires_never_early)
{
    struct timer t[1];
    struct wheel *wheel = start(0, t, 1);
    const mono_ns at = 100 * MS + 1;
    wheel_set(wheel, t, at);
    wheel_advance(wheel, at - 1);
    cr_assert_eq(fired_count, 0);
    wheel_advance(wheel, 101 * MS - 1);
    cr_assert_eq(fired_count, 0);
    cr_assert(timer_is_set(t));
    wheel_advance(wheel, 101 * MS);
    cr_assert_eq(fired_count, 1);
    cr_assert_eq(fired_at[0], 101 * MS);
    cr_assert_not(timer_is_set(t));
    cr_assert_eq(t->at, MONO_NEVER);
    wheel_free(&wheel);
}

Test(wheel, fires_on_time_what_is_due_on_a_whole_ms)
{
    struct timer t[1];
    struct wheel *wheel = start(0, t, 1);
    wheel_set(wheel, t, 100 * MS);
    wheel_advance(wheel, 100 * MS - 1);
    cr_assert_eq(fired_count, 0);
    wheel_advance(wheel, 100 * MS);
    cr_assert_eq(fired_count, 1);
    wheel_free(&wheel);
}

Test(wheel, fires_what_is_past_in_the_next_tick)
{
    struct timer t[2];
    struct wheel *wheel = start(50 * MS + 7, t, 2);
    wheel_set(wheel, &t[0], 10 * MS);
    wheel_set(wheel, &t[1], -5);
    cr_assert_eq(wheel_next(wheel), 51 * MS);
    wheel_advance(wheel, 50 * MS + 9);
    cr_assert_eq(fired_count, 0);
    wheel_advance(wheel, 51 * MS);
    cr_assert_eq(fired_count, 2);
    wheel_free(&wheel);
}

Test(wheel, cascades_what_was_past_across_a_block)
{
    struct timer t[1];
    struct wheel *wheel = start(63 * MS, t, 1);
    wheel_set(wheel, t, 10 * MS); /* tick 64 is in the next block of level 1 */
    wheel_advance(wheel, 64 * MS);
    cr_assert_eq(fired_count, 1);
    wheel_free(&wheel);
}

Test(wheel, that_goes_back_fires_nothing_and_stays)
{
    struct timer t[1];
    struct wheel *wheel = start(1000 * MS, t, 1);
    wheel_set(wheel, t, 1001 * MS);
    wheel_advance(wheel, 10 * MS);
    cr_assert_eq(fired_count, 0);
    wheel_advance(wheel, 1001 * MS);
    cr_assert_eq(fired_count, 1);
    wheel_free(&wheel);
}

Test(wheel, set_for_never_is_a_clear)
{
    struct timer t[1];
    struct wheel *wheel = start(0, t, 1);
    wheel_set(wheel, t, 5 * MS);
    wheel_set(wheel, t, MONO_NEVER);
    cr_assert_not(timer_is_set(t));
    cr_assert_eq(wheel_next(wheel), MONO_NEVER);
    wheel_advance(wheel, DAY);
    cr_assert_eq(fired_count, 0);
    wheel_free(&wheel);
}

Test(wheel, clearing_what_is_not_set_is_harmless)
{
    struct timer t[1];
    struct wheel *wheel = start(0, t, 1);
    wheel_clear(wheel, t);
    wheel_set(wheel, t, 5 * MS);
    wheel_clear(wheel, t);
    wheel_clear(wheel, t);
    cr_assert_eq(wheel_next(wheel), MONO_NEVER);
    wheel_free(&wheel);
}

Test(wheel, clearing_one_of_two_leaves_the_other)
{
    struct timer t[2];
    struct wheel *wheel = start(0, t, 2);
    wheel_set(wheel, &t[0], 5 * MS);
    wheel_set(wheel, &t[1], 5 * MS);
    wheel_clear(wheel, &t[0]);
    cr_assert_eq(wheel_next(wheel), 5 * MS);
    wheel_advance(wheel, 5 * MS);
    cr_assert_eq(fired_count, 1);
    cr_assert_eq(fired[0], &t[1]);
    wheel_free(&wheel);
}

Test(wheel, moves_a_timer_that_is_set_again)
{
    struct timer t[1];
    struct wheel *wheel = start(0, t, 1);
    wheel_set(wheel, t, 5 * MS);
    wheel_set(wheel, t, 500 * MS);
    wheel_advance(wheel, 499 * MS);
    cr_assert_eq(fired_count, 0);
    wheel_set(wheel, t, 500 * MS);
    wheel_advance(wheel, 500 * MS);
    cr_assert_eq(fired_count, 1);
    wheel_free(&wheel);
}

Test(wheel, fires_in_order_of_tick_then_of_setting)
{
    struct timer t[5];
    struct wheel *wheel = start(0, t, 5);
    wheel_set(wheel, &t[3], 70 * MS);
    wheel_set(wheel, &t[0], 10 * MS);
    wheel_set(wheel, &t[4], 70 * MS); /* both wait in level 1 */
    wheel_set(wheel, &t[1], 10 * MS - 3);
    wheel_advance(wheel, 65 * MS); /* now block 64..127 is level 0 */
    cr_assert_eq(fired_count, 2);
    wheel_set(wheel, &t[2], 70 * MS);
    wheel_advance(wheel, DAY);
    cr_assert_eq(fired_count, 5);
    cr_assert_eq(fired[0], &t[0]);
    cr_assert_eq(fired[1], &t[1]);
    cr_assert_eq(fired[2], &t[3]);
    cr_assert_eq(fired[3], &t[4]);
    cr_assert_eq(fired[4], &t[2]);
    wheel_free(&wheel);
}

Test(wheel, holds_far_deadlines)
{
    static const mono_ns far[] = {HOUR, 5 * HOUR, DAY, 400 * DAY, 36500 * DAY, INT64_MAX - DAY};
    enum { COUNT = sizeof far / sizeof *far };
    struct timer t[COUNT];
    struct wheel *wheel = start(0, t, COUNT);
    for (int i = 0; i < COUNT; i++)
        wheel_set(wheel, &t[i], far[i]);
    for (int i = 0; i < COUNT; i++) {
        cr_assert_leq(wheel_next(wheel), far[i]);
        wheel_advance(wheel, far[i] - MS);
        cr_assert_eq(fired_count, i);
        wheel_advance(wheel, far[i] + MS);
        cr_assert_eq(fired_count, i + 1);
        cr_assert_eq(fired[i], &t[i]);
    }
    wheel_free(&wheel);
}

Test(wheel, jumps_over_hours_in_bounded_work)
{
    struct timer t[1];
    struct wheel *wheel = start(0, t, 1);
    wheel_set(wheel, t, 36500 * DAY);
    for (int i = 0; i < 36500; i++) /* 3 x 10^12 ticks: never done if a jump cost work per tick */
        wheel_advance(wheel, i * DAY);
    cr_assert_eq(fired_count, 0);
    wheel_advance(wheel, 36500 * DAY);
    cr_assert_eq(fired_count, 1);
    wheel_free(&wheel);
}

Test(wheel, next_comes_to_the_timer_in_few_steps)
{
    struct timer t[1];
    struct wheel *wheel = start(0, t, 1);
    const mono_ns at = 123456789 * MS;
    wheel_set(wheel, t, at);
    int steps = 0;
    while (fired_count == 0) {
        const mono_ns next = wheel_next(wheel);
        cr_assert_leq(next, at);
        wheel_advance(wheel, next);
        cr_assert_leq(++steps, 8);
    }
    cr_assert_eq(fired_at[0], at);
    wheel_free(&wheel);
}

Test(wheel, freed_leaves_timers_unlinked)
{
    struct timer t[3];
    struct wheel *wheel = start(0, t, 3);
    wheel_set(wheel, &t[0], 5 * MS);
    wheel_set(wheel, &t[1], 5 * MS);
    wheel_set(wheel, &t[2], 5 * DAY);
    wheel_free(&wheel);
    for (int i = 0; i < 3; i++)
        cr_assert_not(timer_is_set(&t[i]));
}

static struct wheel *present;
static struct timer *other;

static void clear_other(struct timer *timer, mono_ns now)
{
    note(timer, now);
    wheel_clear(present, other);
}

static void set_again(struct timer *timer, mono_ns now)
{
    note(timer, now);
    wheel_set(present, timer, now);
}

static void advance_inside(struct timer *timer, mono_ns now)
{
    note(timer, now);
    wheel_advance(present, now);
}

Test(wheel, lets_a_callback_clear_another_timer_of_its_tick)
{
    struct timer t[2];
    struct wheel *wheel = present = start(0, t, 2);
    timer_init(&t[0], clear_other);
    other = &t[1];
    wheel_set(wheel, &t[0], 5 * MS);
    wheel_set(wheel, &t[1], 5 * MS);
    wheel_advance(wheel, 5 * MS);
    cr_assert_eq(fired_count, 1);
    cr_assert_eq(wheel_next(wheel), MONO_NEVER);
    wheel_free(&wheel);
}

Test(wheel, lets_a_callback_set_itself_for_now_once_a_tick)
{
    struct timer t[1];
    struct wheel *wheel = present = start(0, t, 1);
    timer_init(t, set_again);
    wheel_set(wheel, t, 5 * MS);
    wheel_advance(wheel, 5 * MS);
    cr_assert_eq(fired_count, 1);
    cr_assert_eq(wheel_next(wheel), 6 * MS);
    wheel_advance(wheel, 6 * MS);
    cr_assert_eq(fired_count, 2);
    wheel_free(&wheel);
}

Test(wheel, must_not_be_advanced_by_a_callback, .signal = SIGABRT)
{
    struct timer t[1];
    struct wheel *wheel = present = start(0, t, 1);
    timer_init(t, advance_inside);
    wheel_set(wheel, t, 5 * MS);
    wheel_advance(wheel, 5 * MS);
}

/* ---- against a model that is a plain table ---- */

#define TIMERS 96

struct modelled {
    struct timer timer;
    int64_t tick;
    uint64_t order; /* of setting; 0: not set */
};

static struct {
    struct modelled timers[TIMERS];
    struct wheel *wheel;
    struct rng rng;
    int64_t tick;   /* served */
    int64_t target; /* of the present advance */
    uint64_t orders;
    int fired;
} model;

static struct modelled *model_first(void)
{
    struct modelled *first = NULL;
    for (int i = 0; i < TIMERS; i++) {
        struct modelled *one = &model.timers[i];
        if (one->order == 0)
            continue;
        if (first == NULL || one->tick < first->tick ||
            (one->tick == first->tick && one->order < first->order))
            first = one;
    }
    return first;
}

static mono_ns random_time(void)
{
    static const dur_ns scales[] = {1,    MS,       64 * MS,   4096 * MS,
                                    HOUR, 20 * DAY, 900 * DAY, 90000 * DAY};
    const mono_ns now = model.tick * MS;
    const dur_ns scale = scales[rng_below(&model.rng, sizeof scales / sizeof *scales)];
    if (rng_below(&model.rng, 40) == 0)
        return MONO_NEVER;
    if (rng_below(&model.rng, 4) == 0) /* on a border of blocks, where several meet */
        return mono_add(now - now % (64 * MS), (dur_ns)rng_below(&model.rng, 5) * 64 * MS);
    const dur_ns away = rng_between(&model.rng, 0, dur_mul(scale, 3));
    return rng_below(&model.rng, 8) == 0 ? now - away : mono_add(now, away);
}

static void model_set(struct modelled *one, mono_ns at)
{
    wheel_set(model.wheel, &one->timer, at);
    one->order = at == MONO_NEVER ? 0 : ++model.orders;
    const int64_t tick = at / MS + (at % MS > 0);
    one->tick = tick > model.tick ? tick : model.tick + 1;
}

static void model_change(void)
{
    struct modelled *one = &model.timers[rng_below(&model.rng, TIMERS)];
    if (rng_below(&model.rng, 3) == 0) {
        wheel_clear(model.wheel, &one->timer);
        one->order = 0;
    } else {
        model_set(one, random_time());
    }
}

static void model_check_next(void)
{
    const struct modelled *first = model_first();
    const mono_ns next = wheel_next(model.wheel);
    if (first == NULL) {
        cr_assert_eq(next, MONO_NEVER);
        return;
    }
    cr_assert_leq(next, dur_mul(first->tick, MS));
    cr_assert_gt(next, model.tick * MS);
}

static void model_fire(struct timer *timer, mono_ns now)
{
    struct modelled *one = CONTAINER_OF(timer, struct modelled, timer);
    cr_assert_eq(one, model_first());
    cr_assert_leq(one->tick, model.target);
    cr_assert_eq(now / MS, model.target);
    model.tick = one->tick;
    one->order = 0;
    model.fired++;
    for (uint64_t changes = rng_below(&model.rng, 3); changes > 0; changes--)
        model_change();
}

static void model_advance(void)
{
    static const dur_ns jumps[] = {1, MS, 50 * MS, 5000 * MS, 2 * HOUR, 30 * DAY};
    const dur_ns jump = jumps[rng_below(&model.rng, sizeof jumps / sizeof *jumps)];
    mono_ns now = mono_add(model.tick * MS, rng_between(&model.rng, 0, jump));
    const mono_ns next = wheel_next(model.wheel);
    if (next != MONO_NEVER && rng_below(&model.rng, 2) == 0)
        now = next;
    if (now == MONO_NEVER)
        return;
    model.target = now / MS;
    wheel_advance(model.wheel, now);
    model.tick = model.target > model.tick ? model.target : model.tick;
    const struct modelled *first = model_first();
    cr_assert(first == NULL || first->tick > model.target);
}

Test(wheel, does_what_a_sorted_list_does)
{
    for (int round = 0; round < 20; round++) {
        memset(&model, 0, sizeof model);
        model.rng = seeded_rng("wheel against a list");
        model.tick = (int64_t)rng_below(&model.rng, 10000000);
        model.wheel = wheel_new(model.tick * MS);
        for (int i = 0; i < TIMERS; i++)
            timer_init(&model.timers[i].timer, model_fire);
        for (int step = 0; step < 5000; step++) {
            if (rng_below(&model.rng, 3) == 0)
                model_advance();
            else
                model_change();
            model_check_next();
        }
        cr_assert_gt(model.fired, 100);
        wheel_free(&model.wheel);
    }
}
