#include "policy/deadline.h"

#include <criterion/criterion.h>

#define S NS_PER_S
#define MS NS_PER_MS

static const struct timeouts_config config = {
    .mode = POLICY_ENFORCE, .connect = S, .request = 10 * S, .backend_request = 3 * S};
static const struct timeouts_config off = {.mode = POLICY_ENFORCE};

static struct deadline start(mono_ns now)
{
    struct deadline deadline;
    deadline_init(&deadline, config.request, DUR_FOREVER, now);
    return deadline;
}

Test(deadline, of_nothing_is_never)
{
    struct deadline deadline;
    deadline_init(&deadline, 0, DUR_FOREVER, 5);
    deadline_start_attempt(&deadline, &off, 5);
    cr_assert_eq(deadline_next(&deadline), MONO_NEVER);
    cr_assert_eq(deadline_left(&deadline, 5), DUR_FOREVER);
    cr_assert_eq(deadline_expired(&deadline, INT64_MAX - 1), REASON_NONE);
}

Test(deadline, that_would_overflow_is_never)
{
    struct deadline deadline;
    deadline_init(&deadline, INT64_MAX - 1, DUR_FOREVER, 5);
    cr_assert_eq(deadline.call_at, MONO_NEVER);
}

Test(deadline, is_the_earlier_of_the_policy_and_the_caller)
{
    struct deadline deadline;
    deadline_init(&deadline, 10 * S, 2 * S, S);
    cr_assert_eq(deadline.call_at, 3 * S);
    deadline_init(&deadline, 10 * S, 20 * S, S);
    cr_assert_eq(deadline.call_at, 11 * S);
    deadline_init(&deadline, 0, 20 * S, S);
    cr_assert_eq(deadline.call_at, 21 * S);
    deadline_init(&deadline, 10 * S, 0, S);
    cr_assert_eq(deadline_expired(&deadline, S), REASON_REQUEST_TIMEOUT);
}

Test(deadline, of_an_attempt_is_the_earlier_of_its_own_and_what_is_left)
{
    struct deadline deadline = start(0);
    deadline_start_attempt(&deadline, &config, 2 * S);
    cr_assert_eq(deadline.attempt_at, 5 * S);
    deadline_start_attempt(&deadline, &config, 8 * S);
    cr_assert_eq(deadline.attempt_at, 10 * S);
    cr_assert_eq(deadline.connect_at, 9 * S);
    deadline_start_attempt(&deadline, &config, 9500 * MS);
    cr_assert_eq(deadline.connect_at, 10 * S);
}

Test(deadline, expires_at_its_time_and_not_before)
{
    struct deadline deadline = start(0);
    deadline_start_attempt(&deadline, &config, 0);
    cr_assert_eq(deadline_next(&deadline), S);
    cr_assert_eq(deadline_expired(&deadline, S - 1), REASON_NONE);
    cr_assert_eq(deadline_expired(&deadline, S), REASON_CONNECT_TIMEOUT);
    deadline_connected(&deadline);
    cr_assert_eq(deadline_next(&deadline), 3 * S);
    cr_assert_eq(deadline_expired(&deadline, 3 * S - 1), REASON_NONE);
    cr_assert_eq(deadline_expired(&deadline, 3 * S), REASON_ATTEMPT_TIMEOUT);
    deadline_end_attempt(&deadline);
    cr_assert_eq(deadline_next(&deadline), 10 * S);
    cr_assert_eq(deadline_expired(&deadline, 10 * S - 1), REASON_NONE);
    cr_assert_eq(deadline_expired(&deadline, 10 * S), REASON_REQUEST_TIMEOUT);
}

Test(deadline, that_cut_an_attempt_short_is_the_one_that_is_named)
{
    struct deadline deadline = start(0);
    deadline_start_attempt(&deadline, &config, 9900 * MS);
    cr_assert_eq(deadline_expired(&deadline, 10 * S), REASON_REQUEST_TIMEOUT);
}

Test(deadline, gives_a_fresh_connection_its_time_within_the_attempt)
{
    struct deadline deadline = start(0);
    deadline_start_attempt(&deadline, &config, 0);
    deadline_connected(&deadline);
    deadline_reconnect(&deadline, &config, 500 * MS);
    cr_assert_eq(deadline.connect_at, 1500 * MS);
    deadline_reconnect(&deadline, &config, 2500 * MS);
    cr_assert_eq(deadline.connect_at, 3 * S);
}

Test(deadline, tells_what_is_left)
{
    struct deadline deadline = start(0);
    cr_assert_eq(deadline_left(&deadline, 4 * S), 6 * S);
    cr_assert_eq(deadline_left(&deadline, 10 * S), 0);
    cr_assert_eq(deadline_left(&deadline, 11 * S), 0);
}

Test(deadline, stands_still_while_the_callers_body_is_awaited)
{
    struct deadline deadline = start(0);
    deadline_start_attempt(&deadline, &config, 0);
    deadline_pause(&deadline, 500 * MS);
    cr_assert_eq(deadline_next(&deadline), MONO_NEVER);
    cr_assert_eq(deadline_expired(&deadline, 3600 * S), REASON_NONE);
    cr_assert_eq(deadline_left(&deadline, 3600 * S), 9500 * MS);
    deadline_resume(&deadline, 100 * S);
    cr_assert_eq(deadline.connect_at, 100500 * MS);
    cr_assert_eq(deadline.attempt_at, 102500 * MS);
    cr_assert_eq(deadline.call_at, 109500 * MS);
    cr_assert_eq(deadline_next(&deadline), 100500 * MS);
}

