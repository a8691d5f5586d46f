/* serve_bench.c - see serve_bench.h. */
#include "serve_bench.h"

#include "alloc_faults.h"
#include "base/log.h"
#include "config/load.h"
#include "request/connection.h"
#include "upstream.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static const char policy[] =
    "apiVersion: outrigger.dev/v1alpha1\n"
    "kind: ResiliencePolicy\n"
    "metadata: {name: t}\n"
    "spec:\n"
    "  targets: [{host: \"*\"}]\n"
    "  retry: {attempts: 2, backoff: 1ms, methods: [GET, POST], codes: [503]}\n"
    "  circuitBreaker: {consecutiveFailures: 100, scope: endpoint}\n"
    "  bulkhead: {maxRequests: 4, maxPending: 4, pendingTimeout: 1s, key: \"header:X-Tenant\"}\n"
    "  rateLimit: {requests: 1000, interval: 1s, key: \"header:X-Tenant\", headers: true}\n"
    "  rules:\n"
    "    - {name: large, matches: [{path: {value: /large}}], bulkhead: {maxRequests: 2}}\n"
    "    - {name: rare, matches: [{path: {value: /rare}}], rateLimit: {requests: 1, interval: "
    "1h}}\n"
    "---\n"
    "apiVersion: outrigger.dev/v1alpha1\n"
    "kind: ProxyConfig\n"
    "metadata: {name: t}\n"
    "spec:\n"
    "  drain: {mode: refuse}\n"
    "  log: {access: all}\n";

struct bench bench;

static void bench_open(uint16_t port, bool is_http2)
{
    const struct loop_options loop_options = {.seed = 1};
    struct policy_set *set = NULL;
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    cr_assert_eq(policy_set_load_text("t.yaml", policy, sizeof policy - 1, &set, &diagnostics), OK);
    diagnostics_fini(&diagnostics);
    struct tls_clients *no_tls = NULL;
    struct snapshot *snapshot = snapshot_new(&set, &no_tls);
    bench.loop = loop_new(&loop_options);
    bench.metrics = metrics_new(1000, "t", "", 1);
    bench.events = events_new();
    const struct proxy_options options = {
        .metrics = bench.metrics, .events = bench.events, .dns_servers = "127.0.0.1:9"};
    bench.proxy = proxy_new(bench.loop, &options, snapshot);
    snapshot_unref(&snapshot);
    log_set_level(LOG_ERROR);
    bench.entrance = (struct entrance){.proxy = bench.proxy,
                                       .protocol = is_http2 ? PROTOCOL_HTTP2 : PROTOCOL_HTTP1};
    list_init(&bench.entrance.link);
    snprintf(bench.entrance.upstream, sizeof bench.entrance.upstream, "127.0.0.1:%u", port);
}

static void on_nothing(struct timer *timer, mono_ns now)
{
    (void)timer;
    (void)now;
}

void bench_turn(bool may_wait)
{
    struct timer guard;
    timer_init(&guard, on_nothing);
    wheel_set(bench.loop->wheel, &guard, mono_add(bench.loop->now, NS_PER_MS));
    upstream_turn();
    loop_turn(bench.loop, may_wait);
    wheel_clear(bench.loop->wheel, &guard);
}

int bench_caller(void)
{
    int pair[2];
    const struct address unnamed = {.len = sizeof(sa_family_t), .any = {.sa_family = AF_UNIX}};
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    connection_accept(&bench.entrance, pair[1], &unnamed);
    return pair[0];
}

static void bench_close(void)
{
    for (int left = BENCH_PATIENCE;
         bench.proxy->connection_count > 0 || bench.proxy->request_count > 0; left--) {
        cr_assert(left > 0, "allocation %zu fails: %u calls never end", faults_at(),
                  bench.proxy->request_count);
        bench_turn(true);
    }
    proxy_free(&bench.proxy);
    loop_free(&bench.loop);
    metrics_free(&bench.metrics);
    events_free(&bench.events);
}

/* ---- the runs ---- */

static bool serve_once(const struct service *service, uint16_t port, size_t n, bool and_all_after)
{
    bench_open(port, service->is_http2);
    faults_start(service->whose, n, and_all_after);
    const bool is_good = service->serve();
    faults_stop();
    if (service->serve_again != NULL)
        cr_assert(service->serve_again(), "allocation %zu fails: all is not well afterwards", n);
    bench_close();
    const long lost = faults_lost();
    cr_assert_eq(lost, 0, "allocation %zu fails: %ld are lost", n, lost);
    return is_good;
}

void serve_with_each_failure(const struct service *service, bool and_all_after)
{
    log_set_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
    const uint16_t port = upstream_open(service->is_http2);
    cr_assert(serve_once(service, port, FAULTS_NEVER, false), "without a failure all is well");
    cr_assert_gt(faults_counted(), 20);
    for (size_t n = 0;; n++) {
        serve_once(service, port, n, and_all_after);
        if (faults_counted() <= n)
            break; /* none has failed */
    }
    cr_assert(serve_once(service, port, FAULTS_NEVER, false), "and afterwards again");
    upstream_close();
}
