/* tls_pem.c - see tls_pem.h. mbedTLS says "X509 - The CRT/CRL/CSR format is invalid"; the person at
 * 3 a.m. wants to know that the key was mounted where the certificate belongs. */
#include "net/tls_pem.h"

#include "net/tls_mbed.h"

#include <errno.h>
#include <fcntl.h>
#include <mbedtls/error.h>
#include <mbedtls/pem.h>
#include <mbedtls/platform_util.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX_BYTES (4U << 20) /* the system's bundle is 220 KiB */
#define RSA_MIN_BITS 2048

struct text {
    unsigned char *bytes; /* ends with NUL, as mbedTLS wants PEM */
    size_t len;           /* with the NUL */
};

void tls_problem_set(struct tls_problem *problem, const char *field, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    problem->field = field;
    (void)vsnprintf(problem->text, sizeof(problem->text), format, arguments);
    va_end(arguments);
}

static const char *name_of(const struct tls_pem *pem)
{
    return pem->path != NULL ? pem->path : "(given as text)";
}

static void text_free(struct text *text)
{
    if (text->bytes != NULL) {
        mbedtls_platform_zeroize(text->bytes, text->len); /* it may be a key */
        free(text->bytes);
        text->bytes = NULL;
    }
}

/* ---- reading ---- */

static enum err read_all(int fd, struct text *text)
{
    ssize_t got = 0;
    size_t len = 0;
    text->bytes = malloc(FILE_MAX_BYTES + 1);
    text->len = FILE_MAX_BYTES + 1;
    if (text->bytes == NULL) {
        return ERR_NO_MEMORY;
    }
    while (len < FILE_MAX_BYTES) {
        got = read(fd, text->bytes + len, FILE_MAX_BYTES - len);
        if (got == 0 || (got < 0 && errno != EINTR)) {
            break;
        }
        len += got > 0 ? (size_t)got : 0;
    }
    if (got < 0) {
        return err_from_errno(errno);
    }
    text->bytes[len] = '\0';
    text->len = len + 1;
    return len == FILE_MAX_BYTES ? ERR_TOO_LARGE : OK;
}

static enum err read_file(const char *path, struct text *text, const char *field,
                          struct tls_problem *problem)
{
    enum err result = OK;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        result = err_from_errno(errno);
        tls_problem_set(problem, field, "%s cannot be opened: %s%s", path, strerror(errno),
                        errno == ENOENT   ? "; is the secret mounted, and the path spelled right?"
                        : errno == EACCES ? "; let the proxy's user (uid 2102) read it"
                                          : "");
        return result;
    }
    result = read_all(fd, text);
    if (result != OK) {
        tls_problem_set(problem, field, "%s cannot be read: %s", path, err_text(result));
    }
    (void)close(fd);
    return result;
}

static enum err load(const struct tls_pem *pem, struct text *text, const char *field,
                     struct tls_problem *problem)
{
    if (pem->text == NULL) {
        return read_file(pem->path, text, field, problem);
    }
    text->bytes = malloc(pem->len + 1);
    if (text->bytes == NULL) {
        tls_problem_set(problem, field, "%s", err_text(ERR_NO_MEMORY));
        return ERR_NO_MEMORY;
    }
    memcpy(text->bytes, pem->text, pem->len);
    text->bytes[pem->len] = '\0';
    text->len = pem->len + 1;
    return OK;
}

/* ---- certificates ---- */

static bool has(const struct text *text, const char *what)
{
    return strstr((const char *)text->bytes, what) != NULL;
}

static enum err bad_certificate(int status, const struct text *text, const struct tls_pem *pem,
                                const char *field, struct tls_problem *problem)
{
    char why[160];
    if (text->len <= 1) {
        tls_problem_set(problem, field, "%s is empty; it should hold a certificate in PEM",
                        name_of(pem));
    } else if (!has(text, "-----BEGIN CERTIFICATE-----")) {
        tls_problem_set(problem, field,
                        "%s holds no certificate in PEM (no -----BEGIN CERTIFICATE-----)%s",
                        name_of(pem),
                        has(text, "PRIVATE KEY-----") ? "; it holds a private key: are the two "
                                                        "files swapped?"
                                                      : "; convert DER with openssl x509 -inform "
                                                        "der");
    } else if (status > 0) {
        tls_problem_set(problem, field,
                        "%d of the certificates in %s cannot be read; a broken copy is likely: "
                        "compare it with its source",
                        status, name_of(pem));
    } else {
        mbedtls_strerror(status, why, sizeof(why));
        tls_problem_set(problem, field,
                        "no certificate in %s can be read (%s); a broken copy is "
                        "likely: compare it with its source",
                        name_of(pem), why);
    }
    return ERR_INVALID;
}

