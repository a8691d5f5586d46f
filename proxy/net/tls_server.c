/* tls_server.c - see tls_server.h. What a call of mbedTLS has not taken of the input by its end it
 * keeps itself, so the input need not live longer than tls_served_feed. */
#include "net/tls_server.h"

#include "base/check.h"
#include "net/tls_client_own.h"
#include "net/tls_mbed.h"
#include "net/tls_memory.h"
#include "net/tls_pem.h"

#include <mbedtls/error.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TLS_SERVER_MAGIC 0x544c5356U
#define TLS_SERVED_MAGIC 0x544c5344U
#define PLAIN_BYTES 16384 /* of a record */
#define WHY_BYTES 160

struct tls_server {
    uint32_t magic;
    uint32_t refs;
    mbedtls_x509_crt cert;
    mbedtls_pk_context key;
    mbedtls_ssl_config config;
};

struct tls_served {
    uint32_t magic;
    struct tls_server *server; /* held */
    const struct tls_served_sink *sink;
    void *context;
    mbedtls_ssl_context ssl;
    const uint8_t *input; /* during tls_served_feed */
    size_t input_len;
    enum tls_served_state state;
    char why[WHY_BYTES];
};

/* ---- the certificate ---- */

static void server_free(struct tls_server *server)
{
    mbedtls_ssl_config_free(&server->config);
    mbedtls_pk_free(&server->key);
    mbedtls_x509_crt_free(&server->cert);
    server->magic = 0;
    free(server);
}

static enum err configure(struct tls_server *server)
{
    static const char *protocols[] = {"http/1.1", NULL};
    mbedtls_ssl_config *config = &server->config;
    if (mbedtls_ssl_config_defaults(config, MBEDTLS_SSL_IS_SERVER, MBEDTLS_SSL_TRANSPORT_STREAM,
                                    MBEDTLS_SSL_PRESET_DEFAULT) != 0) {
        return ERR_NO_MEMORY;
    }
    mbedtls_ssl_conf_rng(config, tls_random, NULL);
    tls_mbed_configure(config, false);
    mbedtls_ssl_conf_ciphersuites(config, tls_suites);
    mbedtls_ssl_conf_authmode(config, MBEDTLS_SSL_VERIFY_NONE);
#if defined(MBEDTLS_SSL_RENEGOTIATION)
    mbedtls_ssl_conf_renegotiation(config, MBEDTLS_SSL_RENEGOTIATION_DISABLED);
#endif
    mbedtls_ssl_conf_legacy_renegotiation(config, MBEDTLS_SSL_LEGACY_NO_RENEGOTIATION);
    if (mbedtls_ssl_conf_alpn_protocols(config, protocols) != 0 ||
        mbedtls_ssl_conf_own_cert(config, &server->cert, &server->key) != 0) {
        return ERR_NO_MEMORY;
    }
    return OK;
}

enum err tls_server_new(const struct tls_pem *cert, const struct tls_pem *key,
                        struct tls_problem *problem, struct tls_server **server)
{
    struct tls_server *made = calloc(1, sizeof(*made));
    enum err e = made != NULL ? OK : ERR_NO_MEMORY;
    if (e == OK) {
        made->magic = TLS_SERVER_MAGIC;
        made->refs = 1;
        mbedtls_x509_crt_init(&made->cert);
        mbedtls_pk_init(&made->key);
        mbedtls_ssl_config_init(&made->config);
        e = tls_pem_own(cert, key, &made->cert, &made->key, problem);
    }
    if (e == OK) {
        e = configure(made);
    }
    if (e == ERR_NO_MEMORY) {
        tls_problem_set(problem, "certFile", "%s", err_text(e));
    }
    if (e == OK) {
        *server = made;
    } else if (made != NULL) {
        server_free(made);
    }
    return e;
}

struct tls_server *tls_server_ref(struct tls_server *server)
{
    CHECK_OBJ(server, TLS_SERVER_MAGIC);
    server->refs++;
    return server;
}

void tls_server_unref(struct tls_server **server_ref)
{
    struct tls_server *server = *server_ref;
    *server_ref = NULL;
    if (server == NULL) {
        return;
    }
    CHECK_OBJ(server, TLS_SERVER_MAGIC);
    if (--server->refs == 0) {
        server_free(server);
    }
}

int64_t tls_server_not_after(const struct tls_server *server)
{
    const mbedtls_x509_time *at = &server->cert.valid_to;
    struct tm tm = {.tm_year = at->year - 1900,
                    .tm_mon = at->mon - 1,
                    .tm_mday = at->day,
                    .tm_hour = at->hour,
                    .tm_min = at->min,
                    .tm_sec = at->sec};
    return timegm(&tm);
}

