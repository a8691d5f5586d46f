/* tls_client.c - see tls_client.h. What mbedTLS does by default (TLS 1.0, static RSA, CBC,
 * renegotiation) is replaced item by item here; nothing is left to its defaults. */
#include "net/tls_client.h"

#include "base/check.h"
#include "net/tls_client_own.h"
#include "net/tls_mbed.h"
#include "net/tls_pem.h"

#include <mbedtls/ssl_ciphersuites.h>
#include <stdlib.h>
#include <string.h>

#define TLS_CLIENT_MAGIC 0x544c5343U
#define LIST_MAX 64        /* names, protocols: what a person writes by hand */
#define NAME_MAX_BYTES 255 /* of a host; mbedTLS refuses more */

/* Fastest first: mbedTLS does ChaCha20 at 1.5 times the speed of AES (no carry-less multiply with
 * its AES code). Every server that speaks any of these may choose by its own order. */
const int tls_suites[] = {TLS_MBED_SUITES_1_3 MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
                          MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
                          MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
                          MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
                          MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
                          MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
                          0};

/* For every certificate of a chain: no SHA-1, no RSA below 2048 bits, no rare curve. */
static const mbedtls_x509_crt_profile profile = {
    .allowed_mds = MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA256) |
                   MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA384) |
                   MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA512),
    .allowed_pks = MBEDTLS_X509_ID_FLAG(MBEDTLS_PK_RSA) | MBEDTLS_X509_ID_FLAG(MBEDTLS_PK_ECKEY) |
                   MBEDTLS_X509_ID_FLAG(MBEDTLS_PK_ECDSA),
    .allowed_curves = MBEDTLS_X509_ID_FLAG(MBEDTLS_ECP_DP_SECP256R1) |
                      MBEDTLS_X509_ID_FLAG(MBEDTLS_ECP_DP_SECP384R1),
    .rsa_min_bitlen = 2048,
};

void tls_client_check(const struct tls_client *client)
{
    CHECK_OBJ(client, TLS_CLIENT_MAGIC);
}

/* ---- strings ---- */

static void list_free(char **list)
{
    if (list != NULL) {
        for (size_t i = 0; list[i] != NULL; i++) {
            free(list[i]);
        }
        free((void *)list);
    }
}

static enum err list_copy(const char *const *from, const char *field, char ***into,
                          struct tls_problem *problem)
{
    size_t count = 0;
    while (from != NULL && from[count] != NULL) {
        if (from[count][0] == '\0' || strlen(from[count]) > NAME_MAX_BYTES || count == LIST_MAX) {
            tls_problem_set(problem, field, "must be at most %d words of 1 to %d letters", LIST_MAX,
                            NAME_MAX_BYTES);
            return ERR_INVALID;
        }
        count++;
    }
    if (count == 0) {
        return OK;
    }
    *into = (char **)calloc(count + 1, sizeof(char *));
    for (size_t i = 0; *into != NULL && i < count; i++) {
        (*into)[i] = strdup(from[i]);
        if ((*into)[i] == NULL) {
            list_free(*into);
            *into = NULL;
        }
    }
    return *into != NULL ? OK : ERR_NO_MEMORY;
}

static enum err copy_strings(struct tls_client *client, const struct tls_client_options *options,
                             struct tls_problem *problem)
{
    const bool has_text = options->ca.text != NULL;
    const char *trust = options->ca.path != NULL ? options->ca.path
                        : has_text               ? "(given as text)"
                                                 : TLS_SYSTEM_CA;
    enum err result = list_copy(options->subject_alt_names, "subjectAltNames",
                                &client->subject_alt_names, problem);
    if (result == OK) {
        result = list_copy(options->alpn, "alpn", &client->alpn, problem);
    }
    client->trust = strdup(trust);
    if (options->server_name != NULL) {
        client->server_name = strdup(options->server_name);
        if (client->server_name != NULL && strlen(client->server_name) > NAME_MAX_BYTES) {
            tls_problem_set(problem, "serverName", "is longer than %d letters", NAME_MAX_BYTES);
            result = ERR_TOO_LARGE;
        }
    }
    if (result == OK &&
        (client->trust == NULL || (options->server_name != NULL && client->server_name == NULL))) {
        result = ERR_NO_MEMORY;
    }
    return result;
}

/* ---- what is asked of us ---- */

static enum err check_options(const struct tls_client_options *options, struct tls_problem *problem)
{
    const bool has_cert = options->cert.path != NULL || options->cert.text != NULL;
    const bool has_key = options->key.path != NULL || options->key.text != NULL;
    if (options->min_version == TLS_1_3 && !TLS_MBED_HAS_1_3) {
        tls_problem_set(problem, "minVersion",
                        "TLS 1.3 is not to be had with this build (mbedTLS " MBEDTLS_VERSION_STRING
                        "; 3.x has it): leave minVersion at 1.2, with which only ECDHE and AEAD "
                        "are used");
        return ERR_INVALID;
    }
    if (has_cert != has_key) {
        tls_problem_set(problem, has_cert ? "keyFile" : "certFile",
                        "certFile and keyFile belong together, but only %s is given",
                        has_cert ? "certFile" : "keyFile");
        return ERR_INVALID;
    }
    return OK;
}

