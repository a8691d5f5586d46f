/* connection.c - see connection.h. */
#include "request/connection.h"

#include "base/check.h"
#include "http/local_reply.h"
#include "request/relay.h"
#include "request/request.h"
#include "request/tunnel.h"
#include "request/upload.h"

#include <stdlib.h>
#include <unistd.h>

static struct connection *connection_of(struct h1_front *front)
{
    return front->context;
}

static void on_request(struct h1_front *front, struct message *msg)
{
    struct connection *connection = connection_of(front);
    request_begin(connection, msg);
    proxy_perform(connection->proxy);
}

static void on_bad_request(struct h1_front *front, enum reason reason, const char *detail)
{
    request_refuse_head(connection_of(front), reason, detail);
}

static void on_body(struct h1_front *front, struct span bytes)
{
    struct connection *connection = connection_of(front);
    struct request *request = connection->request;
    if (request == NULL)
        return;
    if (request->is_tunnel)
        tunnel_up(request, bytes);
    else
        upload_bytes(request, bytes);
}

static void on_body_end(struct h1_front *front, struct span trailers)
{
    struct connection *connection = connection_of(front);
    struct request *request = connection->request;
    if (request == NULL)
        return;
    if (request->is_tunnel)
        tunnel_up_end(request);
    else
        upload_end(request, trailers);
    proxy_perform(connection->proxy);
}

static void on_bad_body(struct h1_front *front, enum reason reason, const char *detail)
{
    struct connection *connection = connection_of(front);
    struct request *request = connection->request;
    if (request == NULL)
        return;
    request->detail = detail;
    request->detail_reason = reason;
    call_refuse_now(&request->call, reason, connection->proxy->loop->now);
    proxy_perform(connection->proxy);
}

static void on_writable(struct h1_front *front)
{
    struct connection *connection = connection_of(front);
    struct request *request = connection->request;
    if (request == NULL)
        return;
    if (request->is_tunnel)
        tunnel_down_go_on(request);
    else if (request->is_relaying)
        relay_go_on(request);
    proxy_perform(connection->proxy);
}

static void on_hangup(struct h1_front *front)
{
    struct connection *connection = connection_of(front);
    struct request *request = connection->request;
    if (request == NULL) {
        h1_front_close(front, STREAM_END_ORDERLY);
        return;
    }
    request_cancel(request);
    proxy_perform(connection->proxy);
}

static void on_gone(struct h1_front *front)
{
    struct connection *connection = connection_of(front);
    INVARIANT(connection->request == NULL);
    list_remove(&connection->link);
    connection->proxy->connection_count--;
    free(connection);
}

static const struct h1_front_handler handler = {
    .on_request = on_request,
    .on_bad_request = on_bad_request,
    .on_body = on_body,
    .on_body_end = on_body_end,
    .on_bad_body = on_bad_body,
    .on_writable = on_writable,
    .on_hangup = on_hangup,
    .on_gone = on_gone,
};

void connection_accept(struct entrance *entrance, int fd, const struct address *peer)
{
    struct proxy *proxy = entrance->proxy;
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL) {
        close(fd);
        return;
    }
    connection->proxy = proxy;
    connection->entrance = entrance;
    address_ip_text(peer, connection->peer);
    connection->front = h1_front_open(&proxy->codec, fd, &handler, connection);
    if (connection->front == NULL) {
        free(connection);
        return;
    }
    list_append(&proxy->connections, &connection->link);
    proxy->connection_count++;
}

void connection_refuse(struct entrance *entrance, int fd)
{
    char text[LOCAL_REPLY_MAX];
    size_t len;
    const struct local_reply reply = {
        .reason = REASON_OVERLOADED,
        .detail =
            "limits.maxConnections is reached: raise it, or let the app use fewer connections",
        .wall_s = loop_wall(entrance->proxy->loop) / NS_PER_S,
        .is_last = true,
    };
    metrics_count_rejection(entrance->proxy->unroutable, REASON_OVERLOADED);
    if (local_reply_write(&reply, text, sizeof text, &len) == OK &&
        send(fd, text, len, MSG_NOSIGNAL) > 0)
        shutdown(fd, SHUT_WR);
    close(fd);
}

bool connections_are_flushed(const struct proxy *proxy)
{
    LIST_FOREACH (link, &proxy->connections)
        if (h1_front_is_blocked(CONTAINER_OF(link, struct connection, link)->front))
            return false;
    return true;
}

void connections_sweep(struct proxy *proxy, dur_ns idle)
{
    LIST_FOREACH_SAFE (link, following, &proxy->codec.idle_fronts) {
        struct h1_front *front = CONTAINER_OF(link, struct h1_front, idle_link);
        const dur_ns limit = front->requests == 0 && proxy->codec.header_timeout > 0
                                 ? proxy->codec.header_timeout
                                 : idle;
        if (mono_since(proxy->loop->now, front->idle_since) >= limit)
            h1_front_close(front, STREAM_END_ORDERLY);
    }
}
