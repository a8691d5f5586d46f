#include "upstream_bench.h"

#include <sys/resource.h>

struct story {
    struct attempt attempt;
    int ready, interims, heads, ends, failures, endpoints, writable;
    enum reason reason;
    bool aborts_at_ready, aborts_at_head, aborts_at_failure;
};

static struct upstream_bench bench;
static struct story story;

static struct story *story_of(struct attempt *attempt)
{
    return CONTAINER_OF(attempt, struct story, attempt);
}

static void on_ready(struct attempt *attempt)
{
    story_of(attempt)->ready++;
    if (story_of(attempt)->aborts_at_ready)
        attempt_abort(attempt);
}

static void on_interim(struct attempt *attempt, struct message *msg)
{
    (void)msg;
    story_of(attempt)->interims++;
}

static void on_head(struct attempt *attempt, struct message *msg)
{
    (void)msg;
    story_of(attempt)->heads++;
    if (story_of(attempt)->aborts_at_head)
        attempt_abort(attempt);
}

static void on_body(struct attempt *attempt, struct span bytes)
{
    (void)attempt;
    (void)bytes;
}

static void on_end(struct attempt *attempt, struct span trailers)
{
    (void)trailers;
    story_of(attempt)->ends++;
    attempt_release(attempt, &(struct pool_stay){.idle = 60 * NS_PER_S});
}

static void on_failed(struct attempt *attempt, enum reason reason, const char *detail)
{
    (void)detail;
    story_of(attempt)->failures++;
    story_of(attempt)->reason = reason;
    attempt_abort(attempt);
}

static void on_writable(struct attempt *attempt)
{
    story_of(attempt)->writable++;
}

static void on_endpoint(struct attempt *attempt)
{
    story_of(attempt)->endpoints++;
    cr_assert_not_null(attempt->endpoint);
}

static const struct attempt_handler handler = {
    .on_ready = on_ready,
    .on_interim = on_interim,
    .on_head = on_head,
    .on_body = on_body,
    .on_end = on_end,
    .on_failed = on_failed,
    .on_writable = on_writable,
    .on_endpoint = on_endpoint,
};

static void open_bench(void)
{
    memset(&story, 0, sizeof story);
    upstream_bench_open(&bench);
    attempt_init(&story.attempt, &bench.pool, &handler);
}

static void close_bench(void)
{
    attempt_fini(&story.attempt);
    cr_assert_not(attempt_is_on(&story.attempt));
    upstream_bench_close(&bench);
}

TestSuite(attempt, .init = open_bench, .fini = close_bench);

#define UNTIL(condition) TURN_UNTIL(bench.wire.loop, condition)

static struct attempt_order order(void)
{
    return (struct attempt_order){.endpoints = bench.set, .repeat = REPEAT_PAID};
}

static void run_one(void)
{
    const struct attempt_order wanted = order();
    const int before = story.ends;
    if (attempt_start(&story.attempt, &wanted) == ATTEMPT_LATER)
        UNTIL(story.ready == 1);
    cr_assert(wire_accept(&bench.wire));
    upstream_bench_send(&bench, story.attempt.back);
    wire_write(&bench.wire, BENCH_OK);
    UNTIL(story.ends == before + 1);
}

static void listen_no_more(void)
{
    close(bench.wire.listener);
    bench.wire.listener = -1;
}

Test(attempt, tells_a_refused_connect_later)
{
    const struct attempt_order wanted = order();
    listen_no_more();
    cr_assert_eq(attempt_start(&story.attempt, &wanted), ATTEMPT_LATER);
    cr_assert_eq(story.failures, 0);
    UNTIL(story.failures == 1);
    cr_assert_eq(story.reason, REASON_CONNECT_REFUSED);
}

Test(attempt, tells_that_descriptors_have_run_out_as_our_own_trouble)
{
    const struct attempt_order wanted = order();
    struct rlimit limit;
    const int next = dup(0);
    close(next);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    const struct rlimit none = {(rlim_t)next, limit.rlim_max};
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    attempt_start(&story.attempt, &wanted);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    UNTIL(story.failures == 1);
    cr_assert_eq(story.reason, REASON_OVERLOADED);
}

Test(attempt, tells_a_name_without_an_address_later)
{
    struct endpoint_set *unknown = NULL;
    cr_assert_eq(endpoint_set_new(bench.wire.loop, bench.resolver, SPAN("nowhere.invalid"), 80,
                                  NULL, &unknown),
                 OK);
    const struct attempt_order wanted = {.endpoints = unknown};
    cr_assert_eq(attempt_start(&story.attempt, &wanted), ATTEMPT_LATER);
    cr_assert_eq(story.failures, 0);
    attempt_abort(&story.attempt);
    driver_settle(bench.wire.loop);
    cr_assert_eq(story.failures, 0);
    endpoint_set_free(&unknown);
}

