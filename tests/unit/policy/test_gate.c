/* Asking and taking: who refuses, in which order, and what a refusal costs (nothing). */
#include "policy/gate.h"

#include "gate_story.h"

#include <criterion/criterion.h>
#include <signal.h>

#define BREAKER_BIT (1u << POLICY_FAMILY_CIRCUIT_BREAKER)
#define BUCKET_BIT (1u << POLICY_FAMILY_RATE_LIMIT)
#define BULKHEAD_BIT (1u << POLICY_FAMILY_BULKHEAD)
#define OUTLIER_BIT (1u << POLICY_FAMILY_OUTLIER)

static struct gate_story story;

static void set_up(void)
{
    gate_story_start(&story);
}

TestSuite(gate, .init = set_up);
TestSuite(gate_shadow, .init = set_up);

static void open_breaker(int i)
{
    for (int k = 0; k < 2; k++)
        breaker_judge(&story.breakers[i], breaker_take(&story.breakers[i], story.now),
                      JUDGED_FAILURE, false, 0, &story.rng, story.now);
    cr_assert_eq(story.breakers[i].state, BREAKER_OPEN);
}

static void half_open_breaker(int i)
{
    open_breaker(i);
    story.now += 5 * S;
    breaker_tick(&story.breakers[i], story.now);
}

static void empty_bucket(void)
{
    while (token_bucket_when(&story.bucket, 1, story.now) == story.now)
        token_bucket_take(&story.bucket, story.now);
}

static void fill_bulkhead(void)
{
    while (bulkhead_has_room(&story.bulkhead, BULKHEAD_ATTEMPT))
        bulkhead_take(&story.bulkhead, BULKHEAD_ATTEMPT);
}

static void assert_refused(enum reason reason, mono_ns not_before)
{
    const struct gate_verdict verdict = gate_story_ask(&story);
    cr_assert_not(verdict.may_pass);
    cr_assert_eq(verdict.reason, reason, "%s", reason_word(verdict.reason));
    cr_assert_eq(verdict.not_before, not_before);
}

/* ---- who refuses ---- */

Test(gate, names_the_breaker_before_the_bucket_before_the_bulkhead)
{
    fill_bulkhead();
    assert_refused(REASON_BULKHEAD_FULL, MONO_NEVER);
    empty_bucket();
    assert_refused(REASON_RATE_LIMITED, story.now + S);
    open_breaker(0);
    assert_refused(REASON_CIRCUIT_OPEN, story.now + 5 * S);
}

Test(gate, asks_both_breakers_and_tells_the_later_time)
{
    open_breaker(1);
    assert_refused(REASON_CIRCUIT_OPEN, story.now + 5 * S);
    cr_assert_eq(gate_story_ask(&story).refusing_breakers, 2);
    story.now += S;
    open_breaker(0);
    assert_refused(REASON_CIRCUIT_OPEN, story.now + 5 * S);
    cr_assert_eq(gate_story_ask(&story).refusing_breakers, 3);
    gate_story_start(&story);
    open_breaker(0);
    story.now += S;
    open_breaker(1);
    assert_refused(REASON_CIRCUIT_OPEN, story.now + 5 * S);
    breaker_force(&story.breakers[0], BREAKER_FORCED_OPEN, story.now);
    assert_refused(REASON_CIRCUIT_OPEN, MONO_NEVER);
}

Test(gate, keeps_the_time_of_the_reason_that_it_names)
{
    open_breaker(0);
    story.now += 4500 * MS;
    empty_bucket();
    fill_bulkhead();
    assert_refused(REASON_CIRCUIT_OPEN, story.now + 500 * MS);
}

Test(gate, refused_by_one_takes_nothing_from_another)
{
    half_open_breaker(0);
    empty_bucket();
    assert_refused(REASON_RATE_LIMITED, story.now + S);
    cr_assert_eq(story.breakers[0].probes_admitted, 0);
    cr_assert(bulkhead_is_empty(&story.bulkhead));
    story.now += S;
    fill_bulkhead();
    assert_refused(REASON_BULKHEAD_FULL, MONO_NEVER);
    cr_assert_eq(token_bucket_millitokens(&story.bucket, story.now), 1000);
    cr_assert_eq(story.breakers[0].probes_admitted, 0);
}

