/* demo_upstream.c - see demo_upstream.h. A connection holds one head at a time: it reads until the
 * head is whole, skips the body, answers, and begins again with what is left in its buffer. */
#include "cli/demo_upstream.h"

#include "base/check.h"
#include "base/list.h"
#include "base/span.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_MAX 16384 /* a caller that never ends its head */
#define CONNECTIONS_MAX 256
#define ANSWER_MAX 512
#define BACKLOG 128

struct demo_upstream {
    uv_tcp_t listener;
    struct list connections;
    unsigned connection_count;
    uint16_t port;
    bool is_failing;
    bool is_stopping;
    uint64_t calls;
};

struct connection {
    struct list link;
    uv_tcp_t tcp;
    struct demo_upstream *upstream;
    uint64_t body_left; /* bytes of a request's body still to skip */
    size_t used;
    char bytes[HEAD_MAX];
};

struct answer {
    uv_write_t write;
    char bytes[ANSWER_MAX];
};

static void free_when_done(struct demo_upstream *upstream)
{
    if (upstream->is_stopping && upstream->connection_count == 0)
        free(upstream);
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct demo_upstream *upstream = handle->data;
    upstream->is_stopping = true;
    free_when_done(upstream);
}

static void on_connection_closed(uv_handle_t *handle)
{
    struct connection *connection = handle->data;
    struct demo_upstream *upstream = connection->upstream;
    list_remove(&connection->link);
    upstream->connection_count--;
    free(connection);
    free_when_done(upstream);
}

static void connection_close(struct connection *connection)
{
    if (!uv_is_closing((uv_handle_t *)&connection->tcp))
        uv_close((uv_handle_t *)&connection->tcp, on_connection_closed);
}

static void on_written(uv_write_t *write, int status)
{
    struct connection *connection = write->handle->data;
    if (status < 0)
        connection_close(connection);
    free(CONTAINER_OF(write, struct answer, write));
}

/* ---- answering ---- */

static struct span header(struct span head, const char *name)
{
    size_t name_len = strlen(name);
    for (size_t at = 0; at + name_len + 3 < head.len; at++) {
        const char *line = head.data + at;
        if (memcmp(line, "\r\n", 2) != 0 || strncasecmp(line + 2, name, name_len) != 0 ||
            line[2 + name_len] != ':')
            continue;
        const char *value = line + 3 + name_len;
        const char *end = memchr(value, '\r', (size_t)(head.data + head.len - value));
        while (end && value < end && *value == ' ')
            value++;
        return end ? span_make(value, (size_t)(end - value)) : SPAN_NONE;
    }
    return SPAN_NONE;
}

static bool path_is(struct span target, const char *path)
{
    size_t len = strlen(path);
    return span_starts_with(target, span_of(path)) &&
           (target.len == len || target.data[len] == '?');
}

static int status_for(const struct demo_upstream *upstream, struct span target, struct span attempt)
{
    if (path_is(target, "/flaky"))
        return attempt.len == 0 || span_is(attempt, SPAN("1")) ? 503 : 200;
    if (path_is(target, "/broken"))
        return 500;
    return upstream->is_failing ? 503 : 200;
}

static void respond(struct connection *connection, struct span head)
{
    const char *space = memchr(head.data, ' ', head.len);
    const char *from = space ? space + 1 : head.data;
    const char *to = memchr(from, ' ', (size_t)(head.data + head.len - from));
    struct span target = to ? span_make(from, (size_t)(to - from)) : SPAN_NONE;
    struct span attempt = header(head, "x-outrigger-attempt");
    int status = status_for(connection->upstream, target, attempt);
    bool is_head = span_starts_with(head, SPAN("HEAD "));

    struct answer *answer = calloc(1, sizeof *answer);
    INVARIANT(answer != NULL);
    char body[128];
    int body_len =
        snprintf(body, sizeof body, "%s at attempt %.*s\n", status == 200 ? "answered" : "failed",
                 attempt.len > 9 ? 9 : (int)attempt.len, attempt.len ? attempt.data : "1");
    int len = snprintf(answer->bytes, sizeof answer->bytes,
                       "HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s",
                       status, status == 200 ? "OK" : "Failing", body_len, is_head ? "" : body);
    uv_buf_t whole = uv_buf_init(answer->bytes, (unsigned)len);
    connection->upstream->calls++;
    if (uv_write(&answer->write, (uv_stream_t *)&connection->tcp, &whole, 1, on_written)) {
        free(answer);
        connection_close(connection);
    }
}

