/* micro_policy.c - what the policy engine costs per call: ns on the happy path and on the refusing
 * ones. Usage: micro_policy [rounds, in millions]. Prints the best of five runs of each, since a
 * busy machine only adds. */
#include "base/wheel.h"
#include "policy/gate.h"
#include "policy/retry.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define RUNS 5

static struct breaker breaker;
static struct token_bucket bucket;
static struct bulkhead bulkhead;
static struct retry_budget budget;
static struct rng rng;
static struct gate gate;
static struct wheel *wheel;
static const struct gate_question question = {.slot = BULKHEAD_ATTEMPT, .may_probe = true};

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void set_up(void)
{
    const struct breaker_config breaker_cfg = {.mode = POLICY_ENFORCE,
                                               .consecutive_failures = 7,
                                               .failure_permille = 500,
                                               .slow_permille = 800,
                                               .slow_longer_than = 2 * NS_PER_S,
                                               .window = 10 * NS_PER_S,
                                               .min_requests = 20,
                                               .open_for = 5 * NS_PER_S,
                                               .max_open_for = 30 * NS_PER_S,
                                               .half_open_requests = 3};
    const struct rate_limit_config rate = {
        .mode = POLICY_ENFORCE, .requests = 100000000, .interval = NS_PER_S, .burst = 1000000};
    const struct bulkhead_config slots = {.mode = POLICY_ENFORCE,
                                          .max_requests = 100,
                                          .max_streams = BULKHEAD_UNLIMITED,
                                          .max_connections = BULKHEAD_UNLIMITED};
    const struct retry_budget_config budget_cfg = {.mode = POLICY_ENFORCE,
                                                   .permille = 200,
                                                   .interval = 10 * NS_PER_S,
                                                   .min_count = 1,
                                                   .min_interval = NS_PER_S};
    rng_seed(&rng, 1);
    breaker_init(&breaker, &breaker_cfg, 0);
    token_bucket_init(&bucket, &rate, 0);
    bulkhead_init(&bulkhead, &slots);
    retry_budget_init(&budget, &budget_cfg, 0);
    wheel = wheel_new(0);
    gate = (struct gate){.breakers = {&breaker, NULL},
                         .bucket = &bucket,
                         .bucket_mode = POLICY_ENFORCE,
                         .bulkhead = &bulkhead,
                         .bulkhead_mode = POLICY_ENFORCE};
}

/* Ask, take, judge, release; one call every 20 us, as at 50 000 calls/s. */
static long pass(long count)
{
    long passed = 0;
    mono_ns now = 0;
    for (long i = 0; i < count; i++) {
        struct permit permit;
        now += 20 * NS_PER_US;
        const struct gate_verdict verdict = gate_ask(&gate, &question, now);
        if (!verdict.may_pass)
            continue;
        gate_take(&gate, &question, &permit, now);
        retry_budget_note_first(&budget, now);
        permit_judge(&permit, JUDGED_SUCCESS, false, 0, &rng, now);
        permit_release(&permit, now);
        passed++;
    }
    return passed;
}

static long refuse(long count)
{
    long refused = 0;
    breaker_force(&breaker, BREAKER_FORCED_OPEN, 0);
    for (long i = 0; i < count; i++)
        refused += !gate_ask(&gate, &question, i).may_pass;
    breaker_force(&breaker, BREAKER_CLOSED, 0);
    return refused;
}

static long judge_retries(long count)
{
    struct retry_config cfg = {.mode = POLICY_ENFORCE,
                               .attempts = 2,
                               .backoff = {25 * NS_PER_MS, 250 * NS_PER_MS, JITTER_FULL}};
    struct retry_facts facts = {
        .http_status = 503, .grpc_status = -1, .is_method_listed = true, .deadline = MONO_NEVER};
    long judged = 0;
    code_set_add_http(&cfg.codes, 503);
    for (long i = 0; i < count; i++) {
        retry_budget_note_first(&budget, i * 20 * NS_PER_US);
        const struct retry_verdict verdict =
            retry_judge(&cfg, &facts, &budget, &rng, i * 20 * NS_PER_US);
        judged += verdict.may_retry || verdict.skip == RETRY_SKIP_BUDGET;
    }
    return judged;
}

static void on_fire(struct timer *timer, mono_ns now)
{
    (void)timer;
    (void)now;
}

/* A timeout of 3 s that is set and cleared while 64 others are set. */
static long time_out(long count)
{
    struct timer timers[64];
    for (int i = 0; i < 64; i++)
        timer_init(&timers[i], on_fire);
    mono_ns now = 0;
    for (long i = 0; i < count; i++) {
        struct timer *timer = &timers[i % 64];
        now += 20 * NS_PER_US;
        wheel_advance(wheel, now);
        wheel_clear(wheel, timer);
        wheel_set(wheel, timer, now + 3 * NS_PER_S);
    }
    for (int i = 0; i < 64; i++)
        wheel_clear(wheel, &timers[i]);
    return count;
}

static void measure(const char *what, long (*run)(long count), long count)
{
    double best = 1e9;
    long done = 0;
    for (int i = 0; i < RUNS; i++) {
        set_up();
        const double began = seconds();
        done = run(count);
        const double took = seconds() - began;
        best = took < best ? took : best;
        wheel_free(&wheel);
    }
    printf("%-40s %7.1f ns%s\n", what, best * 1e9 / (double)count,
           done == count ? "" : "  (not all took the expected path)");
}

int main(int argc, char **argv)
{
    const long millions = argc > 1 ? strtol(argv[1], NULL, 10) : 2;
    const long count = (millions > 0 ? millions : 1) * 1000000;
    measure("gate ask + take + judge + release", pass, count);
    measure("gate ask, circuit open", refuse, count);
    measure("retry_judge, in an outage", judge_retries, count);
    measure("wheel advance + clear + set", time_out, count);
    return 0;
}
