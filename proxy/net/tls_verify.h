/* tls_verify.h - what we think of the certificate that an upstream shows, and the words for it.
 * mbedTLS builds the chain to an authority of ours and checks times, signatures and DNS names; here
 * are IP addresses (which 2.28 does not know), subjectAltNames (SPIFFE) and the verdict.
 *
 * Example: tls_verdict_init(&verdict, client, "api.local");
 *          mbedtls_ssl_set_verify(ssl, tls_verify, &verdict);
 *          ... the handshake fails with flags ...
 *          reason = tls_verdict_reason(flags); tls_verdict_words(&verdict, flags, words,
 * sizeof(words));
 *
 * One thread at a time. The certificate is a peer's: every text taken from it is bounded and
 * stripped of what is not printable. */
#ifndef OUTRIGGER_NET_TLS_VERIFY_H
#define OUTRIGGER_NET_TLS_VERIFY_H

#include "base/reason.h"
#include "net/tls_client.h"

#include <mbedtls/x509_crt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLS_NAMES_BYTES 128

struct tls_verdict {
    const struct tls_client *client;
    const char *server_name; /* as asked for */
    uint8_t ip[16];          /* when the name is one */
    size_t ip_len;           /* 0, 4 or 16 */
    bool is_self_signed;
    bool is_by_issuer; /* the time that is wrong is an issuer's, not the server's own */
    mbedtls_x509_time valid_from;
    mbedtls_x509_time valid_to;
    char names[TLS_NAMES_BYTES];  /* whom it is for */
    char issuer[TLS_NAMES_BYTES]; /* who says so */
};

void tls_verdict_init(struct tls_verdict *verdict, const struct tls_client *client,
                      const char *server_name);
/* Both must outlive the verdict. */

int tls_verify(void *verdict, mbedtls_x509_crt *cert, int depth, uint32_t *flags);
/* mbedTLS's callback, once for each certificate of the chain, the server's own last (depth 0). */

enum reason tls_verdict_reason(uint32_t flags);
/* REASON_TLS_UNTRUSTED, _TLS_EXPIRED or _TLS_NAME_MISMATCH; REASON_NONE for no flags. When several
 * things are wrong, the one that makes the others meaningless. */

void tls_verdict_words(const struct tls_verdict *verdict, uint32_t flags, char *words, size_t len);
/* "its certificate is for api.example, not for payments". */

#endif
