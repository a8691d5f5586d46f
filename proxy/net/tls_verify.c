/* tls_verify.c - see tls_verify.h. Invariant: unless the client skips verification, a handshake
 * ends well only after one of three checks of the server's own certificate has: its DNS names by
 * mbedTLS, its IP addresses by us, or its subjectAltNames by us. In the last two cases mbedTLS's
 * opinion of the name, if it has one, is replaced by ours. */
#include "net/tls_verify.h"

#include "net/tls_client_own.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <mbedtls/asn1.h>
#include <stdio.h>
#include <string.h>

/* GeneralName, RFC 5280 section 4.2.1.6 */
#define SAN_DNS (MBEDTLS_ASN1_CONTEXT_SPECIFIC | 2)
#define SAN_URI (MBEDTLS_ASN1_CONTEXT_SPECIFIC | 6)
#define SAN_IP (MBEDTLS_ASN1_CONTEXT_SPECIFIC | 7)

static size_t parse_ip(const char *text, uint8_t ip[16])
{
    return inet_pton(AF_INET, text, ip) == 1 ? 4 : inet_pton(AF_INET6, text, ip) == 1 ? 16 : 0;
}

void tls_verdict_init(struct tls_verdict *verdict, const struct tls_client *client,
                      const char *server_name)
{
    memset(verdict, 0, sizeof(*verdict));
    verdict->client = client;
    verdict->server_name = server_name;
    verdict->ip_len = parse_ip(server_name, verdict->ip);
}

/* ---- names ---- */

static const mbedtls_x509_sequence *first_san(const mbedtls_x509_crt *cert)
{
    return cert->subject_alt_names.buf.p != NULL ? &cert->subject_alt_names : NULL;
}

