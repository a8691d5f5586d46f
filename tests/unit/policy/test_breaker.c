/* CLOSED and OPEN: what trips it, for how long, who is refused. HALF_OPEN is in
 * test_breaker_probe.c. */
#include "policy/breaker.h"

#include "breaker_story.h"
#include "unit/base/seed.h"

#include <criterion/criterion.h>
#include <signal.h>

static struct story story;
static struct breaker *const breaker = &story.breaker;

static void set_up(void)
{
    story_start(&story);
}

TestSuite(breaker, .init = set_up);

static void use_failure_rate(void)
{
    story.cfg.consecutive_failures = 0;
    story.cfg.failure_permille = 500;
    story_restart(&story);
}

static void use_slow_rate(void)
{
    story.cfg.consecutive_failures = 0;
    story.cfg.slow_permille = 800;
    story_restart(&story);
}

static const struct breaker_transition *last_move(void)
{
    cr_assert_gt(story.move_count, 0);
    return &story.moves[(story.move_count - 1) % MOVES_KEPT];
}

/* ---- refusing ---- */

Test(breaker, refuses_until_reopen_time)
{
    story_trip(&story);
    const mono_ns reopen_at = story.now + 5 * S;
    story.now = reopen_at - 1;
    breaker_tick(breaker, story.now);
    const struct breaker_verdict verdict = breaker_peek(breaker, true, story.now);
    cr_assert_not(verdict.may_pass);
    cr_assert_eq(verdict.not_before, reopen_at);
    breaker_tick(breaker, reopen_at);
    cr_assert_eq(breaker->state, BREAKER_HALF_OPEN);
}

Test(breaker, refuses_even_past_its_time_until_the_timer_has_ticked)
{
    story_trip(&story);
    story.now += 5 * S;
    cr_assert_not(story_may_pass(&story));
    breaker_tick(breaker, story.now);
    cr_assert(story_may_pass(&story));
}

Test(breaker, taking_what_is_refused_aborts, .signal = SIGABRT)
{
    story_trip(&story);
    breaker_take(breaker, story.now);
}

Test(breaker, that_is_no_breaker_aborts, .signal = SIGABRT)
{
    struct breaker zero = {.magic = 0};
    breaker_peek(&zero, true, 0);
}

Test(breaker, moves_to_half_open_on_a_timer_so_that_an_idle_gauge_is_true)
{
    cr_assert_eq(breaker_next_tick(breaker), MONO_NEVER);
    story_trip(&story);
    cr_assert_eq(breaker_next_tick(breaker), story.now + 5 * S);
    story_half_open(&story);
    cr_assert_eq(last_move()->cause, BREAKER_CAUSE_OPEN_FOR_ELAPSED);
    cr_assert_eq(breaker_next_tick(breaker), MONO_NEVER);
    breaker_tick(breaker, story.now + 100 * S);
    cr_assert_eq(breaker->state, BREAKER_HALF_OPEN);
}

/* ---- consecutive failures ---- */

Test(breaker, trips_on_consecutive_failures)
{
    story_calls(&story, 2, JUDGED_FAILURE, false);
    cr_assert_eq(breaker->state, BREAKER_CLOSED);
    story_call(&story, JUDGED_FAILURE, false);
    cr_assert_eq(breaker->state, BREAKER_OPEN);
    cr_assert_eq(last_move()->cause, BREAKER_CAUSE_CONSECUTIVE_FAILURES);
    cr_assert_eq(last_move()->from, BREAKER_CLOSED);
    cr_assert_eq(last_move()->consecutive, 3);
    cr_assert_eq(last_move()->window.failures, 3);
    cr_assert_eq(last_move()->open_for, 5 * S);
    cr_assert_eq(last_move()->at, story.now);
}

Test(breaker, starts_its_consecutive_count_anew_after_a_success)
{
    for (int i = 0; i < 10; i++) {
        story_calls(&story, 2, JUDGED_FAILURE, false);
        story_call(&story, JUDGED_SUCCESS, i % 2 == 0);
    }
    cr_assert_eq(breaker->state, BREAKER_CLOSED);
}

