/* tls_handshake.h - one TLS handshake, as steps of pure computation: bytes of the peer in, bytes
 * for the peer out, and in the end record keys or a reason. No socket, no waiting, no loop.
 *
 * Example: tls_handshake_step(hs);            // first: makes the ClientHello
 *          send(fd, hs->out, hs->out_len); hs->out_len = 0;
 *          hs->in_len = recv(fd, hs->in, sizeof(hs->in)); hs->in_at = 0;
 *          tls_handshake_step(hs);            // until hs->result is no longer TLS_STEP_AGAIN
 *
 * A step takes from 20 us (ClientHello) to 7 ms (key exchange on a slow machine), so it runs on a
 * worker thread (tls_engine.h). The memory is one thread's at a time: the loop's between steps, the
 * worker's while one runs. */
#ifndef OUTRIGGER_NET_TLS_HANDSHAKE_H
#define OUTRIGGER_NET_TLS_HANDSHAKE_H

#include "base/mono.h"
#include "base/reason.h"
#include "net/tls_client_own.h"
#include "net/tls_mbed.h"
#include "net/tls_record.h"
#include "net/tls_verify.h"

#include <mbedtls/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLS_DETAIL_BYTES 384
#define TLS_IN_BYTES 4096 /* of the peer, a step; a larger flight takes more steps */

enum tls_step_result {
    TLS_STEP_AGAIN = 0, /* has used up `in`, and wants more after `out` has gone */
    TLS_STEP_DONE,      /* keys are there; what is left of `in` is already sealed with them */
    TLS_STEP_FAILED,    /* reason and detail say why; `out` may hold an alert for the peer */
};

/* What goes by on its way through us in clear; mbedTLS keeps it to itself. */
struct tls_passing {
    uint8_t head[TLS_HEAD_BYTES];
    size_t head_len;
    size_t body_left;
    uint8_t alert[2]; /* level, description */
    size_t alert_len;
    uint8_t first;  /* byte that ever came */
    bool has_come;  /* any byte at all */
    bool is_sealed; /* the peer has changed to its keys: alerts can no longer be read */
    bool are_we_sealed;
    bool wants_our_cert; /* it asked for our certificate, so we sent a message for it */
};

struct tls_handshake {
    enum tls_step_result result;
    enum reason reason;
    struct tls_client *client; /* held by whoever owns the handshake */
    enum tls_alpn offer;
    const char *alpn; /* of client->alpn; NULL: none */
    bool was_resumed;
    bool is_set_up;
    mono_ns now; /* for the age of sessions; set by the owner before the first step */
    size_t in_len;
    size_t in_at;
    uint8_t *out;
    size_t out_len;
    size_t out_room;
    struct tls_keys *keys;       /* with TLS_STEP_DONE; whoever takes them leaves NULL */
    struct tls_session *offered; /* held */
    struct tls_secrets secrets;
    struct tls_passing passing;
    struct tls_verdict verdict;
    mbedtls_ssl_context ssl; /* set up in the first step, freed in the last */
    char server_name[256];
    char session_key[TLS_SESSION_KEY_MAX];
    char detail[TLS_DETAIL_BYTES];
    uint8_t in[TLS_IN_BYTES];
};

struct tls_handshake *tls_handshake_new(struct tls_client *client, const char *server_name,
                                        const char *peer, enum tls_alpn alpn, mono_ns now);
/* NULL without memory. `client` must outlive it. `peer` (an address) tells servers of one name
 * apart in the session cache. */

void tls_handshake_free(struct tls_handshake **handshake);

void tls_handshake_step(struct tls_handshake *handshake);

const char *tls_alert_name(int alert);
/* "handshake_failure"; "an alert" for numbers that we do not know. */

void tls_handshake_fail(struct tls_handshake *handshake, int error);
/* Between steps: the connection ended (0) or failed (errno). Sets reason and detail. */

#endif
