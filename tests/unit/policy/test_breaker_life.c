/* The ramp after closing, operators, reloads, and the time spent open. */
#include "policy/breaker.h"

#include "breaker_story.h"

#include <criterion/criterion.h>
#include <signal.h>

static struct story story;
static struct breaker *const breaker = &story.breaker;

static void set_up(void)
{
    story_start(&story);
}

TestSuite(breaker_ramp, .init = set_up);
TestSuite(breaker_operator, .init = set_up);
TestSuite(breaker_reload, .init = set_up);
TestSuite(breaker_open_time, .init = set_up);

static const struct breaker_transition *last_move(void)
{
    return &story.moves[(story.move_count - 1) % MOVES_KEPT];
}

static void reconfigure(void)
{
    breaker_configure(breaker, &story.cfg, story.now);
}

/* ---- ramp ---- */

static void close_with_ramp(dur_ns ramp_up)
{
    story.cfg.ramp_up = ramp_up;
    story_restart(&story);
    story_trip(&story);
    story_half_open(&story);
    story_calls(&story, 3, JUDGED_SUCCESS, false);
    cr_assert_eq(breaker->state, BREAKER_CLOSED);
}

/* One call: taken if it may pass, else noted as refused. */
static bool ramp_call(void)
{
    if (!story_may_pass(&story)) {
        breaker_note_refusal(breaker, story.now);
        return false;
    }
    story_call(&story, JUDGED_SUCCESS, false);
    return true;
}

Test(breaker_ramp, admits_nothing_at_its_start_and_everything_at_its_end)
{
    close_with_ramp(10 * S);
    for (int i = 0; i < 100; i++)
        cr_assert_not(ramp_call());
    story.now += 10 * S;
    for (int i = 0; i < 100; i++)
        cr_assert(ramp_call());
}

Test(breaker_ramp, admits_exactly_the_share_of_its_moment)
{
    close_with_ramp(10 * S);
    story.now += 2500 * MS;
    int passed = 0;
    for (int i = 0; i < 1000; i++)
        passed += ramp_call();
    cr_assert_eq(passed, 250);
    story.now += 5 * S;
    for (int i = 0; i < 1000; i++)
        passed += ramp_call();
    cr_assert_eq(passed, 1000);
}

Test(breaker_ramp, grows_linearly)
{
    close_with_ramp(10 * S);
    int passed = 0;
    for (int i = 0; i < 10000; i++) {
        passed += ramp_call();
        story.now += MS;
    }
    cr_assert(passed >= 4994 && passed <= 5000, "%d of 10000: the half of all", passed);
}

Test(breaker_ramp, tells_when_the_next_call_would_pass)
{
    close_with_ramp(10 * S);
    story.now += 4 * S;
    cr_assert_not(ramp_call());
    const struct breaker_verdict verdict = breaker_peek(breaker, true, story.now);
    cr_assert_eq(verdict.not_before, story.now + 2 * S, "0.4 are earned, 0.6 are due at 6 s");
    story.now = verdict.not_before - 1;
    cr_assert_not(story_may_pass(&story));
    story.now = verdict.not_before;
    cr_assert(story_may_pass(&story));
}

Test(breaker_ramp, asking_alone_earns_nothing)
{
    close_with_ramp(10 * S);
    story.now += 9 * S;
    for (int i = 0; i < 10; i++)
        cr_assert_not(story_may_pass(&story));
}

Test(breaker_ramp, shorter_than_a_thousand_ns_is_over_at_once)
{
    close_with_ramp(10);
    story.now += 1000;
    cr_assert(story_may_pass(&story));
}

Test(breaker_ramp, does_not_hold_at_the_start_of_the_process)
{
    story.cfg.ramp_up = 10 * S;
    story_restart(&story);
    cr_assert(story_may_pass(&story));
}

Test(breaker_ramp, follows_an_operators_closing_of_what_refused)
{
    story.cfg.ramp_up = 10 * S;
    story_restart(&story);
    breaker_force(breaker, BREAKER_FORCED_OPEN, story.now);
    breaker_force(breaker, BREAKER_CLOSED, story.now);
    cr_assert_not(story_may_pass(&story));
    breaker_force(breaker, BREAKER_DISABLED, story.now);
    breaker_force(breaker, BREAKER_CLOSED, story.now);
    cr_assert(story_may_pass(&story), "nothing was refused before");
}

Test(breaker_ramp, refusal_noted_in_another_state_is_harmless)
{
    breaker_note_refusal(breaker, story.now);
    cr_assert(story_may_pass(&story));
    story_trip(&story);
    breaker_note_refusal(breaker, story.now);
    cr_assert_not(story_may_pass(&story));
}

