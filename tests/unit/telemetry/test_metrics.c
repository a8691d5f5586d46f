/* The registry: what is shown when, caps, folding, and memory that a reader may still see. */
#include "telemetry/metrics.h"

#include "page.h"

#include <criterion/criterion.h>
#include <pthread.h>

static struct metrics *metrics;
static struct metrics_target *target;

static void begin(void)
{
    metrics = metrics_new(100000, "1.2.3", "abc", 42);
    target = metrics_target_get(metrics, "payments:8080");
}

static void end(void)
{
    metrics_free(&metrics);
}

TestSuite(metrics, .init = begin, .fini = end);

Test(metrics, export_zeros_of_gate_breaker_and_retry_counters)
{
    struct metrics_instance *instance = metrics_instance_get(target, NULL, NULL, METRICS_BREAKER);
    EXPECT_LINE(metrics,
                "outrigger_rejections_total{target=\"payments:8080\",policy=\"circuitBreaker\","
                "reason=\"circuit_open\"} 0");
    EXPECT_LINE(metrics, "outrigger_rejections_total{target=\"payments:8080\",policy=\"bulkhead\","
                         "reason=\"queue_timeout\"} 0");
    EXPECT_LINE(metrics,
                "outrigger_retries_total{target=\"payments:8080\",reason=\"transparent\"} 0");
    EXPECT_LINE(metrics,
                "outrigger_retries_skipped_total{target=\"payments:8080\",reason=\"budget\"} 0");
    EXPECT_LINE(metrics,
                "outrigger_attempts_total{target=\"payments:8080\",result=\"connect_failure\"} 0");
    EXPECT_LINE(
        metrics,
        "outrigger_circuit_breaker_transitions_total{target=\"payments:8080\",instance=\"target\","
        "from=\"closed\",to=\"open\",reason=\"failure_rate\"} 0");
    EXPECT_NO(metrics, "reason=\"operator\"");
    EXPECT_NO(metrics, "outcome=\"");
    cr_assert_not_null(instance);
}

Test(metrics, count_calls_by_class_and_fate)
{
    metrics_count_request(target, NULL, 204, FATE_SUCCESS);
    metrics_count_request(target, NULL, 200, FATE_SUCCESS);
    metrics_count_request(target, NULL, 0, FATE_CANCELLED);
    metrics_count_request(target, NULL, 999, FATE_CANCELLED);
    EXPECT_LINE(metrics, "outrigger_requests_total{target=\"payments:8080\",rule=\"\",code=\"2xx\","
                         "outcome=\"success\"} 2");
    EXPECT_LINE(metrics, "outrigger_requests_total{target=\"payments:8080\",rule=\"\",code="
                         "\"none\",outcome=\"cancelled\"} 2");
    cr_assert_eq(page_count(metrics, "outrigger_requests_total"), 2);
}

Test(metrics, count_the_calls_of_a_rule_under_its_name_only)
{
    struct metrics_rule *rule = metrics_rule_get(target, "charge");
    metrics_count_request(target, rule, 503, FATE_CIRCUIT_OPEN);
    EXPECT_LINE(metrics,
                "outrigger_requests_total{target=\"payments:8080\",rule=\"charge\",code=\"5xx\","
                "outcome=\"circuit_open\"} 1");
    cr_assert_eq(page_count(metrics, "outrigger_requests_total"), 1);
}

Test(metrics, name_the_policy_that_refuses)
{
    metrics_count_rejection(target, REASON_RATE_LIMITED);
    metrics_count_rejection(target, REASON_BAD_REQUEST);
    metrics_count_rejection(target, REASON_BAD_REQUEST);
    EXPECT_LINE(metrics, "outrigger_rejections_total{target=\"payments:8080\",policy=\"rateLimit\","
                         "reason=\"rate_limited\"} 1");
    EXPECT_LINE(metrics, "outrigger_rejections_total{target=\"payments:8080\",policy=\"\",reason="
                         "\"bad_request\"} 2");
}

Test(metrics, show_shadow_decisions_from_zero_once_a_policy_is_in_shadow)
{
    EXPECT_NO(metrics, "outrigger_shadow_decisions_total");
    metrics_show_shadow(target, POLICY_FAMILY_BULKHEAD);
    EXPECT_LINE(metrics,
                "outrigger_shadow_decisions_total{target=\"payments:8080\",policy=\"bulkhead\","
                "decision=\"refuse\"} 0");
    metrics_count_shadow(target, POLICY_FAMILY_BULKHEAD);
    metrics_count_shadow(target, POLICY_FAMILY_RETRY);
    EXPECT_LINE(metrics,
                "outrigger_shadow_decisions_total{target=\"payments:8080\",policy=\"bulkhead\","
                "decision=\"refuse\"} 1");
    EXPECT_LINE(metrics, "outrigger_shadow_decisions_total{target=\"payments:8080\",policy="
                         "\"retry\",decision=\"retry\"} 1");
}

