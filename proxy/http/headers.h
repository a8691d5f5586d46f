/* headers.h - the field names that Outrigger gives a meaning to, as small numbers.
 *
 * A name is looked up once, when it is parsed; from then on `id` is compared, never the string.
 * HEADER_OTHER is a valid name that has no meaning here. The table below is the one list: enum,
 * words, lookup and rules come from it. Example: header_id_from("Content-Length", 14) ==
 * HEADER_CONTENT_LENGTH. Constant data, any thread. */
#ifndef OUTRIGGER_HTTP_HEADERS_H
#define OUTRIGGER_HTTP_HEADERS_H

#include "base/span.h"

#include <stdint.h>

enum header_rule {
    HEADER_PLAIN = 0,
    HEADER_HOP =
        1
        << 0, /* between two neighbours only: never forwarded as it came (RFC 9110 section 7.6.1) */
    HEADER_FIXED =
        1
        << 1, /* naming it in Connection does not cut it: we write it, or loop detection needs it */
    HEADER_NO_TRAILER =
        1
        << 2, /* dropped from trailers: framing, routing, identity, type (RFC 9110 section 6.5.1) */
    HEADER_LOCAL = 1 << 3, /* Outrigger's own word about this hop: what a peer says in it is cut */
    HEADER_FRAMING = 1 << 4, /* says where the body ends: always written anew */
};

/* X(NAME, word, first letter, last letter, rules); the letters feed the perfect hash in headers.c.
 */
#define HEADER_LIST(X)                                                                             \
    X(HOST, "host", 'h', 't', HEADER_FIXED | HEADER_NO_TRAILER)                                    \
    X(CONNECTION, "connection", 'c', 'n', HEADER_HOP | HEADER_NO_TRAILER)                          \
    X(KEEP_ALIVE, "keep-alive", 'k', 'e', HEADER_HOP | HEADER_NO_TRAILER)                          \
    X(PROXY_CONNECTION, "proxy-connection", 'p', 'n', HEADER_HOP | HEADER_NO_TRAILER)              \
    X(PROXY_AUTHORIZATION, "proxy-authorization", 'p', 'n', HEADER_HOP | HEADER_NO_TRAILER)        \
    X(PROXY_AUTHENTICATE, "proxy-authenticate", 'p', 'e', HEADER_HOP | HEADER_NO_TRAILER)          \
    X(PROXY_AUTHENTICATION_INFO, "proxy-authentication-info", 'p', 'o',                            \
      HEADER_HOP | HEADER_NO_TRAILER)                                                              \
    X(TE, "te", 't', 'e', HEADER_HOP | HEADER_NO_TRAILER)                                          \
    X(TRAILER, "trailer", 't', 'r', HEADER_NO_TRAILER)                                             \
    X(TRANSFER_ENCODING, "transfer-encoding", 't', 'g',                                            \
      HEADER_HOP | HEADER_FRAMING | HEADER_FIXED | HEADER_NO_TRAILER)                              \
    X(CONTENT_LENGTH, "content-length", 'c', 'h',                                                  \
      HEADER_FRAMING | HEADER_FIXED | HEADER_NO_TRAILER)                                           \
    X(UPGRADE, "upgrade", 'u', 'e', HEADER_HOP | HEADER_NO_TRAILER)                                \
    X(HTTP2_SETTINGS, "http2-settings", 'h', 's', HEADER_HOP | HEADER_NO_TRAILER)                  \
    X(EXPECT, "expect", 'e', 't', HEADER_NO_TRAILER)                                               \
    X(VIA, "via", 'v', 'a', HEADER_FIXED | HEADER_NO_TRAILER)                                      \
    X(X_REQUEST_ID, "x-request-id", 'x', 'd', HEADER_FIXED | HEADER_NO_TRAILER)                    \
    X(X_OUTRIGGER_REASON, "x-outrigger-reason", 'x', 'n', HEADER_LOCAL | HEADER_NO_TRAILER)        \
    X(X_OUTRIGGER_RETRIES, "x-outrigger-retries", 'x', 's', HEADER_FIXED | HEADER_NO_TRAILER)      \
    X(X_OUTRIGGER_ATTEMPT, "x-outrigger-attempt", 'x', 't', HEADER_LOCAL | HEADER_NO_TRAILER)      \
    X(PROXY_STATUS, "proxy-status", 'p', 's', HEADER_PLAIN)                                        \
    X(IDEMPOTENCY_KEY, "idempotency-key", 'i', 'y', HEADER_NO_TRAILER)                             \
    X(RETRY_AFTER, "retry-after", 'r', 'r', HEADER_NO_TRAILER)                                     \
    X(RATELIMIT, "ratelimit", 'r', 't', HEADER_NO_TRAILER)                                         \
    X(RATELIMIT_POLICY, "ratelimit-policy", 'r', 'y', HEADER_NO_TRAILER)                           \
    X(GRPC_TIMEOUT, "grpc-timeout", 'g', 't', HEADER_FIXED | HEADER_NO_TRAILER)                    \
    X(GRPC_STATUS, "grpc-status", 'g', 's', HEADER_FIXED)                                          \
    X(GRPC_MESSAGE, "grpc-message", 'g', 'e', HEADER_PLAIN)                                        \
    X(GRPC_RETRY_PUSHBACK_MS, "grpc-retry-pushback-ms", 'g', 's', HEADER_PLAIN)                    \
    X(AUTHORIZATION, "authorization", 'a', 'n', HEADER_NO_TRAILER)                                 \
    X(CACHE_CONTROL, "cache-control", 'c', 'l', HEADER_NO_TRAILER)                                 \
    X(CONTENT_ENCODING, "content-encoding", 'c', 'g', HEADER_NO_TRAILER)                           \
    X(CONTENT_RANGE, "content-range", 'c', 'e', HEADER_NO_TRAILER)                                 \
    X(CONTENT_TYPE, "content-type", 'c', 'e', HEADER_NO_TRAILER)                                   \
    X(COOKIE, "cookie", 'c', 'e', HEADER_NO_TRAILER)                                               \
    X(SET_COOKIE, "set-cookie", 's', 'e', HEADER_NO_TRAILER)                                       \
    X(DATE, "date", 'd', 'e', HEADER_NO_TRAILER)                                                   \
    X(FORWARDED, "forwarded", 'f', 'd', HEADER_NO_TRAILER)                                         \
    X(LOCATION, "location", 'l', 'n', HEADER_NO_TRAILER)                                           \
    X(RANGE, "range", 'r', 'e', HEADER_NO_TRAILER)                                                 \
    X(SERVER, "server", 's', 'r', HEADER_PLAIN)

enum header_id {
    HEADER_OTHER = 0,
#define X(name, word, first, last, rules) HEADER_##name,
    HEADER_LIST(X)
#undef X
        HEADER_COUNT /* at most 64: `present` of struct message is a mask of them */
};

enum header_id header_id_from(const char *name, size_t len);
/* Case-insensitive (RFC 9110 section 5.1). `name` must be a valid token. */

struct span header_word(enum header_id id);
/* "content-length"; empty for HEADER_OTHER. */

unsigned header_rules(enum header_id id);
/* Mask of enum header_rule. */

#endif
