#include "upstream_bench.h"

static struct upstream_bench bench;
static int connected, ends, failures;

static void on_connected(struct back *back)
{
    (void)back;
    connected++;
}

static void on_head(struct back *back, struct message *msg)
{
    (void)back;
    (void)msg;
}

static void on_end(struct back *back, struct span trailers)
{
    (void)back;
    (void)trailers;
    ends++;
}

static void on_failed(struct back *back, enum reason reason, const char *detail)
{
    (void)back;
    (void)reason;
    (void)detail;
    failures++;
}

static const struct back_handler handler = {
    .on_connected = on_connected, .on_head = on_head, .on_end = on_end, .on_failed = on_failed};

static void open_bench(void)
{
    connected = ends = failures = 0;
    upstream_bench_open(&bench);
}

static void close_bench(void)
{
    upstream_bench_close(&bench);
}

TestSuite(pool, .init = open_bench, .fini = close_bench);

#define UNTIL(condition) TURN_UNTIL(bench.wire.loop, condition)

/* A connection after one good exchange; `answer` is the response. */
static struct h1_back *served(const char *answer)
{
    struct h1_back *back = NULL;
    const int before = ends;
    const int known = connected;
    const struct pool_tls clear = {.client = NULL};
    cr_assert_eq(
        pool_connect(&bench.pool, upstream_bench_endpoint(&bench), &clear, &handler, NULL, &back),
        OK);
    UNTIL(connected == known + 1);
    bench.wire.peer = -1;
    cr_assert(wire_accept(&bench.wire));
    upstream_bench_send(&bench, &back->base);
    wire_write(&bench.wire, answer);
    UNTIL(ends == before + 1);
    return back;
}

static struct h1_back *lease(enum repeat repeat)
{
    return pool_lease(&bench.pool, upstream_bench_endpoint(&bench), 0, repeat);
}

static void idled_for(struct h1_back *back, dur_ns time)
{
    back->idle_since -= time;
}

Test(pool, gives_nothing_when_it_is_empty)
{
    cr_assert_null(lease(REPEAT_PAID));
}

Test(pool, keeps_nothing_when_pooling_is_off)
{
    struct h1_back *back = served(BENCH_OK);
    pool_release(&bench.pool, &back, &(struct pool_stay){.idle = 0});
    cr_assert_null(back);
    cr_assert_eq(bench.pool.idle_count, 0);
}

