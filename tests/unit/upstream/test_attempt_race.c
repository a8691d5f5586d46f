/* A name with addresses of both families, one of which leads nowhere. */
#include "../net/dns_server.h"
#include "base/log.h"
#include "upstream_bench.h"

#define CROWD 8

struct story {
    struct attempt attempt;
    int ready;
    int failures;
    int endpoints; /* times that it was told where it goes */
    enum reason reason;
    char detail[128];
};

static struct upstream_bench bench;
static struct dns_server server;
static struct resolver *resolver;
static struct endpoint_set *names; /* "local.test", 127.0.0.1 and ::1 */
static struct story story;
static char conf[64];
static int six; /* listens on ::1 */
static int crowd[CROWD];

static void on_ready(struct attempt *attempt)
{
    cr_assert_eq(attempt, &story.attempt);
    story.ready++;
}

static void on_failed(struct attempt *attempt, enum reason reason, const char *detail)
{
    story.failures++;
    story.reason = reason;
    snprintf(story.detail, sizeof story.detail, "%s", detail ? detail : "");
    attempt_abort(attempt);
}

static void on_endpoint(struct attempt *attempt)
{
    cr_assert_not_null(attempt->endpoint);
    story.endpoints++;
}

static const struct attempt_handler handler = {
    .on_ready = on_ready, .on_failed = on_failed, .on_endpoint = on_endpoint};

#define UNTIL(condition) TURN_UNTIL(bench.wire.loop, condition)

static struct sockaddr_in6 loopback_six(void)
{
    return (struct sockaddr_in6){.sin6_family = AF_INET6,
                                 .sin6_addr = IN6ADDR_LOOPBACK_INIT,
                                 .sin6_port = bench.wire.address.in.sin_port};
}

static void listen_on_six(void)
{
    const struct sockaddr_in6 at = loopback_six();
    six = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(six, (const struct sockaddr *)&at, sizeof at), 0);
    cr_assert_eq(listen(six, 16), 0);
}

