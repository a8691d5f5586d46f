/* peakEwma: of two, the one with less latency times attempts in flight. */
#include "balancer_field.h"

#define MS NS_PER_MS
#define DRAWS 10000

static void answers(struct field *field, uint64_t id, dur_ns took, enum outcome outcome)
{
    balancer_observe(&field->balancer, &field->candidates[id - 1], took, outcome, FIELD_BEGIN);
}

Test(peak_ewma, spreads_evenly_when_nothing_is_known_or_all_are_equal)
{
    struct field field;
    field_open(&field, BALANCE_PEAK_EWMA, 4);
    const struct balancer_query query = field_query(&field);
    for (int known = 0; known < 2; known++) {
        memset(field.picks, 0, sizeof field.picks);
        field_draw(&field, &query, DRAWS);
        for (uint64_t id = 1; id <= 4; id++) {
            field_expect_share(&field, id, DRAWS / 4);
            answers(&field, id, 10 * MS, OUTCOME_SUCCESS);
        }
    }
}

Test(peak_ewma, never_picks_the_slowest_while_others_have_no_more_to_do)
{
    struct field field;
    field_open(&field, BALANCE_PEAK_EWMA, 4);
    const struct balancer_query query = field_query(&field);
    for (uint64_t id = 1; id <= 4; id++)
        answers(&field, id, 10 * MS, OUTCOME_SUCCESS);
    answers(&field, 3, 300 * MS, OUTCOME_SUCCESS);
    field_draw(&field, &query, DRAWS);
    cr_assert_eq(field.picks[3], 0u);
}

Test(peak_ewma, weighs_latency_by_what_is_in_flight)
{
    struct field field;
    field_open(&field, BALANCE_PEAK_EWMA, 2);
    const struct balancer_query query = field_query(&field);
    answers(&field, 1, 10 * MS, OUTCOME_SUCCESS);
    answers(&field, 2, 50 * MS, OUTCOME_SUCCESS);
    field.candidates[0].in_flight = 3; /* 40 < 50 */
    cr_assert_eq(field_pick(&field, &query), 1u);
    field.candidates[0].in_flight = 5; /* 60 > 50 */
    cr_assert_eq(field_pick(&field, &query), 2u);
}

Test(peak_ewma, comes_back_to_a_slow_one_when_its_time_has_passed)
{
    struct field field;
    field_open(&field, BALANCE_PEAK_EWMA, 2);
    struct balancer_query query = field_query(&field);
    answers(&field, 1, 200 * MS, OUTCOME_SUCCESS);
    for (int second = 0; second < 31; second++) {
        query.now = FIELD_BEGIN + second * NS_PER_S;
        balancer_observe(&field.balancer, &field.candidates[1], 10 * MS, OUTCOME_SUCCESS,
                         query.now);
        if (second < 29)
            cr_assert_eq(field_pick(&field, &query), 2u);
    }
    field_draw(&field, &query, DRAWS);
    field_expect_share(&field, 1, DRAWS / 2);
}

Test(peak_ewma, sends_no_crowd_to_one_that_is_new)
{
    struct field field;
    field_open(&field, BALANCE_PEAK_EWMA, 4);
    const struct balancer_query query = field_query(&field);
    for (uint64_t id = 1; id <= 3; id++)
        answers(&field, id, 80 * MS, OUTCOME_SUCCESS);
    for (int i = 0; i < 4000; i++)
        field.candidates[field_pick(&field, &query) - 1].in_flight++;
    for (uint64_t id = 1; id <= 4; id++)
        field_expect_share(&field, id, 1000);
}

Test(peak_ewma, shuns_one_that_fails_at_once)
{
    struct field field;
    static const enum outcome bad[] = {OUTCOME_FAILURE, OUTCOME_THROTTLED, OUTCOME_TIMEOUT,
                                       OUTCOME_RESET, OUTCOME_CONNECT_FAILURE};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        field_open(&field, BALANCE_PEAK_EWMA, 2);
        const struct balancer_query query = field_query(&field);
        answers(&field, 1, 50 * MS, OUTCOME_SUCCESS);
        answers(&field, 2, 1 * MS, bad[i]);
        field_draw(&field, &query, 100);
        cr_assert_eq(field.picks[2], 0u);
    }
}

Test(peak_ewma, takes_a_caller_that_left_for_the_least_it_took)
{
    struct field field;
    field_open(&field, BALANCE_PEAK_EWMA, 2);
    const struct balancer_query query = field_query(&field);
    answers(&field, 1, 50 * MS, OUTCOME_SUCCESS);
    answers(&field, 2, 20 * MS, OUTCOME_SUCCESS);
    answers(&field, 1, 1 * MS, OUTCOME_CANCELLED);
    cr_assert_eq(field_pick(&field, &query), 2u);
    answers(&field, 2, 90 * MS, OUTCOME_CANCELLED);
    cr_assert_eq(field_pick(&field, &query), 1u);
}

Test(peak_ewma, is_not_observed_under_another_algorithm)
{
    struct field field;
    field_open(&field, BALANCE_LEAST_REQUEST, 1);
    answers(&field, 1, 50 * MS, OUTCOME_SUCCESS);
    cr_assert_eq(field.candidates[0].latency.cost_ns, 0u);
}
