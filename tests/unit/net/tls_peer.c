#include "tls_peer.h"

#include "base/check.h"
#include "net/tls_mbed.h"

#include <errno.h>
#include <mbedtls/ecp.h>
#include <mbedtls/error.h>
#include <mbedtls/oid.h>
#include <mbedtls/rsa.h>
#include <mbedtls/ssl_ticket.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- what differs between mbedTLS 2.28 and 3.x ---- */

static unsigned char serials;

#if MBEDTLS_VERSION_MAJOR < 3

static void set_serial(mbedtls_x509write_cert *cert)
{
    mbedtls_mpi serial;
    mbedtls_mpi_init(&serial);
    cr_assert_eq(mbedtls_mpi_lset(&serial, ++serials), 0);
    cr_assert_eq(mbedtls_x509write_crt_set_serial(cert, &serial), 0);
    mbedtls_mpi_free(&serial);
}

/* Or a server would not show a certificate that is not for servers. */
static void forget_usage(mbedtls_x509_crt *cert)
{
    cert->ext_types &= ~MBEDTLS_X509_EXT_EXTENDED_KEY_USAGE;
}

static void speak_tls_1_1(mbedtls_ssl_config *config)
{
    mbedtls_ssl_conf_max_version(config, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_2);
}

#else

static void set_serial(mbedtls_x509write_cert *cert)
{
    unsigned char serial = ++serials;
    cr_assert_eq(mbedtls_x509write_crt_set_serial_raw(cert, &serial, 1), 0);
}

static void forget_usage(mbedtls_x509_crt *cert)
{
    cert->MBEDTLS_PRIVATE(ext_types) &= ~MBEDTLS_X509_EXT_EXTENDED_KEY_USAGE;
}

static void speak_tls_1_1(mbedtls_ssl_config *config)
{
    (void)config;
    cr_skip_test("mbedTLS 3 has no TLS 1.1");
}

#endif

/* ---- certificates ---- */

static void make_key(mbedtls_pk_context *key, int rsa_bits)
{
    mbedtls_pk_init(key);
    if (rsa_bits > 0) {
        cr_assert_eq(mbedtls_pk_setup(key, mbedtls_pk_info_from_type(MBEDTLS_PK_RSA)), 0);
        cr_assert_eq(
            mbedtls_rsa_gen_key(mbedtls_pk_rsa(*key), tls_random, NULL, (unsigned)rsa_bits, 65537),
            0);
    } else {
        cr_assert_eq(mbedtls_pk_setup(key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY)), 0);
        cr_assert_eq(
            mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(*key), tls_random, NULL),
            0);
    }
}

static size_t put_san(unsigned char *at, unsigned char tag, const void *value, size_t len)
{
    cr_assert(len < 100);
    at[0] = (unsigned char)(0x80 | tag);
    at[1] = (unsigned char)len;
    memcpy(at + 2, value, len);
    return len + 2;
}

static void set_names(mbedtls_x509write_cert *cert, const struct identity_options *options)
{
    unsigned char der[300] = {0x30, 0};
    size_t len = 2;
    if (options->dns != NULL) {
        len += put_san(der + len, 2, options->dns, strlen(options->dns));
    }
    if (options->uri != NULL) {
        len += put_san(der + len, 6, options->uri, strlen(options->uri));
    }
    if (options->ip != NULL) {
        len += put_san(der + len, 7, options->ip, options->ip_len);
    }
    cr_assert(len - 2 < 128);
    der[1] = (unsigned char)(len - 2);
    if (len > 2) {
        cr_assert_eq(mbedtls_x509write_crt_set_extension(
                         cert, MBEDTLS_OID_SUBJECT_ALT_NAME,
                         MBEDTLS_OID_SIZE(MBEDTLS_OID_SUBJECT_ALT_NAME), 0, der, len),
                     0);
    }
}

static void set_usage(mbedtls_x509write_cert *cert, const struct identity_options *options)
{
    static const unsigned char for_servers[] = {0x30, 10, 0x06, 8, 0x2b, 6, 1, 5, 5, 7, 3, 1};
    static const unsigned char for_clients[] = {0x30, 10, 0x06, 8, 0x2b, 6, 1, 5, 5, 7, 3, 2};
    const unsigned char *usage = options->is_for_clients_only ? for_clients : for_servers;
    if (options->is_ca) {
        cr_assert_eq(mbedtls_x509write_crt_set_basic_constraints(cert, 1, -1), 0);
    } else {
        cr_assert_eq(mbedtls_x509write_crt_set_extension(
                         cert, MBEDTLS_OID_EXTENDED_KEY_USAGE,
                         MBEDTLS_OID_SIZE(MBEDTLS_OID_EXTENDED_KEY_USAGE), 0, usage, 12),
                     0);
    }
}

