#include "call_host.h"

#include <criterion/criterion.h>

static struct world w;

static void start(void)
{
    world_start(&w);
}

static void end(void)
{
    world_end(&w);
}

TestSuite(judgement, .init = start, .fini = end);

static uint32_t failures(void)
{
    return world_breaker(&w)->window.sum.failures;
}

static uint32_t judged(void)
{
    return world_breaker(&w)->window.sum.calls;
}

static void half_open(void)
{
    trip(&w, (int)w.policy.breaker.consecutive_failures);
    world_advance(&w, 5000);
    cr_assert_eq(world_breaker(&w)->state, BREAKER_HALF_OPEN);
}

/* ---- the breaker ---- */

Test(judgement, opens_the_breaker_probes_at_most_three_times_and_closes)
{
    with_breaker(&w.policy, 3);
    world_open(&w);
    trip(&w, 3);
    cr_assert_eq(world_breaker(&w)->state, BREAKER_OPEN);
    world_advance(&w, 4999);
    cr_assert(is_refused(world_call(&w), REASON_CIRCUIT_OPEN));
    world_advance(&w, 1);
    cr_assert_eq(world_breaker(&w)->state, BREAKER_HALF_OPEN, "on a timer, nobody had to call");
    struct visit *probes[3];
    for (int i = 0; i < 3; i++)
        probes[i] = world_call(&w);
    cr_assert(is_refused(world_call(&w), REASON_CIRCUIT_OPEN));
    for (int i = 0; i < 3; i++)
        answer(probes[i], 200);
    cr_assert_eq(world_breaker(&w)->state, BREAKER_CLOSED);
    cr_assert_eq(w.move_count, 3);
    cr_assert_str_eq(w.moves[0].label, "target");
    cr_assert_eq(w.moves[2].what.cause, BREAKER_CAUSE_PROBES_SUCCEEDED);
}

Test(judgement, reopens_the_breaker_when_one_probe_fails_and_ignores_the_others)
{
    with_breaker(&w.policy, 3);
    world_open(&w);
    half_open();
    struct visit *a = world_call(&w);
    struct visit *b = world_call(&w);
    answer(a, 503);
    cr_assert_eq(world_breaker(&w)->state, BREAKER_OPEN);
    cr_assert_eq(world_breaker(&w)->reopen_at, w.now + 10 * NS_PER_S);
    answer(b, 200);
    cr_assert_eq(world_breaker(&w)->state, BREAKER_OPEN, "a result of an earlier generation");
}

Test(judgement, expires_a_probe_after_ten_seconds_and_still_relays_its_answer)
{
    with_breaker(&w.policy, 3);
    world_open(&w);
    half_open();
    struct visit *a = world_call(&w);
    world_advance(&w, 9999);
    cr_assert_eq(world_breaker(&w)->state, BREAKER_HALF_OPEN);
    world_advance(&w, 1);
    cr_assert_eq(world_breaker(&w)->state, BREAKER_OPEN);
    cr_assert_eq(world_breaker(&w)->last.cause, BREAKER_CAUSE_PROBE_EXPIRED);
    cr_assert_eq(step_of(a), CALL_STEP_ATTEMPT);
    answer(a, 200);
    cr_assert(is_over(a, FATE_SUCCESS));
    cr_assert_eq(w.settled[OUTCOME_SUCCESS], 1);
}

Test(judgement, expires_a_probe_at_its_attempt_timeout_where_that_is_shorter)
{
    with_breaker(&w.policy, 3);
    w.policy.timeouts.backend_request = 500 * MS;
    world_open(&w);
    half_open();
    struct visit *a = world_call(&w);
    world_advance(&w, 500);
    cr_assert_eq(world_breaker(&w)->last.cause, BREAKER_CAUSE_PROBE_EXPIRED);
    cr_assert(is_over(a, FATE_TIMEOUT));
}

Test(judgement, gives_a_probe_back_that_only_the_callers_short_deadline_ended)
{
    with_breaker(&w.policy, 3);
    world_open(&w);
    half_open();
    struct call_facts facts = get_facts;
    facts.caller_deadline = 5 * MS;
    world_call_with(&w, &facts);
    world_advance(&w, 5);
    cr_assert_eq(world_breaker(&w)->state, BREAKER_HALF_OPEN);
    cr_assert_eq(world_breaker(&w)->probes_admitted, 0u);
}

