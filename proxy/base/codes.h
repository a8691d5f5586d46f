/* codes.h - sets of HTTP statuses, gRPC codes and methods, as bits. Plain values, copied freely. */
#ifndef OUTRIGGER_BASE_CODES_H
#define OUTRIGGER_BASE_CODES_H

#include <stdbool.h>
#include <stdint.h>

struct code_set {
    uint64_t http[10]; /* one bit per status 0..639 */
    uint32_t grpc;     /* one bit per gRPC code 0..16 */
};

static inline void code_set_add_http(struct code_set *set, int status)
{
    set->http[(unsigned)status / 64 % 10] |= UINT64_C(1) << ((unsigned)status % 64);
}

static inline bool code_set_has_http(const struct code_set *set, int status)
{
    return (set->http[(unsigned)status / 64 % 10] >> ((unsigned)status % 64)) & 1;
}

static inline bool code_set_has_grpc(const struct code_set *set, int code)
{
    return code >= 0 && code < 32 && ((set->grpc >> code) & 1);
}

/* METHOD(NAME, idempotent by RFC 9110 section 9.2.2) */
#define METHOD_LIST(X)                                                                                                 \
    X(GET, true)                                                                                                       \
    X(HEAD, true)                                                                                                      \
    X(OPTIONS, true)                                                                                                   \
    X(PUT, true)                                                                                                       \
    X(DELETE, true)                                                                                                    \
    X(TRACE, true)                                                                                                     \
    X(POST, false)                                                                                                     \
    X(PATCH, false)                                                                                                    \
    X(CONNECT, false)

enum method {
    METHOD_OTHER = 0, /* a valid token that we have no name for */
#define X(name, idempotent) METHOD_##name,
    METHOD_LIST(X)
#undef X
        METHOD_COUNT
};

static inline uint32_t method_bit(enum method method)
{
    return UINT32_C(1) << method;
}

enum method method_from(const char *name, unsigned long len);
/* Case-sensitive (RFC 9110 section 9.1); METHOD_OTHER when unknown. */

const char *method_word(enum method method);
bool method_is_idempotent(enum method method);

int grpc_code_from(const char *name, unsigned long len);
/* "UNAVAILABLE" -> 14; -1 when unknown. */

const char *grpc_code_word(int code);
/* 14 -> "UNAVAILABLE"; "UNKNOWN" for what gRPC does not define. */

#endif
