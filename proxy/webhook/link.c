/* link.c - see link.h. Invariant: `handles` counts what libuv still holds of the link; it is freed
 * with the last. */
#include "webhook/link.h"

#include "base/check.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define QUEUE_MAX (256u << 10)
#define QUEUE_LOW (64u << 10)

struct link {
    struct list node; /* in webhook->links */
    struct port *port;
    struct webhook *webhook;
    uv_tcp_t tcp;           /* the peer */
    uv_pipe_t pipe;         /* libh2o */
    struct tls_served *tls; /* NULL: a plain port */
    mono_ns busy_since;     /* MONO_NEVER: it idles */
    mono_ns idle_since;
    size_t held_bytes; /* of the request that is not answered yet */
    unsigned handles;
    bool is_closing;
    bool is_ending; /* libh2o has closed: gone when the peer has taken what is left */
};

struct write {
    uv_write_t request;
    struct link *link;
    char bytes[];
};

/* ---- the end ---- */

static void on_handle_closed(uv_handle_t *handle)
{
    struct link *link = handle->data;
    struct webhook *webhook = link->webhook;
    struct port *port = link->port;
    if (--link->handles > 0)
        return;
    list_remove(&link->node);
    tls_served_free(&link->tls);
    free(link);
    port->links--;
    webhook_on_link_closed(webhook, port);
}

static void release_held(struct link *link)
{
    link->webhook->held_bytes -= link->held_bytes;
    link->held_bytes = 0;
}

static void link_close(struct link *link)
{
    if (link->is_closing)
        return;
    link->is_closing = true;
    release_held(link);
    uv_close((uv_handle_t *)&link->tcp, on_handle_closed);
    uv_close((uv_handle_t *)&link->pipe, on_handle_closed);
}

static void link_cut(struct link *link, const char *why)
{
    if (link->is_closing)
        return;
    link->webhook->tally.connections_cut++;
    log_event(LOG_WARN, "connection_cut", LOG_STR("why", why));
    link_close(link);
}

/* ---- writing ---- */

static void note_quiet(struct link *link)
{
    if (link->tcp.write_queue_size > 0 || link->held_bytes > 0)
        return;
    link->busy_since = MONO_NEVER;
    link->idle_since = link->webhook->loop->now;
    if (link->is_ending || link->webhook->is_closing)
        link_close(link);
}

static void on_tcp_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf);
static void on_pipe_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf);

static void lend_buffer(uv_handle_t *handle, size_t wanted, uv_buf_t *buf)
{
    struct link *link = handle->data;
    (void)wanted;
    *buf = uv_buf_init(link->webhook->loop->read_buffer, LOOP_READ_BYTES);
}

/* From the other side of `to`, which has room again. */
static void read_again(struct link *link, const uv_stream_t *to)
{
    if (to == (uv_stream_t *)&link->tcp)
        uv_read_start((uv_stream_t *)&link->pipe, lend_buffer, on_pipe_read);
    else
        uv_read_start((uv_stream_t *)&link->tcp, lend_buffer, on_tcp_read);
}

static void on_written(uv_write_t *request, int status)
{
    struct write *write = CONTAINER_OF(request, struct write, request);
    struct link *link = write->link;
    const uv_stream_t *to = request->handle;
    free(write);
    if (link->is_closing)
        return;
    if (status != 0) {
        link_close(link);
        return;
    }
    if (to->write_queue_size <= QUEUE_LOW && !link->is_ending)
        read_again(link, to);
    if (to == (uv_stream_t *)&link->tcp)
        note_quiet(link);
}

static void send_to(struct link *link, uv_stream_t *to, uv_stream_t *from, const void *bytes,
                    size_t len)
{
    struct write *write = link->is_closing ? NULL : malloc(sizeof *write + len);
    if (write == NULL) {
        link_close(link);
        return;
    }
    write->link = link;
    memcpy(write->bytes, bytes, len);
    const uv_buf_t buf = uv_buf_init(write->bytes, (unsigned)len);
    if (uv_write(&write->request, to, &buf, 1, on_written) != 0) {
        free(write);
        link_close(link);
    } else if (to->write_queue_size > QUEUE_MAX) {
        uv_read_stop(from);
    }
}

static void send_records(void *context, const uint8_t *bytes, size_t len)
{
    struct link *link = context;
    send_to(link, (uv_stream_t *)&link->tcp, (uv_stream_t *)&link->pipe, bytes, len);
}

static void send_plain(void *context, const uint8_t *bytes, size_t len)
{
    struct link *link = context;
    struct webhook *webhook = link->webhook;
    if (link->is_closing || link->is_ending)
        return;
    if (webhook->held_bytes + len > WEBHOOK_HELD_MAX) {
        link_cut(link, "no room: too many large requests at once");
        return;
    }
    if (link->held_bytes == 0)
        link->busy_since = webhook->loop->now;
    link->held_bytes += len;
    webhook->held_bytes += len;
    send_to(link, (uv_stream_t *)&link->pipe, (uv_stream_t *)&link->tcp, bytes, len);
}

static const struct tls_served_sink sink = {.on_records = send_records, .on_plain = send_plain};

/* ---- reading ---- */

/* Nothing more comes from libh2o: the peer gets what is left, then the end. */
static void end(struct link *link)
{
    uv_read_stop((uv_stream_t *)&link->pipe);
    release_held(link);
    link->is_ending = true;
    link->busy_since = link->webhook->loop->now;
    if (link->tls != NULL)
        tls_served_end(link->tls);
    note_quiet(link);
}