Test(metrics, show_every_state_of_a_breaker_and_one_of_them_is_on)
{
    struct metrics_instance *instance =
        metrics_instance_get(target, "charge", "/endpoint:10.0.0.7:8080", METRICS_BREAKER);
    metrics_count_transition(instance, BREAKER_CLOSED, BREAKER_OPEN, BREAKER_CAUSE_SLOW_CALLS);
    const char *place = "outrigger_circuit_breaker_state{target=\"payments:8080\","
                        "instance=\"rule:charge/endpoint:10.0.0.7:8080\"";
    cr_assert_eq(page_count(metrics, place), BREAKER_STATE_COUNT);
    EXPECT_LINE(metrics, "outrigger_circuit_breaker_state{target=\"payments:8080\","
                         "instance=\"rule:charge/endpoint:10.0.0.7:8080\",state=\"open\"} 1");
    EXPECT_LINE(metrics, "outrigger_circuit_breaker_state{target=\"payments:8080\","
                         "instance=\"rule:charge/endpoint:10.0.0.7:8080\",state=\"closed\"} 0");
    EXPECT_LINE(metrics,
                "outrigger_circuit_breaker_transitions_total{target=\"payments:8080\","
                "instance=\"rule:charge/endpoint:10.0.0.7:8080\",from=\"closed\",to=\"open\","
                "reason=\"slow_calls\"} 1");
}

Test(metrics, show_a_transition_that_nobody_could_make_nowhere)
{
    struct metrics_instance *instance = metrics_instance_get(target, NULL, NULL, METRICS_BREAKER);
    metrics_count_transition(instance, BREAKER_OPEN, BREAKER_CLOSED, BREAKER_CAUSE_SLOW_CALLS);
    EXPECT_NO(metrics, "from=\"open\",to=\"closed\"");
    EXPECT_LINE(metrics, "outrigger_series_dropped_total 1");
}

Test(metrics, show_gauges_in_their_units)
{
    struct metrics_instance *instance = metrics_instance_get(
        target, NULL, NULL, METRICS_BREAKER | METRICS_BULKHEAD | METRICS_BUCKET);
    metrics_set_breaker(instance, BREAKER_HALF_OPEN, 125, 1000, 2500 * NS_PER_MS);
    metrics_set_bulkhead(instance, 7, METRICS_UNLIMITED, 2);
    metrics_set_tokens(instance, 199500);
    metrics_note_token_wait(instance, 1500 * NS_PER_MS);
    metrics_set_retry_budget(target, 0);
    EXPECT_LINE(metrics, "outrigger_circuit_breaker_failure_ratio{target=\"payments:8080\","
                         "instance=\"target\"} 0.125");
    EXPECT_LINE(
        metrics,
        "outrigger_circuit_breaker_slow_ratio{target=\"payments:8080\",instance=\"target\"} 1");
    EXPECT_LINE(metrics, "outrigger_circuit_breaker_open_seconds_total{target=\"payments:8080\","
                         "instance=\"target\"} 2.5");
    EXPECT_LINE(metrics,
                "outrigger_bulkhead_inflight{target=\"payments:8080\",instance=\"target\"} 7");
    EXPECT_LINE(metrics,
                "outrigger_bulkhead_limit{target=\"payments:8080\",instance=\"target\"} +Inf");
    EXPECT_LINE(metrics,
                "outrigger_bulkhead_queued{target=\"payments:8080\",instance=\"target\"} 2");
    EXPECT_LINE(metrics,
                "outrigger_rate_limit_tokens{target=\"payments:8080\",instance=\"target\"} 199.5");
    EXPECT_LINE(metrics, "outrigger_rate_limit_wait_seconds_total{target=\"payments:8080\","
                         "instance=\"target\"} 1.5");
    EXPECT_LINE(metrics, "outrigger_retry_budget_available{target=\"payments:8080\"} 0");
    metrics_set_retry_budget(target, METRICS_UNLIMITED);
    EXPECT_LINE(metrics, "outrigger_retry_budget_available{target=\"payments:8080\"} +Inf");
}