/* Fills the queue of connections nobody accepts: a further SYN is not answered. */
static void hang(int listener, const struct sockaddr *at, socklen_t len)
{
    cr_assert_eq(listen(listener, 0), 0);
    for (int i = 0; i < CROWD; i++) {
        crowd[i] = socket(at->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(crowd[i], at, len);
    }
}

static void hang_four(void)
{
    hang(bench.wire.listener, &bench.wire.address.any, bench.wire.address.len);
}

static void refuse_four(void)
{
    close(bench.wire.listener);
    bench.wire.listener = -1;
}

static void open_bench(void)
{
    memset(&story, 0, sizeof story);
    for (int i = 0; i < CROWD; i++)
        crowd[i] = -1;
    six = -1;
    upstream_bench_open(&bench);
    attempt_init(&story.attempt, &bench.pool, &handler);
    dns_server_open(&server, bench.wire.loop);
    dns_write_conf(conf, "nameserver 127.0.0.1\noptions ndots:1\n");
    const struct resolver_options options = {.servers = server.csv, .resolv_conf = conf};
    const struct endpoint_hooks hooks = pool_hooks(&bench.pool);
    resolver = resolver_new(bench.wire.loop, &options);
    cr_assert_eq(endpoint_set_new(bench.wire.loop, resolver, SPAN("local.test."),
                                  ntohs(bench.wire.address.in.sin_port), &hooks, &names),
                 OK);
}

static void close_bench(void)
{
    attempt_fini(&story.attempt);
    for (int i = 0; i < CROWD; i++)
        if (crowd[i] >= 0)
            close(crowd[i]);
    if (six >= 0)
        close(six);
    pool_fini(&bench.pool);
    endpoint_set_free(&names);
    TURN_UNTIL(bench.wire.loop, bench.pool.open_count == 0);
    resolver_free(&resolver);
    dns_server_close(&server, bench.wire.loop);
    unlink(conf);
    upstream_bench_close(&bench);
}

TestSuite(attempt_race, .init = open_bench, .fini = close_bench);

static void start(bool is_http2)
{
    const struct attempt_order order = {
        .endpoints = names, .repeat = REPEAT_PAID, .is_http2 = is_http2};
    cr_assert_eq(attempt_start(&story.attempt, &order), ATTEMPT_LATER);
}

static bool has_come_to_six(void)
{
    const int fd = accept4(six, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static bool is_on_six(void)
{
    return story.attempt.endpoint->address.any.sa_family == AF_INET6;
}

Test(attempt_race, goes_to_the_other_family_when_one_does_not_answer)
{
    listen_on_six();
    hang_four();
    start(false);
    const mono_ns began = bench.wire.loop->now;
    UNTIL(story.ready == 1);
    cr_assert(is_on_six());
    cr_assert_geq(mono_since(bench.wire.loop->now, began), 200 * NS_PER_MS);
    cr_assert_eq(story.endpoints, 2, "it is told where it went");
    cr_assert_eq(names->family, AF_INET6, "what works is in use now");
    cr_assert_eq(story.attempt.tried_count, 2u);
    cr_assert_eq(story.attempt.endpoint->candidate.in_flight, 1u);
    cr_assert_eq(bench.pool.open_count, 1u, "the one that hangs is given up");
    upstream_bench_send(&bench, story.attempt.back);
}

Test(attempt_race, goes_to_the_other_family_at_once_when_one_refuses)
{
    listen_on_six();
    refuse_four();
    start(false);
    const mono_ns began = bench.wire.loop->now;
    UNTIL(story.ready == 1);
    cr_assert(is_on_six());
    cr_assert_lt(mono_since(bench.wire.loop->now, began), 200 * NS_PER_MS);
}

Test(attempt_race, asks_nobody_where_the_first_answers)
{
    listen_on_six();
    start(false);
    UNTIL(story.ready == 1);
    cr_assert(!is_on_six());
    cr_assert_null(story.attempt.search, "and no race");
    cr_assert(!has_come_to_six());
}

Test(attempt_race, tells_the_first_failure_when_both_fail)
{
    refuse_four();
    start(false);
    UNTIL(story.failures == 1);
    cr_assert_eq(story.reason, REASON_CONNECT_REFUSED);
    cr_assert_eq(bench.pool.open_count, 0u);
}

Test(attempt_race, goes_on_with_the_first_when_the_other_refuses)
{
    hang_four();
    start(false);
    UNTIL(story.attempt.tried_count == 1);
    const mono_ns began = bench.wire.loop->now;
    UNTIL(mono_since(bench.wire.loop->now, began) > 400 * NS_PER_MS);
    cr_assert_eq(story.failures, 0);
    cr_assert_eq(bench.pool.open_count, 1u, "the rival is gone");
    refuse_four(); /* its next SYN is answered so */
    UNTIL(story.failures == 1);
    cr_assert_eq(story.reason, REASON_CONNECT_REFUSED);
}

Test(attempt_race, may_be_aborted_while_both_are_on_their_way)
{
    listen_on_six();
    hang_four();
    const struct sockaddr_in6 at = loopback_six();
    start(false);
    hang(six, (const struct sockaddr *)&at, sizeof at);
    UNTIL(bench.pool.open_count == 2);
    attempt_abort(&story.attempt);
    UNTIL(bench.pool.open_count == 0);
    cr_assert_eq(story.ready + story.failures, 0);
}

Test(attempt_race, is_run_for_connections_that_calls_share_too)
{
    static const char settings[] = {0, 0, 0, 4, 0, 0, 0, 0, 0};
    int peer = -1;
    listen_on_six();
    hang_four();
    start(true);
    UNTIL((peer = accept4(six, NULL, NULL, SOCK_CLOEXEC)) >= 0);
    cr_assert_eq(write(peer, settings, sizeof settings), (ssize_t)sizeof settings);
    UNTIL(story.ready == 1);
    cr_assert(is_on_six());
    cr_assert(story.attempt.is_http2);
    attempt_abort(&story.attempt);
    close(peer);
}
