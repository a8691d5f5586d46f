/* tls_client_own.h - the inside of a tls_client, for the other tls_*.c only. Everything but `refs`
 * and `sessions` is constant once tls_client_new has returned. Example: client->configs[alpn] is
 * what mbedtls_ssl_setup takes. */
#ifndef OUTRIGGER_NET_TLS_CLIENT_OWN_H
#define OUTRIGGER_NET_TLS_CLIENT_OWN_H

#include "net/tls_client.h"
#include "net/tls_session.h"

#include <mbedtls/ssl.h>
#include <stdatomic.h>
#include <stdint.h>

struct tls_client {
    uint32_t magic;
    atomic_uint refs;
    bool skips_verification;
    bool has_own_cert;
    bool is_1_3;
    char *server_name;        /* or NULL */
    char *trust;              /* where the authorities come from, for messages */
    char **subject_alt_names; /* NULL-terminated, or NULL */
    char **alpn;
    mbedtls_x509_crt ca;
    mbedtls_x509_crt cert;
    mbedtls_pk_context key;
    mbedtls_ssl_config configs[TLS_ALPN_SETS]; /* they differ in that alone */
    struct tls_session_cache sessions;
};

extern const int tls_suites[];
/* Ends with 0; ECDHE and AEAD only, by preference. */

void tls_client_check(const struct tls_client *client);
/* Aborts when it is none. */

#endif