Test(deadline, may_be_paused_and_resumed_twice)
{
    struct deadline deadline = start(0);
    deadline_pause(&deadline, S);
    deadline_pause(&deadline, 2 * S);
    deadline_resume(&deadline, 3 * S);
    deadline_resume(&deadline, 4 * S);
    cr_assert_eq(deadline.call_at, 12 * S);
}

Test(deadline, has_no_time_for_never_to_move_to)
{
    struct deadline deadline;
    deadline_init(&deadline, 0, DUR_FOREVER, 0);
    deadline_pause(&deadline, S);
    deadline_resume(&deadline, 3 * S);
    cr_assert_eq(deadline.call_at, MONO_NEVER);
    cr_assert_eq(deadline_next(&deadline), MONO_NEVER);
}

Test(deadline, of_an_attempt_that_starts_in_a_pause_is_counted_from_its_end)
{
    struct deadline deadline = start(0);
    deadline_pause(&deadline, S);
    deadline_start_attempt(&deadline, &config, 2 * S);
    deadline_resume(&deadline, 5 * S);
    cr_assert_eq(deadline.attempt_at, 8 * S);
    cr_assert_eq(deadline.connect_at, 6 * S);
    cr_assert_eq(deadline.call_at, 14 * S);
}

Test(deadline, forgotten_in_shadow_goes_on_with_the_others)
{
    struct deadline deadline = start(0);
    deadline_start_attempt(&deadline, &config, 0);
    deadline_forget(&deadline, REASON_CONNECT_TIMEOUT);
    cr_assert_eq(deadline_next(&deadline), 3 * S);
    deadline_forget(&deadline, REASON_ATTEMPT_TIMEOUT);
    cr_assert_eq(deadline_next(&deadline), 10 * S);
    deadline_forget(&deadline, REASON_REQUEST_TIMEOUT);
    cr_assert_eq(deadline_next(&deadline), MONO_NEVER);
}

Test(deadline, forgotten_takes_what_it_cut_short_with_it)
{
    struct deadline deadline = start(0);
    deadline_start_attempt(&deadline, &config, 9900 * MS);
    deadline_forget(&deadline, REASON_REQUEST_TIMEOUT);
    cr_assert_eq(deadline_next(&deadline), MONO_NEVER);
    deadline = start(0);
    deadline_start_attempt(&deadline, &config, 5 * S);
    deadline_reconnect(&deadline, &config, 7500 * MS);
    deadline_forget(&deadline, REASON_ATTEMPT_TIMEOUT);
    cr_assert_eq(deadline_next(&deadline), 10 * S);
}

Test(deadline, forgotten_leaves_what_is_shorter_by_itself)
{
    struct deadline deadline = start(0);
    deadline_start_attempt(&deadline, &config, S);
    deadline_forget(&deadline, REASON_REQUEST_TIMEOUT);
    cr_assert_eq(deadline.attempt_at, 4 * S);
    cr_assert_eq(deadline.connect_at, 2 * S);
    deadline_forget(&deadline, REASON_ATTEMPT_TIMEOUT);
    cr_assert_eq(deadline.connect_at, 2 * S);
}

Test(deadline, is_evidence_only_after_backend_request_or_a_second)
{
    struct timeouts_config cfg = config;
    cr_assert_not(deadline_is_evidence(&cfg, 5 * MS));
    cr_assert_not(deadline_is_evidence(&cfg, S - 1));
    cr_assert(deadline_is_evidence(&cfg, S));
    cfg.backend_request = 200 * MS;
    cr_assert_not(deadline_is_evidence(&cfg, 200 * MS - 1));
    cr_assert(deadline_is_evidence(&cfg, 200 * MS));
    cr_assert_not(deadline_is_evidence(&off, S - 1));
    cr_assert(deadline_is_evidence(&off, S));
}

Test(deadline, takes_a_cancelled_call_for_slow_after_the_lesser_of_the_two_thresholds)
{
    cr_assert_eq(deadline_cancel_threshold(&config, 2 * S), 1500 * MS);
    cr_assert_eq(deadline_cancel_threshold(&config, S), S);
}

Test(deadline, drops_a_cancel_threshold_that_is_off)
{
    cr_assert_eq(deadline_cancel_threshold(&config, 0), 1500 * MS);
    cr_assert_eq(deadline_cancel_threshold(&off, 2 * S), 2 * S);
}

Test(deadline, takes_a_cancelled_call_for_slow_after_a_second_when_both_are_off)
{
    cr_assert_eq(deadline_cancel_threshold(&off, 0), S);
}

/* ---- a caller's own deadline ---- */

Test(deadline, that_is_fixed_stands_still_for_nobody)
{
    struct deadline deadline = start(0);
    deadline_start_attempt(&deadline, &config, 0);
    deadline_fix(&deadline, 2 * S);
    deadline_pause(&deadline, S / 2);
    cr_assert_eq(deadline_next(&deadline), 2 * S);
    cr_assert_eq(deadline_expired(&deadline, 2 * S - 1), REASON_NONE);
    cr_assert_eq(deadline_expired(&deadline, 2 * S), REASON_REQUEST_TIMEOUT);
    cr_assert_eq(deadline_left(&deadline, S), S);
    deadline_resume(&deadline, S);
    cr_assert_eq(deadline_of_call(&deadline), 2 * S);
    cr_assert_eq(deadline_attempt_left(&deadline, S), S);
    cr_assert_eq(deadline_next(&deadline), 3 * S / 2, "connect");
}

Test(deadline, that_is_fixed_is_forgotten_with_the_calls)
{
    struct deadline deadline = start(0);
    deadline_fix(&deadline, 2 * S);
    deadline_forget(&deadline, REASON_REQUEST_TIMEOUT);
    cr_assert_eq(deadline_expired(&deadline, 20 * S), REASON_NONE);
}
