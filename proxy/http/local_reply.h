/* local_reply.h - the answer that Outrigger gives itself: who refused, why, by which policy, and
 * when to come back.
 *
 * Status and words come from base/reason.def. HTTP/1 gets status line, x-outrigger-reason,
 * Proxy-Status (RFC 9209), Retry-After and RateLimit where known, Date, and a JSON body; HTTP/2 the
 * same in its own form. gRPC gets the fields of a trailers-only answer. Example: struct local_reply
 * reply = {.reason = REASON_CIRCUIT_OPEN, .target = SPAN("payments:8080"), .policy =
 * SPAN("shop/payments"), .at = SPAN("pay.yaml:9"), .retry_after = 3 * NS_PER_S, .wall_s = now_s};
 * enum err e = local_reply_write(&reply, buf, sizeof(buf), &len); Strings may hold any bytes: they
 * are escaped, invalid UTF-8 becomes U+FFFD, long ones are cut (LOCAL_REPLY_TEXT_MAX). Absent spans
 * are null in the JSON. Pure. */
#ifndef OUTRIGGER_HTTP_LOCAL_REPLY_H
#define OUTRIGGER_HTTP_LOCAL_REPLY_H

#include "base/err.h"
#include "base/mono.h"
#include "base/reason.h"
#include "base/span.h"
#include "http/rate_fields.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOCAL_REPLY_TEXT_MAX                                                                       \
    256 /* bytes of each string that are shown: a caller's words cannot inflate the answer */
#define LOCAL_REPLY_MAX                                                                            \
    12288 /* no reply is longer: six strings, six bytes for each byte, and the fixed part */

struct local_reply {
    enum reason reason;
    const char *detail; /* what is wrong, where the reason alone does not say (h1_result.detail);
                           NULL: reason_text */
    struct span proxy;  /* our name in Proxy-Status; absent: "outrigger" */
    struct span target;
    struct span policy;
    struct span rule;
    struct span at; /* "file:line" */
    struct span request_id;
    dur_ns retry_after;            /* 0 or DUR_FOREVER: not known */
    const struct rate_state *rate; /* NULL: no RateLimit fields */
    int64_t wall_s;                /* seconds since 1970, for Date */
    bool is_head;                  /* the request was HEAD: Content-Length, no body */
    bool is_grpc;                  /* trailers-only: grpc-status and no body */
    bool is_last;                  /* Connection: close */
    bool is_keep_alive_said;   /* Connection: keep-alive, for HTTP/1.0 clients that asked for it */
    bool is_retries_exhausted; /* x-outrigger-retries: exhausted */
};

MUST_CHECK enum err local_reply_write(const struct local_reply *reply, char *buf, size_t cap,
                                      size_t *len);
/* The whole HTTP/1.1 answer. ERR_TOO_LARGE when cap is too small; LOCAL_REPLY_MAX always suffices.
 */

int local_reply_status(const struct local_reply *reply);
/* Of HTTP: of the reason, or 200 for a gRPC caller. */

MUST_CHECK enum err local_reply_lines(const struct local_reply *reply, char *buf, size_t cap,
                                      size_t *len);
/* For HTTP/2: the fields, a line each, content-type and content-length among them. The body is
 * local_reply_body. */

MUST_CHECK enum err local_reply_body(const struct local_reply *reply, char *buf, size_t cap,
                                     size_t *len);
/* The JSON; nothing for HEAD and for a gRPC caller. */

MUST_CHECK enum err local_reply_trailers(const struct local_reply *reply, char *buf, size_t cap,
                                         size_t *len);
/* For a gRPC stream whose head has gone downstream: grpc-status and its company, a line each. */

#endif