/* ---- operators ---- */

Test(breaker_operator, forces_open_until_told_otherwise)
{
    breaker_force(breaker, BREAKER_FORCED_OPEN, story.now);
    cr_assert_eq(last_move()->cause, BREAKER_CAUSE_OPERATOR);
    cr_assert_eq(breaker_next_tick(breaker), MONO_NEVER);
    story.now += 100000 * S;
    breaker_tick(breaker, story.now);
    const struct breaker_verdict verdict = breaker_peek(breaker, true, story.now);
    cr_assert_not(verdict.may_pass);
    cr_assert_eq(verdict.not_before, MONO_NEVER);
    breaker_force(breaker, BREAKER_FORCED_OPEN, story.now);
    cr_assert_eq(story.move_count, 1);
    breaker_force(breaker, BREAKER_CLOSED, story.now);
    cr_assert(story_may_pass(&story));
}

Test(breaker_operator, disables_so_that_all_passes_and_nothing_counts)
{
    story_trip(&story);
    breaker_force(breaker, BREAKER_DISABLED, story.now);
    story_calls(&story, 100, JUDGED_FAILURE, true);
    cr_assert_eq(breaker->state, BREAKER_DISABLED);
    breaker_force(breaker, BREAKER_CLOSED, story.now);
    cr_assert_eq(breaker->window.sum.calls, 0);
}

Test(breaker_operator, resets_what_is_closed_without_a_transition)
{
    story_calls(&story, 2, JUDGED_FAILURE, false);
    const struct breaker_pass early = breaker_take(breaker, story.now);
    breaker_force(breaker, BREAKER_CLOSED, story.now);
    cr_assert_eq(story.move_count, 0);
    cr_assert_eq(breaker->consecutive, 0);
    cr_assert_eq(breaker->window.sum.calls, 0);
    story_judge(&story, early, JUDGED_FAILURE);
    cr_assert_eq(breaker->consecutive, 0, "a result from before the reset");
}

Test(breaker_operator, closes_what_is_open_or_half_open)
{
    story_trip(&story);
    breaker_force(breaker, BREAKER_CLOSED, story.now);
    cr_assert(story_may_pass(&story));
    story_trip(&story);
    story_half_open(&story);
    const struct breaker_pass probe = story_probe(&story);
    breaker_force(breaker, BREAKER_CLOSED, story.now);
    story_judge(&story, probe, JUDGED_FAILURE);
    cr_assert_eq(breaker->consecutive, 0);
}

Test(breaker_operator, may_go_from_every_state_to_every_word)
{
    static const enum breaker_state words[] = {BREAKER_FORCED_OPEN, BREAKER_CLOSED,
                                               BREAKER_DISABLED};
    for (int from = 0; from < BREAKER_STATE_COUNT; from++)
        for (int to = 0; to < 3; to++) {
            story_restart(&story);
            if (from == BREAKER_OPEN || from == BREAKER_HALF_OPEN)
                story_trip(&story);
            if (from == BREAKER_HALF_OPEN)
                story_half_open(&story);
            if (from == BREAKER_FORCED_OPEN || from == BREAKER_DISABLED)
                breaker_force(breaker, (enum breaker_state)from, story.now);
            cr_assert_eq((int)breaker->state, from);
            breaker_force(breaker, words[to], story.now);
            cr_assert_eq(breaker->state, words[to]);
        }
}

Test(breaker_operator, has_no_word_for_open, .signal = SIGABRT)
{
    breaker_force(breaker, BREAKER_OPEN, story.now);
}

Test(breaker_operator, has_no_word_for_half_open, .signal = SIGABRT)
{
    breaker_force(breaker, BREAKER_HALF_OPEN, story.now);
}

/* ---- reload ---- */

Test(breaker_reload, leaves_open_open_until_its_time)
{
    story_trip(&story);
    const mono_ns reopen_at = breaker->reopen_at;
    story.cfg.open_for = S;
    story.cfg.consecutive_failures = 100;
    story.cfg.window = 20 * S;
    reconfigure();
    cr_assert_eq(breaker->state, BREAKER_OPEN);
    cr_assert_eq(breaker->reopen_at, reopen_at);
    cr_assert_eq(story.move_count, 1);
}

