/* HALF_OPEN: probes, their results, and the open times that follow. */
#include "policy/breaker.h"

#include "breaker_story.h"

#include <criterion/criterion.h>

static struct story story;
static struct breaker *const breaker = &story.breaker;

static void set_up(void)
{
    story_start(&story);
    story_trip(&story);
    story_half_open(&story);
}

TestSuite(breaker_probe, .init = set_up);

static const struct breaker_transition *last_move(void)
{
    return &story.moves[(story.move_count - 1) % MOVES_KEPT];
}

static void fail_a_probe(void)
{
    story_judge(&story, story_probe(&story), JUDGED_FAILURE);
    cr_assert_eq(breaker->state, BREAKER_OPEN);
}

Test(breaker_probe, is_one_of_at_most_half_open_requests_in_all)
{
    struct breaker_pass passes[3];
    for (int i = 0; i < 3; i++)
        passes[i] = story_probe(&story);
    const struct breaker_verdict verdict = breaker_peek(breaker, true, story.now);
    cr_assert_not(verdict.may_pass);
    cr_assert_eq(verdict.not_before, MONO_NEVER);
    story_judge(&story, passes[0], JUDGED_SUCCESS);
    story_judge(&story, passes[1], JUDGED_SUCCESS);
    cr_assert_not(story_may_pass(&story), "a success makes no room for a fourth");
}

Test(breaker_probe, is_never_a_retry_or_a_hedge)
{
    cr_assert_not(breaker_peek(breaker, false, story.now).may_pass);
    cr_assert(breaker_peek(breaker, true, story.now).is_probe);
}

Test(breaker_probe, that_succeeds_with_all_the_others_closes_with_an_empty_window)
{
    for (int i = 0; i < 2; i++)
        story_call(&story, JUDGED_SUCCESS, false);
    cr_assert_eq(breaker->state, BREAKER_HALF_OPEN);
    story_call(&story, JUDGED_SUCCESS, false);
    cr_assert_eq(breaker->state, BREAKER_CLOSED);
    cr_assert_eq(last_move()->cause, BREAKER_CAUSE_PROBES_SUCCEEDED);
    cr_assert_eq(breaker->window.sum.calls, 0);
    cr_assert_eq(breaker->consecutive, 0);
    story_calls(&story, 2, JUDGED_FAILURE, false);
    cr_assert_eq(breaker->state, BREAKER_CLOSED, "the count of failures started anew");
}

Test(breaker_probe, with_a_good_head_is_a_success_even_a_slow_one)
{
    story.cfg.slow_permille = 1;
    story.cfg.min_requests = 1;
    breaker_configure(breaker, &story.cfg, story.now);
    story_calls(&story, 3, JUDGED_SUCCESS, true);
    cr_assert_eq(breaker->state, BREAKER_CLOSED);
}

Test(breaker_probe, that_fails_opens)
{
    story_call(&story, JUDGED_SUCCESS, false);
    fail_a_probe();
    cr_assert_eq(last_move()->cause, BREAKER_CAUSE_PROBE_FAILED);
    cr_assert_eq(last_move()->from, BREAKER_HALF_OPEN);
    cr_assert_eq(last_move()->open_for, 10 * S);
    cr_assert_not(story_may_pass(&story));
}

Test(breaker_probe, that_is_cancelled_while_slow_fails)
{
    story_call(&story, JUDGED_SLOW_CANCEL, true);
    cr_assert_eq(breaker->state, BREAKER_OPEN);
    cr_assert_eq(last_move()->cause, BREAKER_CAUSE_PROBE_FAILED);
}

Test(breaker_probe, that_is_unjudged_is_given_back)
{
    struct breaker_pass passes[3];
    for (int i = 0; i < 3; i++)
        passes[i] = story_probe(&story);
    cr_assert_not(story_may_pass(&story));
    story_judge(&story, passes[1], JUDGED_NOT);
    passes[1] = story_probe(&story);
    cr_assert_not(story_may_pass(&story));
    for (int i = 0; i < 3; i++)
        story_judge(&story, passes[i], JUDGED_SUCCESS);
    cr_assert_eq(breaker->state, BREAKER_CLOSED);
}

Test(breaker_probe, that_is_cancelled_again_and_again_leaks_nothing)
{
    for (int i = 0; i < 1000; i++)
        story_call(&story, JUDGED_NOT, false);
    cr_assert_eq(breaker->probes_admitted, 0);
    story_calls(&story, 3, JUDGED_SUCCESS, false);
    cr_assert_eq(breaker->state, BREAKER_CLOSED);
}

Test(breaker_probe, doubles_the_open_time_up_to_the_maximum_when_it_fails)
{
    static const dur_ns wanted[] = {10 * S, 20 * S, 30 * S, 30 * S};
    for (int i = 0; i < 4; i++) {
        fail_a_probe();
        cr_assert_eq(last_move()->open_for, wanted[i]);
        story_half_open(&story);
    }
}

