/* tls_handshake.c - see tls_handshake.h. mbedTLS reads from `in` and is told WANT_READ when that is
 * used up; what it writes is appended to `out` and always taken whole. It asks for no byte beyond
 * the record that it works on, so what is left of `in` after the last step belongs to the records
 * of the open connection. Why a handshake failed is told in three halves: mbedTLS's error, its
 * flags for the certificate, and what went by in clear (struct tls_passing). */
#include "net/tls_handshake.h"

#include "base/check.h"
#include "net/tls_memory.h"

#include <mbedtls/error.h>
#include <mbedtls/platform_util.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OUT_MAX_BYTES 65536 /* our largest flight: a chain of certificates */
#define MASTER_BYTES 48
#define KEY_BLOCK_MAX (2 * 32 + 2 * 12)
#define FIRST_COUNT 1 /* the Finished message was record 0 of either side */

_Thread_local struct tls_secrets *tls_secrets_wanted;

void tls_secrets_take(struct tls_secrets *secrets, const unsigned char *master,
                      const unsigned char *client_random, const unsigned char *server_random,
                      mbedtls_tls_prf_types prf)
{
    INVARIANT(secrets != NULL);
    memcpy(secrets->master, master, MASTER_BYTES);
    memcpy(secrets->client_random, client_random, sizeof(secrets->client_random));
    memcpy(secrets->server_random, server_random, sizeof(secrets->server_random));
    secrets->prf = prf;
    secrets->times++;
}

/* ---- life ---- */

struct tls_handshake *tls_handshake_new(struct tls_client *client, const char *server_name,
                                        const char *peer, enum tls_alpn alpn, mono_ns now)
{
    struct tls_handshake *handshake = calloc(1, sizeof(*handshake));
    size_t len;
    if (handshake == NULL) {
        return NULL;
    }
    handshake->client = client;
    handshake->offer = alpn;
    handshake->now = now;
    (void)snprintf(handshake->server_name, sizeof(handshake->server_name), "%s", server_name);
    len = strlen(handshake->server_name);
    if (len > 1 && handshake->server_name[len - 1] == '.') {
        handshake->server_name[len - 1] = '\0'; /* RFC 6066 section 3: SNI has no trailing dot */
    }
    (void)snprintf(handshake->session_key, sizeof(handshake->session_key), "%s|%s",
                   handshake->server_name, peer);
    tls_verdict_init(&handshake->verdict, client, handshake->server_name);
    return handshake;
}

static void free_engine(struct tls_handshake *handshake)
{
    if (handshake->is_set_up) {
        mbedtls_ssl_free(&handshake->ssl);
        handshake->is_set_up = false;
    }
    tls_session_unref(&handshake->client->sessions, &handshake->offered);
    mbedtls_platform_zeroize(&handshake->secrets, sizeof(handshake->secrets));
}

void tls_handshake_free(struct tls_handshake **handshake)
{
    struct tls_handshake *held = *handshake;
    *handshake = NULL;
    if (held == NULL) {
        return;
    }
    free_engine(held);
    tls_keys_free(&held->keys);
    free(held->out);
    free(held);
}

/* ---- what goes by ---- */

static void watch_body(struct tls_passing *passing, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len && passing->head[0] == TLS_TYPE_ALERT && !passing->is_sealed; i++) {
        if (passing->alert_len < sizeof(passing->alert)) {
            passing->alert[passing->alert_len++] = bytes[i];
        }
    }
    passing->body_left -= len;
    if (passing->body_left == 0) {
        passing->is_sealed = passing->is_sealed || passing->head[0] == TLS_TYPE_CCS;
        passing->head_len = 0;
    }
}

static void watch_incoming(struct tls_passing *passing, const uint8_t *bytes, size_t len)
{
    if (len > 0 && !passing->has_come) {
        passing->has_come = true;
        passing->first = bytes[0];
    }
    while (len > 0) {
        size_t used = 1;
        if (passing->head_len < TLS_HEAD_BYTES) {
            passing->head[passing->head_len++] = *bytes;
            passing->body_left = (size_t)passing->head[3] << 8 | passing->head[4];
            passing->alert_len = 0;
        } else {
            used = passing->body_left < len ? passing->body_left : len;
            watch_body(passing, bytes, used);
        }
        bytes += used;
        len -= used;
    }
}

static void watch_outgoing(struct tls_passing *passing, const uint8_t *bytes, size_t len)
{
    const uint8_t certificate = 11; /* the handshake message; mbedTLS sends one a record */
    if (len > TLS_HEAD_BYTES && bytes[0] == TLS_TYPE_HANDSHAKE && !passing->are_we_sealed &&
        bytes[TLS_HEAD_BYTES] == certificate) {
        passing->wants_our_cert = true;
    }
    passing->are_we_sealed = passing->are_we_sealed || bytes[0] == TLS_TYPE_CCS;
}

