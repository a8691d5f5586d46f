#include "base/check.h"
#include "loop_driver.h"
#include "net/loop.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>

struct count {
    struct loop_task task;
    struct timer timer;
    struct loop *loop;
    int runs;
    int again;
    mono_ns fired_at;
};

static void on_count(struct loop_task *task)
{
    struct count *count = CONTAINER_OF(task, struct count, task);
    count->runs++;
    if (count->again > 0) {
        count->again--;
        loop_defer(count->loop, task);
    }
}

static void on_count_timer(struct timer *timer, mono_ns now)
{
    struct count *count = CONTAINER_OF(timer, struct count, timer);
    count->runs++;
    count->fired_at = now;
}

static void count_init(struct count *count, struct loop *loop)
{
    *count = (struct count){.loop = loop};
    loop_task_init(&count->task, on_count);
    timer_init(&count->timer, on_count_timer);
}

static mono_ns clock_now(void)
{
    struct timespec at;
    cr_assert(clock_gettime(CLOCK_MONOTONIC, &at) == 0);
    return (mono_ns)at.tv_sec * NS_PER_S + at.tv_nsec;
}

Test(loop, runs_a_deferred_task_once_and_never_inside_the_caller)
{
    struct loop *loop = driver_loop();
    struct count count;
    count_init(&count, loop);
    loop_defer(loop, &count.task);
    loop_defer(loop, &count.task);
    cr_assert_eq(count.runs, 0);
    loop_turn(loop, true); /* it does not sleep on a task that waits */
    cr_assert_eq(count.runs, 1);
    driver_settle(loop);
    cr_assert_eq(count.runs, 1);
    loop_free(&loop);
    cr_assert_null(loop);
}

Test(loop, runs_no_cancelled_task)
{
    struct loop *loop = driver_loop();
    struct count count;
    count_init(&count, loop);
    loop_task_cancel(&count.task);
    loop_defer(loop, &count.task);
    loop_task_cancel(&count.task);
    driver_settle(loop);
    cr_assert_eq(count.runs, 0);
    loop_free(&loop);
}

struct last {
    struct loop_task task;
    const struct count *first;
    int seen;
};

static void on_last(struct loop_task *task)
{
    struct last *last = CONTAINER_OF(task, struct last, task);
    last->seen = last->first->runs;
}

Test(loop, runs_what_is_deferred_to_the_last_after_the_tasks_of_the_turn)
{
    struct loop *loop = driver_loop();
    struct count first;
    struct last last = {.first = &first};
    count_init(&first, loop);
    loop_task_init(&last.task, on_last);
    first.again = 3;
    loop_defer_last(loop, &last.task);
    loop_defer_last(loop, &last.task);
    loop_defer(loop, &first.task);
    loop_turn(loop, false);
    cr_assert_eq(last.seen, 4);
    loop_defer_last(loop, &last.task);
    loop_turn(loop, true); /* it does not sleep on one that waits */
    loop_free(&loop);
}

static void on_uv_timer(uv_timer_t *timer)
{
    (*(int *)timer->data)++;
}

Test(loop, runs_the_timers_of_libuv_when_they_are_due)
{
    struct loop *loop = driver_loop();
    uv_timer_t timer;
    int runs = 0;
    cr_assert(uv_timer_init(&loop->uv, &timer) == 0);
    timer.data = &runs;
    uv_update_time(&loop->uv);
    cr_assert(uv_timer_start(&timer, on_uv_timer, 30, 0) == 0);
    const mono_ns begun = clock_now();
    for (int turn = 0; turn < 100 && runs == 0; turn++)
        loop_turn(loop, true); /* nothing else would wake it */
    const dur_ns took = clock_now() - begun;
    cr_assert_eq(runs, 1);
    cr_assert(took >= 28 * NS_PER_MS && took < 2 * NS_PER_S, "%ld", (long)took);
    uv_close((uv_handle_t *)&timer, NULL);
    loop_turn(loop, true);
    cr_assert(!uv_loop_alive(&loop->uv));
    loop_free(&loop);
}

Test(loop, lets_io_through_between_tasks_that_defer_themselves)
{
    struct loop *loop = driver_loop();
    struct count count;
    count_init(&count, loop);
    count.again = 1500;
    loop_defer(loop, &count.task);
    loop_turn(loop, false);
    cr_assert(count.runs > 1 && count.runs < 1501, "%d", count.runs);
    loop_turn(loop, true);
    cr_assert_eq(count.runs, 1501);
    loop_free(&loop);
}