Test(breaker_probe, saturates_the_doubling)
{
    for (int i = 0; i < 200; i++) {
        fail_a_probe();
        story_half_open(&story);
    }
    cr_assert_eq(last_move()->to, BREAKER_HALF_OPEN);
    fail_a_probe();
    cr_assert_eq(last_move()->open_for, 30 * S);
}

Test(breaker_probe, starts_the_doubling_anew_once_it_has_closed)
{
    fail_a_probe();
    story_half_open(&story);
    story_calls(&story, 3, JUDGED_SUCCESS, false);
    story_trip(&story);
    cr_assert_eq(last_move()->open_for, 5 * S);
    story_half_open(&story);
    fail_a_probe();
    cr_assert_eq(last_move()->open_for, 10 * S);
}

Test(breaker_probe, that_is_throttled_reopens_without_doubling)
{
    fail_a_probe();
    story_half_open(&story);
    story_call(&story, JUDGED_THROTTLED, false);
    cr_assert_eq(last_move()->cause, BREAKER_CAUSE_PROBE_THROTTLED);
    cr_assert_eq(last_move()->open_for, 5 * S);
    story_half_open(&story);
    fail_a_probe();
    cr_assert_eq(last_move()->open_for, 20 * S, "n stayed 1 and is now 2");
}

Test(breaker_probe, that_is_throttled_reopens_for_as_long_as_retry_after_says)
{
    breaker_judge(breaker, story_probe(&story), JUDGED_THROTTLED, false, 17 * S, &story.rng,
                  story.now);
    cr_assert_eq(last_move()->open_for, 17 * S);
    story_half_open(&story);
    breaker_judge(breaker, story_probe(&story), JUDGED_THROTTLED, false, 3600 * S, &story.rng,
                  story.now);
    cr_assert_eq(last_move()->open_for, 30 * S);
}

Test(breaker_probe, that_is_throttled_fails_where_throttled_is_failure)
{
    story.cfg.throttled_is_failure = true;
    breaker_configure(breaker, &story.cfg, story.now);
    story_call(&story, JUDGED_THROTTLED, false);
    cr_assert_eq(last_move()->cause, BREAKER_CAUSE_PROBE_FAILED);
}

Test(breaker_probe, that_fails_obeys_retry_after_too)
{
    breaker_judge(breaker, story_probe(&story), JUDGED_FAILURE, false, 25 * S, &story.rng,
                  story.now);
    cr_assert_eq(last_move()->open_for, 25 * S);
}

Test(breaker_probe, that_outlives_its_lease_is_a_failure)
{
    const struct breaker_pass pass = story_probe(&story);
    story.now += 10 * S;
    breaker_probe_expired(breaker, pass, &story.rng, story.now);
    cr_assert_eq(breaker->state, BREAKER_OPEN);
    cr_assert_eq(last_move()->cause, BREAKER_CAUSE_PROBE_EXPIRED);
    cr_assert_eq(last_move()->open_for, 10 * S);
    const uint32_t generation = breaker->generation;
    story_judge(&story, pass, JUDGED_SUCCESS);
    breaker_probe_expired(breaker, pass, &story.rng, story.now);
    cr_assert_eq(breaker->generation, generation, "its end was settled");
}

Test(breaker_probe, lease_of_what_is_no_probe_means_nothing)
{
    story_calls(&story, 3, JUDGED_SUCCESS, false);
    const struct breaker_pass pass = breaker_take(breaker, story.now);
    breaker_probe_expired(breaker, pass, &story.rng, story.now);
    cr_assert_eq(breaker->state, BREAKER_CLOSED);
}

Test(breaker_probe, counts_as_one_when_the_config_names_none)
{
    story.cfg.half_open_requests = 0;
    story_restart(&story);
    story_trip(&story);
    story_half_open(&story);
    story_call(&story, JUDGED_SUCCESS, false);
    cr_assert_eq(breaker->state, BREAKER_CLOSED);
}

Test(breaker_probe, results_in_any_order_leave_no_probe_behind)
{
    for (int fails = 0; fails < 8; fails++) {
        struct breaker_pass passes[3];
        story_restart(&story);
        story_trip(&story);
        story_half_open(&story);
        for (int i = 0; i < 3; i++)
            passes[i] = story_probe(&story);
        for (int i = 0; i < 3; i++)
            story_judge(&story, passes[i], fails >> i & 1 ? JUDGED_FAILURE : JUDGED_SUCCESS);
        cr_assert_eq(breaker->state, fails == 0 ? BREAKER_CLOSED : BREAKER_OPEN);
        cr_assert_eq(breaker->probes_admitted, 0);
        cr_assert_leq(breaker->open_count, 1, "one failure counts, the rest is of the past");
    }
}
