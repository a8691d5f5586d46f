#include "sim_bench.h"

static struct sim_bench bench;

static void open_bench(void)
{
    sim_bench_open(&bench);
}

static void close_bench(void)
{
    sim_bench_close(&bench);
}

TestSuite(world, .init = open_bench, .fini = close_bench);

#define TIMEOUTS "  timeouts: {connect: 1s, request: 10s, backendRequest: 3s}\n"

/* A server of 300 calls a second, and what befalls it. */
#define SERVER(rate, duration, faults)                                                             \
    "  duration: " duration "\n  callers: [{rate: " rate "}]\n  upstreams: [{name: server, host: " \
    "\"server:8080\", concurrency: 3, serviceTime: {distribution: fixed, mean: 10ms}}]\n" faults
#define STALL "  faults: [{kind: stall, at: 60s, lasts: 10s}]\n"

static const struct result *run(const char *policy, const char *spec)
{
    return sim_bench_run(&bench, policy, spec, 1);
}

Test(world, serves_what_it_can_and_no_more)
{
    const struct result *result = run("", SERVER("400", "30s", ""));
    cr_assert_float_eq((double)result->upstreams[0].served, 12000, 400);
    cr_assert_float_eq((double)result->calls, 12000, 400);
    cr_assert_geq(result->upstreams[0].longest_queue, 2500);
}

Test(world, offers_poisson_arrivals_at_the_rate_that_was_asked_for)
{
    const struct result *result = run("", SERVER("100", "300s", ""));
    cr_assert_float_eq((double)result->calls, 30000, 600);
    cr_assert_eq(result->good, result->calls);
}

Test(world, spaces_constant_arrivals_evenly)
{
    const struct result *result = run(
        "",
        "  duration: 100s\n  callers: [{rate: 50, arrivals: constant}]\n  upstreams: [{name: a, "
        "host: \"a:80\"}]\n");
    for (size_t i = 1; i + 1 < result->bucket_count; i++)
        cr_assert_float_eq(result->buckets[i].offered, 50, 1.01);
}

Test(world, follows_a_ramp)
{
    const struct result *result = run(
        "", "  duration: 100s\n  callers: [{arrivals: constant, load: [{at: 0s, rate: 0}, {at: "
            "100s, rate: 200}]}]\n  upstreams: [{name: a, host: \"a:80\", concurrency: 100}]\n");
    cr_assert_float_eq((double)result->calls, 10000, 5);
    cr_assert_float_eq(result->buckets[50].offered, 101, 2);
}

Test(world, is_the_same_again_with_the_same_seed_and_another_with_another)
{
    const char *const spec = SERVER("280", "90s", STALL);
    const struct result *result = sim_bench_run(&bench, TIMEOUTS "  retry: {}\n", spec, 7);
    const uint64_t events = result->events, good = result->good;
    result = sim_bench_run(&bench, TIMEOUTS "  retry: {}\n", spec, 7);
    cr_assert_eq(result->events, events);
    cr_assert_eq(result->good, good);
    result = sim_bench_run(&bench, TIMEOUTS "  retry: {}\n", spec, 8);
    cr_assert_neq(result->events, events);
}

Test(world, recovers_without_retries_after_the_backlog)
{
    const struct result *result = run(TIMEOUTS, SERVER("280", "300s", STALL));
    cr_assert_float_eq((double)result->faults[0].recovery / (double)NS_PER_S, 100, 30);
    cr_assert_float_eq(result_amplification(result, NULL), 1, 1e-9);
}

Test(world, never_recovers_with_retries_not_even_under_a_budget)
{
    static const char *const budgets[] = {"{mode: \"off\"}", "{percent: 10}", "{percent: 20}"};
    for (size_t i = 0; i < sizeof budgets / sizeof *budgets; i++) {
        char policy[256];
        snprintf(policy, sizeof policy, TIMEOUTS "  retry: {attempts: 2, budget: %s}\n",
                 budgets[i]);
        const struct result *result = run(policy, SERVER("280", "300s", STALL));
        cr_assert_eq(result->faults[0].recovery, DUR_FOREVER, "%s", budgets[i]);
    }
}

