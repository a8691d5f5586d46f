/* h2_calls.c - see h2_calls.h. */
#include "h2_calls.h"

#include "alloc_faults.h"
#include "serve_bench.h"
#include "upstream.h"

#include <criterion/criterion.h>
#include <string.h>

#define UPLOAD_BYTES 300000 /* more than we hold for a stream, and than the first windows */
#define GO_ON_TURNS 10

struct h2_peer h2_caller;

/* ---- a caller ---- */

void h2_caller_opens(void)
{
    h2_peer_open(&h2_caller, bench_caller(), false);
}

struct h2_peer_stream *h2_caller_asks(const char *method, const char *path, bool is_grpc,
                                      bool is_end)
{
    struct h2_peer_stream *call = h2_peer_begin(&h2_caller);
    struct h2_block head = {.len = 0};
    h2_block_add(&head, ":method", method);
    h2_block_add(&head, ":scheme", "http");
    h2_block_add(&head, ":path", path);
    h2_block_add(&head, ":authority", "a");
    h2_block_add(&head, "te", "trailers");
    h2_block_add(&head, "x-tenant", "one");
    if (is_grpc)
        h2_block_add(&head, "content-type", "application/grpc");
    h2_peer_head(&h2_caller, call, &head, is_end);
    return call;
}

void h2_caller_goes_on(void)
{
    for (int turns = GO_ON_TURNS; turns > 0; turns--) {
        h2_peer_turn(&h2_caller);
        bench_turn(false);
    }
}

bool h2_caller_gets(const struct h2_peer_stream *call, uint64_t bytes, enum h2_good_end end)
{
    for (int left = BENCH_PATIENCE; !h2_peer_is_over(&h2_caller, call); left--) {
        cr_assert(left > 0, "allocation %zu fails: stream %u waits for ever; it got %zu bytes",
                  faults_at(), call->id, (size_t)call->got_bytes);
        h2_peer_turn(&h2_caller);
        bench_turn(true);
    }
    if (!call->has_ended || call->is_reset || !call->is_ok)
        return false;
    if (end == ENDS_AS_GRPC && !call->is_grpc_ok)
        return false;
    cr_assert(end == ENDS_PLAIN || call->is_grpc_ok,
              "allocation %zu fails: trailers are lost, and nobody says so", faults_at());
    cr_assert_eq(call->got_bytes, bytes,
                 "allocation %zu fails: an answer is cut short, and seems whole", faults_at());
    return true;
}

void h2_caller_sends(struct h2_peer_stream *call, size_t bytes)
{
    struct h2_block trailers = {.len = 0};
    h2_block_add(&trailers, "x-sum", "4");
    h2_peer_body(call, bytes, &trailers);
}

/* ---- calls ---- */

bool h2_call_unary(void)
{
    upstream_will(ANSWER_FINE);
    h2_caller_opens();
    struct h2_peer_stream *call = h2_caller_asks("POST", "/s/unary", true, false);
    h2_caller_sends(call, 7);
    h2_peer_ping(&h2_caller);
    const bool is_good = h2_caller_gets(call, strlen("ok"), ENDS_AS_GRPC);
    h2_peer_close(&h2_caller);
    return is_good;
}

/* Nobody reads at first: bytes are held both ways, and trailers behind them. */
static bool call_large(enum h2_good_end end)
{
    upstream_will(ANSWER_LARGE);
    h2_caller_opens();
    h2_caller.is_holding = true;
    struct h2_peer_stream *call = h2_caller_asks("POST", "/large", false, false);
    h2_caller_sends(call, UPLOAD_BYTES);
    h2_caller_goes_on();
    h2_caller.is_holding = false;
    const bool is_good = h2_caller_gets(call, UPSTREAM_LARGE_BYTES, end);
    h2_peer_close(&h2_caller);
    return is_good;
}

bool h2_call_large(void)
{
    return call_large(ENDS_BY_TRAILERS);
}

bool h2_call_large_down(void)
{
    return call_large(ENDS_PLAIN);
}

bool h2_call_with_retry(void)
{
    upstream_will(ANSWER_BUSY_FIRST);
    h2_caller_opens();
    struct h2_peer_stream *call = h2_caller_asks("POST", "/retry", false, false);
    h2_caller_sends(call, 4);
    const bool is_good = h2_caller_gets(call, strlen("ok"), ENDS_BY_TRAILERS);
    h2_peer_close(&h2_caller);
    return is_good;
}

/* One that is not whole yet, and one that is half answered: the third on that connection is not
 * harmed. */
bool h2_call_cancelled(void)
{
    h2_caller_opens();
    upstream_will(ANSWER_LARGE);
    struct h2_peer_stream *first = h2_caller_asks("POST", "/s/cancelled", true, false);
    struct h2_peer_stream *second = h2_caller_asks("GET", "/large", false, true);
    h2_caller.is_holding = true;
    h2_caller_goes_on();
    const bool is_half = second->got_bytes > 0;
    h2_peer_reset(&h2_caller, first);
    h2_peer_reset(&h2_caller, second);
    h2_caller.is_holding = false;
    h2_caller_goes_on();
    upstream_will(ANSWER_FINE);
    struct h2_peer_stream *third = h2_caller_asks("POST", "/s/unary", true, false);
    h2_caller_sends(third, 7);
    const bool is_good = h2_caller_gets(third, strlen("ok"), ENDS_AS_GRPC) && is_half;
    h2_peer_close(&h2_caller);
    return is_good;
}

void h2_fails_anywhere(bool is_http2, bool serve(void), bool serve_again(void))
{
    const struct service service = {.whose = FAULTS_OF_US | FAULTS_OF_NGHTTP2,
                                    .is_http2 = is_http2,
                                    .serve = serve,
                                    .serve_again = serve_again};
    serve_with_each_failure(&service, false);
    serve_with_each_failure(&service, true);
}
