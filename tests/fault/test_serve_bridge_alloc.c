/* Calls that go from HTTP/2 down to an upstream of HTTP/1.1, or up from HTTP/1.1, when the n-th
 * allocation of our own code or of libnghttp2 fails, for every n. What must hold is as in
 * test_serve_h2_alloc.c. */
#include "h1_caller.h"
#include "h2_calls.h"
#include "serve_bench.h"
#include "upstream.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define UPLOAD_BYTES 300000 /* more than the windows of an upstream */
#define GO_ON_TURNS 10

static bool call_up(const char *request, const char *wanted, uint64_t bytes)
{
    struct h1_caller old;
    h1_caller_open(&old);
    h1_caller_sends(&old, request);
    const bool is_good = h1_caller_waits(&old, wanted, bytes);
    h1_caller_close(&old);
    return is_good;
}

static bool call_up_unary(void)
{
    upstream_will(ANSWER_FINE);
    return call_up("POST /s/unary HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nContent-Type: "
                   "application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ndata\r\n0\r\nx-sum: "
                   "4\r\n\r\n",
                   "grpc-status: 0\r\n\r\n", 0);
}

static bool call_up_large(void)
{
    static char request[UPLOAD_BYTES + 256];
    char *body = request + snprintf(request, 128,
                                    "POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n",
                                    UPLOAD_BYTES);
    memset(body, 'u', UPLOAD_BYTES);
    upstream_will(ANSWER_LARGE);
    return call_up(request, "HTTP/1.1 200", UPSTREAM_LARGE_BYTES);
}

static bool call_up_with_retry(void)
{
    upstream_will(ANSWER_BUSY_FIRST);
    return call_up("POST /retry HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
                   "chunked\r\n\r\n4\r\ndata\r\n0\r\nx-sum: 4\r\n\r\n",
                   "grpc-status: 0\r\n\r\n", 0);
}

static void go_on(void)
{
    for (int turns = GO_ON_TURNS; turns > 0; turns--)
        bench_turn(false);
}

static bool call_up_cancelled(void)
{
    struct h1_caller old;
    upstream_will(ANSWER_LARGE);
    h1_caller_open(&old);
    h1_caller_sends(&old, "GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
    go_on();
    h1_caller_close(&old);
    go_on();
    return call_up_unary(); /* on the same connection to the upstream */
}

/* ---- the runs: down, and up ---- */

Test(serve_bridge_alloc, may_fail_in_a_call_that_goes_down, .timeout = 100)
{
    h2_fails_anywhere(false, h2_call_unary, h2_call_unary);
}

Test(serve_bridge_alloc, may_fail_in_a_large_call_that_goes_down, .timeout = 100)
{
    h2_fails_anywhere(false, h2_call_large_down, h2_call_unary);
}

Test(serve_bridge_alloc, may_fail_in_a_retried_call_that_goes_down, .timeout = 100)
{
    h2_fails_anywhere(false, h2_call_with_retry, h2_call_unary);
}

Test(serve_bridge_alloc, may_fail_around_cancelled_calls_that_go_down, .timeout = 100)
{
    h2_fails_anywhere(false, h2_call_cancelled, h2_call_unary);
}

Test(serve_bridge_alloc, may_fail_in_a_call_that_goes_up, .timeout = 100)
{
    h2_fails_anywhere(true, call_up_unary, call_up_unary);
}

Test(serve_bridge_alloc, may_fail_in_a_large_call_that_goes_up, .timeout = 100)
{
    h2_fails_anywhere(true, call_up_large, call_up_unary);
}

Test(serve_bridge_alloc, may_fail_in_a_retried_call_that_goes_up, .timeout = 100)
{
    h2_fails_anywhere(true, call_up_with_retry, call_up_unary);
}

Test(serve_bridge_alloc, may_fail_around_a_cancelled_call_that_goes_up, .timeout = 100)
{
    h2_fails_anywhere(true, call_up_cancelled, call_up_unary);
}