Test(metrics, show_a_part_while_somebody_has_it)
{
    struct metrics_instance *breaker = metrics_instance_get(target, NULL, NULL, METRICS_BREAKER);
    struct metrics_instance *bulkhead = metrics_instance_get(target, NULL, NULL, METRICS_BULKHEAD);
    struct metrics_instance *newer = metrics_instance_get(target, NULL, NULL, METRICS_BREAKER);
    cr_assert_eq(breaker, bulkhead);
    cr_assert_eq(breaker, newer);
    metrics_instance_unref(&breaker, METRICS_BREAKER);
    cr_assert_null(breaker);
    cr_assert_gt(page_count(metrics, "outrigger_circuit_breaker_"), 0);
    metrics_instance_unref(&newer, METRICS_BREAKER);
    EXPECT_NO(metrics, "outrigger_circuit_breaker_");
    cr_assert_gt(page_count(metrics, "outrigger_bulkhead_"), 0);
    metrics_instance_unref(&bulkhead, METRICS_BULKHEAD);
    EXPECT_NO(metrics, "instance=");
}

Test(metrics, keep_a_target_as_long_as_a_rule_of_it_lives_and_forget_it_then)
{
    struct metrics_rule *rule = metrics_rule_get(target, "charge");
    struct metrics_instance *instance =
        metrics_instance_get(target, "charge", NULL, METRICS_BUCKET);
    metrics_count_attempt(target, OUTCOME_SUCCESS);
    metrics_target_unref(&target);
    cr_assert_null(target);
    cr_assert_gt(page_count(metrics, "payments"), 0);
    metrics_instance_unref(&instance, METRICS_BUCKET);
    metrics_rule_unref(&rule);
    EXPECT_NO(metrics, "payments");
    cr_assert_eq(metrics->series, 0, "%u series are still charged", metrics->series);
    target = metrics_target_get(metrics, "payments:8080");
    EXPECT_LINE(metrics, "outrigger_attempts_total{target=\"payments:8080\",result=\"success\"} 0");
}

Test(metrics, find_what_exists)
{
    struct metrics_target *same = metrics_target_get(metrics, "payments:8080");
    cr_assert_eq(same, target);
    cr_assert_neq(metrics_target_get(metrics, "payments:8081"), target);
    cr_assert_eq(metrics_rule_get(target, "r"), metrics_rule_get(target, "r"));
}

Test(metrics, take_no_rule_and_no_instance_where_there_was_no_room)
{
    struct metrics_rule *rule = NULL;
    struct metrics_instance *instance = NULL;
    metrics_rule_unref(&rule);
    metrics_instance_unref(&instance, METRICS_BREAKER);
    metrics_count_transition(instance, BREAKER_CLOSED, BREAKER_OPEN, BREAKER_CAUSE_OPERATOR);
    metrics_set_breaker(instance, BREAKER_OPEN, 0, 0, 0);
    metrics_set_bulkhead(instance, 0, 0, 0);
    metrics_set_tokens(instance, 0);
    metrics_note_queue_wait(instance, 1);
    metrics_note_token_wait(instance, 1);
}

/* Everything that can happen to a target, its rule and an endpoint. */
static void do_everything(struct metrics_rule *rule, struct metrics_instance *const instances[3])
{
    for (int i = 0; i < 6 * FATE_COUNT; i++) {
        metrics_count_request(target, NULL, i / FATE_COUNT * 100, (enum fate)(i % FATE_COUNT));
        metrics_count_request(target, rule, i / FATE_COUNT * 100, (enum fate)(i % FATE_COUNT));
    }
    for (int i = 0; i < REASON_COUNT; i++) {
        metrics_count_rejection(target, (enum reason)i);
    }
    for (int i = 0; i < POLICY_FAMILY_COUNT; i++) {
        metrics_count_shadow(target, (enum policy_family)i);
    }
    metrics_set_retry_budget(target, 1);
    for (int i = 0; i < 3 * BREAKER_STATE_COUNT * BREAKER_STATE_COUNT * BREAKER_CAUSE_COUNT; i++) {
        int move = i / 3;
        metrics_count_transition(
            instances[i % 3],
            (enum breaker_state)(move / BREAKER_CAUSE_COUNT / BREAKER_STATE_COUNT),
            (enum breaker_state)(move / BREAKER_CAUSE_COUNT % BREAKER_STATE_COUNT),
            (enum breaker_cause)(move % BREAKER_CAUSE_COUNT));
    }
}