Test(pool, keeps_nothing_that_said_close)
{
    struct h1_back *back =
        served("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    pool_release(&bench.pool, &back, &(struct pool_stay){.idle = NS_PER_S});
    cr_assert_eq(bench.pool.idle_count, 0);
}

Test(pool, keeps_nothing_whose_peer_ends_idle_connections_within_a_second)
{
    struct h1_back *back =
        served("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 0\r\n\r\n");
    pool_release(&bench.pool, &back, &(struct pool_stay){.idle = 60 * NS_PER_S});
    cr_assert_eq(bench.pool.idle_count, 0);
}

Test(pool, leaves_a_second_before_the_peers_keep_alive)
{
    struct h1_back *back =
        served("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\nContent-Length: 0\r\n\r\n");
    pool_release(&bench.pool, &back, &(struct pool_stay){.idle = 60 * NS_PER_S});
    const mono_ns now = bench.wire.loop->now;
    pool_sweep(&bench.pool, mono_add(now, 4 * NS_PER_S - NS_PER_MS));
    cr_assert_eq(bench.pool.idle_count, 1);
    pool_sweep(&bench.pool, mono_add(now, 4 * NS_PER_S));
    cr_assert_eq(bench.pool.idle_count, 0);
}

Test(pool, gives_the_connection_that_idled_least)
{
    struct h1_back *old = served(BENCH_OK);
    const int old_peer = bench.wire.peer;
    struct h1_back *young = served(BENCH_OK);
    struct h1_back *const expected = young;
    pool_release(&bench.pool, &old, &(struct pool_stay){.idle = NS_PER_S});
    pool_release(&bench.pool, &young, &(struct pool_stay){.idle = NS_PER_S});
    struct h1_back *leased = lease(REPEAT_PAID);
    cr_assert_eq(leased, expected);
    cr_assert_eq(bench.pool.idle_count, 1);
    cr_assert_eq(bench.pool.reuses, 1);
    h1_back_close(&leased);
    close(old_peer);
}

Test(pool, gives_no_connection_whose_peer_has_ended_it)
{
    struct h1_back *back = served(BENCH_OK);
    pool_release(&bench.pool, &back, &(struct pool_stay){.idle = NS_PER_S});
    wire_hang_up(&bench.wire);
    struct h1_back *leased = lease(REPEAT_NEVER);
    cr_assert_null(leased);
    cr_assert_eq(bench.pool.stale, 1);
}

Test(pool, gives_no_connection_with_unread_bytes)
{
    struct h1_back *back = served(BENCH_OK);
    pool_release(&bench.pool, &back, &(struct pool_stay){.idle = NS_PER_S});
    wire_write(&bench.wire, "HTTP/1.1 200 OK\r\n");
    cr_assert_null(lease(REPEAT_NEVER));
    cr_assert_eq(bench.pool.idle_count, 0);
}

Test(pool, gives_no_connection_that_was_not_read_dry)
{
    struct h1_back *back = served(BENCH_OK);
    pool_release(&bench.pool, &back, &(struct pool_stay){.idle = NS_PER_S});
    wire_write(&bench.wire, "HTTP/1.1 200 OK\r\n");
    CONTAINER_OF(list_first(&bench.pool.idle), struct h1_back, idle_link)->is_drained = false;
    cr_assert_null(lease(REPEAT_FREE));
}

/* A lease without a system call, and the request on it. */
static struct h1_back *lease_and_send(void)
{
    struct h1_back *leased = lease(REPEAT_FREE);
    cr_assert_not_null(leased);
    h1_back_use(leased, &handler, NULL);
    upstream_bench_send(&bench, &leased->base);
    return leased;
}

Test(pool, takes_what_was_there_before_the_request_for_no_answer)
{
    struct h1_back *back = served(BENCH_OK);
    const int before = ends;
    pool_release(&bench.pool, &back, &(struct pool_stay){.idle = NS_PER_S});
    wire_write(&bench.wire, BENCH_OK);
    back = lease_and_send();
    back->stream.on_event(&back->stream, STREAM_READABLE); /* as the wait before the lease saw it */
    cr_assert_eq(failures, 1);
    cr_assert_eq(ends, before);
    cr_assert_not(back->has_answered);
    h1_back_close(&back);
}

Test(pool, takes_what_a_later_turn_brings_for_the_answer)
{
    struct h1_back *back = served(BENCH_OK);
    const int before = ends;
    pool_release(&bench.pool, &back, &(struct pool_stay){.idle = NS_PER_S});
    back = lease_and_send();
    wire_write(&bench.wire, BENCH_OK);
    UNTIL(ends == before + 1);
    cr_assert_eq(failures, 0);
    h1_back_close(&back);
}

Test(pool, gives_nothing_old_to_a_call_that_may_not_be_repeated)
{
    struct h1_back *back = served(BENCH_OK);
    struct h1_back *const same = back;
    pool_release(&bench.pool, &back, &(struct pool_stay){.idle = 60 * NS_PER_S});
    idled_for(same, POOL_SAFE_IDLE + 1);
    cr_assert_null(lease(REPEAT_NEVER));
    cr_assert_eq(bench.pool.idle_count, 1);
    struct h1_back *leased = lease(REPEAT_PAID);
    cr_assert_eq(leased, same);
    h1_back_close(&leased);
}

Test(pool, drops_an_idle_connection_that_its_peer_ends)
{
    struct h1_back *back = served(BENCH_OK);
    pool_release(&bench.pool, &back, &(struct pool_stay){.idle = 60 * NS_PER_S});
    wire_hang_up(&bench.wire);
    UNTIL(bench.pool.open_count == 0);
    cr_assert_eq(bench.pool.idle_count, 0);
    cr_assert_eq(failures, 0);
}

Test(pool, drops_an_idle_connection_that_speaks_unasked)
{
    struct h1_back *back = served(BENCH_OK);
    pool_release(&bench.pool, &back, &(struct pool_stay){.idle = 60 * NS_PER_S});
    wire_write(&bench.wire, "HTTP/1.1 200 OK\r\n\r\n");
    UNTIL(bench.pool.open_count == 0);
}

Test(pool, drops_the_idle_connections_of_an_endpoint_that_leaves)
{
    struct h1_back *back = served(BENCH_OK);
    pool_release(&bench.pool, &back, &(struct pool_stay){.idle = 60 * NS_PER_S});
    endpoint_set_free(&bench.set);
    cr_assert_eq(bench.pool.idle_count, 0);
    UNTIL(bench.pool.open_count == 0);
}

Test(pool, keeps_no_connection_of_an_endpoint_that_has_left)
{
    struct h1_back *back = served(BENCH_OK);
    endpoint_set_free(&bench.set);
    pool_release(&bench.pool, &back, &(struct pool_stay){.idle = 60 * NS_PER_S});
    cr_assert_eq(bench.pool.idle_count, 0);
    UNTIL(bench.pool.open_count == 0);
}

Test(pool, keeps_no_connection_that_is_too_old)
{
    const struct pool_stay stay = {.idle = 60 * NS_PER_S, .max_age = NS_PER_S};
    struct h1_back *back = served(BENCH_OK);
    back->born_at = bench.wire.loop->now - 2 * NS_PER_S;
    pool_release(&bench.pool, &back, &stay);
    cr_assert_eq(bench.pool.idle_count, 0);
    UNTIL(bench.pool.open_count == 0);
}

Test(pool, gives_no_connection_that_has_grown_too_old_meanwhile)
{
    const struct pool_stay stay = {.idle = 60 * NS_PER_S, .max_age = 10 * NS_PER_S};
    struct h1_back *back = served(BENCH_OK);
    struct h1_back *const same = back;
    pool_release(&bench.pool, &back, &stay);
    cr_assert_eq(bench.pool.idle_count, 1);
    const dur_ns age = mono_since(same->expires_at, same->born_at);
    cr_assert(age >= 9 * NS_PER_S && age <= 11 * NS_PER_S,
              "10 %% less or more, not the same for all");
    same->expires_at = bench.wire.loop->now;
    cr_assert_null(lease(REPEAT_PAID));
    UNTIL(bench.pool.open_count == 0);
}

/* ---- how many there may be ---- */

static enum err connect_one(struct h1_back **back)
{
    const struct pool_tls clear = {.client = NULL};
    return pool_connect(&bench.pool, upstream_bench_endpoint(&bench), &clear, &handler, NULL, back);
}

Test(pool, makes_no_more_connections_than_there_may_be)
{
    struct h1_back *more = NULL;
    struct endpoint *endpoint = upstream_bench_endpoint(&bench);
    bench.set->max_connections = 1;
    cr_assert(pool_has_room(endpoint));
    struct h1_back *back = served(BENCH_OK);
    cr_assert_not(pool_has_room(endpoint));
    cr_assert_eq(connect_one(&more), ERR_FULL);
    h1_back_close(&back);
    UNTIL(bench.pool.open_count == 0);
    cr_assert(pool_has_room(endpoint));
}

Test(pool, gives_up_an_idle_connection_for_one_that_is_needed)
{
    struct h1_back *more = NULL;
    bench.set->max_connections = 1;
    struct h1_back *back = served(BENCH_OK);
    pool_release(&bench.pool, &back, &(struct pool_stay){.idle = NS_PER_S});
    cr_assert(pool_has_room(upstream_bench_endpoint(&bench)));
    cr_assert_eq(connect_one(&more), OK, "the idle one may be of no use for this call");
    cr_assert_eq(bench.pool.idle_count, 0);
    h1_back_close(&more);
}

/* ---- ready before they are needed ---- */

static const struct pool_stay minute = {.idle = 60 * NS_PER_S};

static void warm(uint32_t wanted)
{
    const struct pool_tls clear = {.client = NULL};
    pool_warm(&bench.pool, bench.set, wanted, &clear, &minute);
}

static void use_once(void)
{
    cr_assert(endpoint_set_use(bench.set));
    struct h1_back *back = served(BENCH_OK);
    pool_release(&bench.pool, &back, &minute);
}

Test(pool, makes_nothing_ready_before_the_first_call_and_long_after_the_last)
{
    warm(3);
    cr_assert_eq(bench.pool.open_count, 0u);
    use_once();
    bench.set->used_at -= POOL_WARM_TIME;
    warm(3);
    cr_assert_eq(bench.pool.open_count, 1u);
}

Test(pool, makes_the_connections_ready_that_are_missing)
{
    use_once();
    warm(3);
    cr_assert_eq(bench.pool.open_count, 3u);
    warm(3);
    cr_assert_eq(bench.pool.open_count, 3u, "two are on their way");
    UNTIL(bench.pool.idle_count == 3);
    warm(3);
    cr_assert_eq(bench.pool.open_count, 3u);
    struct h1_back *back = lease(REPEAT_PAID);
    cr_assert_not_null(back);
    h1_back_close(&back);
}

Test(pool, makes_no_more_ready_than_there_may_be)
{
    use_once();
    bench.set->max_connections = 2;
    warm(5);
    UNTIL(bench.pool.idle_count == 2);
    warm(5);
    cr_assert_eq(bench.pool.open_count, 2u);
}

Test(pool, pauses_longer_and_longer_where_nothing_can_be_made_ready)
{
    use_once();
    close(bench.wire.listener);
    bench.wire.listener = -1;
    for (dur_ns pause = NS_PER_S; pause <= 4 * NS_PER_S; pause *= 2) {
        warm(2);
        UNTIL(bench.pool.open_count == 1);
        const mono_ns now = bench.wire.loop->now;
        warm(2);
        cr_assert_eq(bench.pool.open_count, 1u, "not yet again");
        bench.wire.loop->now = mono_add(now, pause);
        warm(2);
        cr_assert_eq(bench.pool.open_count, 2u);
        UNTIL(bench.pool.open_count == 1);
    }
}

Test(pool, gives_up_what_is_on_its_way_at_the_end)
{
    use_once();
    warm(3);
    cr_assert_eq(bench.pool.open_count, 3u);
}

Test(pool, counts_only_what_serves_calls_as_ready)
{
    use_once();
    CONTAINER_OF(list_first(&bench.pool.idle), struct h1_back, idle_link)->tls_settings = 7;
    warm(1);
    cr_assert_eq(bench.pool.open_count, 2u, "the other one is of former settings");
}

Test(pool, pauses_longer_and_longer_with_connections_that_calls_share_too)
{
    use_once();
    bench.set->speaks_http2 = true;
    close(bench.wire.listener);
    bench.wire.listener = -1;
    mono_ns at = bench.wire.loop->now;
    for (dur_ns pause = NS_PER_S; pause <= 4 * NS_PER_S; pause *= 2) {
        warm(1);
        cr_assert_eq(bench.pool.open_count, 2u);
        UNTIL(bench.pool.open_count == 1);
        bench.wire.loop->now = mono_add(at, pause - NS_PER_MS);
        warm(1);
        cr_assert_eq(bench.pool.open_count, 1u, "not yet again");
        at = bench.wire.loop->now = mono_add(at, pause);
    }
}
