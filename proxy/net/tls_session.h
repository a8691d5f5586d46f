/* tls_session.h - sessions that can be resumed, so that the next connection to the same place costs
 * a fifth of a handshake. A cache belongs to one tls_client and goes with it: a session is never
 * resumed under other trust settings than those that it was verified under.
 *
 * Example: struct tls_session *session = tls_session_find(&client->sessions, "api|10.0.0.1:443",
 * now);
 *          ... mbedtls_ssl_set_session(ssl, &session->mbed) ...
 *          tls_session_unref(&client->sessions, &session);
 *
 * At most TLS_SESSIONS_MAX, least recently used first out. A session is offered for at most an hour
 * after the full handshake that it comes from, and never after its certificate has expired. Any
 * thread: one lock, held for a search. */
#ifndef OUTRIGGER_NET_TLS_SESSION_H
#define OUTRIGGER_NET_TLS_SESSION_H

#include "base/list.h"
#include "base/mono.h"

#include <mbedtls/ssl.h>
#include <pthread.h>
#include <stddef.h>

#define TLS_SESSIONS_MAX 64
#define TLS_SESSION_KEY_MAX 320 /* a host name, and an address with its port */
#define TLS_SESSION_LIFE (3600 * NS_PER_S)

struct tls_session {
    struct list link; /* in the cache; not linked: dropped, lives on for whoever holds it */
    unsigned refs;    /* under the cache's lock */
    mono_ns born;     /* when the peer was last verified */
    mbedtls_x509_time valid_to;
    unsigned char master[48]; /* the handshake that ends with these again was a resumption */
    mbedtls_ssl_session mbed;
    char key[TLS_SESSION_KEY_MAX];
};

struct tls_session_cache {
    pthread_mutex_t lock;
    struct list sessions; /* most recently kept first */
    unsigned count;
};

void tls_session_cache_init(struct tls_session_cache *cache);
void tls_session_cache_fini(struct tls_session_cache *cache);
/* Nobody may hold a session any more. */

struct tls_session *tls_session_new(const char *key, mono_ns born);
/* An empty one, held by the caller; NULL without memory. */

struct tls_session *tls_session_find(struct tls_session_cache *cache, const char *key, mono_ns now);
/* Held for the caller, or NULL. */

void tls_session_keep(struct tls_session_cache *cache, struct tls_session *session);
/* Into the cache, in place of what it has under the same key. The caller's hold stays. */

void tls_session_drop(struct tls_session_cache *cache, struct tls_session *session);
/* Out of the cache, for example because the peer did not like it. The caller's hold stays. */

void tls_session_unref(struct tls_session_cache *cache, struct tls_session **session);

#endif