static void on_tcp_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf)
{
    struct link *link = stream->data;
    if (len < 0) {
        link_close(link);
        return;
    }
    if (link->tls == NULL) {
        send_plain(link, (const uint8_t *)buf->base, (size_t)len);
        return;
    }
    const enum tls_served_state state =
        tls_served_feed(link->tls, (const uint8_t *)buf->base, (size_t)len);
    if (state == TLS_SERVED_BROKEN) {
        link->webhook->tally.handshakes_failed++;
        log_event(LOG_INFO, "tls_failed", LOG_STR("why", tls_served_why(link->tls)));
        uv_read_stop(stream);
        end(link); /* an alert may be on its way */
    } else if (state == TLS_SERVED_ENDED) {
        link_close(link);
    }
}

static void on_pipe_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf)
{
    struct link *link = stream->data;
    if (len <= 0) {
        if (len < 0)
            end(link);
        return;
    }
    release_held(link);
    link->busy_since = link->webhook->loop->now;
    if (link->tls == NULL)
        send_records(link, (const uint8_t *)buf->base, (size_t)len);
    else if (tls_served_send(link->tls, (const uint8_t *)buf->base, (size_t)len) ==
             TLS_SERVED_BROKEN)
        link_close(link);
}

/* ---- the beginning ---- */

static void on_far_end_closed(uv_handle_t *handle)
{
    free(handle);
}

/* The far end of the pair, which becomes libh2o's. */
static bool give_to_h2o(struct link *link, int fd)
{
    uv_pipe_t *far = calloc(1, sizeof *far);
    if (far == NULL || uv_pipe_init(&link->webhook->loop->uv, far, 0) != 0) {
        free(far);
        return false;
    }
    if (uv_pipe_open(far, fd) != 0) {
        uv_close((uv_handle_t *)far, on_far_end_closed);
        return false;
    }
    h2o_accept(&link->port->accept, h2o_uv_socket_create((uv_stream_t *)far, on_far_end_closed));
    return true;
}

static bool join(struct link *link)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0)
        return false;
    if (uv_pipe_open(&link->pipe, fds[0]) != 0) {
        close(fds[0]);
        close(fds[1]);
        return false;
    }
    if (!give_to_h2o(link, fds[1])) {
        close(fds[1]);
        return false;
    }
    return uv_read_start((uv_stream_t *)&link->tcp, lend_buffer, on_tcp_read) == 0 &&
           uv_read_start((uv_stream_t *)&link->pipe, lend_buffer, on_pipe_read) == 0;
}

static struct link *link_new(struct port *port)
{
    struct webhook *webhook = port->webhook;
    struct link *link = calloc(1, sizeof *link);
    if (link == NULL)
        return NULL;
    *link = (struct link){.port = port,
                          .webhook = webhook,
                          .busy_since = webhook->loop->now,
                          .handles = 2,
                          .tcp.data = link,
                          .pipe.data = link};
    INVARIANT(uv_tcp_init(&webhook->loop->uv, &link->tcp) == 0);
    INVARIANT(uv_pipe_init(&webhook->loop->uv, &link->pipe, 0) == 0);
    list_init(&link->node);
    list_append(&webhook->links, &link->node);
    port->links++;
    return link;
}

void link_accept(struct port *port)
{
    struct link *link = link_new(port);
    if (link == NULL) {
        port->is_waiting = true; /* libuv listens on only when it is taken: the sweep tries again */
        return;
    }
    if (uv_accept((uv_stream_t *)&port->tcp, (uv_stream_t *)&link->tcp) != 0) {
        link_close(link);
        return;
    }
    uv_tcp_nodelay(&link->tcp, 1);
    if (port->is_tls)
        link->tls = tls_served_new(port->webhook->certificate.server, &sink, link);
    if ((port->is_tls && link->tls == NULL) || !join(link))
        link_cut(link, "no memory or descriptor for it");
}

/* ---- all of them ---- */

void links_sweep(struct webhook *webhook, mono_ns now)
{
    LIST_FOREACH_SAFE (node, following, &webhook->links) {
        struct link *link = CONTAINER_OF(node, struct link, node);
        const bool is_idle = link->busy_since == MONO_NEVER;
        if (!is_idle && mono_since(now, link->busy_since) > LINK_LIMIT)
            link_cut(link, "too slow: a request and its answer have 10 s");
        else if (is_idle && mono_since(now, link->idle_since) > LINK_IDLE)
            link_close(link);
    }
}

void links_close_idle(struct webhook *webhook)
{
    LIST_FOREACH_SAFE (node, following, &webhook->links) {
        struct link *link = CONTAINER_OF(node, struct link, node);
        if (link->busy_since == MONO_NEVER)
            link_close(link);
    }
}

void links_cut(struct webhook *webhook)
{
    LIST_FOREACH_SAFE (node, following, &webhook->links)
        link_close(CONTAINER_OF(node, struct link, node));
}

bool links_make_room(struct webhook *webhook, const struct port *port)
{
    struct link *longest = NULL;
    LIST_FOREACH (node, &webhook->links) {
        struct link *link = CONTAINER_OF(node, struct link, node);
        if (link->port == port && !link->is_closing && link->busy_since == MONO_NEVER &&
            (longest == NULL || link->idle_since < longest->idle_since))
            longest = link;
    }
    if (longest != NULL)
        link_close(longest);
    return longest != NULL;
}
