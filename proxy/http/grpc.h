/* grpc.h - the fields of gRPC that policies look at (PROTOCOL-HTTP2.md, gRFC A6). Pure. */
#ifndef OUTRIGGER_HTTP_GRPC_H
#define OUTRIGGER_HTTP_GRPC_H

#include "base/mono.h"
#include "base/span.h"

#include <stdbool.h>
#include <stddef.h>

bool grpc_is_content_type(struct span value);
/* application/grpc, application/grpc+proto, application/grpc;...; not application/grpc-web. */

int grpc_status_from(struct span value);
/* 0..16; 2 (UNKNOWN) for what gRPC does not define; -1 when `value` is absent. */

#define GRPC_UNKNOWN 2

int grpc_status_in(struct span lines);
/* Of "grpc-status: 14 CRLF" among trailer lines; UNKNOWN where there is none. */

int grpc_status_from_http(int status);
/* What an answer without grpc-status means by its HTTP status (gRPC's http-grpc-status-mapping). */

dur_ns grpc_timeout_from(struct span value);
/* "100m" is 100 ms; units H M S m u n, at most 8 digits; DUR_FOREVER when absent or malformed. */

#define GRPC_TIMEOUT_MAX 10 /* 8 digits, unit, NUL */

size_t grpc_timeout_write(dur_ns timeout, char buf[GRPC_TIMEOUT_MAX]);
/* The nearest value that is not longer than `timeout`; returns its length. */

dur_ns grpc_pushback_from(struct span value);
/* grpc-retry-pushback-ms: 0 when absent, DUR_FOREVER ("do not retry") when negative or malformed,
 * else the wait; a wait of 0 is 1 ns, so that it differs from absent. */

#endif
