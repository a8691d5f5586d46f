/* Random policies under random scenarios, in the world of `outrigger simulate`: after every event
 * all that must hold is counted anew, from the calls and jobs, never from the counter that is
 * checked. One seed again: SIM_SEED=17. More of them: SIM_SEEDS=10000; with CI=true 1 000. */
#include "base/check.h"
#include "config/load.h"
#include "sim/world.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEEDS 100
#define SEEDS_IN_CI 1000
#define TEXT_BYTES 8192

struct text {
    char bytes[TEXT_BYTES];
    size_t len;
};

static struct rng chance;

__attribute__((format(printf, 2, 3))) static void say(struct text *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    text->len += (size_t)vsnprintf(text->bytes + text->len, TEXT_BYTES - text->len, format, args);
    va_end(args);
    cr_assert_lt(text->len, TEXT_BYTES);
}

static unsigned below(unsigned limit)
{
    return (unsigned)rng_below(&chance, limit);
}

#define ONE_OF(...) pick((const char *const[]){__VA_ARGS__, NULL})
static const char *pick(const char *const *words)
{
    unsigned count = 0;
    while (words[count] != NULL)
        count++;
    return words[below(count)];
}

/* ---- random files ---------------------------------------------------------------------------- */

static void random_policy(struct text *text)
{
    say(text, "apiVersion: outrigger.dev/v1alpha1\nkind: ResiliencePolicy\nmetadata: {name: any}\n"
              "spec:\n  targets: [{host: \"*\"}]\n");
    if (below(5) > 0)
        say(text, "  timeouts: {connect: 1s, request: %s, backendRequest: %s}\n",
            ONE_OF("500ms", "3s", "10s"), ONE_OF("100ms", "500ms", "3s"));
    if (below(4) > 0)
        say(text,
            "  retry: {attempts: %u, codes: [429, 503], backoff: 5ms, jitter: %s, "
            "trustUpstreamMarks: %s, budget: {percent: %u, interval: 10s, minRetryRate: {count: "
            "%u, "
            "interval: 1s}}}\n",
            below(4), ONE_OF("full", "equal", "decorrelated", "none"), ONE_OF("true", "false"),
            below(50), below(3));
    if (below(4) > 0)
        say(text,
            "  circuitBreaker: {consecutiveFailures: %u, failureRate: {percent: 50, minRequests: "
            "%u}, slowCalls: {percent: 50, longerThan: 200ms}, openFor: %s, maxOpenFor: 4s, "
            "halfOpenRequests: %u, rampUp: %s, scope: %s, mode: %s}\n",
            below(8), 5 + below(20), ONE_OF("100ms", "1s"), 1 + below(4), ONE_OF("0s", "1s"),
            ONE_OF("target", "endpoint"), ONE_OF("enforce", "enforce", "enforce", "shadow"));
    if (below(3) > 0)
        say(text, "  bulkhead: {maxRequests: %u, maxPending: %u, pendingTimeout: %s}\n",
            1 + below(20), below(10), ONE_OF("0s", "50ms", "1s"));
    if (below(3) > 0)
        say(text, "  rateLimit: {requests: %u, interval: 1s, burst: %u, wait: %s}\n",
            20 + below(100), 1 + below(50), ONE_OF("0s", "100ms", "2s"));
    if (below(2) > 0)
        say(text,
            "  outlier: {consecutiveFailures: %u, ejectFor: %s, maxEjectFor: 4s, probes: %u, "
            "maxEjectionPercent: %u, panic: %s, mode: %s}\n",
            1 + below(5), ONE_OF("100ms", "1s"), 1 + below(2), below(101),
            ONE_OF("useAll", "refuse"), ONE_OF("enforce", "enforce", "shadow"));
}

static void random_upstream(struct text *text, const char *name, const char *calls)
{
    say(text,
        "    - {name: %s, host: \"%s:80\", endpoints: %u, concurrency: %u, maxQueue: %s, "
        "noticesCancels: %s, roundTrip: %s, copiesExhaustedMark: %s, overload: {above: 5, percent: "
        "1}, serviceTime: {distribution: %s, mean: %ums, p99: %s}%s}\n",
        name, name, 1 + below(4), 1 + below(8), ONE_OF("unlimited", "0", "20"),
        ONE_OF("true", "false"), ONE_OF("0s", "1ms", "20ms"), ONE_OF("true", "false"),
        ONE_OF("fixed", "exponential", "lognormal"), 8 + below(40), "100ms", calls);
}

