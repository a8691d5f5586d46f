/* h2_calls.h - who calls in HTTP/2 with prior knowledge, and what is called: each call has a
 * connection of its own, and is true when all was well. */
#ifndef OUTRIGGER_TESTS_FAULT_H2_CALLS_H
#define OUTRIGGER_TESTS_FAULT_H2_CALLS_H

#include "h2_peer.h"

extern struct h2_peer h2_caller;

enum h2_good_end {
    ENDS_PLAIN,
    ENDS_BY_TRAILERS, /* with grpc-status 0 */
    ENDS_AS_GRPC,     /* the same, but trailers may also tell of a failure half-way */
};

void h2_caller_opens(void);

struct h2_peer_stream *h2_caller_asks(const char *method, const char *path, bool is_grpc,
                                      bool is_end);

void h2_caller_sends(struct h2_peer_stream *call, size_t bytes);
/* A body, and trailers behind it. */

void h2_caller_goes_on(void);
/* For a few turns, in which nobody waits. */

bool h2_caller_gets(const struct h2_peer_stream *call, uint64_t bytes, enum h2_good_end end);
/* True when so many bytes came and a good end, false when the caller was told of a failure; one
 * that is told nothing, or of a good end too soon, fails the test. */

bool h2_call_unary(void);
bool h2_call_large(void);
bool h2_call_large_down(void); /* of an upstream of HTTP/1.1 */
bool h2_call_with_retry(void);
bool h2_call_cancelled(void);

void h2_fails_anywhere(bool is_http2, bool serve(void), bool serve_again(void));
/* Runs of serve_bench.h in which our own allocations and libnghttp2's fail. */

#endif