Test(gate, asks_the_slots_of_the_kind_that_is_wanted)
{
    fill_bulkhead();
    story.question.slot = BULKHEAD_CONNECTION;
    struct permit permit = gate_story_take(&story);
    assert_refused(REASON_BULKHEAD_FULL, MONO_NEVER);
    cr_assert_eq(story.bulkhead.in_flight[BULKHEAD_CONNECTION], 1);
    gate_story_end(&story, &permit, JUDGED_SUCCESS);
    cr_assert_eq(story.bulkhead.in_flight[BULKHEAD_CONNECTION], 0);
    cr_assert_eq(story.bulkhead.in_flight[BULKHEAD_ATTEMPT], 2);
}

Test(gate, has_no_room_for_a_newcomer_while_others_wait_for_a_slot)
{
    story.question.is_slot_promised = true;
    assert_refused(REASON_BULKHEAD_FULL, MONO_NEVER);
}

Test(gate, asks_for_a_token_behind_those_that_are_promised)
{
    story.question.tokens_promised = 2;
    cr_assert(gate_story_ask(&story).may_pass);
    story.question.tokens_promised = 3;
    assert_refused(REASON_RATE_LIMITED, story.now + S);
    story.question.tokens_promised = 10;
    assert_refused(REASON_RATE_LIMITED, story.now + 8 * S);
}

Test(gate, lets_no_retry_be_a_probe)
{
    half_open_breaker(1);
    story.question.may_probe = false;
    assert_refused(REASON_CIRCUIT_OPEN, MONO_NEVER);
    story.question.may_probe = true;
    const struct permit permit = gate_story_take(&story);
    cr_assert(permit_is_probe(&permit));
}

/* ---- taking ---- */

Test(gate, takes_from_all_of_them)
{
    half_open_breaker(0);
    story.now += 100 * S;
    struct permit permit = gate_story_take(&story);
    cr_assert_eq(story.breakers[0].probes_admitted, 1);
    cr_assert_eq(token_bucket_millitokens(&story.bucket, story.now), 2000);
    cr_assert_eq(story.bulkhead.in_flight[BULKHEAD_ATTEMPT], 1);
    gate_story_end(&story, &permit, JUDGED_SUCCESS);
    cr_assert_eq(story.breakers[0].probes_succeeded, 1);
    cr_assert_eq(story.breakers[1].window.sum.calls, 1);
    cr_assert(bulkhead_is_empty(&story.bulkhead));
}

Test(gate, takes_without_asking_is_our_bug_when_a_breaker_refuses, .signal = SIGABRT)
{
    struct permit permit;
    open_breaker(0);
    gate_take(&story.gate, &story.question, &permit, story.now);
}

Test(gate, takes_without_asking_is_our_bug_when_the_bucket_is_empty, .signal = SIGABRT)
{
    struct permit permit;
    empty_bucket();
    gate_take(&story.gate, &story.question, &permit, story.now);
}

Test(gate, takes_without_asking_is_our_bug_when_the_bulkhead_is_full, .signal = SIGABRT)
{
    struct permit permit;
    fill_bulkhead();
    gate_take(&story.gate, &story.question, &permit, story.now);
}

Test(gate, without_limiters_lets_everything_pass)
{
    story.gate = (struct gate){{NULL, NULL}, NULL, POLICY_ENFORCE, NULL, POLICY_ENFORCE};
    for (int i = 0; i < 100; i++) {
        struct permit permit = gate_story_take(&story);
        cr_assert_not(permit_is_probe(&permit));
        gate_story_end(&story, &permit, JUDGED_FAILURE);
    }
}

