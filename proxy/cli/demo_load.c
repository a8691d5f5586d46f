/* demo_load.c - see demo_load.h. Every call is a connection of its own, of which only the head is
 * read. */
#include "cli/demo_load.h"

#include "base/check.h"
#include "base/list.h"
#include "base/span.h"
#include "cli/http_get.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IN_FLIGHT_MAX 64
#define HEAD_MAX 2048

struct demo_load {
    uv_timer_t timer;
    uint16_t port;
    const char *path;
    struct list calls;
    unsigned in_flight;
    bool is_stopping;
    bool is_timer_closed;
    struct demo_counts counts;
};

struct call {
    struct list link;
    struct demo_load *load;
    struct http_get *get;
    size_t used;
    char head[HEAD_MAX];
};

static void free_when_done(struct demo_load *load)
{
    if (load->is_timer_closed && load->in_flight == 0)
        free(load);
}

static void on_bytes(void *context, const char *data, size_t len)
{
    struct call *call = context;
    size_t room = sizeof call->head - 1 - call->used;
    size_t taken = len < room ? len : room;
    memcpy(call->head + call->used, data, taken);
    call->used += taken;
}

static void count(struct demo_load *load, struct span head)
{
    static const char field[] = "\r\nx-outrigger-reason: ";
    const char *reason = strcasestr(head.data, field);
    if (reason) {
        const char *from = reason + sizeof field - 1;
        load->counts.refused++;
        snprintf(load->counts.reason, sizeof load->counts.reason, "%.*s",
                 (int)strcspn(from, "\r\n"), from);
    } else if (span_starts_with(head, SPAN("HTTP/1.1 200"))) {
        load->counts.succeeded++;
    } else {
        load->counts.failed++;
    }
}

static void on_end(void *context)
{
    struct call *call = context;
    struct demo_load *load = call->load;
    call->head[call->used] = '\0';
    if (!load->is_stopping)
        count(load, span_make(call->head, call->used));
    list_remove(&call->link);
    load->in_flight--;
    free(call);
    free_when_done(load);
}

static void on_tick(uv_timer_t *timer)
{
    struct demo_load *load = timer->data;
    if (load->in_flight == IN_FLIGHT_MAX)
        return;
    struct call *call = calloc(1, sizeof *call);
    INVARIANT(call != NULL);
    call->load = load;
    list_append(&load->calls, &call->link);
    load->in_flight++;
    char request[HTTP_GET_REQUEST_MAX];
    snprintf(request, sizeof request,
             "GET %s HTTP/1.1\r\nHost: shop.demo\r\nConnection: close\r\n\r\n", load->path);
    call->get = http_get_start(timer->loop, &(struct http_get_options){.port = load->port,
                                                                       .request = request,
                                                                       .on_bytes = on_bytes,
                                                                       .on_end = on_end,
                                                                       .context = call});
}

struct demo_load *demo_load_start(uv_loop_t *loop, uint16_t port, const char *path,
                                  unsigned calls_per_second)
{
    struct demo_load *load = calloc(1, sizeof *load);
    INVARIANT(load != NULL && calls_per_second > 0);
    load->port = port;
    load->path = path;
    list_init(&load->calls);
    INVARIANT(uv_timer_init(loop, &load->timer) == 0);
    load->timer.data = load;
    uv_timer_start(&load->timer, on_tick, 0, 1000 / calls_per_second);
    return load;
}

struct demo_counts demo_load_counts(const struct demo_load *load)
{
    return load->counts;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct demo_load *load = handle->data;
    load->is_timer_closed = true;
    free_when_done(load);
}

void demo_load_stop(struct demo_load *load)
{
    load->is_stopping = true;
    LIST_FOREACH (node, &load->calls)
        http_get_cancel(CONTAINER_OF(node, struct call, link)->get);
    uv_close((uv_handle_t *)&load->timer, on_timer_closed);
}
