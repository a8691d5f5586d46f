/* Serving calls when the n-th allocation of our own code fails, for every n. No crash, nothing
 * lost, no caller that waits for ever. Only callers in this program are failed, for libuv ends the
 * process when there is no memory, and c-ares is not ours. */
#include "alloc_faults.h"
#include "h1_caller.h"
#include "serve_bench.h"
#include "upstream.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static bool call_with_retry(void)
{
    struct h1_caller caller;
    upstream_will(ANSWER_BUSY_FIRST);
    h1_caller_open(&caller);
    h1_caller_sends(&caller, "POST /retry HTTP/1.1\r\nHost: a\r\nX-Tenant: one\r\nTransfer-");
    h1_caller_sends(&caller, "Encoding: chunked\r\n\r\n4\r\ndata\r\n0\r\nx-sum: 4\r\n\r\nGET /next "
                             "HTTP/1.1\r\nHost: a\r\n\r\n");
    const bool is_good = h1_caller_waits(&caller, "grpc-status: 0\r\n\r\nHTTP/1.1 200", 0);
    h1_caller_close(&caller);
    return is_good;
}

static bool call_with_large_heads(void)
{
    static char request[UPSTREAM_FIELD_BYTES + 256];
    struct h1_caller caller;
    char *field =
        request + snprintf(request, 64, "GET /large HTTP/1.1\r\nHost: a\r\nX-Tenant: two\r\n");
    for (int line = 0; line < UPSTREAM_FIELD_BYTES / 10000; line++) {
        field += snprintf(field, 16, "X-%d: ", line);
        memset(field, 'w', 9900);
        field += 9900;
        field += snprintf(field, 3, "\r\n");
    }
    snprintf(field, 3, "\r\n");
    upstream_will(ANSWER_LARGE);
    h1_caller_open(&caller);
    h1_caller_sends(&caller, request);
    for (int i = 0; i < 20; i++)
        bench_turn(true); /* nobody reads: a backlog */
    const bool is_good = h1_caller_waits(&caller, "200 OK", UPSTREAM_LARGE_BYTES);
    h1_caller_close(&caller);
    return is_good;
}

static bool call_tunnel(void)
{
    struct h1_caller caller;
    upstream_will(ANSWER_TUNNEL);
    h1_caller_open(&caller);
    h1_caller_sends(&caller,
                    "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    bool is_good = h1_caller_waits(&caller, "hello", 0);
    if (is_good) {
        h1_caller_sends(&caller, "echo this");
        is_good = h1_caller_waits(&caller, "echo this", 0);
    }
    h1_caller_close(&caller);
    return is_good;
}

static bool serve(void)
{
    return (int)call_with_retry() + (int)call_with_large_heads() + (int)call_tunnel() == 3;
}

static const struct service service = {
    .whose = FAULTS_OF_US, .serve = serve, .serve_again = call_with_retry};

Test(serve_alloc, may_fail_anywhere_once, .timeout = 100)
{
    serve_with_each_failure(&service, false);
}

Test(serve_alloc, may_fail_from_anywhere_on, .timeout = 100)
{
    serve_with_each_failure(&service, true);
}
