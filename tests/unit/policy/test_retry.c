#include "policy/retry.h"

#include "unit/base/seed.h"

#include <criterion/criterion.h>

#define S NS_PER_S
#define MS NS_PER_MS

static struct rng rng;
static struct retry_config cfg;
static struct retry_facts facts;
static struct retry_budget budget;

/* A GET answered 503, for which everything says yes. */
static void set_up(void)
{
    const struct retry_budget_config budget_cfg = {.mode = POLICY_ENFORCE,
                                                   .permille = 200,
                                                   .interval = 10 * S,
                                                   .min_count = 1,
                                                   .min_interval = S};
    rng_seed(&rng, 1);
    cfg = (struct retry_config){
        .mode = POLICY_ENFORCE,
        .attempts = 2,
        .on = REASON_GROUP_CONNECT_FAILURE | REASON_GROUP_RESET | REASON_GROUP_REFUSED_STREAM |
              REASON_GROUP_TIMEOUT,
        .backoff = {25 * MS, 250 * MS, JITTER_NONE},
        .max_retry_after = 5 * S,
        .budget = budget_cfg,
    };
    code_set_add_http(&cfg.codes, 502);
    code_set_add_http(&cfg.codes, 503);
    code_set_add_grpc(&cfg.codes, 14);
    facts = (struct retry_facts){
        .http_status = 503,
        .grpc_status = -1,
        .is_method_listed = true,
        .deadline = MONO_NEVER,
    };
    retry_budget_init(&budget, &budget_cfg, 0);
}

TestSuite(retry, .init = set_up);

static struct retry_verdict judge(mono_ns now)
{
    return retry_judge(&cfg, &facts, &budget, &rng, now);
}

static void assert_skipped(enum retry_skip skip)
{
    const uint64_t before = retry_budget_available(&budget, 0);
    const struct retry_verdict verdict = judge(0);
    cr_assert_not(verdict.may_retry);
    cr_assert_not(verdict.is_shadow);
    cr_assert_eq(verdict.skip, skip, "%s", retry_skip_word(verdict.skip));
    cr_assert_eq(verdict.not_before, MONO_NEVER);
    cr_assert_eq(retry_budget_available(&budget, 0), before, "a no costs nothing");
}

static void assert_retried(enum retry_cause cause)
{
    const struct retry_verdict verdict = judge(0);
    cr_assert(verdict.may_retry, "%s", retry_skip_word(verdict.skip));
    cr_assert_eq(verdict.cause, cause, "%s", retry_cause_word(verdict.cause));
}

static void fail_with(enum reason reason)
{
    facts.http_status = 0;
    facts.grpc_status = -1;
    facts.reason = reason;
}

/* ---- which no comes first ---- */

Test(retry, asks_its_questions_in_order)
{
    cfg.trusts_upstream_marks = true;
    facts.is_exhausted_marked = true;
    facts.http_status = 200;
    facts.is_method_listed = false;
    facts.replay = REPLAY_COMMITTED;
    facts.retries_made = 2;
    facts.retry_after = 6 * S;
    facts.deadline = 0;
    while (retry_budget_charge(&budget, 0))
        continue;
    assert_skipped(RETRY_SKIP_EXHAUSTED_UPSTREAM);
    facts.is_exhausted_marked = false;
    assert_skipped(RETRY_SKIP_NOT_RETRYABLE);
    facts.http_status = 503;
    assert_skipped(RETRY_SKIP_METHOD);
    facts.is_method_listed = true;
    assert_skipped(RETRY_SKIP_COMMITTED);
    facts.replay = REPLAY_OK;
    assert_skipped(RETRY_SKIP_ATTEMPTS);
    facts.retries_made = 1;
    assert_skipped(RETRY_SKIP_RETRY_AFTER);
    facts.retry_after = 0;
    assert_skipped(RETRY_SKIP_DEADLINE);
    facts.deadline = MONO_NEVER;
    assert_skipped(RETRY_SKIP_BUDGET);
}

Test(retry, of_a_block_that_is_off_is_never_wanted)
{
    cfg.mode = POLICY_OFF;
    assert_skipped(RETRY_SKIP_NOT_RETRYABLE);
}

/* ---- kind of failure ---- */

Test(retry, of_a_code_that_is_not_listed_is_not_wanted)
{
    facts.http_status = 200;
    assert_skipped(RETRY_SKIP_NOT_RETRYABLE);
    facts.http_status = 500;
    assert_skipped(RETRY_SKIP_NOT_RETRYABLE);
    facts.http_status = 503 + 640;
    assert_skipped(RETRY_SKIP_NOT_RETRYABLE);
}