Test(gate, with_limiters_that_are_off_lets_everything_pass_and_takes_nothing)
{
    open_breaker(0);
    open_breaker(1);
    empty_bucket();
    fill_bulkhead();
    story.breakers[0].cfg.mode = POLICY_OFF;
    story.breakers[1].cfg.mode = POLICY_OFF;
    story.gate.bucket_mode = POLICY_OFF;
    story.gate.bulkhead_mode = POLICY_OFF;
    struct permit permit = gate_story_take(&story);
    cr_assert_eq(gate_story_ask(&story).shadow_refusals, 0);
    cr_assert_eq(story.bulkhead.in_flight[BULKHEAD_ATTEMPT], 2);
    gate_story_end(&story, &permit, JUDGED_SUCCESS);
    cr_assert_eq(story.bulkhead.in_flight[BULKHEAD_ATTEMPT], 2);
}

Test(gate, is_closed_by_force_open)
{
    story.breaker_cfg.mode = POLICY_FORCE_OPEN;
    breaker_configure(&story.breakers[0], &story.breaker_cfg, story.now);
    assert_refused(REASON_CIRCUIT_OPEN, MONO_NEVER);
}

/* ---- the ramp ---- */

static void start_ramp(int i)
{
    story.breaker_cfg.ramp_up = 10 * S;
    breaker_configure(&story.breakers[i], &story.breaker_cfg, story.now);
    breaker_force(&story.breakers[i], BREAKER_FORCED_OPEN, story.now);
    breaker_force(&story.breakers[i], BREAKER_CLOSED, story.now);
}

Test(gate, lets_a_refused_call_earn_the_credit_of_a_later_one)
{
    start_ramp(1);
    story.now += 5 * S;
    const struct gate_verdict verdict = gate_story_ask(&story);
    cr_assert_eq(verdict.reason, REASON_CIRCUIT_OPEN);
    gate_note_refusal(&story.gate, &verdict, story.now);
    gate_story_take(&story);
    cr_assert_not(gate_story_ask(&story).may_pass);
}

Test(gate, lets_only_the_breaker_that_refused_earn_credit)
{
    start_ramp(0);
    start_ramp(1);
    story.now += 5 * S;
    breaker_note_refusal(&story.breakers[0], story.now);
    const struct gate_verdict verdict = gate_story_ask(&story);
    cr_assert_eq(verdict.refusing_breakers, 2);
    gate_note_refusal(&story.gate, &verdict, story.now);
    cr_assert_eq(story.breakers[0].ramp_credit_permille, 500);
    cr_assert_eq(story.breakers[1].ramp_credit_permille, 500);
}

Test(gate, lets_a_refusal_by_another_limiter_earn_nothing)
{
    start_ramp(0);
    story.now += 10 * S;
    fill_bulkhead();
    const struct gate_verdict verdict = gate_story_ask(&story);
    gate_note_refusal(&story.gate, &verdict, story.now);
    cr_assert_eq(story.breakers[0].ramp_credit_permille, 0);
}

/* ---- shadow ---- */

Test(gate_shadow, limiters_never_veto_and_say_what_they_would_have_done)
{
    open_breaker(0);
    open_breaker(1);
    gate_story_shadow_breakers(&story);
    empty_bucket();
    fill_bulkhead();
    story.gate.bucket_mode = POLICY_SHADOW;
    story.gate.bulkhead_mode = POLICY_SHADOW;
    const struct gate_verdict verdict = gate_story_ask(&story);
    cr_assert(verdict.may_pass);
    cr_assert_eq(verdict.shadow_refusals, BREAKER_BIT | BUCKET_BIT | BULKHEAD_BIT | OUTLIER_BIT);
    cr_assert_eq(verdict.refusing_breakers, 0);
}

Test(gate_shadow, limiters_that_agree_take)
{
    gate_story_shadow_breakers(&story);
    story.gate.bucket_mode = POLICY_SHADOW;
    story.gate.bulkhead_mode = POLICY_SHADOW;
    struct permit permit = gate_story_take(&story);
    cr_assert_eq(gate_story_ask(&story).shadow_refusals, 0);
    cr_assert_eq(token_bucket_millitokens(&story.bucket, story.now), 2000);
    cr_assert_eq(story.bulkhead.in_flight[BULKHEAD_ATTEMPT], 1);
    gate_story_end(&story, &permit, JUDGED_FAILURE);
    cr_assert_eq(story.breakers[0].consecutive, 1);
    cr_assert(bulkhead_is_empty(&story.bulkhead));
}