Test(judgement, cuts_no_lease_short_by_a_shadow_timeout)
{
    with_breaker(&w.policy, 3);
    w.policy.timeouts.mode = POLICY_SHADOW;
    w.policy.timeouts.backend_request = 500 * MS;
    world_open(&w);
    half_open();
    struct visit *a = world_call(&w);
    world_advance(&w, 9999);
    cr_assert_eq(world_breaker(&w)->state, BREAKER_HALF_OPEN);
    cr_assert_eq(w.shadows[POLICY_FAMILY_TIMEOUTS], 1);
    answer(a, 200);
    cr_assert_eq(world_breaker(&w)->probes_succeeded, 1u);
}

Test(judgement, judges_a_slow_but_good_head_of_a_probe_a_success)
{
    with_breaker(&w.policy, 3);
    w.policy.breaker.slow_permille = 500;
    w.policy.breaker.slow_longer_than = NS_PER_S;
    world_open(&w);
    half_open();
    struct visit *a = world_call(&w);
    world_advance(&w, 2000);
    answer(a, 200);
    cr_assert_eq(world_breaker(&w)->probes_succeeded, 1u);
}

Test(judgement, counts_a_head_later_than_longer_than_as_slow)
{
    with_breaker(&w.policy, 0);
    w.policy.breaker.slow_permille = 1000;
    w.policy.breaker.slow_longer_than = NS_PER_S;
    world_open(&w);
    struct visit *a = world_call(&w);
    struct visit *b = world_call(&w);
    world_advance(&w, 1000);
    answer(a, 200);
    cr_assert_eq(world_breaker(&w)->window.sum.slow, 0u);
    world_advance(&w, 1);
    answer(b, 200);
    cr_assert_eq(world_breaker(&w)->window.sum.slow, 1u);
    cr_assert_eq(w.last_until_head, 1001 * MS);
}

Test(judgement, counts_a_throttled_answer_as_a_call_and_not_as_a_failure)
{
    with_breaker(&w.policy, 2);
    world_open(&w);
    answer(world_call(&w), 500);
    answer(world_call(&w), 429);
    cr_assert_eq(judged(), 2u);
    cr_assert_eq(failures(), 1u);
    cr_assert_eq(world_breaker(&w)->consecutive, 1u);
}

Test(judgement, reopens_for_the_retry_after_of_a_throttled_probe)
{
    with_breaker(&w.policy, 3);
    world_open(&w);
    half_open();
    struct visit *a = world_call(&w);
    head_with(a, (struct call_head){
                     .status = 429, .outcome = OUTCOME_THROTTLED, .retry_after = 12 * NS_PER_S});
    cr_assert_eq(world_breaker(&w)->reopen_at, w.now + 12 * NS_PER_S);
}

Test(judgement, judges_failures_without_a_head_by_what_they_prove)
{
    static const struct {
        enum reason reason;
        enum outcome outcome;
        uint32_t failures;
    } rows[] = {
        {REASON_CONNECT_REFUSED, OUTCOME_CONNECT_FAILURE, 1},
        {REASON_DNS_FAILURE, OUTCOME_CONNECT_FAILURE, 1},
        {REASON_TLS_EXPIRED, OUTCOME_CONNECT_FAILURE, 1},
        {REASON_CONNECTION_RESET, OUTCOME_RESET, 1},
        {REASON_PROTOCOL_ERROR, OUTCOME_FAILURE, 1},
        {REASON_ATTEMPT_TIMEOUT, OUTCOME_TIMEOUT, 1},
        {REASON_NO_ENDPOINT, OUTCOME_CANCELLED, 0},
        {REASON_OVERLOADED, OUTCOME_CANCELLED, 0},
        {REASON_SHUTDOWN, OUTCOME_CANCELLED, 0},
        {REASON_CLIENT_CLOSED, OUTCOME_CANCELLED, 0},
    };
    with_breaker(&w.policy, 0);
    world_open(&w);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const uint32_t before = failures();
        const int settled = w.settled[rows[i].outcome];
        struct visit *a = world_call(&w);
        fail(a, rows[i].reason);
        cr_assert_eq(failures() - before, rows[i].failures, "%s", reason_word(rows[i].reason));
        cr_assert_eq(w.settled[rows[i].outcome] - settled, 1, "%s", reason_word(rows[i].reason));
        cr_assert_eq(a->got, rows[i].reason);
    }
}

/* ---- cancelled calls ---- */

static void expect_cancel(dur_ns slow, dur_ns backend, int64_t threshold_ms)
{
    w.policy.breaker.slow_permille = slow > 0 ? 800 : 0;
    w.policy.breaker.slow_longer_than = slow;
    w.policy.timeouts.backend_request = backend;
    world_reload(&w);
    const uint32_t before = judged();
    struct visit *early = world_call(&w);
    world_advance(&w, threshold_ms - 1);
    cancel(early);
    cr_assert(is_over(early, FATE_CANCELLED));
    cr_assert_eq(early->aborts, 1);
    cr_assert_eq(judged(), before, "unjudged before %lld ms", (long long)threshold_ms);
    struct visit *late = world_call(&w);
    world_advance(&w, threshold_ms);
    const uint32_t slow_before = world_breaker(&w)->window.sum.slow;
    cancel(late);
    cr_assert_eq(world_breaker(&w)->window.sum.slow, slow_before + 1);
}