Test(retry, of_a_listed_code_is_made_after_the_backoff)
{
    const struct retry_verdict verdict = judge(7 * S);
    cr_assert(verdict.may_retry);
    cr_assert_eq(verdict.cause, RETRY_CAUSE_CODE);
    cr_assert_eq(verdict.delay, 25 * MS);
    cr_assert_eq(verdict.not_before, 7 * S + 25 * MS);
}

Test(retry, is_asked_of_the_groups_that_on_names)
{
    static const struct {
        enum reason reason;
        enum reason_group group;
        enum retry_cause cause;
    } rows[] = {
        {REASON_CONNECT_REFUSED, REASON_GROUP_CONNECT_FAILURE, RETRY_CAUSE_CONNECT_FAILURE},
        {REASON_CONNECT_TIMEOUT, REASON_GROUP_CONNECT_FAILURE, RETRY_CAUSE_CONNECT_FAILURE},
        {REASON_DNS_FAILURE, REASON_GROUP_CONNECT_FAILURE, RETRY_CAUSE_CONNECT_FAILURE},
        {REASON_TLS_EXPIRED, REASON_GROUP_CONNECT_FAILURE, RETRY_CAUSE_CONNECT_FAILURE},
        {REASON_CONNECTION_RESET, REASON_GROUP_RESET, RETRY_CAUSE_RESET},
        {REASON_REFUSED_STREAM, REASON_GROUP_REFUSED_STREAM, RETRY_CAUSE_REFUSED_STREAM},
        {REASON_ATTEMPT_TIMEOUT, REASON_GROUP_TIMEOUT, RETRY_CAUSE_TIMEOUT},
    };
    const uint32_t all = cfg.on;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fail_with(rows[i].reason);
        cfg.on = all & ~(uint32_t)rows[i].group;
        assert_skipped(RETRY_SKIP_NOT_RETRYABLE);
        cfg.on = rows[i].group;
        assert_retried(rows[i].cause);
    }
}

Test(retry, of_a_failure_in_no_group_is_not_wanted)
{
    cfg.on = UINT32_MAX;
    fail_with(REASON_PROTOCOL_ERROR);
    assert_skipped(RETRY_SKIP_NOT_RETRYABLE);
    fail_with(REASON_REQUEST_TIMEOUT);
    assert_skipped(RETRY_SKIP_NOT_RETRYABLE);
}

Test(retry, leaves_the_cause_alone_when_it_is_not_wanted)
{
    enum retry_cause cause = RETRY_CAUSE_TRANSPARENT;
    facts.http_status = 200;
    cr_assert_not(retry_is_wanted(&cfg, &facts, &cause));
    fail_with(REASON_PROTOCOL_ERROR);
    cr_assert_not(retry_is_wanted(&cfg, &facts, &cause));
    cr_assert_eq(cause, RETRY_CAUSE_TRANSPARENT);
}

Test(retry, of_grpc_goes_by_grpc_codes_alone)
{
    facts.is_grpc = true;
    facts.is_method_listed = false;
    facts.http_status = 503;
    facts.grpc_status = -1;
    assert_skipped(RETRY_SKIP_NOT_RETRYABLE);
    facts.grpc_status = 13;
    assert_skipped(RETRY_SKIP_NOT_RETRYABLE);
    facts.http_status = 200;
    facts.grpc_status = 14;
    assert_retried(RETRY_CAUSE_GRPC_CODE);
}

Test(retry, of_grpc_without_named_codes_is_not_wanted)
{
    cfg.codes.grpc = 0;
    facts.is_grpc = true;
    facts.grpc_status = 14;
    assert_skipped(RETRY_SKIP_NOT_RETRYABLE);
}

Test(retry, of_grpc_after_a_lost_connection_goes_by_on_for_every_method)
{
    facts.is_grpc = true;
    facts.is_method_listed = false;
    fail_with(REASON_CONNECTION_RESET);
    assert_retried(RETRY_CAUSE_RESET);
}

/* ---- marks, method, body, tries ---- */

Test(retry, believes_an_exhausted_mark_only_with_trust)
{
    facts.is_exhausted_marked = true;
    assert_retried(RETRY_CAUSE_CODE);
    cfg.trusts_upstream_marks = true;
    assert_skipped(RETRY_SKIP_EXHAUSTED_UPSTREAM);
}

Test(retry, of_a_method_that_is_not_listed_is_not_made)
{
    facts.is_method_listed = false;
    assert_skipped(RETRY_SKIP_METHOD);
}