static enum err load_files(struct tls_client *client, const struct tls_client_options *options,
                           struct tls_problem *problem)
{
    enum err result = OK;
    client->has_own_cert = options->cert.path != NULL || options->cert.text != NULL;
    client->skips_verification = options->skips_verification;
    client->is_1_3 = options->min_version == TLS_1_3;
    if (!options->skips_verification) {
        result = tls_pem_authorities(&options->ca, &client->ca, problem);
    }
    if (result == OK && client->has_own_cert) {
        result = tls_pem_own(&options->cert, &options->key, &client->cert, &client->key, problem);
    }
    return result;
}

static const char **protocols(struct tls_client *client, enum tls_alpn alpn)
{
    static const char *http1[] = {"http/1.1", NULL};
    static const char *http2[] = {"h2", NULL};
    if (alpn == TLS_ALPN_ANY) {
        return (const char **)client->alpn;
    }
    return alpn == TLS_ALPN_HTTP1 ? http1 : http2;
}

static enum err configure(struct tls_client *client, enum tls_alpn alpn)
{
    mbedtls_ssl_config *config = &client->configs[alpn];
    const char **offered = protocols(client, alpn);
    if (mbedtls_ssl_config_defaults(config, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
                                    MBEDTLS_SSL_PRESET_DEFAULT) != 0) {
        return ERR_NO_MEMORY;
    }
    mbedtls_ssl_conf_rng(config, tls_random, NULL);
    tls_mbed_configure(config, client->is_1_3);
    tls_mbed_configure_secrets(config);
    mbedtls_ssl_conf_ciphersuites(config, tls_suites);
    mbedtls_ssl_conf_cert_profile(config, &profile);
    mbedtls_ssl_conf_authmode(config, client->skips_verification ? MBEDTLS_SSL_VERIFY_NONE
                                                                 : MBEDTLS_SSL_VERIFY_REQUIRED);
    mbedtls_ssl_conf_ca_chain(config, &client->ca, NULL);
    mbedtls_ssl_conf_session_tickets(config, MBEDTLS_SSL_SESSION_TICKETS_ENABLED);
#if defined(MBEDTLS_SSL_RENEGOTIATION)
    mbedtls_ssl_conf_renegotiation(config, MBEDTLS_SSL_RENEGOTIATION_DISABLED);
#endif
    mbedtls_ssl_conf_legacy_renegotiation(config, MBEDTLS_SSL_LEGACY_NO_RENEGOTIATION);
#if defined(MBEDTLS_SSL_EXTENDED_MASTER_SECRET)
    mbedtls_ssl_conf_extended_master_secret(config, MBEDTLS_SSL_EXTENDED_MS_ENABLED);
#endif
    if (offered != NULL && mbedtls_ssl_conf_alpn_protocols(config, offered) != 0) {
        return ERR_NO_MEMORY;
    }
    if (client->has_own_cert &&
        mbedtls_ssl_conf_own_cert(config, &client->cert, &client->key) != 0) {
        return ERR_NO_MEMORY;
    }
    return OK;
}

/* ---- life ---- */

static void client_free(struct tls_client *client)
{
    tls_session_cache_fini(&client->sessions);
    for (int alpn = 0; alpn < TLS_ALPN_SETS; alpn++) {
        mbedtls_ssl_config_free(&client->configs[alpn]);
    }
    mbedtls_x509_crt_free(&client->ca);
    mbedtls_x509_crt_free(&client->cert);
    mbedtls_pk_free(&client->key);
    list_free(client->alpn);
    list_free(client->subject_alt_names);
    free(client->server_name);
    free(client->trust);
    client->magic = 0;
    free(client);
}

enum err tls_client_new(const struct tls_client_options *options, struct tls_problem *problem,
                        struct tls_client **client)
{
    enum err result;
    struct tls_client *made = calloc(1, sizeof(*made));
    tls_problem_set(problem, "tls", "%s", err_text(ERR_NO_MEMORY)); /* unless something else */
    if (made == NULL) {
        return ERR_NO_MEMORY;
    }
    made->magic = TLS_CLIENT_MAGIC;
    atomic_init(&made->refs, 1);
    tls_session_cache_init(&made->sessions);
    for (int alpn = 0; alpn < TLS_ALPN_SETS; alpn++) {
        mbedtls_ssl_config_init(&made->configs[alpn]);
    }
    mbedtls_x509_crt_init(&made->ca);
    mbedtls_x509_crt_init(&made->cert);
    mbedtls_pk_init(&made->key);
    result = check_options(options, problem);
    if (result == OK) {
        result = copy_strings(made, options, problem);
    }
    if (result == OK) {
        result = load_files(made, options, problem);
    }
    for (int alpn = 0; result == OK && alpn < TLS_ALPN_SETS; alpn++) {
        result = configure(made, (enum tls_alpn)alpn);
    }
    if (result != OK) {
        client_free(made);
        return result;
    }
    *client = made;
    return OK;
}

struct tls_client *tls_client_ref(struct tls_client *client)
{
    tls_client_check(client);
    atomic_fetch_add_explicit(&client->refs, 1, memory_order_relaxed);
    return client;
}

void tls_client_unref(struct tls_client **client)
{
    struct tls_client *held = *client;
    *client = NULL;
    if (held != NULL) {
        tls_client_check(held);
        if (atomic_fetch_sub_explicit(&held->refs, 1, memory_order_acq_rel) == 1) {
            client_free(held);
        }
    }
}