void identity_make(struct identity *identity, const struct identity_options *options)
{
    char subject[128];
    char issuer[128];
    mbedtls_x509write_cert cert;
    mbedtls_pk_context key;
    mbedtls_pk_context issuer_key;
    const bool is_self = options->issuer == NULL;
    snprintf(subject, sizeof(subject), "CN=%s", options->name);
    snprintf(issuer, sizeof(issuer), "CN=%s", is_self ? options->name : options->issuer_name);
    make_key(&key, options->rsa_bits);
    mbedtls_pk_init(&issuer_key);
    if (!is_self) {
        cr_assert_eq(tls_mbed_parse_key(&issuer_key, (const unsigned char *)options->issuer->key,
                                        strlen(options->issuer->key) + 1),
                     0);
    }
    mbedtls_x509write_crt_init(&cert);
    mbedtls_x509write_crt_set_version(&cert, MBEDTLS_X509_CRT_VERSION_3);
    mbedtls_x509write_crt_set_md_alg(&cert, options->hash != MBEDTLS_MD_NONE ? options->hash
                                                                             : MBEDTLS_MD_SHA256);
    mbedtls_x509write_crt_set_subject_key(&cert, &key);
    mbedtls_x509write_crt_set_issuer_key(&cert, is_self ? &key : &issuer_key);
    cr_assert_eq(mbedtls_x509write_crt_set_subject_name(&cert, subject), 0);
    cr_assert_eq(mbedtls_x509write_crt_set_issuer_name(&cert, issuer), 0);
    set_serial(&cert);
    cr_assert_eq(mbedtls_x509write_crt_set_validity(
                     &cert, options->from != NULL ? options->from : "20200101000000",
                     options->until != NULL ? options->until : "20991231235959"),
                 0);
    set_names(&cert, options);
    set_usage(&cert, options);
    cr_assert_eq(mbedtls_x509write_crt_pem(&cert, (unsigned char *)identity->cert,
                                           sizeof(identity->cert), tls_random, NULL),
                 0);
    cr_assert_eq(
        mbedtls_pk_write_key_pem(&key, (unsigned char *)identity->key, sizeof(identity->key)), 0);
    mbedtls_x509write_crt_free(&cert);
    mbedtls_pk_free(&key);
    mbedtls_pk_free(&issuer_key);
}

/* ---- the server ---- */

static int server_recv(void *context, unsigned char *bytes, size_t len)
{
    const ssize_t got = recv(*(int *)context, bytes, len, 0);
    return got < 0 ? MBEDTLS_ERR_SSL_CONN_EOF : (int)got;
}

static int server_send(void *context, const unsigned char *bytes, size_t len)
{
    const ssize_t sent = send(*(int *)context, bytes, len, MSG_NOSIGNAL);
    return sent < 0 ? MBEDTLS_ERR_SSL_CONN_EOF : (int)sent;
}

bool peer_write(mbedtls_ssl_context *ssl, const void *bytes, size_t len)
{
    const unsigned char *at = bytes;
    while (len > 0) {
        const int sent = mbedtls_ssl_write(ssl, at, len);
        if (sent <= 0) {
            return false;
        }
        at += sent;
        len -= (size_t)sent;
    }
    return true;
}

void peer_echo(struct peer *peer, mbedtls_ssl_context *ssl, int fd)
{
    unsigned char bytes[20000];
    int got;
    (void)peer;
    (void)fd;
    while ((got = mbedtls_ssl_read(ssl, bytes, sizeof(bytes))) > 0) {
        if (!peer_write(ssl, bytes, (size_t)got)) {
            return;
        }
    }
}

static void serve_tls(struct peer *peer, int fd)
{
    mbedtls_ssl_context ssl;
    mbedtls_ssl_init(&ssl);
    if (mbedtls_ssl_setup(&ssl, &peer->config) == 0) {
        mbedtls_ssl_set_bio(&ssl, &fd, server_send, server_recv, NULL);
        if (mbedtls_ssl_handshake(&ssl) == 0) {
            atomic_fetch_add(&peer->handshakes, 1);
            if (peer->options.serve != NULL) {
                peer->options.serve(peer, &ssl, fd);
            }
            if (!peer->options.ends_without_notify) {
                (void)mbedtls_ssl_close_notify(&ssl);
            }
        }
    }
    mbedtls_ssl_free(&ssl);
}

