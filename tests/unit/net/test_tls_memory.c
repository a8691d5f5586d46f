#include "tls_peer.h"

#include "net/tls_handshake.h"
#include "net/tls_memory.h"

#include <stdlib.h>
#include <string.h>

static void expect_seen(void *(*allocate)(size_t, size_t))
{
    tls_memory_begin();
    cr_assert_not(tls_memory_has_failed());
    (void)tls_memory_fail_after(1);
    void *first = allocate(1, 10);
    void *second = allocate(1, 10);
    void *third = allocate(1, 10);
    cr_assert(first != NULL && second == NULL && third != NULL);
    cr_assert(tls_memory_has_failed(), "and it stays so");
    free(first);
    free(third);
    tls_memory_begin();
    cr_assert_not(tls_memory_has_failed());
}

Test(tls_memory, sees_an_allocation_of_the_process_fail)
{
    void *(*volatile allocate)(size_t, size_t) = calloc; /* or the compiler knows better */
    if (tls_memory_is_watched()) {
        expect_seen(allocate);
    }
}

/* ---- a handshake in which the n-th allocation fails, in one thread against a server in memory
 * ---- */

struct duet {
    struct tls_world world;
    struct tls_client *client;
    struct tls_handshake *handshake;
    mbedtls_ssl_config config;
    mbedtls_x509_crt cert;
    mbedtls_pk_context key;
    mbedtls_ssl_context server;
    unsigned char to_client[32768];
    size_t to_client_len;
    size_t read_by_server; /* of handshake->out */
};

static int server_send(void *context, const unsigned char *bytes, size_t len)
{
    struct duet *duet = context;
    cr_assert(duet->to_client_len + len <= sizeof(duet->to_client));
    memcpy(duet->to_client + duet->to_client_len, bytes, len);
    duet->to_client_len += len;
    return (int)len;
}

static int server_recv(void *context, unsigned char *bytes, size_t len)
{
    struct duet *duet = context;
    const size_t left = duet->handshake->out_len - duet->read_by_server;
    const size_t some = left < len ? left : len;
    if (some == 0) {
        return MBEDTLS_ERR_SSL_WANT_READ;
    }
    memcpy(bytes, duet->handshake->out + duet->read_by_server, some);
    duet->read_by_server += some;
    return (int)some;
}

static void feed_client(struct duet *duet)
{
    struct tls_handshake *handshake = duet->handshake;
    const size_t some =
        duet->to_client_len < TLS_IN_BYTES ? duet->to_client_len : (size_t)TLS_IN_BYTES;
    memcpy(handshake->in, duet->to_client, some);
    memmove(duet->to_client, duet->to_client + some, duet->to_client_len - some);
    duet->to_client_len -= some;
    handshake->in_len = some;
    handshake->in_at = 0;
}

static bool has_had_failure;

static enum tls_step_result play(struct duet *duet, long fails_after)
{
    duet->to_client_len = 0;
    duet->read_by_server = 0;
    cr_assert_eq(mbedtls_ssl_session_reset(&duet->server), 0);
    duet->handshake = tls_handshake_new(duet->client, "api.test", "peer", TLS_ALPN_ANY, 0);
    (void)tls_memory_fail_after(fails_after);
    for (int steps = 0; steps < 10 && duet->handshake->result == TLS_STEP_AGAIN; steps++) {
        tls_handshake_step(duet->handshake);
        const bool has_failed = tls_memory_has_failed();
        has_had_failure = has_had_failure || has_failed;
        if (has_failed || duet->handshake->result != TLS_STEP_AGAIN) {
            break;
        }
        const long left = tls_memory_fail_after(-1); /* the server has luck */
        (void)mbedtls_ssl_handshake(&duet->server);
        (void)tls_memory_fail_after(left);
        duet->handshake->out_len = 0;
        duet->read_by_server = 0;
        feed_client(duet);
    }
    (void)tls_memory_fail_after(-1);
    return duet->handshake->result;
}

static void duet_open(struct duet *duet)
{
    world_open(&duet->world);
    duet->client = world_client(&duet->world, NULL);
    mbedtls_ssl_config_init(&duet->config);
    mbedtls_x509_crt_init(&duet->cert);
    mbedtls_pk_init(&duet->key);
    mbedtls_ssl_init(&duet->server);
    cr_assert_eq(mbedtls_ssl_config_defaults(&duet->config, MBEDTLS_SSL_IS_SERVER,
                                             MBEDTLS_SSL_TRANSPORT_STREAM,
                                             MBEDTLS_SSL_PRESET_DEFAULT),
                 0);
    mbedtls_ssl_conf_rng(&duet->config, tls_random, NULL);
    const struct identity *identity = &duet->world.server;
    cr_assert_eq(mbedtls_x509_crt_parse(&duet->cert, (const unsigned char *)identity->cert,
                                        strlen(identity->cert) + 1),
                 0);
    cr_assert_eq(tls_mbed_parse_key(&duet->key, (const unsigned char *)identity->key,
                                    strlen(identity->key) + 1),
                 0);
    cr_assert_eq(mbedtls_ssl_conf_own_cert(&duet->config, &duet->cert, &duet->key), 0);
    cr_assert_eq(mbedtls_ssl_setup(&duet->server, &duet->config), 0);
    mbedtls_ssl_set_bio(&duet->server, duet, server_send, server_recv, NULL);
}

static void duet_close(struct duet *duet)
{
    mbedtls_ssl_free(&duet->server);
    mbedtls_ssl_config_free(&duet->config);
    mbedtls_x509_crt_free(&duet->cert);
    mbedtls_pk_free(&duet->key);
    tls_client_unref(&duet->client);
    world_close(&duet->world);
}

Test(tls_memory, ends_every_handshake_in_which_an_allocation_failed)
{
    static struct duet duet;
    unsigned seen = 0;
    duet_open(&duet);
    cr_assert_eq(play(&duet, -1), TLS_STEP_DONE, "%s", duet.handshake->detail);
    tls_handshake_free(&duet.handshake);
    for (long n = 0; n < 3000 && tls_memory_is_watched(); n = n < 100 ? n + 1 : n + 37) {
        has_had_failure = false;
        const enum tls_step_result result = play(&duet, n);
        if (has_had_failure) {
            cr_assert_eq(result, TLS_STEP_FAILED, "allocation %ld", n);
            cr_assert_eq(duet.handshake->reason, REASON_OVERLOADED, "allocation %ld: %s", n,
                         duet.handshake->detail);
            seen++;
        }
        tls_handshake_free(&duet.handshake);
    }
    cr_assert(seen > 20 || !tls_memory_is_watched());
    duet_close(&duet);
}
