/* A permit's two ends, and what may happen between them. */
#include "policy/gate.h"

#include "gate_story.h"

#include <criterion/criterion.h>
#include <signal.h>

static struct gate_story story;

static void set_up(void)
{
    gate_story_start(&story);
}

TestSuite(permit, .init = set_up);

static void half_open(int i)
{
    struct breaker *breaker = &story.breakers[i];
    for (int k = 0; k < 2; k++)
        breaker_judge(breaker, breaker_take(breaker, story.now), JUDGED_FAILURE, false, 0,
                      &story.rng, story.now);
    story.now += 5 * S;
    breaker_tick(breaker, story.now);
    cr_assert_eq(breaker->state, BREAKER_HALF_OPEN);
}

/* ---- two ends, once each ---- */

Test(permit, is_judged_only_once, .signal = SIGABRT)
{
    struct permit permit = gate_story_take(&story);
    permit_judge(&permit, JUDGED_SUCCESS, false, 0, &story.rng, story.now);
    permit_judge(&permit, JUDGED_SUCCESS, false, 0, &story.rng, story.now);
}

Test(permit, is_not_judged_after_its_probe_expired, .signal = SIGABRT)
{
    struct permit permit = gate_story_take(&story);
    permit_expire_probe(&permit, &story.rng, story.now);
    permit_judge(&permit, JUDGED_SUCCESS, false, 0, &story.rng, story.now);
}

Test(permit, is_not_released_unjudged, .signal = SIGABRT)
{
    struct permit permit = gate_story_take(&story);
    permit_release(&permit, story.now);
}

Test(permit, is_released_only_once, .signal = SIGABRT)
{
    struct permit permit = gate_story_take(&story);
    gate_story_end(&story, &permit, JUDGED_SUCCESS);
    permit_release(&permit, story.now);
}

Test(permit, that_was_never_granted_is_not_judged, .signal = SIGABRT)
{
    struct permit permit = {.is_live = false};
    permit_judge(&permit, JUDGED_SUCCESS, false, 0, &story.rng, story.now);
}

Test(permit, keeps_its_slot_until_the_upstream_work_has_ended)
{
    struct permit permit = gate_story_take(&story);
    permit_judge(&permit, JUDGED_SUCCESS, false, 0, &story.rng, story.now);
    cr_assert_eq(story.bulkhead.in_flight[BULKHEAD_ATTEMPT], 1);
    permit_release(&permit, story.now + 30 * S);
    cr_assert_eq(story.bulkhead.in_flight[BULKHEAD_ATTEMPT], 0);
    cr_assert_not(permit.is_live);
}

/* ---- judging ---- */

Test(permit, tells_all_its_breakers_what_the_attempt_proved)
{
    struct permit permit = gate_story_take(&story);
    permit_judge(&permit, JUDGED_FAILURE, true, 0, &story.rng, story.now);
    for (int i = 0; i < GATE_BREAKERS; i++) {
        cr_assert_eq(story.breakers[i].window.sum.failures, 1);
        cr_assert_eq(story.breakers[i].window.sum.slow, 1);
    }
}

Test(permit, hands_retry_after_on)
{
    story.breaker_cfg.consecutive_failures = 1;
    breaker_configure(&story.breakers[0], &story.breaker_cfg, story.now);
    struct permit permit = gate_story_take(&story);
    permit_judge(&permit, JUDGED_FAILURE, false, 9 * S, &story.rng, story.now);
    cr_assert_eq(story.breakers[0].reopen_at, story.now + 9 * S);
}

Test(permit, unjudged_gives_slot_and_probe_back)
{
    half_open(0);
    struct permit permit = gate_story_take(&story);
    cr_assert(permit_is_probe(&permit));
    gate_story_end(&story, &permit, JUDGED_NOT);
    cr_assert_eq(story.breakers[0].probes_admitted, 0);
    cr_assert(bulkhead_is_empty(&story.bulkhead));
    cr_assert_eq(story.breakers[1].window.sum.calls, 0);
}

