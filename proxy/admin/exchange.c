/* exchange.c - commands on their way to the data loop and back.
 *
 * The desk is where the data loop leaves what it has completed: a stack that is pushed and emptied
 * by one atomic operation, so the loop never waits for the admin thread. The desk outlives the
 * admin server as long as commands are out. Closing it: `is_open` falls, then those who are inside
 * (`users`) are waited for; whoever comes later finds it closed and frees the command itself. */
#include "admin/admin_own.h"
#include "base/check.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

struct desk {
    struct exchange *done; /* atomic; newest first */
    int is_open;           /* atomic */
    int users;             /* atomic: threads inside admin_command_complete */
    int refs;              /* atomic: admin's, and one per command that is out */
    uv_async_t *wake;
};

struct requester { /* in the request's pool: tells the exchange when the request dies */
    h2o_req_t *req;
    struct exchange *exchange;
};

struct exchange {
    struct admin_command command;
    struct desk *desk;
    struct exchange *done_next;
    struct list link;
    struct requester *requester; /* NULL: nobody waits */
    exchange_answer answer;
    mono_ns posted_at;
};

static void desk_unref(struct desk *desk)
{
    if (__atomic_sub_fetch(&desk->refs, 1, __ATOMIC_SEQ_CST) == 0) {
        free(desk);
    }
}

struct desk *desk_new(uv_async_t *wake)
{
    struct desk *desk = calloc(1, sizeof(*desk));
    INVARIANT(desk != NULL);
    desk->is_open = 1;
    desk->refs = 1;
    desk->wake = wake;
    return desk;
}

static void exchange_free(struct exchange *exchange)
{
    struct desk *desk = exchange->desk;
    text_fini(&exchange->command.reply);
    free(exchange);
    desk_unref(desk);
}

void admin_command_complete(struct admin_command *command)
{
    struct exchange *exchange = CONTAINER_OF(command, struct exchange, command);
    struct desk *desk = exchange->desk;
    __atomic_fetch_add(&desk->users, 1, __ATOMIC_SEQ_CST);
    if (!__atomic_load_n(&desk->is_open, __ATOMIC_SEQ_CST)) {
        __atomic_fetch_sub(&desk->users, 1, __ATOMIC_SEQ_CST);
        exchange_free(exchange);
        return;
    }
    struct exchange *top = __atomic_load_n(&desk->done, __ATOMIC_RELAXED);
    do {
        exchange->done_next = top;
    } while (!__atomic_compare_exchange_n(&desk->done, &top, exchange, true, __ATOMIC_RELEASE,
                                          __ATOMIC_RELAXED));
    uv_async_send(desk->wake);
    __atomic_fetch_sub(&desk->users, 1, __ATOMIC_SEQ_CST);
}

/* All that has been completed, oldest first. */
static struct exchange *take_done(struct desk *desk)
{
    struct exchange *newest = __atomic_exchange_n(&desk->done, NULL, __ATOMIC_ACQUIRE);
    struct exchange *oldest = NULL;
    while (newest) {
        struct exchange *next = newest->done_next;
        newest->done_next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

/* The request, if it still lives, and the end of its tie to the exchange. */
static h2o_req_t *detach(struct exchange *exchange)
{
    struct requester *requester = exchange->requester;
    if (!requester) {
        return NULL;
    }
    requester->exchange = NULL;
    exchange->requester = NULL;
    return requester->req;
}

static void requester_dispose(void *pointer)
{
    struct requester *requester = pointer;
    if (requester->exchange) {
        requester->exchange->requester = NULL;
    }
}

void exchange_begin(struct admin *admin, h2o_req_t *req, enum admin_command_kind kind,
                    const char *id, enum admin_action action, exchange_answer answer)
{
    struct exchange *exchange =
        admin->desk ? calloc(1, sizeof(*exchange)) : NULL; /* none: we are closing */
    if (!exchange) {
        if (req) {
            answer(admin, req, NULL, false);
        }
        return;
    }
    exchange->command.kind = kind;
    exchange->command.action = action;
    exchange->command.status = 200;
    snprintf(exchange->command.id, sizeof(exchange->command.id), "%s", id ? id : "");
    text_init(&exchange->command.reply, ADMIN_REPLY_MAX);
    exchange->answer = answer;
    exchange->posted_at = admin_now(admin);
    exchange->desk = admin->desk;
    __atomic_fetch_add(&admin->desk->refs, 1, __ATOMIC_SEQ_CST);
    if (admin->backend.post(admin->backend.context, &exchange->command) != OK) {
        exchange_free(exchange);
        if (req) {
            answer(admin, req, NULL, false);
        }
        return;
    }
    list_append(&admin->exchanges, &exchange->link);
    admin_wake_sweep(admin);
    if (req) {
        exchange->requester =
            h2o_mem_alloc_shared(&req->pool, sizeof(struct requester), requester_dispose);
        *exchange->requester = (struct requester){req, exchange};
    }
}

void exchange_collect(struct admin *admin)
{
    struct exchange *exchange = take_done(admin->desk);
    while (exchange) {
        struct exchange *next = exchange->done_next;
        h2o_req_t *req = detach(exchange);
        list_remove(&exchange->link);
        if (req) {
            exchange->answer(admin, req, &exchange->command, true);
        }
        exchange_free(exchange);
        exchange = next;
    }
}

void exchange_expire(struct admin *admin, mono_ns now)
{
    LIST_FOREACH_SAFE (node, following, &admin->exchanges) {
        struct exchange *exchange = CONTAINER_OF(node, struct exchange, link);
        if (mono_since(now, exchange->posted_at) < admin->options.loop_limit) {
            continue;
        }
        h2o_req_t *req = detach(exchange);
        if (req) {
            exchange->answer(admin, req, NULL, false);
        }
    }
}

bool exchange_is_stuck(const struct admin *admin, mono_ns now)
{
    struct list *oldest = list_first(&admin->exchanges);
    return oldest && mono_since(now, CONTAINER_OF(oldest, struct exchange, link)->posted_at) >=
                         admin->options.live_limit;
}

void desk_close(struct admin *admin)
{
    struct desk *desk = admin->desk;
    __atomic_store_n(&desk->is_open, 0, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&desk->users, __ATOMIC_SEQ_CST) > 0) {
        sched_yield();
    }
    exchange_collect(admin);
    exchange_expire(admin, MONO_NEVER);
    while (!list_is_empty(&admin->exchanges)) {
        list_remove(list_first(
            &admin->exchanges)); /* they are the data loop's now, until it completes them */
    }
    admin->desk = NULL;
    desk_unref(desk);
}
