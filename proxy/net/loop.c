/* loop.c - one turn of libuv, cut into our phases: the prepare handle runs right before the wait,
 * the check handle right after the I/O callbacks. Invariant: while tasks wait, the idle handle is
 * active, so the wait does not sleep. */
#include "net/loop.h"

#include "base/check.h"
#include "net/stream.h"

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

static void run_tasks(struct loop *loop)
{
    struct list *link = list_first(&loop->tasks);
    for (int left = TASKS_PER_TURN; left > 0 && link != NULL; left--) {
        struct loop_task *task = CONTAINER_OF(link, struct loop_task, link);
        list_remove(link);
        task->run(task);
        link = list_first(&loop->tasks);
    }
}

static void on_idle(uv_idle_t *idle)
{
    (void)idle; /* being active is all that it is for */
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct loop *loop = CONTAINER_OF(prepare, struct loop, prepare);
    stream_interest_flush(&loop->interests);
    timer_drive_arm(&loop->drive);
    if (list_is_empty(&loop->tasks)) {
        uv_idle_stop(&loop->idle);
    } else {
        uv_idle_start(&loop->idle, on_idle);
    }
    loop->turns++;
    loop->is_now_stale = true;
    loop->is_wall_stale = true;
}

static void on_check(uv_check_t *check)
{
    struct loop *loop = CONTAINER_OF(check, struct loop, check);
    loop_enter(loop);
    timer_drive_run(&loop->drive, loop->now);
    run_tasks(loop);
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
    list_init(&loop->interests);
    INVARIANT(uv_loop_init(&loop->uv) == 0);
    INVARIANT(uv_prepare_init(&loop->uv, &loop->prepare) == 0);
    INVARIANT(uv_check_init(&loop->uv, &loop->check) == 0);
    INVARIANT(uv_idle_init(&loop->uv, &loop->idle) == 0);
    INVARIANT(uv_prepare_start(&loop->prepare, on_prepare) == 0);
    INVARIANT(uv_check_start(&loop->check, on_check) == 0);
    loop_read_now(loop);
    timer_drive_init(&loop->drive, &loop->uv, loop->now);
    loop->wheel = loop->drive.wheel;
    if (seed == 0) {
        INVARIANT(getrandom(&seed, sizeof(seed), 0) == (ssize_t)sizeof(seed));
    }
    rng_seed(&loop->rng, seed);
    return loop;
}

static void close_own_handles(struct loop *loop)
{
    uv_close((uv_handle_t *)&loop->prepare, NULL);
    uv_close((uv_handle_t *)&loop->check, NULL);
    uv_close((uv_handle_t *)&loop->idle, NULL);
    uv_close((uv_handle_t *)&loop->drive.uv, NULL);
    for (unsigned i = 0; i < loop->signal_count; i++) {
        uv_close((uv_handle_t *)&loop->signals[i].uv, NULL);
    }
}

void loop_free(struct loop **loop_ref)
{
    struct loop *loop = *loop_ref;
    CHECK_OBJ(loop, LOOP_MAGIC);
    *loop_ref = NULL;
    for (int turn = 0; turn < FREE_TURNS && (turn < 2 || !list_is_empty(&loop->tasks)); turn++) {
        uv_run(&loop->uv, UV_RUN_NOWAIT);
    }
    close_own_handles(loop);
    for (int turn = 0; turn < FREE_TURNS && uv_loop_alive(&loop->uv); turn++) {
        uv_run(&loop->uv, UV_RUN_NOWAIT);
    }
    INVARIANT(uv_loop_close(&loop->uv) == 0);
    timer_drive_fini(&loop->drive);
    loop->magic = 0;
    free(loop);
}

void loop_run(struct loop *loop)
{
    CHECK_OBJ(loop, LOOP_MAGIC);
    while (!loop->is_stopping) {
        uv_run(&loop->uv, UV_RUN_DEFAULT);
    }
    loop->is_stopping = false;
}

void loop_stop(struct loop *loop)
{
    CHECK_OBJ(loop, LOOP_MAGIC);
    loop->is_stopping = true;
    uv_stop(&loop->uv);
}

void loop_turn(struct loop *loop, bool may_wait)
{
    CHECK_OBJ(loop, LOOP_MAGIC);
    uv_run(&loop->uv, may_wait ? UV_RUN_ONCE : UV_RUN_NOWAIT);
}

void loop_defer(struct loop *loop, struct loop_task *task)
{
    if (!list_is_linked(&task->link)) {
        list_append(&loop->tasks, &task->link);
    }
}

void loop_read_now(struct loop *loop)
{
    loop->now = clock_ns(CLOCK_MONOTONIC);
    loop->is_now_stale = false;
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
    loop_enter(CONTAINER_OF(uv->loop, struct loop, uv));
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