Test(breaker, with_consecutive_failures_zero_does_not_trip_on_them)
{
    story.cfg.consecutive_failures = 0;
    story_restart(&story);
    story_calls(&story, 1000, JUDGED_FAILURE, false);
    cr_assert_eq(breaker->state, BREAKER_CLOSED);
}

Test(breaker, leaves_the_consecutive_count_alone_for_throttled_unjudged_and_slow_cancelled)
{
    story_calls(&story, 2, JUDGED_FAILURE, false);
    story_calls(&story, 5, JUDGED_THROTTLED, false);
    story_calls(&story, 5, JUDGED_NOT, false);
    story_calls(&story, 5, JUDGED_SLOW_CANCEL, false);
    cr_assert_eq(breaker->state, BREAKER_CLOSED);
    cr_assert_eq(breaker->consecutive, 2);
    story_call(&story, JUDGED_FAILURE, false);
    cr_assert_eq(breaker->state, BREAKER_OPEN);
}

Test(breaker, does_not_trip_on_a_call_that_is_no_failure_when_the_limit_was_lowered)
{
    story.cfg.consecutive_failures = 7;
    story_restart(&story);
    story_calls(&story, 5, JUDGED_FAILURE, false);
    story.cfg.consecutive_failures = 3;
    breaker_configure(breaker, &story.cfg, story.now);
    story_call(&story, JUDGED_THROTTLED, false);
    cr_assert_eq(breaker->state, BREAKER_CLOSED);
    story_call(&story, JUDGED_FAILURE, false);
    cr_assert_eq(breaker->state, BREAKER_OPEN);
}

Test(breaker, stops_counting_consecutive_failures_before_they_would_wrap)
{
    story.cfg.consecutive_failures = 0;
    story_restart(&story);
    breaker->consecutive = UINT32_MAX;
    story_call(&story, JUDGED_FAILURE, false);
    cr_assert_eq(breaker->consecutive, UINT32_MAX);
}

/* ---- rates ---- */

Test(breaker, trips_on_the_failure_rate_only_from_min_requests_on)
{
    use_failure_rate();
    story_calls(&story, 19, JUDGED_FAILURE, false);
    cr_assert_eq(breaker->state, BREAKER_CLOSED);
    story_call(&story, JUDGED_SUCCESS, false);
    cr_assert_eq(breaker->state, BREAKER_OPEN);
    cr_assert_eq(last_move()->cause, BREAKER_CAUSE_FAILURE_RATE);
    cr_assert_eq(last_move()->window.calls, 20);
    cr_assert_eq(last_move()->window.failures, 19);
}

Test(breaker, trips_at_exactly_its_failure_rate)
{
    use_failure_rate();
    story_calls(&story, 11, JUDGED_SUCCESS, false);
    story_calls(&story, 10, JUDGED_FAILURE, false);
    cr_assert_eq(breaker->state, BREAKER_CLOSED, "10 of 21 is less than half");
    story_call(&story, JUDGED_FAILURE, false);
    cr_assert_eq(breaker->state, BREAKER_OPEN, "11 of 22 is half");
}

Test(breaker, without_rates_does_not_trip_on_them)
{
    story.cfg.consecutive_failures = 0;
    story_restart(&story);
    story_calls(&story, 100, JUDGED_FAILURE, true);
    cr_assert_eq(breaker->state, BREAKER_CLOSED);
}

Test(breaker, forgets_failures_that_have_left_the_window)
{
    use_failure_rate();
    story_calls(&story, 19, JUDGED_FAILURE, false);
    story.now += 11 * S;
    story_calls(&story, 20, JUDGED_SUCCESS, false);
    cr_assert_eq(breaker->state, BREAKER_CLOSED);
}