Test(world, recovers_at_seventy_percent_under_a_budget)
{
    const struct result *result = run(TIMEOUTS "  retry: {attempts: 2, budget: {percent: 20}}\n",
                                      SERVER("210", "240s", STALL));
    cr_assert_lt(result->faults[0].recovery, 60 * NS_PER_S);
}

Test(world, opens_a_breaker_and_counts_what_it_refuses)
{
    const struct result *result = run(TIMEOUTS "  circuitBreaker: {openFor: 1s, maxOpenFor: 4s}\n",
                                      SERVER("100", "40s",
                                             "  faults: [{kind: errors, percent: 100, "
                                             "at: 10s, lasts: 10s}]\n"));
    cr_assert_lt(result->faults[0].trip, NS_PER_S);
    cr_assert_gt(result->fates[FATE_CIRCUIT_OPEN], 500);
    cr_assert_eq(result->reasons[REASON_CIRCUIT_OPEN], result->fates[FATE_CIRCUIT_OPEN]);
    cr_assert_eq(result->transitions[0].to, BREAKER_OPEN);
    cr_assert_leq(result->faults[0].recovery, 6 * NS_PER_S);
}

Test(world, refuses_connections_of_a_crashed_server_and_breaks_what_it_had)
{
    const struct result *result =
        run(TIMEOUTS, SERVER("100", "30s", "  faults: [{kind: crash, at: 10s, lasts: 10s}]\n"));
    cr_assert_float_eq((double)result->reasons[REASON_CONNECT_REFUSED], 1000, 150);
    cr_assert_eq(result->fates[FATE_FAILURE], result->reasons[REASON_CONNECT_REFUSED] +
                                                  result->reasons[REASON_CONNECTION_RESET]);
}

Test(world, sends_a_lost_syn_again_after_a_second)
{
    const struct result *result =
        run("  timeouts: {connect: 5s, poolIdle: 0s}\n",
            "  duration: 100s\n  callers: [{rate: 2}]\n  upstreams: [{name: a, host: \"a:80\"}]\n"
            "  faults: [{kind: connectLoss, percent: 50, at: 0s, lasts: 100s}]\n");
    cr_assert_geq(latency_quantile(&result->ended, 0.99), NS_PER_S);
}

Test(world, answers_429_past_a_quota_and_says_when_to_come_back)
{
    const struct result *result = run(
        "", "  duration: 20s\n  callers: [{rate: 100}]\n  upstreams: [{name: a, host: \"a:80\", "
            "concurrency: 50, quota: {requests: 10, interval: 1s}}]\n");
    cr_assert_float_eq((double)result->good, 200, 10);
    cr_assert_eq(result->upstreams[0].throttled, result->calls - result->good);
}

Test(world, multiplies_retries_by_layers_unless_the_apps_copy_the_mark)
{
    static const char *const format =
        "  duration: 60s\n  callers: [{rate: 20, upstream: a}]\n  upstreams:\n"
        "    - {name: a, host: \"a:80\", concurrency: 500, copiesExhaustedMark: %s, calls: "
        "[{upstream: b}]}\n"
        "    - {name: b, host: \"b:80\", concurrency: 500, copiesExhaustedMark: %s, calls: "
        "[{upstream: c}]}\n"
        "    - {name: c, host: \"c:80\", concurrency: 500}\n"
        "  faults: [{kind: errors, upstream: c, at: 0s, lasts: 60s}]\n";
    static const char *const policy =
        "  retry: {attempts: 2, trustUpstreamMarks: true, budget: {mode: \"off\"}}\n";
    char spec[1024];
    snprintf(spec, sizeof spec, format, "false", "false");
    cr_assert_float_eq(result_amplification(run(policy, spec), NULL), 27, 0.5);
    snprintf(spec, sizeof spec, format, "true", "true");
    cr_assert_float_eq(result_amplification(run(policy, spec), NULL), 3, 0.1);
}

