/* What ends a call or a connection of HTTP/2 by our own word, a refusal or a drain, when the n-th
 * allocation of our own code or of libnghttp2 fails, for every n. What must hold is as in
 * test_serve_h2_alloc.c. */
#include "alloc_faults.h"
#include "codec/h2_session.h"
#include "h2_calls.h"
#include "serve_bench.h"
#include "upstream.h"

#include <criterion/criterion.h>
#include <string.h>

static bool is_refused(struct h2_peer_stream *call)
{
    h2_caller_gets(call, 0, ENDS_AS_GRPC);
    return call->has_ended && !call->is_reset && !call->is_grpc_ok;
}

/* By the rate limit, as JSON and as gRPC, and heads that are none. */
static bool call_refused(void)
{
    struct h2_block bad = {.len = 0};
    upstream_will(ANSWER_FINE);
    h2_caller_opens();
    bool is_good =
        h2_caller_gets(h2_caller_asks("GET", "/rare", false, true), strlen("ok"), ENDS_BY_TRAILERS);
    if (is_good) {
        is_good = is_refused(h2_caller_asks("GET", "/rare", false, true));
        is_good = is_refused(h2_caller_asks("POST", "/rare", true, false)) && is_good;
    }
    h2_block_add(&bad, ":method", "GET");
    struct h2_peer_stream *call = h2_peer_begin(&h2_caller);
    h2_peer_head(&h2_caller, call, &bad, true);
    h2_caller_gets(call, 0, ENDS_AS_GRPC);
    h2_caller_gets(h2_caller_asks("GET", "/bad\1path", false, true), 0, ENDS_AS_GRPC);
    h2_peer_close(&h2_caller);
    return is_good;
}

static void second_passes(void)
{
    h2_sessions_sweep(&bench.proxy->codec, mono_add(bench.loop->now, NS_PER_S));
}

/* What is under way is served, through both GOAWAYs; then the connection goes. */
static bool call_while_draining(void)
{
    upstream_will(ANSWER_FINE);
    h2_caller_opens();
    struct h2_peer_stream *call = h2_caller_asks("POST", "/s/unary", true, false);
    h2_caller_goes_on();
    proxy_drain(bench.proxy);
    h2_caller_goes_on();
    second_passes();
    h2_caller_goes_on();
    h2_caller_sends(call, 7);
    const bool is_good = h2_caller_gets(call, strlen("ok"), ENDS_AS_GRPC);
    for (int left = BENCH_PATIENCE; !h2_caller.has_ended; left--) {
        cr_assert(left > 0, "allocation %zu fails: a drained connection never ends", faults_at());
        second_passes();
        h2_peer_turn(&h2_caller);
        bench_turn(false);
    }
    h2_peer_close(&h2_caller);
    return is_good && h2_caller.is_going_away;
}

Test(refuse_h2_alloc, may_fail_in_refused_calls, .timeout = 100)
{
    h2_fails_anywhere(true, call_refused, h2_call_unary);
}

Test(refuse_h2_alloc, may_fail_in_a_drain, .timeout = 100)
{
    h2_fails_anywhere(true, call_while_draining, NULL);
}