/* ---- reading ---- */

static bool skip_body(struct connection *connection)
{
    uint64_t skipped =
        connection->body_left < connection->used ? connection->body_left : connection->used;
    connection->body_left -= skipped;
    connection->used -= (size_t)skipped;
    memmove(connection->bytes, connection->bytes + skipped, connection->used);
    return connection->body_left == 0;
}

static bool has_unknown_framing(struct span head, struct span length)
{
    if (header(head, "transfer-encoding").data)
        return true;
    for (size_t i = 0; i < length.len; i++) {
        if (length.data[i] < '0' || length.data[i] > '9')
            return true;
    }
    return length.len > 15;
}

static void take_requests(struct connection *connection)
{
    while (skip_body(connection) && !uv_is_closing((uv_handle_t *)&connection->tcp)) {
        char *end = memmem(connection->bytes, connection->used, "\r\n\r\n", 4);
        if (!end) {
            if (connection->used == sizeof connection->bytes)
                connection_close(connection);
            return;
        }
        struct span head = span_make(connection->bytes, (size_t)(end - connection->bytes) + 2);
        struct span length = header(head, "content-length");
        if (has_unknown_framing(head, length)) {
            connection_close(connection);
            return;
        }
        char digits[16] = "0";
        if (length.len)
            snprintf(digits, sizeof digits, "%.*s", SPAN_ARGS(length));
        respond(connection, head);
        connection->body_left = strtoull(digits, NULL, 10) + head.len + 2; /* the head goes, too */
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct connection *connection = handle->data;
    (void)suggested;
    *buf = uv_buf_init(connection->bytes + connection->used,
                       (unsigned)(sizeof connection->bytes - connection->used));
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf)
{
    struct connection *connection = stream->data;
    (void)buf;
    if (count < 0) {
        connection_close(connection);
        return;
    }
    connection->used += (size_t)count;
    take_requests(connection);
}

static void on_accept(uv_stream_t *listener, int status)
{
    struct demo_upstream *upstream = listener->data;
    if (status < 0)
        return;
    struct connection *connection = calloc(1, sizeof *connection);
    INVARIANT(connection != NULL);
    connection->upstream = upstream;
    list_append(&upstream->connections, &connection->link);
    upstream->connection_count++;
    INVARIANT(uv_tcp_init(listener->loop, &connection->tcp) == 0);
    connection->tcp.data = connection;
    bool is_too_many = upstream->connection_count > CONNECTIONS_MAX;
    if (uv_accept(listener, (uv_stream_t *)&connection->tcp) || is_too_many ||
        uv_read_start((uv_stream_t *)&connection->tcp, on_alloc, on_read))
        connection_close(connection);
}

/* ---- life ---- */

enum err demo_upstream_start(uv_loop_t *loop, struct demo_upstream **out)
{
    struct demo_upstream *upstream = calloc(1, sizeof *upstream);
    INVARIANT(upstream != NULL);
    list_init(&upstream->connections);
    INVARIANT(uv_tcp_init(loop, &upstream->listener) == 0);
    upstream->listener.data = upstream;

    struct sockaddr_in address;
    int len = sizeof address;
    uv_ip4_addr("127.0.0.1", 0, &address);
    if (uv_tcp_bind(&upstream->listener, (const struct sockaddr *)&address, 0) ||
        uv_listen((uv_stream_t *)&upstream->listener, BACKLOG, on_accept) ||
        uv_tcp_getsockname(&upstream->listener, (struct sockaddr *)&address, &len)) {
        demo_upstream_stop(upstream);
        return ERR_SYSTEM;
    }
    upstream->port = ntohs(address.sin_port);
    *out = upstream;
    return OK;
}

uint16_t demo_upstream_port(const struct demo_upstream *upstream)
{
    return upstream->port;
}

void demo_upstream_fail(struct demo_upstream *upstream, bool is_failing)
{
    upstream->is_failing = is_failing;
}

uint64_t demo_upstream_calls(const struct demo_upstream *upstream)
{
    return upstream->calls;
}

void demo_upstream_stop(struct demo_upstream *upstream)
{
    LIST_FOREACH (node, &upstream->connections)
        connection_close(CONTAINER_OF(node, struct connection, link));
    uv_close((uv_handle_t *)&upstream->listener, on_listener_closed);
}