static void serve(struct peer *peer, int fd)
{
    char byte;
    const char *text = peer->options.says_in_clear;
    if (text != NULL) {
        (void)send(fd, text, strlen(text), MSG_NOSIGNAL);
    } else if (!peer->options.is_mute) {
        serve_tls(peer, fd);
    }
    if (text != NULL || peer->options.is_mute) {
        while (recv(fd, &byte, 1, 0) > 0) {
        }
    }
}

static void *run(void *context)
{
    struct peer *peer = context;
    while (!atomic_load(&peer->is_stopping)) {
        int fd = accept4(peer->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) {
            continue;
        }
        atomic_store(&peer->connection, fd);
        if (!atomic_load(&peer->is_stopping)) {
            serve(peer, fd);
        }
        atomic_store(&peer->connection, -1);
        close(fd);
    }
    return NULL;
}

static void parse_identity(struct peer *peer)
{
    const struct identity *identity = peer->options.identity;
    cr_assert_eq(mbedtls_x509_crt_parse(&peer->cert, (const unsigned char *)identity->cert,
                                        strlen(identity->cert) + 1),
                 0);
    cr_assert_eq(tls_mbed_parse_key(&peer->key, (const unsigned char *)identity->key,
                                    strlen(identity->key) + 1),
                 0);
    forget_usage(&peer->cert);
    cr_assert_eq(mbedtls_ssl_conf_own_cert(&peer->config, &peer->cert, &peer->key), 0);
}

static void configure(struct peer *peer)
{
    const struct peer_options *options = &peer->options;
    mbedtls_ssl_config *config = &peer->config;
    cr_assert_eq(mbedtls_ssl_config_defaults(config, MBEDTLS_SSL_IS_SERVER,
                                             MBEDTLS_SSL_TRANSPORT_STREAM,
                                             MBEDTLS_SSL_PRESET_DEFAULT),
                 0);
    mbedtls_ssl_conf_rng(config, tls_random, NULL);
    parse_identity(peer);
    if (options->suites != NULL) {
        mbedtls_ssl_conf_ciphersuites(config, options->suites);
    }
    if (options->speaks_tls_1_1_only) {
        speak_tls_1_1(config);
    }
    if (options->alpn != NULL) {
        cr_assert_eq(mbedtls_ssl_conf_alpn_protocols(config, options->alpn), 0);
    }
    if (options->client_ca != NULL) {
        cr_assert_eq(mbedtls_x509_crt_parse(&peer->client_ca,
                                            (const unsigned char *)options->client_ca,
                                            strlen(options->client_ca) + 1),
                     0);
        mbedtls_ssl_conf_ca_chain(config, &peer->client_ca, NULL);
        mbedtls_ssl_conf_authmode(config, MBEDTLS_SSL_VERIFY_REQUIRED);
    }
    if (options->keeps_tickets) {
        peer->tickets = calloc(1, sizeof(*peer->tickets));
        mbedtls_ssl_ticket_init(peer->tickets);
        cr_assert_eq(mbedtls_ssl_ticket_setup(peer->tickets, tls_random, NULL,
                                              MBEDTLS_CIPHER_AES_256_GCM, 3600),
                     0);
        mbedtls_ssl_conf_session_tickets_cb(config, mbedtls_ssl_ticket_write,
                                            mbedtls_ssl_ticket_parse, peer->tickets);
    }
}

void peer_start(struct peer *peer, const struct peer_options *options)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    memset(peer, 0, sizeof(*peer));
    peer->options = *options;
    atomic_store(&peer->connection, -1);
    mbedtls_ssl_config_init(&peer->config);
    mbedtls_x509_crt_init(&peer->cert);
    mbedtls_x509_crt_init(&peer->client_ca);
    mbedtls_pk_init(&peer->key);
    if (options->identity != NULL) {
        configure(peer);
    }
    peer->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert(peer->listener >= 0 && bind(peer->listener, (struct sockaddr *)&at, len) == 0 &&
              listen(peer->listener, 128) == 0);
    cr_assert(getsockname(peer->listener, (struct sockaddr *)&at, &len) == 0);
    cr_assert_eq(address_from_sockaddr((struct sockaddr *)&at, len, &peer->at), OK);
    cr_assert_eq(pthread_create(&peer->thread, NULL, run, peer), 0);
}