static void random_scenario(struct text *text)
{
    const bool has_layers = below(2) == 0;
    say(text,
        "apiVersion: outrigger.dev/v1alpha1\nkind: Scenario\nmetadata: {name: any}\nspec:\n"
        "  duration: %us\n  seed: %u\n  callers:\n    - {rate: %u, replicas: %u, arrivals: %s, "
        "giveUpAfter: %s, upstream: near, calls: [{method: GET}, {method: POST, body: 100KiB}]}\n",
        4 + below(8), below(1000000), 10 + below(100), 1 + below(3), ONE_OF("poisson", "constant"),
        ONE_OF("0s", "300ms", "2s"));
    say(text, "  upstreams:\n");
    random_upstream(text, "near", has_layers ? ", calls: [{upstream: far}]" : "");
    if (has_layers)
        random_upstream(text, "far", "");
    say(text, "  faults:\n");
    for (unsigned i = 0; i <= below(3); i++)
        say(text,
            "    - {kind: %s, upstream: %s, endpoint: %u, percent: %u, factor: 20, add: 500ms, at: "
            "%ums, lasts: %ums, status: %s, retryAfter: %s}\n",
            ONE_OF("crash", "stall", "brownOut", "errors", "latency", "connectLoss"),
            has_layers ? ONE_OF("near", "far") : "near", below(2), 1 + below(100), below(4000),
            1 + below(3000), ONE_OF("503", "500", "429"), ONE_OF("0s", "1s"));
}

/* ---- what must hold ---------------------------------------------------------------------------
 */

static uint32_t list_length(const struct list *list)
{
    uint32_t count = 0;
    LIST_FOREACH (link, list)
        count++;
    return count;
}

/* A server takes the next as soon as it can, and works on no more than it can. */
static void check_server(const struct server *server)
{
    INVARIANT(server->queued == list_length(&server->queue));
    INVARIANT(server->queued == 0 || server->stalled > 0 ||
              server->busy == server->config->concurrency);
    INVARIANT(server->busy <= server->config->concurrency);
    INVARIANT(server->queued <= server->config->max_queue);
}

/* Permits granted = settled + live: what the bulkhead counts is what calls hold. */
static void check_bulkhead(const struct world *world, const struct instance *instance)
{
    const struct bulkhead_config *cfg = &instance->bulkhead_cfg;
    struct room_totals totals = {.queued = 0};
    uint64_t held = 0;
    if (cfg->mode == POLICY_OFF)
        return;
    room_table_totals(instance->slots, world->now, &totals);
    LIST_FOREACH (link, &world->open) {
        const struct call *call = &CONTAINER_OF(link, struct sim_call, open_link)->call;
        held += call->permit.is_live && call->lane->bulkhead == instance;
    }
    INVARIANT(totals.in_flight[BULKHEAD_ATTEMPT] == held);
    INVARIANT(held <= cfg->max_requests);
    INVARIANT(totals.queued <= cfg->max_pending);
}

static void check_target(const struct world *world, const struct target *target)
{
    const struct instance *instance = target->instance;
    struct room_totals totals = {.queued = 0};
    check_bulkhead(world, instance);
    if (instance->rate_cfg.mode == POLICY_OFF)
        return;
    room_table_totals(instance->tokens, world->now, &totals);
    INVARIANT(totals.millitokens <= instance->rate_cfg.burst * 1000);
}

/* An attempt that begins now begins before its deadline, and past no open breaker. */
static void check_call(const struct world *world, const struct sim_call *call)
{
    const struct instance *instance = call->call.lane->breaker;
    const struct seat *seat = &instance->seat;
    if (call->call.step != CALL_STEP_ATTEMPT || call->call.attempt_at != world->now)
        return;
    INVARIANT(call->call.deadline.call_at >= world->now);
    if (instance_is_by_endpoint(instance))
        seat = call->call.endpoint_seat != NULL ? &call->call.endpoint_seat->seat : NULL;
    if (seat == NULL || instance->breaker_cfg.mode != POLICY_ENFORCE)
        return;
    INVARIANT(seat->breaker.state != BREAKER_OPEN || seat->breaker.entered_at == world->now);
}

