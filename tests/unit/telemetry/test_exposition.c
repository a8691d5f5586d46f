/* The page, to the letter. */
#include "telemetry/exposition.h"

#include "page.h"

#include <criterion/criterion.h>

static struct metrics *metrics;

static void begin(void)
{
    metrics = metrics_new(100000, "1.2.3", "abc", 42);
}

static void end(void)
{
    metrics_free(&metrics);
}

TestSuite(exposition, .init = begin, .fini = end);

static void expect_family(const char *family, enum exposition_format format, const char *wanted)
{
    char *part = page_family(metrics, family, format);
    cr_assert_str_eq(part, wanted, "\n%s", part);
    free(part);
}

Test(exposition, names_counters_with_their_suffix_in_prometheus_text)
{
    metrics_note_reload(metrics, true);
    expect_family("outrigger_config_reloads_total", EXPOSITION_PROMETHEUS,
                  "# HELP outrigger_config_reloads_total Reloads of the configuration.\n"
                  "# TYPE outrigger_config_reloads_total counter\n"
                  "outrigger_config_reloads_total{result=\"failure\"} 0\n"
                  "outrigger_config_reloads_total{result=\"success\"} 1\n");
}

Test(exposition, names_families_without_it_in_openmetrics)
{
    metrics_note_reload(metrics, false);
    expect_family("outrigger_config_reloads", EXPOSITION_OPENMETRICS,
                  "# HELP outrigger_config_reloads Reloads of the configuration.\n"
                  "# TYPE outrigger_config_reloads counter\n"
                  "outrigger_config_reloads_total{result=\"failure\"} 1\n"
                  "outrigger_config_reloads_total{result=\"success\"} 0\n");
}

Test(exposition, cumulates_a_histogram_and_states_its_unit)
{
    struct metrics_target *target = metrics_target_get(metrics, "a:1");
    metrics_note_duration(target, 5 * NS_PER_MS);
    metrics_note_duration(target, 6 * NS_PER_MS);
    metrics_note_duration(target, 11 * NS_PER_S);
    expect_family("outrigger_request_duration_seconds", EXPOSITION_OPENMETRICS,
                  "# HELP outrigger_request_duration_seconds How long calls took as the app sees "
                  "it; tunnels excluded.\n"
                  "# TYPE outrigger_request_duration_seconds histogram\n"
                  "# UNIT outrigger_request_duration_seconds seconds\n"
                  "outrigger_request_duration_seconds_bucket{target=\"a:1\",le=\"0.005\"} 1\n"
                  "outrigger_request_duration_seconds_bucket{target=\"a:1\",le=\"0.01\"} 2\n"
                  "outrigger_request_duration_seconds_bucket{target=\"a:1\",le=\"0.025\"} 2\n"
                  "outrigger_request_duration_seconds_bucket{target=\"a:1\",le=\"0.05\"} 2\n"
                  "outrigger_request_duration_seconds_bucket{target=\"a:1\",le=\"0.075\"} 2\n"
                  "outrigger_request_duration_seconds_bucket{target=\"a:1\",le=\"0.1\"} 2\n"
                  "outrigger_request_duration_seconds_bucket{target=\"a:1\",le=\"0.25\"} 2\n"
                  "outrigger_request_duration_seconds_bucket{target=\"a:1\",le=\"0.5\"} 2\n"
                  "outrigger_request_duration_seconds_bucket{target=\"a:1\",le=\"0.75\"} 2\n"
                  "outrigger_request_duration_seconds_bucket{target=\"a:1\",le=\"1.0\"} 2\n"
                  "outrigger_request_duration_seconds_bucket{target=\"a:1\",le=\"2.5\"} 2\n"
                  "outrigger_request_duration_seconds_bucket{target=\"a:1\",le=\"5.0\"} 2\n"
                  "outrigger_request_duration_seconds_bucket{target=\"a:1\",le=\"7.5\"} 2\n"
                  "outrigger_request_duration_seconds_bucket{target=\"a:1\",le=\"10.0\"} 2\n"
                  "outrigger_request_duration_seconds_bucket{target=\"a:1\",le=\"+Inf\"} 3\n"
                  "outrigger_request_duration_seconds_sum{target=\"a:1\"} 11.011\n"
                  "outrigger_request_duration_seconds_count{target=\"a:1\"} 3\n");
}

Test(exposition, has_no_braces_where_there_are_no_labels)
{
    expect_family("outrigger_log_lines_dropped_total", EXPOSITION_PROMETHEUS,
                  "# HELP outrigger_log_lines_dropped_total Log lines lost because the log's "
                  "descriptor could not keep up.\n"
                  "# TYPE outrigger_log_lines_dropped_total counter\n"
                  "outrigger_log_lines_dropped_total 3\n");
    EXPECT_LINE(metrics, "outrigger_events_dropped_total 4");
}

Test(exposition, escapes_labels_and_makes_valid_utf8_of_what_is_none)
{
    metrics_target_get(metrics, "a\"b\\c\nd\xff\x1b\t:1");
    EXPECT_LINE(
        metrics,
        "outrigger_attempts_total{target=\"a\\\"b\\\\c\\nd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd:1\","
        "result=\"success\"} 0");
}