Test(breaker, counts_over_calls_when_told_so)
{
    story.cfg.window_calls = 40;
    use_failure_rate();
    story_calls(&story, 19, JUDGED_FAILURE, false);
    story.now += 1000 * S;
    story_call(&story, JUDGED_FAILURE, false);
    cr_assert_eq(breaker->state, BREAKER_OPEN);
}

Test(breaker, trips_on_the_slow_call_rate)
{
    use_slow_rate();
    story_calls(&story, 4, JUDGED_SUCCESS, false);
    story_calls(&story, 15, JUDGED_SUCCESS, true);
    cr_assert_eq(breaker->state, BREAKER_CLOSED);
    story_call(&story, JUDGED_SUCCESS, true);
    cr_assert_eq(breaker->state, BREAKER_OPEN);
    cr_assert_eq(last_move()->cause, BREAKER_CAUSE_SLOW_CALLS);
    cr_assert_eq(last_move()->window.slow, 16);
}

Test(breaker, serves_both_rates_from_one_window)
{
    use_slow_rate();
    story.cfg.failure_permille = 500;
    story_restart(&story);
    story_calls(&story, 9, JUDGED_FAILURE, true);
    story_calls(&story, 10, JUDGED_SUCCESS, false);
    story_call(&story, JUDGED_FAILURE, true);
    cr_assert_eq(last_move()->cause, BREAKER_CAUSE_FAILURE_RATE);
    cr_assert_eq(last_move()->window.slow, 10);
}

Test(breaker, with_slow_calls_alone_has_a_window_of_ten_seconds)
{
    story.cfg.window = 0;
    use_slow_rate();
    story_calls(&story, 19, JUDGED_SUCCESS, true);
    story.now += 9 * S;
    story_call(&story, JUDGED_SUCCESS, true);
    cr_assert_eq(breaker->state, BREAKER_OPEN);
}

Test(breaker, counts_a_cancelled_call_of_a_hung_upstream_as_slow_not_as_failure)
{
    use_slow_rate();
    story.cfg.failure_permille = 1;
    story_restart(&story);
    story_calls(&story, 20, JUDGED_SLOW_CANCEL, false);
    cr_assert_eq(breaker->state, BREAKER_OPEN);
    cr_assert_eq(last_move()->cause, BREAKER_CAUSE_SLOW_CALLS);
    cr_assert_eq(last_move()->window.failures, 0);
}

Test(breaker, counts_throttled_as_a_call_but_not_as_a_failure)
{
    use_failure_rate();
    story_calls(&story, 30, JUDGED_THROTTLED, false);
    cr_assert_eq(breaker->state, BREAKER_CLOSED);
    cr_assert_eq(breaker->window.sum.calls, 30);
    cr_assert_eq(breaker->window.sum.failures, 0);
}

Test(breaker, counts_throttled_as_a_failure_when_told_so)
{
    story.cfg.throttled_is_failure = true;
    story_restart(&story);
    story_calls(&story, 3, JUDGED_THROTTLED, false);
    cr_assert_eq(breaker->state, BREAKER_OPEN);
}

Test(breaker, does_not_count_what_is_unjudged)
{
    story_calls(&story, 30, JUDGED_NOT, true);
    cr_assert_eq(breaker->window.sum.calls, 0);
}

/* ---- open time ---- */

Test(breaker, lets_retry_after_of_the_tripping_response_extend_the_open_time)
{
    story_calls(&story, 2, JUDGED_FAILURE, false);
    const struct breaker_pass pass = breaker_take(breaker, story.now);
    breaker_judge(breaker, pass, JUDGED_FAILURE, false, 12 * S, &story.rng, story.now);
    cr_assert_eq(last_move()->open_for, 12 * S);
    cr_assert_eq(breaker->reopen_at, story.now + 12 * S);
}

Test(breaker, does_not_let_retry_after_shorten_the_open_time)
{
    story_calls(&story, 2, JUDGED_FAILURE, false);
    const struct breaker_pass pass = breaker_take(breaker, story.now);
    breaker_judge(breaker, pass, JUDGED_FAILURE, false, S, &story.rng, story.now);
    cr_assert_eq(last_move()->open_for, 5 * S);
}