static enum err parse_certificates(const struct tls_pem *pem, bool is_lenient, const char *field,
                                   mbedtls_x509_crt *into, struct tls_problem *problem)
{
    struct text text = {0};
    enum err result = load(pem, &text, field, problem);
    if (result == OK) {
        const int status = mbedtls_x509_crt_parse(into, text.bytes, text.len);
        if (status < 0 || (status > 0 && !is_lenient)) {
            result = bad_certificate(status, &text, pem, field, problem);
        }
    }
    text_free(&text);
    return result;
}

enum err tls_pem_authorities(const struct tls_pem *pem, mbedtls_x509_crt *into,
                             struct tls_problem *problem)
{
    const struct tls_pem system = {.path = TLS_SYSTEM_CA};
    enum err result;
    if (pem->path != NULL || pem->text != NULL) {
        return parse_certificates(pem, false, "caFile", into, problem);
    }
    result = parse_certificates(&system, true, "caFile", into, problem);
    if (result == ERR_NOT_FOUND) {
        tls_problem_set(problem, "caFile",
                        "none is given, and this system has no %s: install "
                        "ca-certificates, or name the file of your authority",
                        TLS_SYSTEM_CA);
    }
    return result;
}

/* ---- our own ---- */

static enum err check_time(const struct tls_pem *pem, const mbedtls_x509_crt *cert,
                           struct tls_problem *problem)
{
    const mbedtls_x509_time *from = &cert->valid_from;
    const mbedtls_x509_time *until = &cert->valid_to;
    if (mbedtls_x509_time_is_past(until)) {
        tls_problem_set(problem, "certFile",
                        "our own certificate in %s expired %04d-%02d-%02d: renew it", name_of(pem),
                        until->year, until->mon, until->day);
        return ERR_INVALID;
    }
    if (mbedtls_x509_time_is_future(from)) {
        tls_problem_set(problem, "certFile",
                        "our own certificate in %s is not valid before %04d-%02d-%02d: is this "
                        "machine's clock right?",
                        name_of(pem), from->year, from->mon, from->day);
        return ERR_INVALID;
    }
    return OK;
}

static enum err bad_key(int status, const struct text *text, const struct tls_pem *pem,
                        struct tls_problem *problem)
{
    char why[160];
    if (has(text, "ENCRYPTED")) {
        tls_problem_set(problem, "keyFile",
                        "the key in %s is encrypted, and we have no pass phrase: decrypt it with "
                        "openssl pkey, and guard the file by its mode",
                        name_of(pem));
    } else if (!has(text, "PRIVATE KEY-----")) {
        tls_problem_set(problem, "keyFile", "%s holds no private key in PEM%s", name_of(pem),
                        has(text, "-----BEGIN CERTIFICATE-----")
                            ? "; it holds a certificate: are the two files swapped?"
                            : "");
    } else {
        mbedtls_strerror(status, why, sizeof(why));
        tls_problem_set(problem, "keyFile",
                        "the key in %s cannot be used (%s); RSA and ECDSA keys (P-256, P-384) can",
                        name_of(pem), why);
    }
    return ERR_INVALID;
}

static enum err check_pair(const struct tls_pem *cert_pem, const struct tls_pem *key_pem,
                           mbedtls_x509_crt *cert, mbedtls_pk_context *key,
                           struct tls_problem *problem)
{
    if (mbedtls_pk_can_do(key, MBEDTLS_PK_RSA) && mbedtls_pk_get_bitlen(key) < RSA_MIN_BITS) {
        tls_problem_set(problem, "keyFile",
                        "the key in %s is RSA with %zu bits; at least %d are "
                        "needed",
                        name_of(key_pem), mbedtls_pk_get_bitlen(key), RSA_MIN_BITS);
        return ERR_INVALID;
    }
    if (tls_mbed_check_pair(&cert->pk, key) != 0) {
        tls_problem_set(problem, "keyFile",
                        "the key in %s is not the one of the certificate in %s: were they renewed "
                        "together? (the host's own certificate comes first in its file)",
                        name_of(key_pem), name_of(cert_pem));
        return ERR_INVALID;
    }
    return OK;
}

static enum err parse_key(const struct tls_pem *pem, mbedtls_pk_context *into,
                          struct tls_problem *problem)
{
    struct text text = {0};
    enum err result = load(pem, &text, "keyFile", problem);
    if (result == OK) {
        const int status = tls_mbed_parse_key(into, text.bytes, text.len);
        if (status != 0) {
            result = bad_key(status, &text, pem, problem);
        }
    }
    text_free(&text);
    return result;
}

enum err tls_pem_own(const struct tls_pem *cert, const struct tls_pem *key,
                     mbedtls_x509_crt *into_cert, mbedtls_pk_context *into_key,
                     struct tls_problem *problem)
{
    enum err result = parse_certificates(cert, false, "certFile", into_cert, problem);
    if (result == OK) {
        result = check_time(cert, into_cert, problem);
    }
    if (result == OK) {
        result = parse_key(key, into_key, problem);
    }
    if (result == OK) {
        result = check_pair(cert, key, into_cert, into_key, problem);
    }
    return result;
}