Test(exposition, ends_openmetrics_and_only_that_with_eof)
{
    char *open = page_of(metrics, EXPOSITION_OPENMETRICS);
    char *plain = page_of(metrics, EXPOSITION_PROMETHEUS);
    cr_assert_str_eq(open + strlen(open) - 6, "# EOF\n");
    cr_assert_null(strstr(plain, "# EOF"));
    cr_assert_null(strstr(plain, "# UNIT"));
    free(open);
    free(plain);
}

Test(exposition, tells_what_it_is_and_how_it_fares)
{
    metrics_set_connections(metrics, SIDE_UPSTREAM, CONNECTION_IDLE, 3);
    metrics_set_connections(metrics, SIDE_DOWNSTREAM, CONNECTION_TUNNEL, 1);
    metrics_count_defence(metrics, H2_UPSTREAM, DEFENCE_KEEP_ALIVE);
    metrics_note_loop_lag(metrics, 20 * NS_PER_MS);
    EXPECT_LINE(metrics, "outrigger_build_info{version=\"1.2.3\",revision=\"abc\"} 1");
    EXPECT_LINE(metrics, "outrigger_connections{side=\"upstream\",state=\"idle\"} 3");
    EXPECT_LINE(metrics, "outrigger_connections{side=\"downstream\",state=\"tunnel\"} 1");
    EXPECT_LINE(metrics, "outrigger_http2_defences_total{side=\"upstream\",kind=\"keep_alive\"} 1");
    EXPECT_LINE(metrics, "outrigger_http2_defences_total{side=\"downstream\",kind=\"glitches\"} 0");
    EXPECT_LINE(metrics, "outrigger_loop_lag_seconds_bucket{le=\"0.025\"} 1");
    EXPECT_LINE(metrics, "outrigger_loop_lag_seconds_sum 0.02");
    EXPECT_LINE(metrics, "outrigger_config_last_reload_successful 0");
    const char *const of_process[] = {"process_cpu_seconds_total ",
                                      "process_resident_memory_bytes ",
                                      "process_virtual_memory_bytes ",
                                      "process_open_fds ",
                                      "process_max_fds ",
                                      "process_start_time_seconds "};
    for (size_t i = 0; i < sizeof(of_process) / sizeof(of_process[0]); i++) {
        cr_assert_eq(page_count(metrics, of_process[i]), 1, "%s", of_process[i]);
    }
}

/* The labels in a series, without `le`, as metrics.def lists them: "target,reason". */
static void label_names(const char *line, char *out)
{
    const char *at = strchr(line, '{');
    out[0] = '\0';
    while (at && *at != '}') {
        size_t len = strcspn(++at, "=");
        if (strncmp(at, "le=", 3) != 0) {
            strcat(out, out[0] ? "," : "");
            strncat(out, at, len);
        }
        at += len + 2;
        at += strcspn(at, "\"") + 1;
    }
}

static void check_row(const char *page, const char *name, const char *labels)
{
    char names[256];
    size_t len = strlen(name);
    for (const char *line = strstr(page, name); line; line = strstr(line + 1, name)) {
        bool is_series = (line == page || line[-1] == '\n') && strchr(" {_", line[len]) != NULL;
        bool is_longer_name = line[len] == '_' && strncmp(line + len, "_total", 6) != 0 &&
                              strncmp(line + len, "_bucket", 7) != 0;
        if (is_series && !is_longer_name) {
            label_names(line[len + strcspn(line + len, "{\n")] == '{' ? line : "", names);
            cr_assert_str_eq(names, labels, "%s has labels %s", name, names);
            return;
        }
    }
    cr_assert(false, "%s is not on the page", name);
}

Test(exposition, shows_every_row_of_the_table_with_its_labels)
{
    struct metrics_target *target = metrics_target_get(metrics, "a:1");
    metrics_instance_get(target, NULL, NULL, METRICS_BREAKER | METRICS_BULKHEAD | METRICS_BUCKET);
    metrics_instance_get(target, NULL, "/healthCheck:10.0.0.1:80", METRICS_HEALTH);
    metrics_show_health_checks(target);
    metrics_count_tunnel_bytes(target, TUNNEL_DOWN, 5);
    metrics_count_request(target, NULL, 200, FATE_SUCCESS);
    metrics_count_shadow(target, POLICY_FAMILY_RETRY);
    metrics_set_retry_budget(target, 1);
    metrics_count_panic(target);
    metrics_count_ejection_held(target);
    char *page = page_of(metrics, EXPOSITION_PROMETHEUS);
#define METRIC(id, name, kind, unit, level, labels, help) check_row(page, name, labels);
#include "telemetry/metrics.def"
#undef METRIC
    free(page);
}

Test(exposition, keeps_all_series_of_a_family_together)
{
    metrics_target_get(metrics, "a:1");
    metrics_target_get(metrics, "b:1");
    char *part = page_family(metrics, "outrigger_attempts_total", EXPOSITION_PROMETHEUS);
    cr_assert_not_null(strstr(part, "target=\"a:1\""));
    cr_assert_not_null(strstr(part, "target=\"b:1\""));
    free(part);
}
