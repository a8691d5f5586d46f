/* tls_mbed.h - what differs between mbedTLS 2.28 and 3.x, and nothing else: every other tls_*.c
 * reads the same for both. TLS 1.3 is there with 3.x only, and only where it is asked for.
 *
 * Example: tls_mbed_parse_key(&key, pem, len) is mbedtls_pk_parse_key without a password.
 * All functions are safe from any thread once tls_start has returned. */
#ifndef OUTRIGGER_NET_TLS_MBED_H
#define OUTRIGGER_NET_TLS_MBED_H

#include <mbedtls/pk.h>
#include <mbedtls/platform.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>
#include <psa/crypto.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

int tls_random(void *unused, unsigned char *bytes, size_t len);
/* The process's generator (tls_engine.c), in the shape that mbedTLS wants. Any thread. */

/* What a handshake ends with: all that the record keys are made from. */
struct tls_secrets {
    unsigned char master[48];
    unsigned char client_random[32];
    unsigned char server_random[32];
    mbedtls_tls_prf_types prf;
    unsigned times; /* how often those came: 1, or 0 in TLS 1.3; more, and something is wrong */
    unsigned char client_traffic[48]; /* TLS 1.3 */
    unsigned char server_traffic[48];
    size_t traffic_len; /* of each; 0: TLS 1.2 */
};

void tls_secrets_take(struct tls_secrets *secrets, const unsigned char *master,
                      const unsigned char *client_random, const unsigned char *server_random,
                      mbedtls_tls_prf_types prf);
/* What the hooks below call (tls_handshake.c). */

extern _Thread_local struct tls_secrets *tls_secrets_wanted;
/* Whose step runs on this thread: 2.28 has one hook a configuration, not one a connection. */

#if MBEDTLS_VERSION_MAJOR < 3

#define TLS_MBED_BAD_VERSION MBEDTLS_ERR_SSL_BAD_HS_PROTOCOL_VERSION
#define TLS_MBED_HAS_1_3 false
#define TLS_MBED_SUITES_1_3

static inline bool tls_mbed_start(void)
{
    return true;
}

static inline void tls_mbed_stop(void)
{
}

static inline int tls_mbed_parse_key(mbedtls_pk_context *key, const unsigned char *pem, size_t len)
{
    return mbedtls_pk_parse_key(key, pem, len, NULL, 0);
}

static inline int tls_mbed_check_pair(mbedtls_pk_context *public, mbedtls_pk_context *secret)
{
    return mbedtls_pk_check_pair(public, secret);
}

static const int tls_mbed_hashes[] = {MBEDTLS_MD_SHA256, MBEDTLS_MD_SHA384, MBEDTLS_MD_SHA512,
                                      MBEDTLS_MD_NONE};
static const mbedtls_ecp_group_id tls_mbed_groups[] = {
    MBEDTLS_ECP_DP_CURVE25519, MBEDTLS_ECP_DP_SECP256R1, MBEDTLS_ECP_DP_SECP384R1,
    MBEDTLS_ECP_DP_NONE};

static inline int tls_mbed_on_secrets(void *unused, const unsigned char *master,
                                      const unsigned char *key_block, size_t mac_len,
                                      size_t key_len, size_t iv_len,
                                      const unsigned char client_random[32],
                                      const unsigned char server_random[32],
                                      mbedtls_tls_prf_types prf)
{
    (void)unused;
    (void)key_block;
    (void)mac_len;
    (void)key_len;
    (void)iv_len;
    tls_secrets_take(tls_secrets_wanted, master, client_random, server_random, prf);
    return 0;
}