Test(attempt, may_be_aborted_before_it_is_connected)
{
    const struct attempt_order wanted = order();
    attempt_start(&story.attempt, &wanted);
    cr_assert_eq(upstream_bench_endpoint(&bench)->candidate.in_flight, 1);
    attempt_abort(&story.attempt);
    cr_assert_eq(upstream_bench_endpoint(&bench)->candidate.in_flight, 0);
    UNTIL(bench.pool.open_count == 0);
    cr_assert_eq(story.ready + story.failures, 0);
}

Test(attempt, may_be_aborted_twice_and_when_none_is_on)
{
    attempt_abort(&story.attempt);
    attempt_abort(&story.attempt);
    cr_assert_not(attempt_is_on(&story.attempt));
}

Test(attempt, may_be_aborted_when_it_is_ready)
{
    const struct attempt_order wanted = order();
    story.aborts_at_ready = true;
    attempt_start(&story.attempt, &wanted);
    UNTIL(story.ready == 1);
    UNTIL(bench.pool.open_count == 0);
}

Test(attempt, may_be_aborted_at_the_head)
{
    const struct attempt_order wanted = order();
    story.aborts_at_head = true;
    attempt_start(&story.attempt, &wanted);
    UNTIL(story.ready == 1);
    cr_assert(wire_accept(&bench.wire));
    upstream_bench_send(&bench, story.attempt.back);
    wire_write(&bench.wire, BENCH_OK);
    UNTIL(story.heads == 1);
    UNTIL(bench.pool.open_count == 0);
    cr_assert_eq(story.ends, 0);
}

Test(attempt, tells_nothing_of_a_failure_that_an_abort_came_before)
{
    const struct attempt_order wanted = {.endpoints = bench.set, .wanted = 0};
    listen_no_more();
    attempt_start(&story.attempt, &wanted);
    attempt_abort(&story.attempt);
    driver_settle(bench.wire.loop);
    cr_assert_eq(story.failures, 0);
}

Test(attempt, is_ready_at_once_with_a_pooled_connection)
{
    const struct attempt_order wanted = order();
    run_one();
    cr_assert_eq(bench.pool.idle_count, 1);
    cr_assert_eq(attempt_start(&story.attempt, &wanted), ATTEMPT_READY);
    cr_assert(story.attempt.is_reused);
    cr_assert_eq(story.endpoints, 2);
}

Test(attempt, takes_no_pooled_connection_when_it_needs_a_fresh_one)
{
    struct attempt_order wanted = order();
    run_one();
    wanted.needs_fresh = true;
    cr_assert_eq(attempt_start(&story.attempt, &wanted), ATTEMPT_LATER);
    UNTIL(story.ready == 2);
    cr_assert_not(story.attempt.is_reused);
    cr_assert_eq(bench.pool.connects, 2);
}

Test(attempt, neither_takes_a_tunnel_from_the_pool_nor_gives_it_back)
{
    struct attempt_order wanted = order();
    run_one();
    wanted.is_tunnel = true;
    cr_assert_eq(attempt_start(&story.attempt, &wanted), ATTEMPT_LATER);
    UNTIL(story.ready == 2);
    attempt_release(&story.attempt, &(struct pool_stay){.idle = 60 * NS_PER_S});
    cr_assert_eq(bench.pool.idle_count, 1);
    cr_assert_eq(upstream_bench_endpoint(&bench)->candidate.in_flight, 0);
}

Test(attempt, goes_elsewhere_when_the_endpoint_it_wants_has_left)
{
    struct attempt_order wanted = order();
    wanted.wanted = 12345;
    attempt_start(&story.attempt, &wanted);
    UNTIL(story.ready == 1);
}

Test(attempt, passes_on_what_the_connection_tells)
{
    const struct attempt_order wanted = order();
    attempt_start(&story.attempt, &wanted);
    UNTIL(story.ready == 1);
    cr_assert(wire_accept(&bench.wire));
    upstream_bench_send(&bench, story.attempt.back);
    wire_write(&bench.wire, "HTTP/1.1 103 Early\r\n\r\n" BENCH_OK);
    UNTIL(story.ends == 1);
    cr_assert_eq(story.interims, 1);
    cr_assert_eq(story.heads, 1);
    cr_assert_eq(upstream_bench_endpoint(&bench)->candidate.in_flight, 0);
}
