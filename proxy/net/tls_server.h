/* tls_server.h - the server's side of TLS, for the few connections of the admission webhook: bytes
 * in, bytes out, no socket.
 *
 * A tls_server is a certificate with its key; sessions hold the one that they began with, so that a
 * renewed certificate is a new tls_server and disturbs nobody. TLS 1.2, ECDHE and AEAD only;
 * handshakes are computed where tls_served_feed is called: not for the data path.
 *
 * Example: if (tls_server_new(&cert, &key, &problem, &server) != OK) ... problem.text
 *          served = tls_served_new(server, &sink, connection);
 *          state = tls_served_feed(served, bytes, len); // calls the sink
 *          tls_served_free(&served); tls_server_unref(&server);
 *
 * One thread for all sessions of a server. */
#ifndef OUTRIGGER_NET_TLS_SERVER_H
#define OUTRIGGER_NET_TLS_SERVER_H

#include "base/err.h"
#include "net/tls_client.h"

#include <stddef.h>
#include <stdint.h>

struct tls_server;
struct tls_served;

enum err MUST_CHECK tls_server_new(const struct tls_pem *cert, const struct tls_pem *key,
                                   struct tls_problem *problem, struct tls_server **server);
/* The caller holds it once. On an error (as tls_client_new) `problem` says what to do. */

struct tls_server *tls_server_ref(struct tls_server *server);
void tls_server_unref(struct tls_server **server);

int64_t tls_server_not_after(const struct tls_server *server);
/* When its certificate expires: seconds since 1970. */

struct tls_served_sink {
    void (*on_records)(void *context, const uint8_t *bytes, size_t len); /* for the peer */
    void (*on_plain)(void *context, const uint8_t *bytes, size_t len);   /* from the peer */
};

enum tls_served_state {
    TLS_SERVED_GREETING = 0,
    TLS_SERVED_OPEN,
    TLS_SERVED_ENDED,  /* the peer said close_notify: nothing more comes from it */
    TLS_SERVED_BROKEN, /* close the connection; an alert may be among the records */
};

struct tls_served *tls_served_new(struct tls_server *server, const struct tls_served_sink *sink,
                                  void *context);
/* NULL without memory. `sink` is constant and outlives it. */

void tls_served_free(struct tls_served **served);

enum tls_served_state tls_served_feed(struct tls_served *served, const uint8_t *bytes, size_t len);
/* What came from the peer, all of it. The sink is called from inside, and must not free the
 * session.
 */

enum tls_served_state tls_served_send(struct tls_served *served, const uint8_t *bytes, size_t len);
/* Of an open session. */

void tls_served_end(struct tls_served *served);
/* Says close_notify. */

const char *tls_served_why(const struct tls_served *served);
/* Why it is broken, in a few words. */

#endif
