/* codes.h - sets of HTTP statuses, gRPC codes and methods, as bits. Plain values, copied freely.
 * Example: struct code_set retried = {0}; code_set_add_http(&retried, 503); then
 * code_set_has_http(&retried, 503) is true. What a set cannot hold is never in it. Any thread. */
#ifndef OUTRIGGER_BASE_CODES_H
#define OUTRIGGER_BASE_CODES_H

#include <stdbool.h>
#include <stdint.h>

struct code_set {
    uint64_t http[10]; /* one bit per status 0..639 */
    uint32_t grpc;     /* one bit per gRPC code 0..16 */
};

#define CODE_SET_HTTP_END 640

static inline void code_set_add_http(struct code_set *set, int status)
{
    if ((unsigned)status < CODE_SET_HTTP_END)
        set->http[(unsigned)status / 64] |= UINT64_C(1) << ((unsigned)status % 64);
}

static inline bool code_set_has_http(const struct code_set *set, int status)
{
    return (unsigned)status < CODE_SET_HTTP_END &&
           ((set->http[(unsigned)status / 64] >> ((unsigned)status % 64)) & 1);
}

static inline void code_set_add_grpc(struct code_set *set, int code)
{
    if ((unsigned)code < 32)
        set->grpc |= UINT32_C(1) << code;
}

static inline bool code_set_has_grpc(const struct code_set *set, int code)
{
    return (unsigned)code < 32 && ((set->grpc >> code) & 1);
}

int code_set_caller_status(const struct code_set *set);
/* The first status in it that is the caller's own doing and will not change when the same request
 * is made again (400, 401, 403, 404 ...; not 408, 409, 421, 423, 425, 429); 0 when there is none.
 */

int code_set_caller_grpc(const struct code_set *set);
/* The same for gRPC codes: INVALID_ARGUMENT, NOT_FOUND, PERMISSION_DENIED ... */

/* METHOD(NAME, idempotent by RFC 9110 section 9.2.2) */
#define METHOD_LIST(X)                                                                             \
    X(GET, true)                                                                                   \
    X(HEAD, true)                                                                                  \
    X(OPTIONS, true)                                                                               \
    X(PUT, true)                                                                                   \
    X(DELETE, true)                                                                                \
    X(TRACE, true)                                                                                 \
    X(POST, false)                                                                                 \
    X(PATCH, false)                                                                                \
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
/* "GET"; "OTHER" for METHOD_OTHER. */

bool method_is_idempotent(enum method method);
/* RFC 9110 section 9.2.2; what we have no name for is not. */

int grpc_code_from(const char *name, unsigned long len);
/* "UNAVAILABLE" -> 14; -1 when unknown. */

const char *grpc_code_word(int code);
/* 14 -> "UNAVAILABLE"; "UNKNOWN" for what gRPC does not define. */

#endif