Test(judgement, counts_a_cancelled_call_as_slow_from_the_threshold_on)
{
    with_breaker(&w.policy, 7);
    w.policy.breaker.window = 600 * NS_PER_S;
    w.policy.breaker.min_requests = 1000;
    world_open(&w);
    expect_cancel(0, 0, 1000);
    expect_cancel(300 * MS, 0, 300);
    expect_cancel(0, 800 * MS, 400);
    expect_cancel(300 * MS, 800 * MS, 300);
    expect_cancel(500 * MS, 800 * MS, 400);
    cr_assert_eq(w.settled[OUTCOME_CANCELLED], 10);
}

Test(judgement, leaves_the_consecutive_count_alone_when_a_slow_call_is_cancelled)
{
    with_breaker(&w.policy, 2);
    world_open(&w);
    trip(&w, 1);
    struct visit *a = world_call(&w);
    world_advance(&w, 1000);
    cancel(a);
    cr_assert_eq(world_breaker(&w)->consecutive, 1u);
    cr_assert_eq(world_breaker(&w)->state, BREAKER_CLOSED);
}

Test(judgement, opens_by_slow_calls_behind_an_app_that_gives_up_after_the_threshold)
{
    with_breaker(&w.policy, 0);
    w.policy.breaker.slow_permille = 800;
    w.policy.breaker.slow_longer_than = NS_PER_S;
    w.policy.breaker.min_requests = 5;
    world_open(&w);
    for (int i = 0; i < 5; i++) {
        struct visit *a = world_call(&w);
        world_advance(&w, 1500);
        cancel(a);
    }
    cr_assert_eq(world_breaker(&w)->state, BREAKER_OPEN);
    cr_assert_eq(world_breaker(&w)->last.cause, BREAKER_CAUSE_SLOW_CALLS);
}

Test(judgement, fails_a_probe_that_is_cancelled_late_and_gives_one_back_that_is_cancelled_early)
{
    with_breaker(&w.policy, 3);
    with_bulkhead(&w.policy, 3, 0, 0);
    world_open(&w);
    half_open();
    for (int i = 0; i < 20; i++)
        cancel(world_call(&w));
    cr_assert_eq(world_breaker(&w)->state, BREAKER_HALF_OPEN);
    cr_assert_eq(world_breaker(&w)->probes_admitted, 0u);
    cr_assert_eq(in_flight(&w), 0u);
    struct visit *a = world_call(&w);
    world_advance(&w, 1000);
    cancel(a);
    cr_assert_eq(world_breaker(&w)->last.cause, BREAKER_CAUSE_PROBE_FAILED);
}

Test(judgement, judges_a_probe_once_when_it_is_cancelled_after_its_lease)
{
    with_breaker(&w.policy, 3);
    world_open(&w);
    half_open();
    struct visit *a = world_call(&w);
    world_advance(&w, 10000);
    cancel(a);
    cr_assert(is_over(a, FATE_CANCELLED));
    cr_assert_eq(world_breaker(&w)->last.cause, BREAKER_CAUSE_PROBE_EXPIRED);
}

/* ---- leases and the caller's own body ---- */

Test(judgement, stops_the_lease_of_a_probe_while_the_callers_body_is_awaited)
{
    with_breaker(&w.policy, 3);
    world_open(&w);
    half_open();
    struct visit *a = world_call(&w);
    world_advance(&w, 4000);
    pause_body(a);
    world_advance(&w, 20000);
    resume_body(a);
    world_advance(&w, 5999);
    cr_assert_eq(world_breaker(&w)->state, BREAKER_HALF_OPEN);
    world_advance(&w, 1);
    cr_assert_eq(world_breaker(&w)->state, BREAKER_OPEN);
}

Test(judgement, takes_no_second_lease_when_its_clock_was_stopped_after_the_first)
{
    with_breaker(&w.policy, 3);
    world_open(&w);
    half_open();
    struct visit *a = world_call(&w);
    world_advance(&w, 10000);
    cr_assert_eq(world_breaker(&w)->last.cause, BREAKER_CAUSE_PROBE_EXPIRED);
    pause_body(a);
    resume_body(a);
    cr_assert_eq(a->call.lease_at, MONO_NEVER);
    world_advance(&w, 20000);
    answer(a, 200);
}
