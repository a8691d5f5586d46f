/* tls_connect.c - from a connected socket to an open TLS stream: the loop's half of a handshake.
 *
 *   socket connected -> admitted? -> step (worker) -> send -> wait for the peer -> step -> ... ->
 * open
 *
 * A step is out or the socket is watched, never both: while a worker computes, nothing is demanded
 * of epoll, and the loop touches neither the handshake nor its buffers. A stream that closes while
 * its step is out leaves the greeting behind, which frees itself when the step comes back. */
#include "net/tls_own.h"

#include "base/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_step(struct tls_job *job);

/* ---- life ---- */

static void greeting_free(struct tls_greeting *greeting)
{
    tls_handshake_free(&greeting->handshake);
    tls_client_unref(&greeting->client);
    free(greeting);
}

static struct tls_greeting *greeting_new(struct stream *stream, struct loop *loop,
                                         const struct tls_order *order)
{
    struct tls_client *client = order->client;
    const char *name = client->server_name != NULL ? client->server_name : order->server_name;
    struct tls_greeting *greeting = calloc(1, sizeof(*greeting));
    INVARIANT(name != NULL); /* there is no connection without a name to check */
    if (greeting == NULL) {
        return NULL;
    }
    greeting->handshake = tls_handshake_new(client, name, order->peer, order->alpn, loop->now);
    if (greeting->handshake == NULL) {
        free(greeting);
        return NULL;
    }
    greeting->stream = stream;
    greeting->client = tls_client_ref(client);
    return greeting;
}

static struct tls *tls_new(struct stream *stream, struct loop *loop, const struct tls_order *order)
{
    struct tls *tls = calloc(1, sizeof(*tls));
    if (tls == NULL) {
        return NULL;
    }
    tls->greeting = greeting_new(stream, loop, order);
    if (tls->greeting == NULL) {
        free(tls);
        return NULL;
    }
    tls->magic = TLS_MAGIC;
    tls->engine = order->engine;
    tls->client = tls_client_ref(order->client);
    return tls;
}

void stream_connect_tls(struct stream *stream, struct loop *loop, const struct sockaddr *to,
                        socklen_t len, const struct tls_order *order,
                        stream_connect_callback on_connected, stream_closed_callback on_closed)
{
    struct tls *tls;
    tls_client_check(order->client);
    tls = tls_new(stream, loop, order);
    if (tls == NULL) {
        stream_refuse(stream, loop, ENOMEM, on_connected, on_closed);
        return;
    }
    stream_connect(stream, loop, to, len, on_connected, on_closed);
    stream->tls = tls;
    stream->class = &tls_class; /* the connect is decided in a later turn */
}

/* ---- the end of a handshake ---- */

static void settle(struct tls *tls, struct tls_greeting *greeting, bool is_done)
{
    if (greeting->is_admitted) {
        greeting->is_admitted = false;
        tls_engine_settle(tls->engine, is_done, tls->was_resumed);
    }
}

static void give_up(struct stream *stream, enum reason reason, const char *detail)
{
    struct tls *tls = stream->tls;
    struct tls_greeting *greeting = tls->greeting;
    tls->detail = strdup(detail); /* NULL: stream_detail has other words */
    settle(tls, greeting, false);
    tls->greeting = NULL;
    greeting_free(greeting);
    stream->error = EPROTO;
    stream_demand(stream, 0);
    stream_greeted(stream, reason);
}

static void give_up_by_handshake(struct stream *stream)
{
    char detail[TLS_DETAIL_BYTES];
    const struct tls_handshake *handshake = stream->tls->greeting->handshake;
    const enum reason reason = handshake->reason;
    memcpy(detail, handshake->detail, sizeof(detail));
    give_up(stream, reason, detail);
}

static void give_up_by_socket(struct stream *stream, int error)
{
    tls_handshake_fail(stream->tls->greeting->handshake, error);
    give_up_by_handshake(stream);
}

static void open_up(struct stream *stream)
{
    struct tls *tls = stream->tls;
    struct tls_greeting *greeting = tls->greeting;
    tls_open_stream(stream, greeting->handshake, greeting->sent);
    settle(tls, greeting, true);
    tls->greeting = NULL;
    greeting_free(greeting);
    stream_greeted(stream, REASON_NONE);
}

/* ---- the loop's half of a step ---- */

