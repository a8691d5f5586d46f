/* connection.c - see connection.h. */
#include "request/connection.h"

#include "base/check.h"
#include "http/local_reply.h"
#include "net/original.h"
#include "net/sniff.h"
#include "net/tcp.h"
#include "request/relay.h"
#include "request/request.h"
#include "request/tunnel.h"
#include "request/upload.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CAUGHT_NAME_BYTES 300 /* a host name, a port */

static struct connection *connection_of(const struct front *front)
{
    return front->context;
}

static void on_request(struct front *front, struct message *msg)
{
    struct proxy *proxy = connection_of(front)->proxy;
    request_begin(front, msg);
    proxy_perform(proxy);
    proxy->arriving = NULL;
}

static void on_bad_request(struct front *front, enum reason reason, const char *detail)
{
    request_refuse_head(front, reason, detail);
}

static void on_body(struct front *front, struct span bytes)
{
    struct proxy *proxy = connection_of(front)->proxy;
    struct request *request = front->user;
    if (request == NULL)
        return;
    if (request->is_tunnel)
        tunnel_up(request, bytes);
    else
        upload_bytes(request, bytes);
    proxy_perform(proxy);
}

static void on_body_end(struct front *front, struct span trailers)
{
    struct proxy *proxy = connection_of(front)->proxy;
    struct request *request = front->user;
    if (request == NULL)
        return;
    if (request->is_tunnel)
        tunnel_up_end(request);
    else
        upload_end(request, trailers);
    proxy_perform(proxy);
}

static void on_bad_body(struct front *front, enum reason reason, const char *detail)
{
    struct proxy *proxy = connection_of(front)->proxy;
    struct request *request = front->user;
    if (request == NULL)
        return;
    request->detail = detail;
    request->detail_reason = reason;
    call_refuse_now(&request->call, reason, proxy->loop->now);
    proxy_perform(proxy);
}

static void on_writable(struct front *front)
{
    struct proxy *proxy = connection_of(front)->proxy;
    struct request *request = front->user;
    if (request == NULL)
        return;
    if (request->is_tunnel)
        tunnel_down_go_on(request);
    else if (request->is_relaying)
        relay_go_on(request);
    proxy_perform(proxy);
}

static void on_hangup(struct front *front)
{
    struct proxy *proxy = connection_of(front)->proxy;
    struct request *request = front->user;
    if (request == NULL) {
        front_close(front, STREAM_END_ORDERLY);
        return;
    }
    request_cancel(request);
    proxy_perform(proxy);
}

static void connection_free(struct connection *connection)
{
    list_remove(&connection->link);
    connection->proxy->connection_count--;
    free(connection->tunnel_to);
    free(connection->caught);
    free(connection);
}

static void on_gone(struct front *front)
{
    struct connection *connection = connection_of(front);
    INVARIANT(front->user == NULL);
    if (connection != NULL)
        connection_free(connection);
}

static void on_h2_gone(struct h2_front *front)
{
    connection_free(front->options.context);
}

static void on_preface(struct front *front)
{
    connection_become_h2(connection_of(front), SPAN_NONE);
}

static void on_opaque(struct front *front, struct span bytes);

static const struct front_handler handler = {
    .on_request = on_request,
    .on_bad_request = on_bad_request,
    .on_body = on_body,
    .on_body_end = on_body_end,
    .on_bad_body = on_bad_body,
    .on_writable = on_writable,
    .on_hangup = on_hangup,
    .on_preface = on_preface,
    .on_opaque = on_opaque,
    .on_gone = on_gone,
};

void connection_become_h2(struct connection *connection, struct span bytes)
{
    const struct h2_front_options options = {.handler = &handler,
                                             .context = connection,
                                             .peer = connection->peer,
                                             .on_gone = on_h2_gone};
    struct h1_front *h1 = connection->h1;
    struct codec *codec = &connection->proxy->codec;
    struct span rest;
    const int fd = h1_front_take_over(h1, &rest);
    h1->base.context = NULL;
    connection->h1 = NULL;
    connection->h2 = h2_front_open(codec, fd, rest.len > 0 ? rest : H2_PREFACE, &options);
    if (connection->h2 == NULL)
        connection_free(connection);
    else if (bytes.len > 0)
        h2_session_feed(&connection->h2->session, bytes);
}

static void tunnel_from_start(struct connection *connection, const char *to)
{
    struct codec *codec = &connection->proxy->codec;
    connection->is_bare = true;
    h1_front_tunnel(connection->h1, to);
    codec_uncork(codec);
}

/* A redirected connection that speaks no HTTP goes on to where it was going; what it is called is
 * what it says itself (SNI), else the address. */
static void on_opaque(struct front *front, struct span bytes)
{
    struct connection *connection = connection_of(front);
    struct client_hello hello;
    char name[CAUGHT_NAME_BYTES];
    const bool is_named = sniff(bytes, &hello) == SNIFF_TLS && hello.server_name.len > 0;
    if (is_named)
        snprintf(name, sizeof name, "%.*s:%u", SPAN_ARGS(hello.server_name),
                 (unsigned)address_port(connection->caught));
    else
        address_text(connection->caught, name);
    tunnel_from_start(connection, name);
}

/* Who was going to a door of ours by tproxy, as from an enclosure, is let in there. False: no
 * memory, or nat leads back to us. */