Test(metrics, stay_under_the_caps_of_a_target_a_rule_and_an_endpoint_whatever_happens)
{
    const uint32_t all = METRICS_BREAKER | METRICS_BULKHEAD | METRICS_BUCKET;
    struct metrics_rule *rule = metrics_rule_get(target, "charge");
    struct metrics_instance *const instances[3] = {
        metrics_instance_get(target, NULL, NULL, all),
        metrics_instance_get(target, "charge", NULL, all),
        metrics_instance_get(target, NULL, "/endpoint:10.0.0.7:8080", METRICS_BREAKER)};
    do_everything(rule, instances);
    unsigned of_endpoint = page_count(metrics, "/endpoint:10.0.0.7:8080\"");
    unsigned of_rule =
        page_count(metrics, "rule=\"charge\"") + page_count(metrics, "instance=\"rule:charge\"");
    unsigned of_all = page_count(metrics, "target=\"payments:8080\"");
    cr_assert_eq(of_endpoint, METRICS_ENDPOINT_SERIES);
    cr_assert_eq(of_rule, METRICS_RULE_SERIES);
    cr_assert_leq(of_all - of_rule - of_endpoint, METRICS_TARGET_SERIES);
    cr_assert_gt(of_all - of_rule - of_endpoint, 200);
    cr_assert_leq(of_all, metrics->series);
}

Test(metrics, lose_no_call_of_a_rule_that_has_no_room_for_its_series)
{
    struct metrics_rule *rule = metrics_rule_get(target, "charge");
    metrics_instance_get(target, "charge", NULL,
                         METRICS_BREAKER | METRICS_BULKHEAD | METRICS_BUCKET);
    for (int i = 0; i < 6 * FATE_COUNT; i++) {
        metrics_count_request(target, rule, i / FATE_COUNT * 100, (enum fate)(i % FATE_COUNT));
    }
    uint64_t shown = page_count(metrics, "rule=\"charge\"") - 1;
    char line[160];
    snprintf(line, sizeof(line),
             "outrigger_requests_total{target=\"payments:8080\",rule=\"charge\",code=\"_other\","
             "outcome=\"_other\"} %u",
             (unsigned)(6 * FATE_COUNT - shown));
    EXPECT_LINE(metrics, line);
}

Test(metrics, give_no_endpoint_more_than_a_breaker)
{
    cr_assert_null(metrics_instance_get(target, NULL, "/endpoint:10.0.0.7:8080",
                                        METRICS_BREAKER | METRICS_BULKHEAD));
    EXPECT_NO(metrics, "/endpoint:");
    EXPECT_LINE(metrics, "outrigger_series_dropped_total 1");
}

Test(metrics, fold_targets_past_the_limit_into_one)
{
    metrics_free(&metrics);
    metrics = metrics_new(200, "v", "r", 1);
    struct metrics_target *first = metrics_target_get(metrics, "a:1");
    struct metrics_target *second = metrics_target_get(metrics, "b:1");
    struct metrics_target *third = metrics_target_get(metrics, "c:1");
    struct metrics_target *fourth = metrics_target_get(metrics, "d:1");
    cr_assert_neq(first, second);
    cr_assert_eq(third, fourth);
    metrics_count_attempt(third, OUTCOME_SUCCESS);
    metrics_count_attempt(fourth, OUTCOME_SUCCESS);
    metrics_count_request(third, NULL, 200, FATE_SUCCESS);
    metrics_set_retry_budget(third, 5);
    EXPECT_LINE(metrics, "outrigger_attempts_total{target=\"_other\",result=\"success\"} 2");
    EXPECT_LINE(
        metrics,
        "outrigger_requests_total{target=\"_other\",rule=\"\",code=\"2xx\",outcome=\"success\"} 1");
    EXPECT_NO(metrics, "outrigger_retry_budget_available");
    cr_assert_null(metrics_rule_get(third, "r"));
    cr_assert_null(metrics_instance_get(third, NULL, NULL, METRICS_BREAKER));
    cr_assert_gt(cell_get(&metrics->series_dropped), 2);
    metrics_target_unref(&third);
    metrics_target_unref(&fourth);
    EXPECT_LINE(metrics, "outrigger_attempts_total{target=\"_other\",result=\"success\"} 2");
    metrics_target_unref(&second);
    cr_assert_neq(metrics_target_get(metrics, "e:1"), metrics->other,
                  "room that was given back is not used");
}