static void compute(struct tls_job *job)
{
    tls_handshake_step(CONTAINER_OF(job, struct tls_greeting, job)->handshake);
}

static void submit(struct stream *stream)
{
    struct tls_greeting *greeting = stream->tls->greeting;
    stream_demand(stream, 0);
    greeting->job.compute = compute;
    greeting->job.done = on_step;
    tls_engine_submit(stream->tls->engine, &greeting->job);
}

/* Sends what the handshake has for the peer; false when the socket has failed. */
static bool send_out(struct stream *stream)
{
    struct tls_greeting *greeting = stream->tls->greeting;
    struct tls_handshake *handshake = greeting->handshake;
    while (greeting->sent < handshake->out_len) {
        const struct iovec part = {.iov_base = handshake->out + greeting->sent,
                                   .iov_len = handshake->out_len - greeting->sent};
        const ssize_t sent = tcp_sendv(stream, &part, 1);
        if (sent == STREAM_AGAIN) {
            return true;
        }
        if (sent < 0) {
            return false;
        }
        greeting->sent += (size_t)sent;
    }
    handshake->out_len = 0;
    greeting->sent = 0;
    return true;
}

static void wait_for_peer(struct stream *stream)
{
    const bool has_more = stream->tls->greeting->handshake->out_len > 0;
    stream_demand(stream, has_more ? STREAM_WRITABLE : STREAM_READABLE);
}

static void on_step(struct tls_job *job)
{
    struct tls_greeting *greeting = CONTAINER_OF(job, struct tls_greeting, job);
    struct stream *stream = greeting->stream;
    if (stream == NULL) {
        tls_engine_settle(job->engine, false, false);
        greeting_free(greeting);
        return;
    }
    /* A peer that has gone away may have said why: what it said is still in the socket. */
    const bool has_sent = send_out(stream);
    switch (greeting->handshake->result) {
    case TLS_STEP_DONE: open_up(stream); break;
    case TLS_STEP_FAILED: give_up_by_handshake(stream); break;
    case TLS_STEP_AGAIN:
        if (!has_sent) {
            greeting->handshake->out_len = 0;
        }
        wait_for_peer(stream);
        break;
    }
}

static void read_in(struct stream *stream)
{
    struct tls_handshake *handshake = stream->tls->greeting->handshake;
    const ssize_t got = tcp_recv(stream, handshake->in, sizeof(handshake->in));
    if (got == STREAM_AGAIN) {
        return;
    }
    if (got <= 0) {
        give_up_by_socket(stream, got == 0 ? 0 : stream->error);
        return;
    }
    handshake->in_len = (size_t)got;
    handshake->in_at = 0;
    submit(stream);
}

static void begin(struct stream *stream)
{
    struct tls *tls = stream->tls;
    if (!tls_engine_admit(tls->engine)) {
        give_up(stream, REASON_OVERLOADED,
                "too many TLS handshakes are under way in this proxy: is an upstream slow to "
                "answer, or are connections not kept?");
        return;
    }
    tls->greeting->is_admitted = true;
    submit(stream);
}

void tls_greet(struct stream *stream, unsigned flags)
{
    struct tls *tls = stream->tls;
    INVARIANT(tls->magic == TLS_MAGIC);
    if (flags == 0) {
        begin(stream);
        return;
    }
    if (tls->greeting->handshake->out_len > 0) {
        if (!send_out(stream)) {
            tls->greeting->handshake->out_len = 0; /* the read says why */
        }
        wait_for_peer(stream);
        return;
    }
    read_in(stream);
}

/* ---- closing ---- */

void tls_let_go(struct stream *stream)
{
    struct tls *tls = stream->tls;
    struct tls_greeting *greeting = tls->greeting;
    INVARIANT(tls->magic == TLS_MAGIC);
    stream->tls = NULL;
    if (greeting != NULL && greeting->job.is_out && !tls_engine_cancel(&greeting->job)) {
        greeting->stream = NULL; /* on_step frees it */
    } else if (greeting != NULL) {
        settle(tls, greeting, false);
        greeting_free(greeting);
    }
    tls_keys_free(&tls->keys);
    tls_bytes_clear(&tls->sealed);
    tls_bytes_clear(&tls->plain);
    tls_bytes_clear(&tls->backlog);
    tls_client_unref(&tls->client);
    free(tls->detail);
    tls->magic = 0;
    free(tls);
}
