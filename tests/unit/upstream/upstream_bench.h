/* upstream_bench.h - a pool in front of a peer on loopback, for tests of pool and attempt. */
#ifndef OUTRIGGER_TESTS_UPSTREAM_BENCH_H
#define OUTRIGGER_TESTS_UPSTREAM_BENCH_H

#include "../codec/wire.h"
#include "base/check.h"
#include "codec/h1_head.h"
#include "upstream/attempt.h"
#include "upstream/pool.h"

#define BENCH_GET "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define BENCH_OK "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

struct upstream_bench {
    struct wire wire;
    struct pool pool;
    struct resolver *resolver;
    struct endpoint_set *set; /* of the wire's address */
    struct header headers[16];
    struct message msg;
};

static inline void upstream_bench_open(struct upstream_bench *bench)
{
    const struct resolver_options options = {.servers = "127.0.0.1:9"};
    memset(bench, 0, sizeof *bench);
    wire_open(&bench->wire);
    pool_init(&bench->pool, &bench->wire.codec);
    const struct endpoint_hooks hooks = pool_hooks(&bench->pool);
    bench->resolver = resolver_new(bench->wire.loop, &options);
    const uint16_t port = ntohs(bench->wire.address.in.sin_port);
    cr_assert_eq(endpoint_set_new(bench->wire.loop, bench->resolver, SPAN("127.0.0.1"), port,
                                  &hooks, &bench->set),
                 OK);
}

static inline void upstream_bench_close(struct upstream_bench *bench)
{
    pool_fini(&bench->pool);
    if (bench->set != NULL)
        endpoint_set_free(&bench->set);
    TURN_UNTIL(bench->wire.loop, bench->pool.open_count == 0);
    resolver_free(&bench->resolver);
    cr_assert_eq(bench->pool.idle_count, 0);
    wire_close(&bench->wire);
}

static inline struct endpoint *upstream_bench_endpoint(struct upstream_bench *bench)
{
    return CONTAINER_OF(list_first(&bench->set->members), struct endpoint, link);
}

static inline void upstream_bench_send(struct upstream_bench *bench, struct back *back)
{
    const char *text = BENCH_GET;
    struct h1_scan scan;
    const struct h1_limits *limits = &bench->wire.codec.request_limits;
    const struct request_edit edit = {.attempt = 1};
    h1_scan_init(&scan, MESSAGE_REQUEST);
    cr_assert_eq(h1_scan_head(&scan, text, strlen(text), limits).step, H1_DONE);
    cr_assert_eq(
        h1_parse_request(h1_scan_span(&scan, text), limits, bench->headers, &bench->msg).step,
        H1_DONE);
    back_send_request(back, &bench->msg, &edit);
    back_flush(back);
}

#endif