/* ---- a session ---- */

static int take_input(void *context, unsigned char *into, size_t len)
{
    struct tls_served *served = context;
    const size_t given = len < served->input_len ? len : served->input_len;
    if (given == 0) {
        return MBEDTLS_ERR_SSL_WANT_READ;
    }
    memcpy(into, served->input, given);
    served->input += given;
    served->input_len -= given;
    return (int)given;
}

static int give_output(void *context, const unsigned char *bytes, size_t len)
{
    struct tls_served *served = context;
    served->sink->on_records(served->context, bytes, len);
    return (int)len;
}

struct tls_served *tls_served_new(struct tls_server *server, const struct tls_served_sink *sink,
                                  void *context)
{
    struct tls_served *served = calloc(1, sizeof(*served));
    if (served == NULL) {
        return NULL;
    }
    served->magic = TLS_SERVED_MAGIC;
    served->server = tls_server_ref(server);
    served->sink = sink;
    served->context = context;
    mbedtls_ssl_init(&served->ssl);
    if (mbedtls_ssl_setup(&served->ssl, &server->config) != 0) {
        tls_served_free(&served);
        return NULL;
    }
    mbedtls_ssl_set_bio(&served->ssl, served, give_output, take_input, NULL);
    return served;
}

void tls_served_free(struct tls_served **served_ref)
{
    struct tls_served *served = *served_ref;
    *served_ref = NULL;
    if (served == NULL) {
        return;
    }
    CHECK_OBJ(served, TLS_SERVED_MAGIC);
    mbedtls_ssl_free(&served->ssl);
    tls_server_unref(&served->server);
    served->magic = 0;
    free(served);
}

static void broken(struct tls_served *served, int status)
{
    served->state = TLS_SERVED_BROKEN;
    mbedtls_strerror(status, served->why, sizeof(served->why));
}

static void greet(struct tls_served *served)
{
    tls_memory_begin();
    const int status = mbedtls_ssl_handshake(&served->ssl);
    if (tls_memory_has_failed()) {
        broken(served, MBEDTLS_ERR_SSL_ALLOC_FAILED);
    } else if (status == 0) {
        served->state = TLS_SERVED_OPEN;
    } else if (status != MBEDTLS_ERR_SSL_WANT_READ) {
        broken(served, status);
    }
}

static void hear(struct tls_served *served)
{
    uint8_t plain[PLAIN_BYTES];
    while (served->state == TLS_SERVED_OPEN) {
        const int got = mbedtls_ssl_read(&served->ssl, plain, sizeof(plain));
        if (got > 0) {
            served->sink->on_plain(served->context, plain, (size_t)got);
        } else if (got == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY) {
            served->state = TLS_SERVED_ENDED;
        } else if (got == MBEDTLS_ERR_SSL_WANT_READ) {
            return;
        } else if (got != 0) { /* 0: an empty record */
            broken(served, got);
        }
    }
}

enum tls_served_state tls_served_feed(struct tls_served *served, const uint8_t *bytes, size_t len)
{
    CHECK_OBJ(served, TLS_SERVED_MAGIC);
    served->input = bytes;
    served->input_len = len;
    if (served->state == TLS_SERVED_GREETING) {
        greet(served);
    }
    if (served->state == TLS_SERVED_OPEN) {
        hear(served);
    }
    served->input = NULL;
    served->input_len = 0;
    return served->state;
}

enum tls_served_state tls_served_send(struct tls_served *served, const uint8_t *bytes, size_t len)
{
    CHECK_OBJ(served, TLS_SERVED_MAGIC);
    while (len > 0 && served->state != TLS_SERVED_BROKEN) {
        const int sent = mbedtls_ssl_write(&served->ssl, bytes, len);
        if (sent < 0) {
            broken(served, sent);
        } else {
            bytes += sent;
            len -= (size_t)sent;
        }
    }
    return served->state;
}

void tls_served_end(struct tls_served *served)
{
    CHECK_OBJ(served, TLS_SERVED_MAGIC);
    if (served->state == TLS_SERVED_OPEN || served->state == TLS_SERVED_ENDED) {
        (void)mbedtls_ssl_close_notify(&served->ssl); /* the peer may have gone: the socket tells */
    }
}

const char *tls_served_why(const struct tls_served *served)
{
    return served->why;
}