static int bio_recv(void *context, unsigned char *bytes, size_t len)
{
    struct tls_handshake *handshake = context;
    const size_t left = handshake->in_len - handshake->in_at;
    const size_t got = left < len ? left : len;
    if (got == 0) {
        return MBEDTLS_ERR_SSL_WANT_READ;
    }
    memcpy(bytes, handshake->in + handshake->in_at, got);
    handshake->in_at += got;
    watch_incoming(&handshake->passing, bytes, got);
    return (int)got;
}

static int bio_send(void *context, const unsigned char *bytes, size_t len)
{
    struct tls_handshake *handshake = context;
    const size_t needed = handshake->out_len + len;
    if (needed > OUT_MAX_BYTES) {
        return MBEDTLS_ERR_SSL_BUFFER_TOO_SMALL;
    }
    if (needed > handshake->out_room) {
        uint8_t *more = realloc(handshake->out, needed + 1024);
        if (more == NULL) {
            return MBEDTLS_ERR_SSL_ALLOC_FAILED;
        }
        handshake->out = more;
        handshake->out_room = needed + 1024;
    }
    memcpy(handshake->out + handshake->out_len, bytes, len);
    handshake->out_len = needed;
    watch_outgoing(&handshake->passing, bytes, len);
    return (int)len;
}

/* ---- words ---- */

__attribute__((format(printf, 3, 4))) static void fail(struct tls_handshake *handshake,
                                                       enum reason reason, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(handshake->detail, sizeof(handshake->detail), format, arguments);
    va_end(arguments);
    handshake->reason = reason;
    handshake->result = TLS_STEP_FAILED;
}

const char *tls_alert_name(int alert)
{
    switch (alert) {
    case 0: return "close_notify";
    case 10: return "unexpected_message";
    case 20: return "bad_record_mac";
    case 40: return "handshake_failure";
    case 41: return "no_certificate";
    case 42: return "bad_certificate";
    case 43: return "unsupported_certificate";
    case 44: return "certificate_revoked";
    case 45: return "certificate_expired";
    case 46: return "certificate_unknown";
    case 47: return "illegal_parameter";
    case 48: return "unknown_ca";
    case 49: return "access_denied";
    case 50: return "decode_error";
    case 51: return "decrypt_error";
    case 70: return "protocol_version";
    case 71: return "insufficient_security";
    case 80: return "internal_error";
    case 112: return "unrecognized_name";
    case 116: return "certificate_required";
    case 120: return "no_application_protocol";
    default: return "an alert";
    }
}

/* Alerts that only a server that has looked at our certificate (or missed it) sends. */
static bool is_about_our_cert(const struct tls_passing *passing, int alert)
{
    return (alert >= 41 && alert <= 46) || alert == 48 || alert == 49 || alert == 116 ||
           (passing->wants_our_cert && (alert == 40 || alert == 51));
}

static void explain_alert(struct tls_handshake *handshake)
{
    const struct tls_passing *passing = &handshake->passing;
    const int alert = passing->alert_len == 2 && !passing->is_sealed ? passing->alert[1] : -1;
    const char *name = tls_alert_name(alert);
    if (alert < 0) {
        fail(handshake, REASON_TLS_FAILURE, "the upstream ended the handshake with a sealed alert");
    } else if (alert == 112) {
        fail(handshake, REASON_TLS_NAME_MISMATCH,
             "the upstream has no certificate for the name %s (alert %s): check serverName",
             handshake->server_name, name);
    } else if (is_about_our_cert(passing, alert)) {
        fail(handshake, REASON_TLS_CLIENT_CERT,
             handshake->client->has_own_cert
                 ? "the upstream refused our client certificate (alert %s, %d): does it trust the "
                   "authority that issued it, and is it in its time?"
                 : "the upstream wants a client certificate, and we have none (alert %s, %d): set "
                   "certFile and keyFile",
             name, alert);
    } else if (alert == 120) {
        fail(handshake, REASON_TLS_FAILURE,
             "the upstream speaks none of the protocols that we offer by alpn (alert %s)", name);
    } else if (alert == 40 || alert == 70 || alert == 71) {
        fail(handshake, REASON_TLS_FAILURE,
             "the upstream ended the handshake (alert %s, %d): we speak TLS %s with ECDHE and "
             "AES-GCM or ChaCha20-Poly1305 only; does it?",
             name, alert, handshake->client->is_1_3 ? "1.3" : "1.2");
    } else {
        fail(handshake, REASON_TLS_FAILURE, "the upstream ended the handshake (alert %s, %d)", name,
             alert);
    }
}