Test(world, lets_an_app_give_up_and_a_server_work_for_nobody)
{
    const struct result *result =
        run("", "  duration: 30s\n  callers: [{rate: 50, giveUpAfter: 100ms}]\n  upstreams: "
                "[{name: a, host: "
                "\"a:80\", concurrency: 100, serviceTime: {distribution: fixed, mean: 1s}}]\n");
    cr_assert_eq(result->good, 0);
    cr_assert_eq(result->fates[FATE_CANCELLED], result->calls);
    cr_assert_eq(result->upstreams[0].wasted, result->upstreams[0].served);
}

Test(world, drops_what_is_queued_for_nobody_where_the_server_notices)
{
    const struct result *result =
        run("  timeouts: {backendRequest: 500ms}\n",
            "  duration: 60s\n  callers: [{rate: 150}]\n  upstreams: [{name: a, host: \"a:80\", "
            "noticesCancels: true, serviceTime: {distribution: fixed, mean: 10ms}}]\n");
    cr_assert_lt(result->upstreams[0].longest_queue, 120); /* 150 a second, for half a second */
}

Test(world, leaves_a_bad_endpoint_alone_with_a_breaker_of_its_own)
{
    static const char *const spec =
        "  duration: 60s\n  callers: [{rate: 100}]\n  upstreams: [{name: a, host: \"a:80\", "
        "endpoints: "
        "10, concurrency: 4}]\n  faults: [{kind: errors, endpoint: 3, at: 10s, lasts: 40s}]\n";
    const double without = result_goodput(run("", spec), NULL);
    const double with = result_goodput(
        run("  circuitBreaker: {scope: endpoint, consecutiveFailures: 3}\n", spec), NULL);
    cr_assert_lt(without, 0.96);
    cr_assert_gt(with, 0.99);
    cr_assert(strstr(bench.result->transitions[0].instance, "endpoint:10.0.0.3:80"));
}

Test(world, chooses_endpoints_by_the_policys_algorithm)
{
    static const char *const spec =
        "  duration: 60s\n  callers: [{rate: 200}]\n  upstreams: [{name: a, host: \"a:80\", "
        "endpoints: 5, concurrency: 8}]\n  faults: [{kind: brownOut, factor: 20, endpoint: 3, at: "
        "10s, lasts: 40s}]\n";
    const dur_ns in_turn =
        latency_quantile(&run("  loadBalancer: {algorithm: roundRobin}\n", spec)->took, 0.95);
    const dur_ns by_latency =
        latency_quantile(&run("  loadBalancer: {algorithm: peakEwma}\n", spec)->took, 0.95);
    cr_assert_gt(in_turn, 5 * by_latency);
    const struct result *one = run("  loadBalancer: {algorithm: ringHash, key: path}\n",
                                   "  duration: 20s\n  callers: [{rate: 200, calls: [{path: /a}]}]"
                                   "\n  upstreams: [{name: a, host: \"a:80\", endpoints: 5, "
                                   "concurrency: 1, serviceTime: {distribution: fixed, mean: "
                                   "10ms}}]\n");
    cr_assert_geq(one->upstreams[0].longest_queue, 1000, "all of a key go to one");
}

Test(world, chooses_rules_by_method_and_path)
{
    const struct result *result = run(
        "  rules:\n    - {name: no, matches: [{path: {type: PathPrefix, value: /no}}], rateLimit: "
        "{requests: 1, interval: 1h, burst: 1}}\n",
        "  duration: 30s\n  callers: [{rate: 100, calls: [{path: /yes, weight: 3}, {path: /no}]}]\n"
        "  upstreams: [{name: a, host: \"a:80\", concurrency: 20}]\n");
    cr_assert_float_eq((double)result->fates[FATE_RATE_LIMITED] / (double)result->calls, 0.25,
                       0.03);
}
