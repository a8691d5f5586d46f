/* tls_pem.h - reads certificates and keys for a tls_client, and says in words what is wrong with
 * them. Example: tls_pem_own(&options->cert, &options->key, cert, key, problem). On an error
 * `problem` is filled in. Blocks on files: not for the loop. */
#ifndef OUTRIGGER_NET_TLS_PEM_H
#define OUTRIGGER_NET_TLS_PEM_H

#include "net/tls_client.h"

#include <mbedtls/pk.h>
#include <mbedtls/x509_crt.h>

void tls_problem_set(struct tls_problem *problem, const char *field, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

enum err MUST_CHECK tls_pem_authorities(const struct tls_pem *pem, mbedtls_x509_crt *into,
                                        struct tls_problem *problem);
/* At least one; of the system's bundle those that we cannot read are left out. */

enum err MUST_CHECK tls_pem_own(const struct tls_pem *cert, const struct tls_pem *key,
                                mbedtls_x509_crt *into_cert, mbedtls_pk_context *into_key,
                                struct tls_problem *problem);
/* Both, and that they belong together, and that today lies within the certificate's time. */

#endif