Test(permit, settles_on_the_instance_that_granted_it_after_a_reload)
{
    struct permit permit = gate_story_take(&story);
    const struct bulkhead_config smaller = {.max_requests = 0};
    bulkhead_configure(&story.bulkhead, &smaller);
    story.gate = (struct gate){.breakers = {NULL, NULL}};
    gate_story_end(&story, &permit, JUDGED_FAILURE);
    cr_assert(bulkhead_is_empty(&story.bulkhead));
    cr_assert_eq(story.breakers[0].consecutive, 1);
}

/* ---- the lease of a probe ---- */

Test(permit, of_an_expired_probe_fails_the_breaker_that_probed)
{
    for (int i = 0; i < GATE_BREAKERS; i++) {
        gate_story_start(&story);
        half_open(i);
        struct permit permit = gate_story_take(&story);
        story.now += 10 * S;
        permit_expire_probe(&permit, &story.rng, story.now);
        cr_assert_eq(story.breakers[i].state, BREAKER_OPEN);
        cr_assert_eq(story.breakers[i].last.cause, BREAKER_CAUSE_PROBE_EXPIRED);
        cr_assert_eq(story.breakers[1 - i].window.sum.calls, 0, "to the other it proved nothing");
        cr_assert_eq(story.bulkhead.in_flight[BULKHEAD_ATTEMPT], 1, "the work goes on");
        permit_release(&permit, story.now);
        cr_assert(bulkhead_is_empty(&story.bulkhead));
    }
}

/* ---- a breaker that joins later ---- */

static struct permit permit_of_one_breaker(int i)
{
    story.gate.breakers[0] = NULL;
    story.gate.breakers[1] = NULL;
    if (i >= 0)
        story.gate.breakers[i] = &story.breakers[i];
    return gate_story_take(&story);
}

Test(permit, lets_the_breaker_of_a_late_endpoint_join)
{
    for (int first = -1; first < 2; first++) {
        gate_story_start(&story);
        struct permit permit = permit_of_one_breaker(first);
        struct breaker *late = &story.breakers[first == 1 ? 0 : 1];
        permit_add_breaker(&permit, late, story.now);
        gate_story_end(&story, &permit, JUDGED_FAILURE);
        cr_assert_eq(late->consecutive, 1);
    }
}

Test(permit, lets_a_late_breaker_that_would_refuse_stay_away)
{
    half_open(1);
    struct permit permit = permit_of_one_breaker(0);
    breaker_force(&story.breakers[1], BREAKER_FORCED_OPEN, story.now);
    permit_add_breaker(&permit, &story.breakers[1], story.now);
    cr_assert_null(permit.breakers[1]);
    gate_story_end(&story, &permit, JUDGED_SUCCESS);
}

Test(permit, lets_a_late_breaker_that_is_absent_or_off_stay_away)
{
    struct permit permit = permit_of_one_breaker(0);
    permit_add_breaker(&permit, NULL, story.now);
    story.breakers[1].cfg.mode = POLICY_OFF;
    permit_add_breaker(&permit, &story.breakers[1], story.now);
    cr_assert_null(permit.breakers[1]);
    gate_story_end(&story, &permit, JUDGED_SUCCESS);
}

Test(permit, of_a_first_attempt_may_probe_a_late_breaker_and_of_a_retry_may_not)
{
    half_open(1);
    story.question.may_probe = false;
    struct permit retry = permit_of_one_breaker(0);
    permit_add_breaker(&retry, &story.breakers[1], story.now);
    cr_assert_null(retry.breakers[1]);
    story.question.may_probe = true;
    struct permit first = permit_of_one_breaker(0);
    permit_add_breaker(&first, &story.breakers[1], story.now);
    cr_assert(permit_is_probe(&first));
}

Test(permit, tells_a_third_breaker_nothing)
{
    struct breaker third;
    struct permit permit = gate_story_take(&story);
    breaker_init(&third, &story.breakers[0].cfg, story.now);
    permit_add_breaker(&permit, &third, story.now);
    gate_story_end(&story, &permit, JUDGED_FAILURE);
    cr_assert_eq(third.consecutive, 0);
    cr_assert_eq(story.breakers[0].consecutive, 1);
}