Test(breaker_reload, keeps_the_window_unless_its_shape_changes)
{
    story_calls(&story, 2, JUDGED_FAILURE, false);
    story.cfg.failure_permille = 900;
    story.cfg.min_requests = 5;
    reconfigure();
    cr_assert_eq(breaker->window.sum.calls, 2);
    story.cfg.window = 20 * S;
    reconfigure();
    cr_assert_eq(breaker->window.sum.calls, 0);
    story_call(&story, JUDGED_SUCCESS, false);
    story.cfg.window_calls = 50;
    reconfigure();
    cr_assert_eq(breaker->window.sum.calls, 0);
    story_call(&story, JUDGED_SUCCESS, false);
    story.cfg.window = 30 * S;
    reconfigure();
    cr_assert_eq(breaker->window.sum.calls, 1, "a window of calls has no span");
}

Test(breaker_reload, judges_by_the_new_numbers)
{
    story_calls(&story, 2, JUDGED_FAILURE, false);
    story.cfg.consecutive_failures = 5;
    reconfigure();
    story_calls(&story, 2, JUDGED_FAILURE, false);
    cr_assert_eq(breaker->state, BREAKER_CLOSED);
    story_call(&story, JUDGED_FAILURE, false);
    cr_assert_eq(breaker->state, BREAKER_OPEN);
}

Test(breaker_reload, forces_open_by_config_and_closes_when_that_goes)
{
    story.cfg.mode = POLICY_FORCE_OPEN;
    reconfigure();
    cr_assert_eq(breaker->state, BREAKER_FORCED_OPEN);
    cr_assert_eq(last_move()->cause, BREAKER_CAUSE_CONFIG);
    reconfigure();
    cr_assert_eq(story.move_count, 1);
    story.cfg.mode = POLICY_ENFORCE;
    reconfigure();
    cr_assert_eq(breaker->state, BREAKER_CLOSED);
    cr_assert_eq(last_move()->cause, BREAKER_CAUSE_CONFIG);
}

Test(breaker_reload, starts_forced_open_when_the_config_says_so)
{
    story.cfg.mode = POLICY_FORCE_OPEN;
    story_restart(&story);
    cr_assert_eq(breaker->state, BREAKER_FORCED_OPEN);
    cr_assert_not(story_may_pass(&story));
}

Test(breaker_reload, leaves_an_operators_word_standing)
{
    breaker_force(breaker, BREAKER_FORCED_OPEN, story.now);
    reconfigure();
    cr_assert_eq(breaker->state, BREAKER_FORCED_OPEN);
    story.cfg.mode = POLICY_FORCE_OPEN;
    reconfigure();
    cr_assert_eq(story.move_count, 1, "it was there already");
    breaker_force(breaker, BREAKER_CLOSED, story.now);
    reconfigure();
    cr_assert_eq(breaker->state, BREAKER_CLOSED, "the config did not change");
    story.cfg.mode = POLICY_ENFORCE;
    reconfigure();
    cr_assert_eq(breaker->state, BREAKER_CLOSED);
}

Test(breaker_reload, closes_when_fewer_probes_are_wanted_than_have_succeeded)
{
    story_trip(&story);
    story_half_open(&story);
    story_calls(&story, 2, JUDGED_SUCCESS, false);
    story_judge(&story, story_probe(&story), JUDGED_NOT);
    story.cfg.half_open_requests = 2;
    reconfigure();
    cr_assert_eq(breaker->state, BREAKER_CLOSED);
    cr_assert_eq(last_move()->cause, BREAKER_CAUSE_PROBES_SUCCEEDED);
}

Test(breaker_reload, lets_more_probes_through_when_more_are_wanted)
{
    story_trip(&story);
    story_half_open(&story);
    story_calls(&story, 2, JUDGED_SUCCESS, false);
    story.cfg.half_open_requests = 5;
    reconfigure();
    story_calls(&story, 2, JUDGED_SUCCESS, false);
    cr_assert_eq(breaker->state, BREAKER_HALF_OPEN);
    story_call(&story, JUDGED_SUCCESS, false);
    cr_assert_eq(breaker->state, BREAKER_CLOSED);
}

/* ---- time spent open ---- */

Test(breaker_open_time, counts_open_and_forced_open_only)
{
    cr_assert_eq(breaker_open_time(breaker, story.now + S), 0);
    story_trip(&story);
    cr_assert_eq(breaker_open_time(breaker, story.now + 2 * S), 2 * S);
    story_half_open(&story);
    cr_assert_eq(breaker_open_time(breaker, story.now + 100 * S), 5 * S);
    story_calls(&story, 3, JUDGED_SUCCESS, false);
    story.now += 100 * S;
    breaker_force(breaker, BREAKER_FORCED_OPEN, story.now);
    cr_assert_eq(breaker_open_time(breaker, story.now + S), 6 * S);
    breaker_force(breaker, BREAKER_DISABLED, story.now + S);
    cr_assert_eq(breaker_open_time(breaker, story.now + 50 * S), 6 * S);
}