static void explain(struct tls_handshake *handshake, int status)
{
    char why[160];
    const uint32_t result = mbedtls_ssl_get_verify_result(&handshake->ssl);
    const uint32_t flags = result == UINT32_MAX ? 0 : result; /* no certificate has come yet */
    const struct tls_passing *passing = &handshake->passing;
    if (tls_memory_has_failed() || status == MBEDTLS_ERR_SSL_ALLOC_FAILED) {
        fail(handshake, REASON_OVERLOADED, "no memory was left for the handshake");
    } else if (status == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE) {
        explain_alert(handshake);
    } else if (flags != 0 && !handshake->client->skips_verification) {
        fail(handshake, tls_verdict_reason(flags), " ");
        tls_verdict_words(&handshake->verdict, flags, handshake->detail, sizeof(handshake->detail));
    } else if (passing->has_come &&
               (passing->first < TLS_TYPE_CCS || passing->first > TLS_TYPE_DATA)) {
        fail(
            handshake, REASON_TLS_FAILURE,
            "the upstream answered with something that is not TLS (first byte 0x%02x): is this its "
            "port for TLS?",
            passing->first);
    } else if (status == TLS_MBED_BAD_VERSION) {
        fail(
            handshake, REASON_TLS_FAILURE,
            "the upstream speaks only TLS 1.1 or older, which is no longer safe: let it speak 1.2");
    } else {
        mbedtls_strerror(status, why, sizeof(why));
        fail(handshake, REASON_TLS_FAILURE, "the handshake failed: %s", why);
    }
}

void tls_handshake_fail(struct tls_handshake *handshake, int error)
{
    const struct tls_passing *passing = &handshake->passing;
    const char *how = error == 0 ? "closed the connection" : strerror(error);
    if (passing->wants_our_cert && !passing->is_sealed) {
        fail(handshake, REASON_TLS_CLIENT_CERT,
             "the upstream asked for a client certificate, %s, and ended without a word (%s)",
             handshake->client->has_own_cert ? "got ours" : "got none (set certFile and keyFile)",
             how);
    } else if (!passing->has_come) {
        fail(handshake, REASON_TLS_FAILURE,
             "the upstream answered nothing to our ClientHello (%s): is this its port for TLS?",
             how);
    } else {
        fail(handshake, REASON_TLS_FAILURE, "the upstream broke off the handshake (%s)", how);
    }
}

/* ---- steps ---- */

static int set_up(struct tls_handshake *handshake)
{
    struct tls_client *client = handshake->client;
    mbedtls_ssl_context *ssl = &handshake->ssl;
    const bool is_ip = handshake->verdict.ip_len > 0;
    int status;
    mbedtls_ssl_init(ssl);
    handshake->is_set_up = true;
    status = mbedtls_ssl_setup(ssl, &client->configs[handshake->offer]);
    if (status != 0) {
        return status;
    }
    /* RFC 6066 section 3: no SNI for an address. Its check is tls_verify's. */
    status = mbedtls_ssl_set_hostname(ssl, is_ip ? NULL : handshake->server_name);
    if (status != 0) {
        return status;
    }
    mbedtls_ssl_set_verify(ssl, tls_verify, &handshake->verdict);
    mbedtls_ssl_set_bio(ssl, handshake, bio_send, bio_recv, NULL);
    tls_mbed_export_secrets(ssl);
    handshake->offered =
        tls_session_find(&client->sessions, handshake->session_key, handshake->now);
    return handshake->offered == NULL ? 0 : mbedtls_ssl_set_session(ssl, &handshake->offered->mbed);
}

static bool find_cipher(const char *suite, enum tls_cipher *cipher)
{
    if (strstr(suite, "-CHACHA20-POLY1305-SHA256") != NULL) {
        *cipher = TLS_CHACHA20_POLY1305;
    } else if (strstr(suite, "-AES-128-GCM-SHA256") != NULL) {
        *cipher = TLS_AES_128_GCM;
    } else if (strstr(suite, "-AES-256-GCM-SHA384") != NULL) {
        *cipher = TLS_AES_256_GCM;
    } else {
        return false;
    }
    return true;
}

/* RFC 5246 section 6.3: client key, server key, client iv, server iv; AEAD has no MAC keys. */
static enum err init_1_2(struct tls_keys *keys, enum tls_cipher cipher, const uint8_t *block)
{
    const size_t key_len = tls_cipher_key_bytes(cipher);
    const uint8_t *iv = block + 2 * key_len;
    enum err result = tls_key_init(&keys->write, cipher, block, iv, FIRST_COUNT);
    if (result == OK) {
        result = tls_key_init(&keys->read, cipher, block + key_len,
                              iv + tls_cipher_iv_bytes(cipher), FIRST_COUNT);
    }
    return result;
}