Test(permit, that_is_judged_takes_no_breaker, .signal = SIGABRT)
{
    struct permit permit = permit_of_one_breaker(0);
    permit_judge(&permit, JUDGED_SUCCESS, false, 0, &story.rng, story.now);
    permit_add_breaker(&permit, &story.breakers[1], story.now);
}

Test(permit, tells_a_breaker_whose_endpoint_was_left_that_it_proved_nothing)
{
    half_open(1);
    struct permit permit = gate_story_take(&story);
    cr_assert(permit_is_probe(&permit));
    permit_drop_breaker(&permit, &story.breakers[1], &story.rng, story.now);
    cr_assert_not(permit_is_probe(&permit));
    cr_assert_eq(story.breakers[1].state, BREAKER_HALF_OPEN, "its probe was given back");
    permit_drop_breaker(&permit, &story.breakers[1], &story.rng, story.now);
    permit_add_breaker(&permit, &story.breakers[1], story.now);
    cr_assert(permit_is_probe(&permit), "there is a place for another, and a probe left");
    gate_story_end(&story, &permit, JUDGED_FAILURE);
    cr_assert_eq(story.breakers[1].state, BREAKER_OPEN);
}

Test(permit, that_is_judged_drops_no_breaker, .signal = SIGABRT)
{
    struct permit permit = permit_of_one_breaker(0);
    permit_judge(&permit, JUDGED_SUCCESS, false, 0, &story.rng, story.now);
    permit_drop_breaker(&permit, &story.breakers[0], &story.rng, story.now);
}

/* ---- slots that change their kind ---- */

Test(permit, of_a_long_response_moves_to_the_streams)
{
    struct permit permit = gate_story_take(&story);
    cr_assert(permit_move_to_stream(&permit));
    cr_assert_eq(story.bulkhead.in_flight[BULKHEAD_ATTEMPT], 0);
    cr_assert_eq(story.bulkhead.in_flight[BULKHEAD_STREAM], 1);
    cr_assert_not(permit_move_to_stream(&permit), "it is there already");
    gate_story_end(&story, &permit, JUDGED_SUCCESS);
    cr_assert(bulkhead_is_empty(&story.bulkhead));
}

Test(permit, stays_where_it_is_when_the_streams_are_full)
{
    struct permit first = gate_story_take(&story);
    struct permit second = gate_story_take(&story);
    cr_assert(permit_move_to_stream(&first));
    cr_assert_not(permit_move_to_stream(&second));
    cr_assert_eq(story.bulkhead.in_flight[BULKHEAD_ATTEMPT], 1);
    gate_story_end(&story, &first, JUDGED_SUCCESS);
    gate_story_end(&story, &second, JUDGED_SUCCESS);
    cr_assert(bulkhead_is_empty(&story.bulkhead));
}

Test(permit, of_an_upgraded_call_counts_as_a_connection_even_above_the_limit)
{
    struct permit permits[2];
    for (int i = 0; i < 2; i++) {
        permits[i] = gate_story_take(&story);
        permit_move_to_connection(&permits[i]);
    }
    cr_assert_eq(story.bulkhead.in_flight[BULKHEAD_CONNECTION], 2);
    cr_assert_eq(story.bulkhead.in_flight[BULKHEAD_ATTEMPT], 0);
    cr_assert_not(permit_move_to_stream(&permits[0]));
    for (int i = 0; i < 2; i++)
        gate_story_end(&story, &permits[i], JUDGED_SUCCESS);
    cr_assert(bulkhead_is_empty(&story.bulkhead));
}

Test(permit, without_a_bulkhead_has_nothing_to_move)
{
    story.gate.bulkhead = NULL;
    struct permit permit = gate_story_take(&story);
    cr_assert_not(permit_move_to_stream(&permit));
    permit_move_to_connection(&permit);
    gate_story_end(&story, &permit, JUDGED_SUCCESS);
}

Test(permit, that_is_not_live_is_not_moved_to_the_streams, .signal = SIGABRT)
{
    struct permit permit = {.is_live = false};
    permit_move_to_stream(&permit);
}

Test(permit, that_is_not_live_is_not_moved_to_the_connections, .signal = SIGABRT)
{
    struct permit permit = {.is_live = false};
    permit_move_to_connection(&permit);
}
