/* tls.h - streams that speak TLS to an upstream. Once on_connected has said REASON_NONE they are
 * used as any other (stream.h): recv, sendv, want, shutdown_write, close.
 *
 * Example: const struct tls_order order = {.client = client, .engine = engine,
 *                                          .server_name = "api.local", .peer = "10.0.0.1:443"};
 *          stream_connect_tls(&back->stream, loop, &at.any, at.len, &order, on_connected,
 * on_closed); in on_connected: if (reason != REASON_NONE) log("%s: %s", reason_word(reason),
 * stream_detail(stream)); else if (strcmp(stream_alpn(stream), "h2") == 0) ...
 *
 * Differences that an owner may notice: bytes that sendv took may wait in the stream (a record at
 * most) until the socket takes them, and are lost when it is closed before; READABLE may come
 * without a byte on the socket. A handshake has no timer: whoever has a deadline closes the stream,
 * at any moment. One thread, the loop's. */
#ifndef OUTRIGGER_NET_TLS_H
#define OUTRIGGER_NET_TLS_H

#include "net/stream.h"
#include "net/tls_client.h"
#include "net/tls_engine.h"

#include <stdbool.h>
#include <sys/socket.h>

struct tls_order {
    struct tls_client *client; /* the stream holds it on its own */
    struct tls_engine *engine; /* of the same loop; outlives the stream */
    const char
        *server_name; /* a name or an IP address; copied. May be NULL if the client has one */
    enum tls_alpn alpn;
    const char *peer; /* "10.0.0.1:443": sessions are resumed only with the same name and peer */
};

void stream_connect_tls(struct stream *stream, struct loop *loop, const struct sockaddr *to,
                        socklen_t len, const struct tls_order *order,
                        stream_connect_callback on_connected, stream_closed_callback on_closed);
/* As stream_connect, then a handshake. More reasons: TLS_NAME_MISMATCH, TLS_EXPIRED, TLS_UNTRUSTED,
 * TLS_CLIENT_CERT, TLS_FAILURE; OVERLOADED also when too many handshakes are under way. */

const char *stream_detail(const struct stream *stream);
/* Of a connect that failed, what happened, for a person: "its certificate is for api.example, not
 * for payments"; of a stream that failed later, the peer's alert, if it sent one; else the system's
 * words for stream->error. Valid until stream_close. */

const char *stream_alpn(const struct stream *stream);
/* "h2", "http/1.1", or "" where nothing was agreed on (plain TCP, too). */

struct stream_tls_info {
    const char *version; /* "TLSv1.2"; "" for plain TCP */
    const char *cipher;  /* "CHACHA20-POLY1305" */
    bool was_resumed;
};

void stream_tls_info(const struct stream *stream, struct stream_tls_info *info);

bool stream_was_truncated(const struct stream *stream);
/* After stream_recv has said 0: the connection ended without the peer's close_notify, so an
 * attacker may have cut it. A body that only the end delimits is not to be trusted then. Plain TCP:
 * false. */

#endif
