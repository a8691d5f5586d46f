/* sim_policy.c - policies with random numbers: small ones, so that limits are met all the time. */
#include "sim_world.h"

#include <string.h>

#define MS NS_PER_MS

static dur_ns pick(struct sim *sim, const int *choices_ms, size_t count)
{
    return choices_ms[rng_below(&sim->rng, count)] * MS;
}

#define PICK(sim, ...)                                                                             \
    pick(sim, (const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

static enum policy_mode random_mode(struct sim *sim)
{
    const uint64_t draw = rng_below(&sim->rng, 10);
    return draw < 7 ? POLICY_ENFORCE : draw < 8 ? POLICY_SHADOW : POLICY_OFF;
}

static struct key_config random_key(struct sim *sim, struct sim_snapshot *snapshot)
{
    const uint64_t draw = rng_below(&sim->rng, 8);
    struct key_config key = {.kind = KEY_NONE, .max_keys = 3};
    if (draw == 0)
        key.kind = KEY_PATH;
    if (draw == 1) {
        key.kind = KEY_HEADER;
        key.header = snapshot->key_header;
    }
    return key;
}

static void timeouts(struct sim *sim, struct timeouts_config *cfg)
{
    cfg->mode = random_mode(sim);
    cfg->connect = PICK(sim, 0, 100, 1000);
    cfg->request = PICK(sim, 0, 300, 2000, 10000);
    cfg->backend_request = PICK(sim, 0, 100, 700, 3000);
    cfg->idle = PICK(sim, 0, 500, 30000);
    cfg->max_duration = PICK(sim, 0, 0, 5000);
}

static void retry(struct sim *sim, struct retry_config *cfg)
{
    cfg->mode = random_mode(sim);
    cfg->attempts = (uint32_t)rng_below(&sim->rng, 4);
    cfg->on = (uint32_t)rng_below(&sim->rng, 16);
    code_set_add_http(&cfg->codes, 503);
    code_set_add_http(&cfg->codes, 429);
    cfg->trusts_upstream_marks = sim_chance(sim, 50);
    cfg->backoff = (struct backoff_config){.base = PICK(sim, 0, 5, 25),
                                           .max = 250 * MS,
                                           .jitter = (enum jitter)rng_below(&sim->rng, 4)};
    cfg->max_retry_after = PICK(sim, 0, 1000, 5000);
    cfg->budget = sim->budget;
}

static void breaker(struct sim *sim, struct breaker_config *cfg)
{
    cfg->mode = sim_chance(sim, 3) ? POLICY_FORCE_OPEN : random_mode(sim);
    cfg->consecutive_failures = (uint32_t)rng_below(&sim->rng, 6);
    cfg->failure_permille = sim_chance(sim, 50) ? 500 : 0;
    cfg->window = 10 * NS_PER_S;
    cfg->window_calls = sim_chance(sim, 20) ? 20 : 0;
    cfg->min_requests = 5;
    cfg->slow_permille = sim_chance(sim, 30) ? 500 : 0;
    cfg->slow_longer_than = 200 * MS;
    cfg->open_for = PICK(sim, 50, 500, 5000);
    cfg->max_open_for = 30 * NS_PER_S;
    cfg->open_jitter_permille = 200;
    cfg->half_open_requests = (uint32_t)rng_below(&sim->rng, 4);
    cfg->ramp_up = PICK(sim, 0, 0, 1000);
    cfg->scope = sim_chance(sim, 25) ? BREAKER_SCOPE_ENDPOINT : BREAKER_SCOPE_TARGET;
    cfg->throttled_is_failure = sim_chance(sim, 20);
}

static void outlier(struct sim *sim, struct outlier_config *cfg)
{
    breaker(sim, &cfg->breaker);
    cfg->breaker.mode = random_mode(sim);
    cfg->max_ejection_permille = (uint32_t)rng_below(&sim->rng, 1001);
    cfg->panic = sim_chance(sim, 30) ? OUTLIER_PANIC_REFUSE : OUTLIER_PANIC_USE_ALL;
}

static void bulkhead(struct sim *sim, struct sim_snapshot *snapshot, struct bulkhead_config *cfg)
{
    cfg->mode = random_mode(sim);
    cfg->max_requests = 1 + (uint32_t)rng_below(&sim->rng, 6);
    cfg->max_pending = (uint32_t)rng_below(&sim->rng, 8);
    cfg->pending_timeout = PICK(sim, 0, 50, 1000, 1000);
    cfg->max_connections = sim_chance(sim, 50) ? 2 : BULKHEAD_UNLIMITED;
    cfg->max_streams = sim_chance(sim, 50) ? 1 : BULKHEAD_UNLIMITED;
    cfg->key = random_key(sim, snapshot);
}

static void rate(struct sim *sim, struct sim_snapshot *snapshot, struct rate_limit_config *cfg)
{
    cfg->mode = random_mode(sim);
    cfg->requests = 1 + rng_below(&sim->rng, 50);
    cfg->interval = PICK(sim, 10, 1000, 1000);
    cfg->burst = 1 + rng_below(&sim->rng, 10);
    cfg->wait = PICK(sim, 0, 20, 500, 3000);
    cfg->key = random_key(sim, snapshot);
}

static void fill(struct sim *sim, struct sim_snapshot *snapshot, struct policy *policy)
{
    memset(policy, 0, sizeof *policy);
    timeouts(sim, &policy->timeouts);
    retry(sim, &policy->retry);
    breaker(sim, &policy->breaker);
    bulkhead(sim, snapshot, &policy->bulkhead);
    rate(sim, snapshot, &policy->rate_limit);
    outlier(sim, &policy->outlier);
    policy->own = (uint32_t)rng_below(&sim->rng, 1u << POLICY_FAMILY_COUNT);
    for (int i = 0; i < POLICY_FAMILY_COUNT; i++)
        policy->at[i] = "sim.yaml:1";
}

void sim_policy(struct sim *sim, struct sim_snapshot *snapshot)
{
    static const char *const names[] = {"charge", "quote", "list"};
    const size_t first = rng_below(&sim->rng, 3);
    snapshot->key_header[0] = 'x';
    fill(sim, snapshot, &snapshot->policy);
    for (size_t i = 0; i < SIM_RULES; i++) {
        fill(sim, snapshot, &snapshot->rule_policies[i]);
        snapshot->rules[i] =
            (struct plan_rule){names[(first + i) % 3], &snapshot->rule_policies[i]};
    }
    snapshot->plan = (struct plan){.policy_name = "shop",
                                   .policy = &snapshot->policy,
                                   .rules = snapshot->rules,
                                   .rule_count = rng_below(&sim->rng, SIM_RULES + 1),
                                   .snapshot = snapshot};
}
