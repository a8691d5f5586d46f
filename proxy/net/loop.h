/* loop.h - the event loop that owns the data path, and everything that is said once per turn.
 *
 * A turn: wait -> I/O callbacks -> libuv's (mailboxes, signals, name queries, watched files) ->
 * timers of the wheel -> deferred tasks -> those deferred to the last, such as on_closed. `now` is
 * read once per turn, right after the wait; nobody below asks a clock. The wait is our own, on the
 * epoll set of net/interest; libuv's is a descriptor in it, and runs when it has something to do.
 * One thread; only mailbox_post may be called from others.
 *
 * Example: struct loop *loop = loop_new(&(struct loop_options){0});
 *          wheel_set(loop->wheel, &call->timer, mono_add(loop->now, 3 * NS_PER_S));
 *          loop_defer(loop, &call->task); // in this turn or the next: never inside the caller
 *          loop_run(loop);
 *          loop_free(&loop);
 *
 * Ownership: tasks, timers and streams are embedded in their owners, which must take them out
 * before they go. */
#ifndef OUTRIGGER_NET_LOOP_H
#define OUTRIGGER_NET_LOOP_H

#include "base/list.h"
#include "base/mono.h"
#include "base/rng.h"
#include "base/wheel.h"
#include "net/interest.h"
#include "net/timer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#define LOOP_READ_BYTES 65536
#define LOOP_WRITE_BYTES 65536
#define LOOP_SIGNALS 4

struct loop;

struct loop_task {
    struct list link;
    void (*run)(struct loop_task *task);
};

typedef void (*loop_signal_callback)(void *context, int signal_number);

struct loop_options {
    uint64_t seed; /* of the loop's rng; 0: taken from the system */
};

struct loop_signal {
    uv_signal_t uv;
    loop_signal_callback on_signal;
    void *context;
};

struct loop {
    uint32_t magic;
    bool is_wall_stale; /* the loop has waited since `wall` was read */
    bool is_stopping;
    bool is_uv_ready; /* libuv's descriptor has been told of in this turn */
    mono_ns now;
    int64_t wall; /* ns since 1970, see loop_wall */
    struct wheel *wheel;
    struct rng rng;
    struct list tasks; /* struct loop_task, first in first out */
    struct list last_tasks;
    uint64_t turns;
    struct timer_drive drive;
    uv_loop_t uv;
    struct interest uv_interest;
    struct loop_signal signals[LOOP_SIGNALS];
    unsigned signal_count;
    struct interest_set interests;
    char read_buffer[LOOP_READ_BYTES];   /* valid until the callback that filled it returns */
    char write_buffer[LOOP_WRITE_BYTES]; /* scratch for gathering small writes, as short-lived */
};

struct loop *loop_new(const struct loop_options *options);
/* Aborts when the system gives no memory or epoll descriptor (start of the process). */

void loop_free(struct loop **loop);
/* Closes what the loop owns and runs the close callbacks that are still due. Aborts when a stream,
 * listener, resolver, watch or mailbox is still open: that would be our leak. */

void loop_run(struct loop *loop);
/* Turns until loop_stop. */

void loop_stop(struct loop *loop);
/* Ends loop_run after this turn. From the loop's thread only; other threads post a mail that does
 * it. */

void loop_turn(struct loop *loop, bool may_wait);
/* One turn; with may_wait it sleeps until something happens. For tests and for shutdown. */

void loop_defer(struct loop *loop, struct loop_task *task);
/* Runs `task` after the I/O callbacks and timers of this turn; a task may defer itself and others
 * again, and beyond a bound per turn the rest waits for the next one, so that I/O is not starved.
 * Deferring twice is deferring once. */

void loop_defer_last(struct loop *loop, struct loop_task *task);
/* The same, after the tasks of this turn: for what may free memory that they still look at. */

static inline void loop_task_init(struct loop_task *task, void (*run)(struct loop_task *task))
{
    list_init(&task->link);
    task->run = run;
}

static inline void loop_task_cancel(struct loop_task *task)
{
    list_remove(&task->link);
}
/* Harmless when the task is not deferred. */

int64_t loop_wall(struct loop *loop);
/* CLOCK_REALTIME in ns since 1970, read at most once per turn. For HTTP dates and logs, never for
 * durations. */

dur_ns loop_lag_take(struct loop *loop);
/* The worst lateness of timers since the last take: outrigger_loop_lag_seconds. */

void loop_on_signal(struct loop *loop, int signal_number, loop_signal_callback on_signal,
                    void *context);
/* SIGTERM, SIGINT, SIGHUP and the like, as a callback in the loop; at most LOOP_SIGNALS. For the
 * life of the loop. */

#endif