Test(breaker, caps_retry_after_at_max_open_for)
{
    story_calls(&story, 2, JUDGED_FAILURE, false);
    const struct breaker_pass pass = breaker_take(breaker, story.now);
    breaker_judge(breaker, pass, JUDGED_FAILURE, false, 3600 * S, &story.rng, story.now);
    cr_assert_eq(last_move()->open_for, 30 * S);
}

Test(breaker, spreads_its_open_time_by_the_jitter_and_no_more)
{
    dur_ns least = DUR_FOREVER;
    dur_ns most = 0;
    story.cfg.open_jitter_permille = 200;
    story.rng = seeded_rng("breaker open jitter");
    for (int i = 0; i < 3000; i++) {
        story_restart(&story);
        story_trip(&story);
        least = dur_min(least, last_move()->open_for);
        most = dur_max(most, last_move()->open_for);
    }
    cr_assert(least >= 4 * S && least < 4050 * MS, "%ld", (long)least);
    cr_assert(most <= 6 * S && most > 5950 * MS, "%ld", (long)most);
}

Test(breaker, may_be_jittered_by_all_of_its_open_time_but_not_below_nothing)
{
    story.cfg.open_jitter_permille = 5000;
    story.rng = seeded_rng("breaker whole jitter");
    for (int i = 0; i < 200; i++) {
        story_restart(&story);
        story_trip(&story);
        cr_assert(last_move()->open_for >= 0 && last_move()->open_for <= 10 * S);
    }
}

Test(breaker, saturates_an_open_time_without_end)
{
    story.cfg.open_for = DUR_FOREVER;
    story.cfg.max_open_for = DUR_FOREVER;
    story.cfg.open_jitter_permille = 1000;
    story_restart(&story);
    story_trip(&story);
    cr_assert_geq(breaker->reopen_at, story.now);
}

/* ---- generations ---- */

Test(breaker, ignores_results_of_an_earlier_generation)
{
    const struct breaker_pass early = breaker_take(breaker, story.now);
    story_trip(&story);
    story_judge(&story, early, JUDGED_FAILURE);
    story_half_open(&story);
    story_judge(&story, early, JUDGED_FAILURE);
    cr_assert_eq(breaker->state, BREAKER_HALF_OPEN);
    cr_assert_eq(breaker->probes_succeeded, 0);
    story_judge(&story, early, JUDGED_SUCCESS);
    cr_assert_eq(breaker->probes_succeeded, 0);
    for (int i = 0; i < 3; i++)
        story_call(&story, JUDGED_SUCCESS, false);
    cr_assert_eq(breaker->state, BREAKER_CLOSED);
    story_judge(&story, early, JUDGED_FAILURE);
    cr_assert_eq(breaker->window.sum.calls, 0);
}

/* ---- observer ---- */

Test(breaker, moves_without_an_observer_too)
{
    breaker_observe(breaker, NULL, NULL);
    story_trip(&story);
    cr_assert_eq(story.move_count, 0);
    cr_assert_eq(breaker->last.to, BREAKER_OPEN);
}

/* ---- words ---- */

Test(breaker, has_words_for_its_states_and_causes)
{
    static const char *const states[] = {"closed", "open", "half_open", "forced_open", "disabled"};
    for (enum breaker_state state = 0; state < BREAKER_STATE_COUNT; state++)
        cr_assert_str_eq(breaker_state_word(state), states[state]);
    cr_assert_str_eq(breaker_cause_word(BREAKER_CAUSE_NONE), "none");
    cr_assert_str_eq(breaker_cause_word(BREAKER_CAUSE_CONFIG), "config");
}

Test(breaker, has_no_word_for_a_state_that_is_none, .signal = SIGABRT)
{
    breaker_state_word(BREAKER_STATE_COUNT);
}

Test(breaker, has_no_word_for_a_cause_that_is_none, .signal = SIGABRT)
{
    breaker_cause_word(BREAKER_CAUSE_COUNT);
}