void peer_stop(struct peer *peer)
{
    atomic_store(&peer->is_stopping, true);
    shutdown(peer->listener, SHUT_RDWR); /* wakes the accept */
    const int fd = atomic_load(&peer->connection);
    if (fd >= 0) {
        shutdown(fd, SHUT_RDWR);
    }
    cr_assert_eq(pthread_join(peer->thread, NULL), 0);
    close(peer->listener);
    mbedtls_ssl_config_free(&peer->config);
    mbedtls_x509_crt_free(&peer->cert);
    mbedtls_x509_crt_free(&peer->client_ca);
    mbedtls_pk_free(&peer->key);
    if (peer->tickets != NULL) {
        mbedtls_ssl_ticket_free(peer->tickets);
        free(peer->tickets);
    }
}

/* ---- the world ---- */

void world_open(struct tls_world *world)
{
    memset(world, 0, sizeof(*world));
    cr_assert_eq(tls_start(), OK);
    world->loop = driver_loop();
    world->engine = tls_engine_new(world->loop, &(struct tls_engine_options){0});
    identity_make(&world->authority,
                  &(struct identity_options){.name = "Test Authority", .is_ca = true});
    identity_make(&world->server, &(struct identity_options){.name = "api.test",
                                                             .dns = "api.test",
                                                             .issuer = &world->authority,
                                                             .issuer_name = "Test Authority"});
}

static void on_engine_closed(void *context)
{
    *(bool *)context = true;
}

void world_close(struct tls_world *world)
{
    bool is_closed = false;
    tls_engine_close(&world->engine, on_engine_closed, &is_closed);
    TURN_UNTIL(world->loop, is_closed);
    if (world->has_peer) {
        peer_stop(&world->peer);
    }
    loop_free(&world->loop);
    tls_stop();
}

void world_serve(struct tls_world *world, const struct peer_options *options)
{
    peer_start(&world->peer, options);
    world->has_peer = true;
}

struct tls_client *world_client(struct tls_world *world, const struct tls_client_options *options)
{
    struct tls_client_options all = {0};
    struct tls_problem problem;
    struct tls_client *client = NULL;
    if (options != NULL) {
        all = *options;
    }
    if (getenv("OUTRIGGER_TEST_TLS_1_3") != NULL) { /* with mbedTLS 3.x: the same tests over 1.3 */
        all.min_version = TLS_1_3;
    }
    if (all.ca.text == NULL) {
        all.ca.text = world->authority.cert;
        all.ca.len = strlen(world->authority.cert);
    }
    cr_assert_eq(tls_client_new(&all, &problem, &client), OK, "%s: %s", problem.field,
                 problem.text);
    return client;
}

static struct caller *caller_of(struct stream *stream)
{
    return CONTAINER_OF(stream, struct caller, stream);
}

static void on_event(struct stream *stream, unsigned flags)
{
    struct caller *caller = caller_of(stream);
    caller->flags |= flags;
    caller->events++;
    if (caller->on_event != NULL) {
        caller->on_event(caller, flags);
    }
}

static void on_connected(struct stream *stream, enum reason reason)
{
    struct caller *caller = caller_of(stream);
    caller->connects++;
    caller->reason = reason;
    stream_set_callback(stream, on_event);
}

static void on_closed(struct stream *stream)
{
    caller_of(stream)->has_closed = true;
}

void world_start_call(struct tls_world *world, struct caller *caller, struct tls_client *client,
                      const char *server_name)
{
    char text[ADDRESS_TEXT_BYTES];
    address_text(&world->peer.at, text);
    const struct tls_order order = {
        .client = client, .engine = world->engine, .server_name = server_name, .peer = text};
    memset(caller, 0, sizeof(*caller));
    stream_connect_tls(&caller->stream, world->loop, &world->peer.at.any, world->peer.at.len,
                       &order, on_connected, on_closed);
}

void world_call(struct tls_world *world, struct caller *caller, struct tls_client *client,
                const char *server_name)
{
    world_start_call(world, caller, client, server_name);
    TURN_UNTIL(world->loop, caller->connects == 1);
}

void world_end_call(struct tls_world *world, struct caller *caller)
{
    stream_close(&caller->stream);
    TURN_UNTIL(world->loop, caller->has_closed);
}