static bool has_san(const mbedtls_x509_crt *cert, int tag, const void *value, size_t len)
{
    for (const mbedtls_x509_sequence *san = first_san(cert); san != NULL; san = san->next) {
        if (san->buf.tag == tag && san->buf.len == len && memcmp(san->buf.p, value, len) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_one_of_ours(const mbedtls_x509_crt *cert, char *const *wanted)
{
    for (; *wanted != NULL; wanted++) {
        uint8_t ip[16];
        const size_t ip_len = parse_ip(*wanted, ip);
        const size_t len = strlen(*wanted);
        if (ip_len > 0
                ? has_san(cert, SAN_IP, ip, ip_len)
                : has_san(cert, SAN_URI, *wanted, len) || has_san(cert, SAN_DNS, *wanted, len)) {
            return true;
        }
    }
    return false;
}

static void check_name(const struct tls_verdict *verdict, const mbedtls_x509_crt *cert,
                       uint32_t *flags)
{
    bool is_right;
    if (verdict->client->subject_alt_names != NULL) {
        is_right = is_one_of_ours(cert, verdict->client->subject_alt_names);
    } else if (verdict->ip_len > 0) {
        is_right = has_san(cert, SAN_IP, verdict->ip, verdict->ip_len);
    } else {
        return; /* mbedTLS has done it */
    }
    *flags &= ~(uint32_t)MBEDTLS_X509_BADCERT_CN_MISMATCH;
    *flags |= is_right ? 0 : MBEDTLS_X509_BADCERT_CN_MISMATCH;
}

/* ---- what to remember for the words ---- */

static void make_printable(char *text)
{
    for (; *text != '\0'; text++) {
        if (!isprint((unsigned char)*text) || *text == '"') {
            *text = '?';
        }
    }
}

static void add_name(char *names, const mbedtls_x509_buf *san)
{
    const size_t used = strlen(names);
    char ip[INET6_ADDRSTRLEN] = "?";
    const char *text = (const char *)san->p;
    int len = san->len < TLS_NAMES_BYTES ? (int)san->len : TLS_NAMES_BYTES;
    if (san->tag == SAN_IP) {
        (void)inet_ntop(san->len == 4 ? AF_INET : AF_INET6, san->p, ip, sizeof(ip));
        text = ip;
        len = (int)strlen(ip);
    } else if (san->tag != SAN_DNS && san->tag != SAN_URI) {
        return;
    }
    (void)snprintf(names + used, TLS_NAMES_BYTES - used, "%s%.*s", used > 0 ? ", " : "", len, text);
}

static void remember_names(struct tls_verdict *verdict, const mbedtls_x509_crt *cert)
{
    verdict->names[0] = '\0';
    for (const mbedtls_x509_sequence *san = first_san(cert); san != NULL; san = san->next) {
        if (san->buf.tag != SAN_IP || san->buf.len == 4 || san->buf.len == 16) {
            add_name(verdict->names, &san->buf);
        }
    }
    if (verdict->names[0] == '\0' &&
        mbedtls_x509_dn_gets(verdict->names, TLS_NAMES_BYTES, &cert->subject) < 0) {
        (void)snprintf(verdict->names, TLS_NAMES_BYTES, "a name too long to print");
    }
    if (mbedtls_x509_dn_gets(verdict->issuer, TLS_NAMES_BYTES, &cert->issuer) < 0) {
        (void)snprintf(verdict->issuer, TLS_NAMES_BYTES, "a name too long to print");
    }
    make_printable(verdict->names);
    make_printable(verdict->issuer);
    verdict->is_self_signed =
        cert->issuer_raw.len == cert->subject_raw.len &&
        memcmp(cert->issuer_raw.p, cert->subject_raw.p, cert->issuer_raw.len) == 0;
}

int tls_verify(void *context, mbedtls_x509_crt *cert, int depth, uint32_t *flags)
{
    struct tls_verdict *verdict = context;
    const uint32_t times = MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE;
    const bool is_issuer_late = verdict->is_by_issuer;
    if (depth == 0) {
        check_name(verdict, cert, flags);
        remember_names(verdict, cert);
    }
    if (*flags & times || (depth == 0 && !is_issuer_late)) {
        verdict->valid_from = cert->valid_from;
        verdict->valid_to = cert->valid_to;
        verdict->is_by_issuer = depth > 0;
    }
    return 0;
}

/* ---- the verdict ---- */

enum reason tls_verdict_reason(uint32_t flags)
{
    if (flags == 0) {
        return REASON_NONE;
    }
    if (flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED) {
        return REASON_TLS_UNTRUSTED; /* who believes its dates and names? */
    }
    if (flags & (MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE)) {
        return REASON_TLS_EXPIRED;
    }
    if (flags & MBEDTLS_X509_BADCERT_CN_MISMATCH) {
        return REASON_TLS_NAME_MISMATCH;
    }
    return REASON_TLS_UNTRUSTED;
}

static void time_words(const struct tls_verdict *verdict, uint32_t flags, char *words, size_t len)
{
    const char *whose = verdict->is_by_issuer ? "a certificate of its issuer's" : "its certificate";
    const mbedtls_x509_time *at =
        flags & MBEDTLS_X509_BADCERT_EXPIRED ? &verdict->valid_to : &verdict->valid_from;
    (void)snprintf(words, len, "%s %s %04d-%02d-%02d%s", whose,
                   flags & MBEDTLS_X509_BADCERT_EXPIRED ? "expired" : "is not valid before",
                   at->year, at->mon, at->day,
                   flags & MBEDTLS_X509_BADCERT_EXPIRED ? "" : ": is a clock wrong?");
}

static void trust_words(const struct tls_verdict *verdict, char *words, size_t len)
{
    if (verdict->is_self_signed) {
        (void)snprintf(words, len, "its certificate is self-signed (%s), and not in %s",
                       verdict->names, verdict->client->trust);
    } else {
        (void)snprintf(words, len,
                       "its certificate was issued by \"%s\", and no chain leads from there to an "
                       "authority in %s",
                       verdict->issuer, verdict->client->trust);
    }
}

static void name_words(const struct tls_verdict *verdict, char *words, size_t len)
{
    char *const *wanted = verdict->client->subject_alt_names;
    if (wanted != NULL) {
        (void)snprintf(words, len, "its certificate is for %s, not for %s%s (subjectAltNames)",
                       verdict->names, wanted[0], wanted[1] != NULL ? " or another" : "");
    } else {
        (void)snprintf(words, len, "its certificate is for %s, not for %s", verdict->names,
                       verdict->server_name);
    }
}

void tls_verdict_words(const struct tls_verdict *verdict, uint32_t flags, char *words, size_t len)
{
    const enum reason reason = tls_verdict_reason(flags);
    if (flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED) {
        trust_words(verdict, words, len);
    } else if (reason == REASON_TLS_EXPIRED) {
        time_words(verdict, flags, words, len);
    } else if (reason == REASON_TLS_NAME_MISMATCH) {
        name_words(verdict, words, len);
    } else if (flags & (MBEDTLS_X509_BADCERT_BAD_MD | MBEDTLS_X509_BADCERT_BAD_PK)) {
        (void)snprintf(words, len,
                       "a certificate of its chain is signed in a way that is no longer "
                       "safe (SHA-1 or older): have it reissued with SHA-256");
    } else if (flags & MBEDTLS_X509_BADCERT_BAD_KEY) {
        (void)snprintf(words, len,
                       "a key of its chain is too weak: RSA needs 2048 bits, ECDSA the "
                       "curve P-256 or P-384");
    } else if (flags & (MBEDTLS_X509_BADCERT_EXT_KEY_USAGE | MBEDTLS_X509_BADCERT_KEY_USAGE |
                        MBEDTLS_X509_BADCERT_NS_CERT_TYPE)) {
        (void)snprintf(words, len,
                       "its certificate (%s) is not for servers: its key usage lacks "
                       "serverAuth or digitalSignature",
                       verdict->names);
    } else {
        (void)snprintf(words, len, "its certificate was refused (mbedTLS flags 0x%x)",
                       (unsigned)flags);
    }
}