static bool derive_keys_1_3(struct tls_handshake *handshake, enum tls_cipher cipher)
{
    const struct tls_secrets *secrets = &handshake->secrets;
    return tls_key_init_1_3(&handshake->keys->write, cipher, secrets->client_traffic) == OK &&
           tls_key_init_1_3(&handshake->keys->read, cipher, secrets->server_traffic) == OK;
}

static bool derive_keys_1_2(struct tls_handshake *handshake, enum tls_cipher cipher)
{
    bool is_done = false;
    const struct tls_secrets *secrets = &handshake->secrets;
    const size_t len = 2 * tls_cipher_key_bytes(cipher) + 2 * tls_cipher_iv_bytes(cipher);
    uint8_t block[KEY_BLOCK_MAX];
    uint8_t randoms[64];
    memcpy(randoms, secrets->server_random, 32);
    memcpy(randoms + 32, secrets->client_random, 32);
    if (mbedtls_ssl_tls_prf(secrets->prf, secrets->master, MASTER_BYTES, "key expansion", randoms,
                            sizeof(randoms), block, len) == 0) {
        is_done = init_1_2(handshake->keys, cipher, block) == OK;
    }
    mbedtls_platform_zeroize(block, sizeof(block));
    return is_done;
}

/* What was made of them before something failed goes with the handshake. */
static bool derive_keys(struct tls_handshake *handshake, enum tls_cipher cipher)
{
    handshake->keys = calloc(1, sizeof(*handshake->keys));
    if (handshake->keys == NULL) {
        return false;
    }
    return handshake->secrets.traffic_len > 0 ? derive_keys_1_3(handshake, cipher)
                                              : derive_keys_1_2(handshake, cipher);
}

static void keep_session(struct tls_handshake *handshake)
{
    const bool was_resumed = handshake->was_resumed;
    struct tls_session_cache *cache = &handshake->client->sessions;
    const mbedtls_x509_crt *cert = mbedtls_ssl_get_peer_cert(&handshake->ssl);
    struct tls_session *session = tls_session_new(
        handshake->session_key, was_resumed ? handshake->offered->born : handshake->now);
    if (session == NULL) {
        return; /* the next one is a full handshake then */
    }
    if (was_resumed) {
        session->valid_to = handshake->offered->valid_to;
    } else if (cert != NULL) {
        session->valid_to = cert->valid_to;
    }
    memcpy(session->master, handshake->secrets.master, MASTER_BYTES);
    if (tls_mbed_take_session(&handshake->ssl, &session->mbed)) {
        tls_session_keep(cache, session);
    }
    tls_session_unref(cache, &session);
}

static void finish(struct tls_handshake *handshake)
{
    const struct tls_secrets *secrets = &handshake->secrets;
    const char *suite = mbedtls_ssl_get_ciphersuite(&handshake->ssl);
    enum tls_cipher cipher;
    const bool is_1_3 = secrets->traffic_len > 0;
    if (secrets->times != (is_1_3 ? 0 : 1) || suite == NULL || !find_cipher(suite, &cipher) ||
        (is_1_3 && secrets->traffic_len != tls_traffic_bytes(cipher))) {
        fail(handshake, REASON_TLS_FAILURE,
             "the handshake ended with a cipher that was not offered");
        return;
    }
    handshake->was_resumed = handshake->offered != NULL &&
                             memcmp(handshake->offered->master, secrets->master, MASTER_BYTES) == 0;
    handshake->alpn = mbedtls_ssl_get_alpn_protocol(&handshake->ssl);
    if (tls_memory_has_failed() || !derive_keys(handshake, cipher)) {
        fail(handshake, REASON_OVERLOADED, "no memory was left for the handshake");
        return;
    }
    handshake->result = TLS_STEP_DONE;
    if (!is_1_3) { /* whose tickets come later, when mbedTLS is gone */
        keep_session(handshake);
    }
}

void tls_handshake_step(struct tls_handshake *handshake)
{
    int status = 0;
    INVARIANT(handshake->result == TLS_STEP_AGAIN);
    tls_memory_begin();
    tls_secrets_wanted = &handshake->secrets;
    if (!handshake->is_set_up) {
        status = set_up(handshake);
    }
    if (status == 0) {
        status = mbedtls_ssl_handshake(&handshake->ssl);
    }
    tls_secrets_wanted = NULL;
    if (status == 0) {
        finish(handshake);
    } else if (status != MBEDTLS_ERR_SSL_WANT_READ || tls_memory_has_failed()) {
        explain(handshake, status);
    }
    if (handshake->result == TLS_STEP_FAILED && handshake->offered != NULL) {
        tls_session_drop(&handshake->client->sessions, handshake->offered);
    }
    if (handshake->result != TLS_STEP_AGAIN) {
        free_engine(handshake);
    }
}
