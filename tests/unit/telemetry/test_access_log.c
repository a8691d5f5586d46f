/* Which calls are logged, and what their lines say. */
#include "telemetry/access_log.h"

#include "base/log.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct access_log access_log;

static void configure(enum access_mode mode, uint32_t ppm)
{
    access_log_init(&access_log, &(struct access_config){mode, ppm}, 7);
}

static const char *written(const struct access_entry *entry)
{
    static char line[LOG_LINE_MAX + 1];
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    log_set_fd(ends[1]);
    access_log_write(entry);
    ssize_t len = read(ends[0], line, LOG_LINE_MAX);
    cr_assert_gt(len, 0);
    line[len] = '\0';
    return line;
}

static const struct access_attempt attempts[10] = {
    {"10.0.0.7:8080", 503, 12 * NS_PER_MS, "status_503"},
    {NULL, 0, 3 * NS_PER_MS, "connect_refused"},
    {"10.0.0.8:8080", 200, 4500 * NS_PER_US, NULL},
};

static const struct access_entry entry = {
    .wall_ns = INT64_C(951782400) * NS_PER_S,
    .request_id = {"abc", 3},
    .target = "payments:8080",
    .rule = "charge",
    .method = {"POST", 4},
    .path = {"/v1/charge?x=\"1\"", 16},
    .client = {"127.0.0.1", 9},
    .status = 200,
    .fate = FATE_SUCCESS_AFTER_RETRY,
    .reason = REASON_NONE,
    .at = NULL,
    .took = 19500 * NS_PER_US,
    .bytes_in = 10,
    .bytes_out = 2000,
    .attempts = attempts,
    .attempt_count = 3,
};

Test(access_log, wants_nothing_when_off)
{
    configure(ACCESS_OFF, 1000000);
    cr_assert_not(access_log_wants(&access_log, true));
    cr_assert_not(access_log_wants(&access_log, false));
}

Test(access_log, wants_only_refusals_when_told_so)
{
    configure(ACCESS_REFUSALS, 1000000);
    cr_assert(access_log_wants(&access_log, true));
    cr_assert_not(access_log_wants(&access_log, false));
}

Test(access_log, wants_its_share_and_every_refusal_when_sampling)
{
    int wanted = 0;
    configure(ACCESS_SAMPLED, 10000);
    for (int i = 0; i < 100000; i++) {
        wanted += access_log_wants(&access_log, false);
    }
    cr_assert(wanted > 850 && wanted < 1150, "1 %% of 100 000 gave %d", wanted);
    cr_assert(access_log_wants(&access_log, true));
}

Test(access_log, wants_everything_once_it_is_reloaded_so)
{
    configure(ACCESS_OFF, 0);
    access_log_configure(&access_log, &(struct access_config){ACCESS_ALL, 0});
    cr_assert(access_log_wants(&access_log, true));
    cr_assert(access_log_wants(&access_log, false));
}

Test(access_log, writes_json_with_every_attempt)
{
    cr_assert_str_eq(
        written(&entry),
        "{\"time\":\"2000-02-29T00:00:00.000Z\",\"event\":\"access\",\"target\":\"payments:8080\","
        "\"rule\":\"charge\",\"method\":\"POST\",\"path\":\"/v1/"
        "charge?x=\\\"1\\\"\",\"status\":200,"
        "\"outcome\":\"success_after_retry\",\"ms\":19.500,\"requestId\":\"abc\",\"client\":\"127."
        "0.0.1\","
        "\"bytesIn\":10,\"bytesOut\":2000,\"attempts\":[{\"peer\":\"10.0.0.7:8080\",\"status\":503,"
        "\"ms\":12.000,\"why\":\"status_503\"},{\"status\":0,\"ms\":3.000,\"why\":\"connect_"
        "refused\"},"
        "{\"peer\":\"10.0.0.8:8080\",\"status\":200,\"ms\":4.500}]}\n");
}

Test(access_log, writes_text_for_people)
{
    log_set_format(LOG_FORMAT_TEXT);
    const char *line = written(&entry);
    cr_assert_not_null(
        strstr(line,
               "2000-02-29T00:00:00.000Z access target=payments:8080 rule=charge method=POST"),
        "%s", line);
    cr_assert_not_null(strstr(line, " status=200 outcome=success_after_retry ms=19.500 "), "%s",
                       line);
}

Test(access_log, names_the_reason_and_the_place_of_a_refusal)
{
    struct access_entry refused = entry;
    refused.status = 503;
    refused.fate = FATE_CIRCUIT_OPEN;
    refused.reason = REASON_CIRCUIT_OPEN;
    refused.at = "a.yaml:12";
    refused.attempt_count = 0;
    refused.rule = "";
    const char *line = written(&refused);
    cr_assert_not_null(
        strstr(line, "\"status\":503,\"outcome\":\"circuit_open\",\"reason\":\"circuit_open\","
                     "\"at\":\"a.yaml:12\""));
    cr_assert_not_null(strstr(line, "\"attempts\":[]}"));
    cr_assert_null(strstr(line, "rule"));
}

Test(access_log, lists_so_many_attempts_and_counts_the_rest)
{
    struct access_entry many = entry;
    many.attempt_count = 10;
    cr_assert_not_null(strstr(written(&many), "],\"attemptsOmitted\":2}"));
}

Test(access_log, stays_valid_when_the_path_is_longer_than_a_line)
{
    static char path[5000];
    struct access_entry huge = entry;
    memset(path, '\x01', sizeof(path));
    huge.path = span_make(path, sizeof(path));
    const char *line = written(&huge);
    cr_assert_not_null(strstr(line, "\"truncated\":true}\n"), "%s", line);
    cr_assert_null(strstr(line, "\"path\""));
}