static void check_world(const struct world *world)
{
    uint64_t own = 0;
    LIST_FOREACH (link, &world->open) {
        const struct sim_call *call = CONTAINER_OF(link, struct sim_call, open_link);
        own += call->parent == NULL;
        check_call(world, call);
    }
    INVARIANT(own == world->in_flight);
    for (uint32_t i = 0; i < world->sidecar_count; i++)
        for (size_t k = 0; k < world->scenario->upstream_count; k++)
            if (world->sidecars[i].targets[k] != NULL)
                check_target(world, world->sidecars[i].targets[k]);
    for (size_t i = 0; i < world->scenario->upstream_count; i++)
        for (uint32_t k = 0; k < world->scenario->upstreams[i].endpoints; k++)
            check_server(&world->services[i].servers[k]);
}

/* Every call is told once, and no more retries than the budgets of all sidecars allowed. */
static void check_result(const struct result *result, const struct policy *policy,
                         uint32_t sidecars)
{
    uint64_t ended = 0;
    uint64_t made = 0;
    uint64_t attempts = 0;
    for (size_t i = 0; i < FATE_COUNT; i++)
        ended += result->fates[i];
    for (size_t i = 0; i < RETRY_CAUSE_COUNT; i++)
        made += i == RETRY_CAUSE_TRANSPARENT ? 0 : result->retries[i];
    for (size_t i = 0; i < result->scenario->upstream_count; i++)
        attempts += result->upstreams[i].attempts;
    cr_assert_eq(ended + result->unfinished, result->calls);
    if (policy->retry.mode == POLICY_OFF) {
        cr_assert_eq(made, 0);
        return;
    }
    const struct retry_budget_config *budget = &policy->retry.budget;
    const uint64_t seconds = (uint64_t)((result->scenario->duration + WORLD_GRACE) / NS_PER_S) + 10;
    const uint64_t least =
        sidecars * result->scenario->upstream_count * budget->min_count * seconds;
    cr_assert_leq(made, attempts * budget->permille / 1000 + least);
}

/* ---- one seed ----------------------------------------------------------------------------------
 */

static void run(uint64_t seed)
{
    struct text policy = {.len = 0};
    struct text text = {.len = 0};
    struct diagnostics diag;
    struct policy_set *set = NULL;
    struct scenario *scenario = NULL;
    rng_seed(&chance, seed);
    random_policy(&policy);
    random_scenario(&text);
    diagnostics_init(&diag);
    cr_assert_eq(policy_set_load_text("policy.yaml", policy.bytes, policy.len, &set, &diag), OK,
                 "%s", policy.bytes);
    cr_assert_eq(scenario_load_text("scenario.yaml", text.bytes, text.len, &scenario, &diag), OK,
                 "%s", text.bytes);
    const struct world_order order = {.scenario = scenario,
                                      .policies = set,
                                      .policy_name = "any",
                                      .variant = VARIANT_NONE,
                                      .seed = scenario->seed,
                                      .after_event = check_world};
    struct result *result = world_run(&order);
    check_result(result, &set->documents[0].policy, 8);
    result_free(&result);
    scenario_free(&scenario);
    policy_set_unref(&set);
    diagnostics_fini(&diag);
}

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *given = getenv(name);
    return given != NULL ? strtoull(given, NULL, 10) : otherwise;
}

Test(scenario_sim, keeps_every_invariant_under_random_policies_and_scenarios, .timeout = 900)
{
    const uint64_t first = number("SIM_SEED", 1);
    const uint64_t usual = getenv("CI") ? SEEDS_IN_CI : SEEDS;
    const uint64_t count = number("SIM_SEEDS", getenv("SIM_SEED") ? 1 : usual);
    for (uint64_t seed = first; seed < first + count; seed++) {
        static char text[64];
        snprintf(text, sizeof text, "scenario_sim: SIM_SEED=%llu\n", (unsigned long long)seed);
        fputs(text, stderr);
        run(seed);
    }
}
