/* loop.c - see loop.h. libuv is embedded as its documentation says (uv_backend_fd,
 * uv_backend_timeout). Invariant: while tasks are deferred, the wait does not sleep. */
#include "net/loop.h"

#include "base/check.h"

#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#define LOOP_MAGIC 0x4c4f4f50U
#define TASKS_PER_TURN 1024 /* tasks that keep deferring each other still let I/O through */
#define FREE_TURNS                                                                                 \
    64 /* a close callback may close something else; chains longer than this are a leak */

static mono_ns clock_ns(clockid_t clock)
{
    struct timespec at;
    INVARIANT(clock_gettime(clock, &at) == 0);
    return (mono_ns)at.tv_sec * NS_PER_S + at.tv_nsec;
}

static void run_tasks(struct list *tasks)
{
    struct list *link = list_first(tasks);
    for (int left = TASKS_PER_TURN; left > 0 && link != NULL; left--) {
        struct loop_task *task = CONTAINER_OF(link, struct loop_task, link);
        list_remove(link);
        task->run(task);
        link = list_first(tasks);
    }
}

static void on_uv_ready(struct interest *interest, uint32_t events)
{
    (void)events;
    interest->loop->is_uv_ready = true;
}

/* In ms; -1: until a descriptor is ready. libuv's idea of now is as old as its last turn. */
static int uv_limit(uv_loop_t *uv)
{
    if (!uv_loop_alive(uv))
        return -1;
    const int ms = uv_backend_timeout(uv);
    if (ms <= 0)
        return ms;
    uv_update_time(uv);
    return uv_backend_timeout(uv);
}

static int shorter(int a, int b)
{
    return a < 0 || (b >= 0 && b < a) ? b : a;
}

static bool has_tasks(const struct loop *loop)
{
    return !list_is_empty(&loop->tasks) || !list_is_empty(&loop->last_tasks);
}

void loop_turn(struct loop *loop, bool may_wait)
{
    CHECK_OBJ(loop, LOOP_MAGIC);
    const int uv_ms = uv_limit(&loop->uv);
    const int wheel_ms = timer_drive_limit(&loop->drive, clock_ns(CLOCK_MONOTONIC));
    loop->turns++;
    loop->is_uv_ready = uv_ms >= 0; /* it has timers, or work that it has put off */
    const int count = interest_wait(&loop->interests,
                                    may_wait && !has_tasks(loop) ? shorter(uv_ms, wheel_ms) : 0);
    loop->now = clock_ns(CLOCK_MONOTONIC);
    loop->is_wall_stale = true;
    interest_deliver(&loop->interests, count);
    if (loop->is_uv_ready)
        uv_run(&loop->uv, UV_RUN_NOWAIT);
    timer_drive_run(&loop->drive, loop->now);
    run_tasks(&loop->tasks);
    run_tasks(&loop->last_tasks);
}

struct loop *loop_new(const struct loop_options *options)
{
    struct loop *loop =
        calloc(1, sizeof(*loop)); /* the buffers are pages that nobody has touched yet */
    uint64_t seed = options->seed;
    INVARIANT(loop != NULL);
    loop->magic = LOOP_MAGIC;
    loop->is_wall_stale = true;
    list_init(&loop->tasks);
    list_init(&loop->last_tasks);
    INVARIANT(uv_loop_init(&loop->uv) == 0);
    interest_set_init(&loop->interests);
    INVARIANT(interest_open(&loop->uv_interest, loop, uv_backend_fd(&loop->uv), EPOLLIN,
                            on_uv_ready) == OK);
    loop->now = clock_ns(CLOCK_MONOTONIC);
    timer_drive_init(&loop->drive, loop->now);
    loop->wheel = loop->drive.wheel;
    if (seed == 0) {
        INVARIANT(getrandom(&seed, sizeof(seed), 0) == (ssize_t)sizeof(seed));
    }
    rng_seed(&loop->rng, seed);
    return loop;
}

void loop_free(struct loop **loop_ref)
{
    struct loop *loop = *loop_ref;
    CHECK_OBJ(loop, LOOP_MAGIC);
    *loop_ref = NULL;
    for (int turn = 0; turn < FREE_TURNS && (turn < 2 || has_tasks(loop)); turn++) {
        loop_turn(loop, false);
    }
    for (unsigned i = 0; i < loop->signal_count; i++) {
        uv_close((uv_handle_t *)&loop->signals[i].uv, NULL);
    }
    for (int turn = 0; turn < FREE_TURNS && uv_loop_alive(&loop->uv); turn++) {
        uv_run(&loop->uv, UV_RUN_NOWAIT);
    }
    interest_close(&loop->uv_interest);
    INVARIANT(uv_loop_close(&loop->uv) == 0);
    interest_set_fini(&loop->interests);
    timer_drive_fini(&loop->drive);
    loop->magic = 0;
    free(loop);
}

void loop_run(struct loop *loop)
{
    CHECK_OBJ(loop, LOOP_MAGIC);
    while (!loop->is_stopping) {
        loop_turn(loop, true);
    }
    loop->is_stopping = false;
}

void loop_stop(struct loop *loop)
{
    CHECK_OBJ(loop, LOOP_MAGIC);
    loop->is_stopping = true;
}

void loop_defer(struct loop *loop, struct loop_task *task)
{
    if (!list_is_linked(&task->link)) {
        list_append(&loop->tasks, &task->link);
    }
}

void loop_defer_last(struct loop *loop, struct loop_task *task)
{
    if (!list_is_linked(&task->link)) {
        list_append(&loop->last_tasks, &task->link);
    }
}

int64_t loop_wall(struct loop *loop)
{
    if (loop->is_wall_stale) {
        loop->wall = clock_ns(CLOCK_REALTIME);
        loop->is_wall_stale = false;
    }
    return loop->wall;
}

dur_ns loop_lag_take(struct loop *loop)
{
    return timer_drive_lag_take(&loop->drive);
}

static void on_signal(uv_signal_t *uv, int signal_number)
{
    struct loop_signal *entry = CONTAINER_OF(uv, struct loop_signal, uv);
    entry->on_signal(entry->context, signal_number);
}

void loop_on_signal(struct loop *loop, int signal_number, loop_signal_callback callback,
                    void *context)
{
    CHECK_OBJ(loop, LOOP_MAGIC);
    INVARIANT(loop->signal_count < LOOP_SIGNALS);
    struct loop_signal *entry = &loop->signals[loop->signal_count++];
    entry->on_signal = callback;
    entry->context = context;
    INVARIANT(uv_signal_init(&loop->uv, &entry->uv) == 0);
    INVARIANT(uv_signal_start(&entry->uv, on_signal, signal_number) == 0);
}