static inline void tls_mbed_configure(mbedtls_ssl_config *config, bool is_1_3)
{
    (void)is_1_3;
    mbedtls_ssl_conf_min_version(config, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
    mbedtls_ssl_conf_max_version(config, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
    mbedtls_ssl_conf_sig_hashes(config, tls_mbed_hashes);
    mbedtls_ssl_conf_curves(config, tls_mbed_groups);
}

static inline void tls_mbed_configure_secrets(mbedtls_ssl_config *config)
{
    mbedtls_ssl_conf_export_keys_ext_cb(config, tls_mbed_on_secrets, NULL);
}

static inline void tls_mbed_export_secrets(mbedtls_ssl_context *ssl)
{
    (void)ssl; /* the configuration does it */
}

/* Without the peer's certificate: nobody asks a resumed session for it, and it is 3 KiB and 100 us
 * of parsing. False when there is nothing to resume by. */
static inline bool tls_mbed_take_session(mbedtls_ssl_context *ssl, mbedtls_ssl_session *into)
{
    mbedtls_ssl_session *session = ssl->session;
    if (session == NULL || (session->id_len == 0 && session->ticket_len == 0)) {
        return false;
    }
    if (session->peer_cert != NULL) {
        mbedtls_x509_crt_free(session->peer_cert);
        mbedtls_free(session->peer_cert);
        session->peer_cert = NULL;
    }
    return mbedtls_ssl_get_session(ssl, into) == 0;
}

#else

#define TLS_MBED_BAD_VERSION MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION
#define TLS_MBED_SUITES_1_3                                                                        \
    MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256, MBEDTLS_TLS1_3_AES_128_GCM_SHA256,                    \
        MBEDTLS_TLS1_3_AES_256_GCM_SHA384,
#if defined(MBEDTLS_SSL_PROTO_TLS1_3)
#define TLS_MBED_HAS_1_3 true
#else
#define TLS_MBED_HAS_1_3 false
#endif

static inline bool tls_mbed_start(void)
{
    return psa_crypto_init() == PSA_SUCCESS; /* TLS 1.3 computes with it */
}

static inline void tls_mbed_stop(void)
{
    mbedtls_psa_crypto_free();
}

static inline int tls_mbed_parse_key(mbedtls_pk_context *key, const unsigned char *pem, size_t len)
{
    return mbedtls_pk_parse_key(key, pem, len, NULL, 0, tls_random, NULL);
}

static inline int tls_mbed_check_pair(mbedtls_pk_context *public, mbedtls_pk_context *secret)
{
    return mbedtls_pk_check_pair(public, secret, tls_random, NULL);
}

static const uint16_t tls_mbed_signatures[] = {MBEDTLS_TLS1_3_SIG_ECDSA_SECP256R1_SHA256,
                                               MBEDTLS_TLS1_3_SIG_ECDSA_SECP384R1_SHA384,
                                               MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA256,
                                               MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA384,
                                               MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA512,
                                               MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA256,
                                               MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA384,
                                               MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA512,
                                               MBEDTLS_TLS1_3_SIG_NONE};
static const uint16_t tls_mbed_groups[] = {
    MBEDTLS_SSL_IANA_TLS_GROUP_X25519, MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1,
    MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1, MBEDTLS_SSL_IANA_TLS_GROUP_NONE};

static inline void tls_mbed_configure(mbedtls_ssl_config *config, bool is_1_3)
{
    const mbedtls_ssl_protocol_version version =
        is_1_3 ? MBEDTLS_SSL_VERSION_TLS1_3 : MBEDTLS_SSL_VERSION_TLS1_2;
    mbedtls_ssl_conf_min_tls_version(config, version);
    mbedtls_ssl_conf_max_tls_version(config, version);
    mbedtls_ssl_conf_sig_algs(config, tls_mbed_signatures);
    mbedtls_ssl_conf_groups(config, tls_mbed_groups);
}

static inline void tls_mbed_on_secrets(void *unused, mbedtls_ssl_key_export_type type,
                                       const unsigned char *secret, size_t len,
                                       const unsigned char client_random[32],
                                       const unsigned char server_random[32],
                                       mbedtls_tls_prf_types prf)
{
    struct tls_secrets *secrets = tls_secrets_wanted;
    (void)unused;
    if (type == MBEDTLS_SSL_KEY_EXPORT_TLS12_MASTER_SECRET && len == 48) {
        tls_secrets_take(secrets, secret, client_random, server_random, prf);
    } else if (type == MBEDTLS_SSL_KEY_EXPORT_TLS1_3_CLIENT_APPLICATION_TRAFFIC_SECRET &&
               len <= sizeof(secrets->client_traffic)) {
        memcpy(secrets->client_traffic, secret, len);
    } else if (type == MBEDTLS_SSL_KEY_EXPORT_TLS1_3_SERVER_APPLICATION_TRAFFIC_SECRET &&
               len <= sizeof(secrets->server_traffic)) {
        memcpy(secrets->server_traffic, secret, len);
        secrets->traffic_len = len;
    }
}

static inline void tls_mbed_configure_secrets(mbedtls_ssl_config *config)
{
    (void)config; /* each connection does it */
}

static inline void tls_mbed_export_secrets(mbedtls_ssl_context *ssl)
{
    mbedtls_ssl_set_export_keys_cb(ssl, tls_mbed_on_secrets, NULL);
}

static inline bool tls_mbed_take_session(mbedtls_ssl_context *ssl, mbedtls_ssl_session *into)
{
    return mbedtls_ssl_get_session(ssl, into) == 0;
}

#endif

#endif