Test(gate_shadow, bucket_never_goes_negative)
{
    story.gate.bucket_mode = POLICY_SHADOW;
    story.gate.bulkhead = NULL;
    for (int i = 0; i < 10; i++)
        gate_story_take(&story);
    cr_assert_eq(token_bucket_millitokens(&story.bucket, story.now), 0);
    cr_assert_eq(token_bucket_when(&story.bucket, 1, story.now), story.now + S);
}

Test(gate_shadow, bulkhead_counts_no_attempt_above_its_limit)
{
    struct permit permits[5];
    story.gate.bulkhead_mode = POLICY_SHADOW;
    story.gate.bucket = NULL;
    for (int i = 0; i < 5; i++)
        permits[i] = gate_story_take(&story);
    cr_assert_eq(story.bulkhead.in_flight[BULKHEAD_ATTEMPT], 2);
    cr_assert_null(permits[4].bulkhead);
    for (int i = 4; i >= 0; i--)
        gate_story_end(&story, &permits[i], JUDGED_SUCCESS);
    cr_assert(bulkhead_is_empty(&story.bulkhead));
}

Test(gate_shadow, limiter_takes_nothing_when_an_enforcing_one_refuses)
{
    story.gate.bucket_mode = POLICY_SHADOW;
    fill_bulkhead();
    empty_bucket();
    const struct gate_verdict verdict = gate_story_ask(&story);
    cr_assert_eq(verdict.reason, REASON_BULKHEAD_FULL);
    cr_assert_eq(verdict.shadow_refusals, BUCKET_BIT);
}

Test(gate_shadow, breaker_moves_on_real_outcomes)
{
    gate_story_shadow_breakers(&story);
    story.gate.breakers[1] = NULL;
    story.gate.bucket = NULL;
    for (int i = 0; i < 2; i++) {
        struct permit permit = gate_story_take(&story);
        gate_story_end(&story, &permit, JUDGED_FAILURE);
    }
    cr_assert_eq(story.breakers[0].state, BREAKER_OPEN);
    struct permit permit = gate_story_take(&story);
    gate_story_end(&story, &permit, JUDGED_SUCCESS);
    cr_assert_eq(story.breakers[0].state, BREAKER_OPEN, "it would not have seen that call");
}

Test(gate_shadow, breaker_takes_the_first_half_open_requests_for_probes)
{
    struct permit permits[4];
    half_open_breaker(0);
    gate_story_shadow_breakers(&story);
    story.gate = (struct gate){.breakers = {&story.breakers[0], NULL}};
    for (int i = 0; i < 4; i++)
        permits[i] = gate_story_take(&story);
    cr_assert(permit_is_probe(&permits[0]) && permit_is_probe(&permits[1]));
    cr_assert_not(permit_is_probe(&permits[2]) || permit_is_probe(&permits[3]));
    gate_story_end(&story, &permits[3], JUDGED_FAILURE);
    cr_assert_eq(story.breakers[0].state, BREAKER_HALF_OPEN);
    gate_story_end(&story, &permits[0], JUDGED_SUCCESS);
    gate_story_end(&story, &permits[1], JUDGED_SUCCESS);
    cr_assert_eq(story.breakers[0].state, BREAKER_CLOSED);
    gate_story_end(&story, &permits[2], JUDGED_FAILURE);
    cr_assert_eq(story.breakers[0].consecutive, 0);
}

Test(gate_shadow, breaker_earns_its_ramp_from_calls_that_it_would_have_refused)
{
    start_ramp(0);
    gate_story_shadow_breakers(&story);
    story.gate = (struct gate){.breakers = {&story.breakers[0], NULL}};
    story.now += 5 * S;
    int joined = 0;
    for (int i = 0; i < 10; i++)
        joined += gate_story_take(&story).breakers[0] != NULL;
    cr_assert_eq(joined, 5);
}