static bool take_caught(struct connection *connection, int fd)
{
    struct entrance *entrance = connection->entrance;
    const struct proxy *proxy = connection->proxy;
    struct address original;
    enum original how = ORIGINAL_NONE;
    if (entrance->upstream[0] == '\0')
        how = original_destination(fd, listener_address(&entrance->listener), &original);
    if (how == ORIGINAL_NONE)
        return true;
    struct entrance *door = route_door(proxy, &original);
    if (door != NULL && how == ORIGINAL_NAT) {
        metrics_count_rejection(proxy->unroutable, REASON_LOOP);
        return false;
    }
    if (door != NULL) {
        connection->entrance = door;
        return true;
    }
    const bool is_dns = address_port(&original) == DNS_PORT; /* by TCP: a long answer */
    connection->caught = malloc(sizeof original);
    if (connection->caught != NULL)
        *connection->caught = is_dns && proxy->dns_server.len > 0 ? proxy->dns_server : original;
    return connection->caught != NULL;
}

/* What is spoken on it is known, or must be seen. */
static void begin(struct connection *connection)
{
    const struct entrance *entrance = connection->entrance;
    const struct proxy_config *cfg = &connection->proxy->snapshot->set->proxy;
    char address[ADDRESS_TEXT_BYTES];
    if (connection->caught == NULL) {
        if (route_is_tcp(entrance))
            tunnel_from_start(connection, entrance->upstream);
        return;
    }
    if (!route_is_opaque(connection->proxy, connection->caught)) {
        h1_front_detect(connection->h1, cfg->detect_timeout);
        return;
    }
    address_text(connection->caught, address);
    tunnel_from_start(connection, address);
}

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
    if (!take_caught(connection, fd)) {
        free(connection);
        close(fd);
        return;
    }
    connection->h1 = h1_front_open(&proxy->codec, fd, &handler, connection);
    if (connection->h1 == NULL) {
        free(connection->caught);
        free(connection);
        return;
    }
    list_append(&proxy->connections, &connection->link);
    proxy->connection_count++;
    begin(connection);
}

/* A redirected connection may speak anything: only one that has begun as HTTP/1.1 understands us.
 */
static bool understands_reply(const struct entrance *entrance, int fd)
{
    struct address original;
    struct client_hello hello;
    char *first = entrance->proxy->loop->read_buffer;
    if (route_is_tcp(entrance))
        return false;
    if (entrance->upstream[0] != '\0' ||
        original_destination(fd, listener_address(&entrance->listener), &original) == ORIGINAL_NONE)
        return true;
    const ssize_t got = recv(fd, first, LOOP_READ_BYTES, MSG_PEEK | MSG_DONTWAIT);
    return got > 0 && sniff(span_make(first, (size_t)got), &hello) == SNIFF_HTTP1;
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
    if (!understands_reply(entrance, fd)) {
        tcp_reset(fd);
        return;
    }
    if (local_reply_write(&reply, text, sizeof text, &len) == OK &&
        send(fd, text, len, MSG_NOSIGNAL) > 0)
        shutdown(fd, SHUT_WR);
    close(fd);
}

static struct connection *from_link(struct list *link)
{
    return CONTAINER_OF(link, struct connection, link);
}

bool connection_may_ask(const struct connection *connection)
{
    return connection->h2 != NULL && connection->h2->session.is_notice_sent &&
           !connection->h2->session.is_last_id_sent;
}

bool connections_are_done(const struct proxy *proxy)
{
    LIST_FOREACH (link, &proxy->connections) {
        const struct connection *connection = from_link(link);
        if (connection_may_ask(connection))
            return false;
        if (connection->h1 != NULL && front_is_blocked(&connection->h1->base))
            return false;
        if (connection->h2 != NULL && !h2_front_is_idle(connection->h2))
            return false;
    }
    return true;
}

static void sweep_h2(struct proxy *proxy, dur_ns idle)
{
    LIST_FOREACH_SAFE (link, following, &proxy->connections) {
        struct h2_front *h2 = from_link(link)->h2;
        if (h2 != NULL && h2_front_is_idle(h2) &&
            mono_since(proxy->loop->now, h2->idle_since) >= idle)
            h2_front_end(h2);
    }
}

void connections_sweep(struct proxy *proxy, dur_ns idle)
{
    LIST_FOREACH_SAFE (link, following, &proxy->codec.idle_fronts) {
        struct h1_front *front = CONTAINER_OF(link, struct h1_front, idle_link);
        const dur_ns limit = front->requests == 0 && proxy->codec.header_timeout > 0
                                 ? proxy->codec.header_timeout
                                 : idle;
        if (mono_since(proxy->loop->now, front->idle_since) >= limit)
            front_close(&front->base, STREAM_END_ORDERLY);
    }
    sweep_h2(proxy, idle);
    h2_sessions_sweep(&proxy->codec, proxy->loop->now);
}

void connections_drain(struct proxy *proxy)
{
    LIST_FOREACH_SAFE (link, following, &proxy->connections) {
        const struct connection *connection = from_link(link);
        if (connection->h1 != NULL)
            h1_front_drain(connection->h1);
        else
            h2_front_drain(connection->h2);
    }
}

void connections_cut(struct proxy *proxy)
{
    LIST_FOREACH_SAFE (link, following, &proxy->connections) {
        const struct connection *connection = from_link(link);
        if (connection->h1 != NULL)
            front_close(&connection->h1->base, STREAM_END_ORDERLY);
        else
            h2_front_end(connection->h2);
    }
    loop_turn(proxy->loop, false); /* the GOAWAYs leave */
    LIST_FOREACH_SAFE (link, following, &proxy->connections)
        if (from_link(link)->h2 != NULL)
            h2_session_lose(&from_link(link)->h2->session, REASON_SHUTDOWN, NULL);
}