Test(retry, past_the_commit_point_says_why_it_is_not_made)
{
    facts.replay = REPLAY_COMMITTED;
    assert_skipped(RETRY_SKIP_COMMITTED);
    facts.replay = REPLAY_BODY_TOO_LARGE;
    assert_skipped(RETRY_SKIP_BODY_TOO_LARGE);
    facts.replay = REPLAY_POOL_EMPTY;
    assert_skipped(RETRY_SKIP_REPLAY_POOL);
}

Test(retry, is_made_as_often_as_attempts_says)
{
    facts.retries_made = 1;
    assert_retried(RETRY_CAUSE_CODE);
    facts.retries_made = 2;
    assert_skipped(RETRY_SKIP_ATTEMPTS);
    cfg.attempts = 0;
    facts.retries_made = 0;
    assert_skipped(RETRY_SKIP_ATTEMPTS);
}

/* ---- Retry-After, deadline ---- */

Test(retry, obeys_retry_after_as_the_least_wait)
{
    facts.retry_after = 2 * S;
    const struct retry_verdict verdict = judge(S);
    cr_assert(verdict.may_retry);
    cr_assert_eq(verdict.not_before, 3 * S);
    cr_assert_eq(verdict.delay, 25 * MS, "the back-off that was drawn");
    facts.retry_after = 10 * MS;
    cr_assert_eq(judge(S).not_before, S + 25 * MS);
}

Test(retry, is_not_made_beyond_max_retry_after)
{
    facts.retry_after = 5 * S;
    assert_retried(RETRY_CAUSE_CODE);
    facts.retry_after = 5 * S + 1;
    assert_skipped(RETRY_SKIP_RETRY_AFTER);
}

Test(retry, is_not_made_after_a_push_back_that_forbids_it)
{
    facts.retry_after = DUR_FOREVER;
    assert_skipped(RETRY_SKIP_RETRY_AFTER);
    cfg.max_retry_after = DUR_FOREVER;
    assert_skipped(RETRY_SKIP_RETRY_AFTER);
}

Test(retry, is_not_made_when_it_would_start_at_or_after_the_deadline)
{
    facts.deadline = 25 * MS;
    assert_skipped(RETRY_SKIP_DEADLINE);
    facts.deadline = 25 * MS + 1;
    assert_retried(RETRY_CAUSE_CODE);
    facts.retry_after = S;
    assert_skipped(RETRY_SKIP_DEADLINE);
}

Test(retry, saturates_its_wait_at_never)
{
    cfg.backoff = (struct backoff_config){INT64_MAX - 5, DUR_FOREVER, JITTER_NONE};
    const struct retry_verdict verdict = judge(100);
    cr_assert(verdict.may_retry);
    cr_assert_eq(verdict.not_before, MONO_NEVER);
    facts.deadline = INT64_MAX - 1;
    cr_assert_eq(judge(100).skip, RETRY_SKIP_DEADLINE);
}

Test(retry, draws_its_backoff_by_the_number_of_the_retry_and_the_previous_delay)
{
    facts.retries_made = 1;
    cr_assert_eq(judge(0).delay, 50 * MS);
    cfg.backoff.jitter = JITTER_DECORRELATED;
    facts.previous_delay = 40 * MS;
    for (int i = 0; i < 5; i++) {
        const dur_ns delay = judge(0).delay;
        cr_assert(delay >= 25 * MS && delay <= 120 * MS);
    }
}

/* ---- budget, shadow ---- */

Test(retry, charges_the_budget_when_it_is_decided)
{
    for (int i = 0; i < 10; i++)
        assert_retried(RETRY_CAUSE_CODE);
    assert_skipped(RETRY_SKIP_BUDGET);
}

Test(retry, without_a_budget_has_no_cap)
{
    for (int i = 0; i < 1000; i++)
        cr_assert(retry_judge(&cfg, &facts, NULL, &rng, 0).may_retry);
}

Test(retry, in_shadow_only_counts)
{
    cfg.mode = POLICY_SHADOW;
    for (int i = 0; i < 50; i++) {
        const struct retry_verdict verdict = judge(0);
        cr_assert_not(verdict.may_retry);
        cr_assert(verdict.is_shadow);
        cr_assert_eq(verdict.cause, RETRY_CAUSE_CODE);
    }
    cr_assert_eq(retry_budget_available(&budget, 0), 10);
    cr_assert(retry_judge(&cfg, &facts, NULL, &rng, 0).is_shadow);
}

Test(retry, in_shadow_is_bound_by_the_budget_too)
{
    while (retry_budget_charge(&budget, 0))
        continue;
    cfg.mode = POLICY_SHADOW;
    assert_skipped(RETRY_SKIP_BUDGET);
}
