/* stream.c - /events: Server-Sent Events (WHATWG HTML section 9.2) for a few subscribers.
 *
 * libh2o takes one piece at a time and asks for more when it is written. What comes meanwhile
 * gathers in `backlog`; a subscriber that is ADMIN_BACKLOG_MAX behind, or has not taken a piece for
 * two heartbeats, is cut, so that nobody who stops reading can make us grow. */
#include "admin/admin_own.h"
#include "base/check.h"

#include <string.h>

struct subscriber { /* lives in the request's pool */
    h2o_generator_t super;
    struct admin *admin;
    h2o_req_t *req;
    struct list link;
    struct text backlog;
    struct text on_its_way;
    bool is_sending;
    mono_ns sent_at;
};

static void subscriber_dispose(void *pointer)
{
    struct subscriber *subscriber = pointer;
    struct admin *admin = subscriber->admin;
    list_remove(&subscriber->link);
    admin->subscriber_count--;
    events_listen(admin->options.events, admin->subscriber_count > 0);
    text_fini(&subscriber->backlog);
    text_fini(&subscriber->on_its_way);
}

static void flush(struct subscriber *subscriber)
{
    if (subscriber->is_sending || subscriber->backlog.len == 0) {
        return;
    }
    struct text empty = subscriber->on_its_way;
    subscriber->on_its_way = subscriber->backlog;
    subscriber->backlog = empty;
    subscriber->backlog.len = 0;
    subscriber->is_sending = true;
    subscriber->sent_at = admin_now(subscriber->admin);
    h2o_iovec_t bytes = {subscriber->on_its_way.data, subscriber->on_its_way.len};
    h2o_send(subscriber->req, &bytes, 1, H2O_SEND_STATE_IN_PROGRESS);
}

static void on_proceed(h2o_generator_t *generator, h2o_req_t *req)
{
    struct subscriber *subscriber = CONTAINER_OF(generator, struct subscriber, super);
    (void)req;
    subscriber->is_sending = false;
    flush(subscriber);
}

static void cut(struct subscriber *subscriber)
{
    struct client *client = admin_client_of(subscriber->admin, subscriber->req);
    if (client) {
        admin_cut(client);
    }
}

void stream_begin(struct admin *admin, h2o_req_t *req)
{
    if (admin->subscriber_count >= admin->options.max_streams) {
        reply_note(req, 503,
                   "%u clients listen to /events already, and there is room for no more: close one",
                   admin->subscriber_count);
        return;
    }
    struct subscriber *subscriber =
        h2o_mem_alloc_shared(&req->pool, sizeof(*subscriber), subscriber_dispose);
    *subscriber = (struct subscriber){.super = {on_proceed, NULL}, .admin = admin, .req = req};
    text_init(&subscriber->backlog, ADMIN_BACKLOG_MAX);
    text_init(&subscriber->on_its_way, ADMIN_BACKLOG_MAX);
    list_append(&admin->subscribers, &subscriber->link);
    admin->subscriber_count++;
    events_listen(admin->options.events, true);
    struct client *client = admin_client_of(admin, req);
    if (client) {
        client->deadline = MONO_NEVER;
    }
    req->res.status = 200;
    req->res.reason = "OK";
    req->http1_is_persistent = 0;
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL,
                   H2O_STRLIT("text/event-stream"));
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CACHE_CONTROL, NULL,
                   H2O_STRLIT("no-store"));
    h2o_start_response(req, &subscriber->super);
    text_put(&subscriber->backlog, "retry: 2000\n\n");
    flush(subscriber);
}

void stream_publish(struct admin *admin)
{
    char json[EVENT_MAX];
    size_t len;
    while ((len = events_read(admin->options.events, json, sizeof(json))) > 0) {
        LIST_FOREACH (node, &admin->subscribers) {
            struct text *backlog = &CONTAINER_OF(node, struct subscriber, link)->backlog;
            text_put(backlog, "event: transition\ndata: ");
            text_add(backlog, json, len);
            text_put(backlog, "\n\n");
        }
    }
    LIST_FOREACH_SAFE (node, following, &admin->subscribers) {
        struct subscriber *subscriber = CONTAINER_OF(node, struct subscriber, link);
        if (subscriber->backlog.is_broken) {
            cut(subscriber);
        } else {
            flush(subscriber);
        }
    }
}

void stream_end(struct admin *admin)
{
    LIST_FOREACH_SAFE (node, following, &admin->subscribers) {
        struct subscriber *subscriber = CONTAINER_OF(node, struct subscriber, link);
        text_put(&subscriber->backlog, ": end\n\n");
        flush(subscriber);
    }
}

void stream_beat(struct admin *admin, mono_ns now)
{
    dur_ns heartbeat = admin->options.heartbeat;
    LIST_FOREACH_SAFE (node, following, &admin->subscribers) {
        struct subscriber *subscriber = CONTAINER_OF(node, struct subscriber, link);
        dur_ns silence = mono_since(now, subscriber->sent_at);
        if (subscriber->is_sending && silence >= dur_mul(heartbeat, 2)) {
            cut(subscriber);
        } else if (!subscriber->is_sending && silence >= heartbeat) {
            text_put(&subscriber->backlog, ":\n\n");
            flush(subscriber);
        }
    }
}