Test(loop, fires_a_timer_never_early)
{
    struct loop *loop = driver_loop();
    struct count count;
    count_init(&count, loop);
    for (int i = 1; i <= 20; i++) {
        mono_ns at = mono_add(clock_now(), i * 100 * NS_PER_US);
        wheel_set(loop->wheel, &count.timer, at);
        TURN_UNTIL(loop, count.runs == i);
        cr_assert(count.fired_at >= at);
        cr_assert(clock_now() >= at);
    }
    loop_free(&loop);
}

Test(loop, wakes_up_for_an_earlier_timer_that_was_set_later)
{
    struct loop *loop = driver_loop();
    struct count late;
    struct count early;
    count_init(&late, loop);
    count_init(&early, loop);
    wheel_set(loop->wheel, &late.timer, mono_add(loop->now, 3600 * NS_PER_S));
    loop_turn(loop, false);
    wheel_set(loop->wheel, &early.timer, mono_add(loop->now, 2 * NS_PER_MS));
    for (int i = 0; i < 50 && early.runs == 0; i++) {
        loop_turn(loop, true); /* would sleep for an hour if it did not ask the wheel again */
    }
    cr_assert_eq(early.runs, 1);
    cr_assert_eq(late.runs, 0);
    wheel_clear(loop->wheel, &late.timer);
    loop_free(&loop);
}

Test(loop, measures_how_late_its_timers_were)
{
    struct loop *loop = driver_loop();
    struct count count;
    count_init(&count, loop);
    wheel_set(loop->wheel, &count.timer, mono_add(loop->now, 1 * NS_PER_MS));
    loop_turn(loop, false);
    mono_ns busy_until = mono_add(clock_now(), 20 * NS_PER_MS);
    while (clock_now() < busy_until) {
    }
    TURN_UNTIL(loop, count.runs == 1);
    dur_ns lag = loop_lag_take(loop);
    cr_assert(lag >= 15 * NS_PER_MS, "%ld", (long)lag);
    cr_assert_eq(loop_lag_take(loop), 0);
    loop_free(&loop);
}

static void on_long_task(struct loop_task *task)
{
    struct count *count = CONTAINER_OF(task, struct count, task);
    const int64_t wall = loop_wall(count->loop);
    const mono_ns until = mono_add(clock_now(), 1 * NS_PER_MS);
    while (clock_now() < until) {
    }
    count->fired_at = count->loop->now;
    count->runs += loop_wall(count->loop) == wall;
}

Test(loop, reads_the_clock_once_a_turn)
{
    struct loop *loop = driver_loop();
    struct count count;
    count_init(&count, loop);
    count.task.run = on_long_task;
    loop_defer(loop, &count.task);
    const mono_ns before = clock_now();
    loop_turn(loop, false);
    cr_assert(count.fired_at >= before && clock_now() - count.fired_at >= 1 * NS_PER_MS);
    cr_assert_eq(loop->now, count.fired_at);
    cr_assert_eq(count.runs, 1, "nor the wall clock");
    cr_assert(llabs(loop_wall(loop) / NS_PER_S - (int64_t)time(NULL)) <= 1);
    loop_turn(loop, false);
    cr_assert(loop->now > count.fired_at);
    loop_free(&loop);
}

static void on_stop(struct loop_task *task)
{
    loop_stop(CONTAINER_OF(task, struct count, task)->loop);
}

Test(loop, runs_until_it_is_stopped)
{
    struct loop *loop = driver_loop();
    struct count count;
    count_init(&count, loop);
    count.task.run = on_stop;
    loop_defer(loop, &count.task);
    loop_run(loop);
    loop_stop(loop); /* before the run: the run ends at once */
    loop_run(loop);
    loop_free(&loop);
}

static void on_signal(void *context, int signal_number)
{
    *(int *)context = signal_number;
}

Test(loop, delivers_signals_as_callbacks)
{
    struct loop *loop = driver_loop();
    int seen = 0;
    loop_on_signal(loop, SIGHUP, on_signal, &seen);
    loop_on_signal(loop, SIGTERM, on_signal, &seen);
    cr_assert(raise(SIGHUP) == 0);
    TURN_UNTIL(loop, seen == SIGHUP);
    cr_assert(raise(SIGTERM) == 0);
    TURN_UNTIL(loop, seen == SIGTERM);
    loop_free(&loop);
}

Test(loop, draws_the_same_numbers_from_the_same_seed)
{
    struct loop *a = driver_loop();
    struct loop *b = driver_loop();
    const struct loop_options unseeded = {.seed = 0};
    struct loop *c = loop_new(&unseeded);
    uint64_t first = rng_next(&a->rng);
    cr_assert_eq(first, rng_next(&b->rng));
    cr_assert(first != rng_next(&c->rng));
    loop_free(&a);
    loop_free(&b);
    loop_free(&c);
}
