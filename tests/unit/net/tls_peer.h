/* tls_peer.h - the other side of the TLS tests: certificates made on the spot, a server of mbedTLS
 * on a thread, and a caller in the loop.
 *
 * Example: struct tls_world world;
 *          world_open(&world);                               // a loop, an engine, an authority
 *          peer_start(&world.peer, &(struct peer_options){.identity = &world.server});
 *          struct tls_client *client = world_client(&world, NULL);
 *          world_call(&world, &caller, client, "api.test");   // connects, turns until decided
 *          cr_assert_eq(caller.reason, REASON_NONE);
 *          world_close(&world);
 *
 * No key is kept: each test process makes its own. */
#ifndef OUTRIGGER_TESTS_TLS_PEER_H
#define OUTRIGGER_TESTS_TLS_PEER_H

#include "loop_driver.h"
#include "net/address.h"
#include "net/tls.h"

#include <criterion/criterion.h>
#include <mbedtls/ssl.h>
#include <mbedtls/ssl_ticket.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct identity {
    char cert[4096]; /* PEM */
    char key[4096];
};

struct identity_options {
    const char *name;              /* CN */
    const struct identity *issuer; /* NULL: self-signed */
    const char *issuer_name;
    const char *dns; /* subjectAltNames, each may be NULL */
    const char *uri;
    const unsigned char *ip;
    size_t ip_len;
    const char *from; /* "20200101000000"; NULL: always was */
    const char *until;
    int rsa_bits;           /* 0: P-256 */
    mbedtls_md_type_t hash; /* 0: SHA-256 */
    bool is_ca;
    bool is_for_clients_only;
};

void identity_make(struct identity *identity, const struct identity_options *options);

struct peer;

struct peer_options {
    const struct identity *identity;
    const char *client_ca; /* PEM: a client certificate of it is required */
    const int *suites;     /* NULL: mbedTLS's own */
    const char **alpn;
    bool speaks_tls_1_1_only;
    bool keeps_tickets;
    const char *says_in_clear; /* instead of TLS */
    bool is_mute;              /* accepts, and says nothing until peer_stop */
    void (*serve)(struct peer *peer, mbedtls_ssl_context *ssl, int fd); /* then it ends */
    bool ends_without_notify;
    void *context;
};

struct peer {
    struct peer_options options;
    struct address at;
    int listener;
    atomic_int connection; /* descriptor of the one that is served; -1 */
    atomic_bool is_stopping;
    atomic_uint handshakes; /* that ended well */
    pthread_t thread;
    mbedtls_ssl_config config;
    mbedtls_x509_crt cert;
    mbedtls_x509_crt client_ca;
    mbedtls_pk_context key;
    mbedtls_ssl_ticket_context *tickets;
};

void peer_start(struct peer *peer, const struct peer_options *options);
void peer_stop(struct peer *peer);

bool peer_write(mbedtls_ssl_context *ssl, const void *bytes, size_t len);
/* All of it; false when the other side is gone. */

void peer_echo(struct peer *peer, mbedtls_ssl_context *ssl, int fd);
/* A `serve`: sends back what comes, until the end. */

struct caller {
    struct stream stream;
    unsigned connects;
    enum reason reason;
    bool has_closed;
    unsigned flags;
    unsigned events;
    void (*on_event)(struct caller *caller, unsigned flags);
    void *context;
};

struct tls_world {
    struct loop *loop;
    struct tls_engine *engine;
    struct identity authority;
    struct identity server; /* for api.test, by the authority */
    struct peer peer;
    bool has_peer;
};

void world_open(struct tls_world *world);
void world_close(struct tls_world *world);
void world_serve(struct tls_world *world, const struct peer_options *options);

struct tls_client *world_client(struct tls_world *world, const struct tls_client_options *options);
/* That trusts the authority, with what `options` has besides. */

void world_start_call(struct tls_world *world, struct caller *caller, struct tls_client *client,
                      const char *server_name);
void world_call(struct tls_world *world, struct caller *caller, struct tls_client *client,
                const char *server_name);
void world_end_call(struct tls_world *world, struct caller *caller);

#endif