Test(metrics, keep_what_a_reader_sees_until_it_has_passed)
{
    metrics_read_begin(metrics);
    const struct metrics_target *seen = (const void *)metrics_next(&metrics->targets.first);
    cr_assert_eq(seen, target);
    metrics_target_unref(&target);
    metrics_reclaim(metrics);
    cr_assert_str_eq(seen->name, "payments:8080"); /* the sanitizer says so if it was freed */
    cr_assert_eq(metrics->retired, &seen->node);
    metrics_read_end(metrics);
    metrics_reclaim(metrics);
    cr_assert_null(metrics->retired);
}

Test(metrics, lead_a_reader_on_from_a_node_that_was_removed_under_it)
{
    struct metrics_target *second = metrics_target_get(metrics, "b:1");
    struct metrics_target *third = metrics_target_get(metrics, "c:1");
    metrics_read_begin(metrics);
    const struct metrics_node *at = metrics_next(&metrics->targets.first);
    metrics_target_unref(&target);
    metrics_target_unref(&second);
    at = metrics_next(&at->next);
    at = metrics_next(&at->next);
    cr_assert_eq(at, &third->node);
    metrics_read_end(metrics);
    cr_assert_eq(metrics_next(&metrics->targets.first), &third->node);
}

Test(metrics, replace_the_config_hash_under_a_reader)
{
    cr_assert_str_eq(metrics_config_hash(metrics), "");
    metrics_set_config_hash(metrics, "one");
    metrics_read_begin(metrics);
    const char *seen = metrics_config_hash(metrics);
    metrics_set_config_hash(metrics, "two");
    cr_assert_str_eq(seen, "one");
    metrics_read_end(metrics);
    EXPECT_LINE(metrics, "outrigger_config_info{hash=\"two\"} 1");
}

#define CHURN 3000

static void *read_on_and_on(void *is_done)
{
    while (!__atomic_load_n((int *)is_done, __ATOMIC_SEQ_CST)) {
        free(page_of(metrics, EXPOSITION_PROMETHEUS));
    }
    return NULL;
}

Test(metrics, come_and_go_while_the_admin_thread_reads, .timeout = 60)
{
    int is_done = 0;
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, read_on_and_on, &is_done), 0);
    for (int i = 0; i < CHURN; i++) {
        char name[32];
        snprintf(name, sizeof(name), "host%d:80", i % 50);
        struct metrics_target *passing = metrics_target_get(metrics, name);
        struct metrics_rule *rule = metrics_rule_get(passing, "r");
        struct metrics_instance *instance =
            metrics_instance_get(passing, "r", "/endpoint:10.0.0.1:80", METRICS_BREAKER);
        metrics_count_request(passing, rule, 200, FATE_SUCCESS);
        metrics_count_transition(instance, BREAKER_CLOSED, BREAKER_OPEN,
                                 BREAKER_CAUSE_FAILURE_RATE);
        metrics_set_config_hash(metrics, name);
        metrics_instance_unref(&instance, METRICS_BREAKER);
        metrics_rule_unref(&rule);
        metrics_target_unref(&passing);
    }
    __atomic_store_n(&is_done, 1, __ATOMIC_SEQ_CST);
    pthread_join(thread, NULL);
    metrics_reclaim(metrics);
    cr_assert_null(metrics->retired);
    cr_assert_eq(page_count(metrics, "host"), 1, "only the hash of the last one is left");
}

Test(metrics, show_health_checks_and_what_they_say_of_an_endpoint)
{
    struct metrics_instance *endpoint =
        metrics_instance_get(target, NULL, "/healthCheck:10.0.0.1:80", METRICS_HEALTH);
    EXPECT_NO(metrics, "outrigger_health_checks_total{");
    metrics_show_health_checks(target);
    metrics_count_health_check(target, HEALTH_FAILURE);
    metrics_set_healthy(endpoint, true);
    metrics_set_healthy(NULL, true);
    EXPECT_LINE(metrics,
                "outrigger_health_checks_total{target=\"payments:8080\",result=\"success\"} 0");
    EXPECT_LINE(metrics,
                "outrigger_health_checks_total{target=\"payments:8080\",result=\"failure\"} 1");
    EXPECT_LINE(metrics, "outrigger_endpoint_healthy{target=\"payments:8080\",instance=\"target/"
                         "healthCheck:10.0.0.1:80\"} 1");
    metrics_set_healthy(endpoint, false);
    EXPECT_LINE(metrics, "outrigger_endpoint_healthy{target=\"payments:8080\",instance=\"target/"
                         "healthCheck:10.0.0.1:80\"} 0");
    metrics_instance_unref(&endpoint, METRICS_HEALTH);
    EXPECT_NO(metrics, "outrigger_endpoint_healthy{");
}
