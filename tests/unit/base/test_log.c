/* The way of a line: formats, levels, what peers may do to it, and descriptors that do not take it.
 */
#include "base/log.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int reader;
static int writer;
static char got[1 << 20];

static void open_pipe(void)
{
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    reader = ends[0];
    writer = ends[1];
    log_set_fd(writer);
}

/* What has come, up to `lines` lines. */
static const char *read_lines(int lines)
{
    size_t len = 0;
    while (lines > 0) {
        struct pollfd ready = {.fd = reader, .events = POLLIN};
        cr_assert_eq(poll(&ready, 1, 5000), 1, "no line within 5 s");
        ssize_t n = read(reader, got + len, sizeof(got) - 1 - len);
        cr_assert_gt(n, 0);
        for (ssize_t i = 0; i < n; i++) {
            lines -= got[len + (size_t)i] == '\n';
        }
        len += (size_t)n;
    }
    got[len] = '\0';
    return got;
}

static bool has_anything(void)
{
    struct pollfd ready = {.fd = reader, .events = POLLIN};
    return poll(&ready, 1, 0) == 1;
}

Test(log, says_nothing_below_its_level_and_evaluates_no_field)
{
    int evaluated = 0;
    open_pipe();
    log_event(LOG_DEBUG, "quiet", LOG_INT("n", ++evaluated));
    cr_assert_not(has_anything());
    cr_assert_eq(evaluated, 0);
    log_set_level(LOG_ERROR);
    log_event(LOG_WARN, "quiet");
    cr_assert_not(has_anything());
    log_set_level(LOG_DEBUG);
    log_event(LOG_DEBUG, "loud");
    cr_assert(has_anything());
}

Test(log, writes_json_where_nobody_watches)
{
    open_pipe();
    log_event(LOG_WARN, "config_reload_failed", LOG_TEXT("the old one stays"),
              LOG_STR("file", "a.yaml"), LOG_INT("line", -3), LOG_UINT("big", UINT64_MAX),
              LOG_BOOL("fatal", false), LOG_MS("took", 12345678));
    const char *line = read_lines(1);
    cr_assert_not_null(strstr(line,
                              "\"level\":\"warn\",\"event\":\"config_reload_failed\","
                              "\"message\":\"the old one stays\",\"file\":\"a.yaml\",\"line\":-3,"
                              "\"big\":18446744073709551615,\"fatal\":false,\"took\":12.345}\n"),
                       "%s", line);
    cr_assert(strncmp(line, "{\"time\":\"20", 11) == 0);
}

Test(log, writes_sentences_for_people)
{
    open_pipe();
    log_set_format(LOG_FORMAT_TEXT);
    log_event(LOG_ERROR, "failed", LOG_TEXT("it \"broke\""), LOG_STR("file", "a b.yaml"),
              LOG_STR("word", "plain"));
    const char *line = read_lines(1);
    cr_assert_not_null(strstr(line, "Z ERROR failed: it \"broke\" file=\"a b.yaml\" word=plain\n"),
                       "%s", line);
}

Test(log, changes_format_while_it_runs)
{
    open_pipe();
    log_event(LOG_INFO, "one");
    cr_assert_eq(read_lines(1)[0], '{');
    log_set_format(LOG_FORMAT_TEXT);
    cr_assert_not(log_is_json());
    log_event(LOG_INFO, "two");
    cr_assert_eq(read_lines(1)[0], '2');
    log_set_format(LOG_FORMAT_JSON);
    log_event(LOG_INFO, "three");
    cr_assert_eq(read_lines(1)[0], '{');
}

Test(log, leaves_out_what_is_absent)
{
    open_pipe();
    const char *nothing = NULL;
    log_event(LOG_INFO, "e", LOG_STR("gone", nothing), LOG_STR("empty", ""));
    cr_assert_not_null(strstr(read_lines(1), "\"event\":\"e\",\"empty\":\"\"}\n"));
}

Test(log, cannot_be_forged_by_a_value)
{
    open_pipe();
    log_event(LOG_INFO, "e", LOG_STR("path", "a\"}\n{\"event\":\"forged\"}\x1b[2J\xff"));
    const char *line = read_lines(1);
    cr_assert_not_null(
        strstr(line,
               "\"path\":\"a\\\"}\\n{\\\"event\\\":\\\"forged\\\"}\\u001b[2J\xef\xbf\xbd\"}\n"),
        "%s", line);
    log_set_format(LOG_FORMAT_TEXT);
    log_event(LOG_INFO, "e", LOG_TEXT("two\nlines"), LOG_STR("path", "a\nb"));
    cr_assert_not_null(strstr(read_lines(1), "e: two\\nlines path=\"a\\nb\"\n"));
}

Test(log, cuts_a_long_value_and_says_so)
{
    static char value[LOG_VALUE_MAX + 10];
    memset(value, 'v', sizeof(value) - 1);
    open_pipe();
    log_event(LOG_INFO, "e", LOG_STR("path", value), LOG_STR("next", "n"));
    const char *line = read_lines(1);
    cr_assert_not_null(strstr(line, "vvv…\",\"next\":\"n\"}\n"));
    cr_assert_lt(strlen(line), LOG_VALUE_MAX + 200);
}

Test(log, leaves_out_fields_that_do_not_fit_and_stays_valid)
{
    static char value[LOG_VALUE_MAX + 1];
    memset(value, '\x01',
           sizeof(value) - 1); /* six bytes each when escaped: one alone does not fit */
    open_pipe();
    log_event(LOG_INFO, "e", LOG_STR("bad", value), LOG_STR("good", "g"));
    const char *line = read_lines(1);
    cr_assert_not_null(strstr(line, "\"event\":\"e\",\"good\":\"g\",\"truncated\":true}\n"), "%s",
                       line);
}

Test(log, closes_what_is_open_when_the_line_is_full)
{
    struct log_line line;
    static char value[1000];
    memset(value, 'v', sizeof(value) - 1);
    log_line_begin(&line, true);
    log_line_open(&line, "list", '[');
    for (int i = 0; i < 6; i++) {
        log_line_open(&line, NULL, '{');
        log_line_add(&line, &LOG_STR("v", value));
        log_line_close(&line);
    }
    struct span whole = log_line_end(&line);
    cr_assert_leq(whole.len, LOG_LINE_MAX);
    cr_assert(span_ends_with(whole, SPAN("\"},{},{}],\"truncated\":true}\n")), "%.*s", 60,
              whole.data + whole.len - 60);
}

Test(log, ignores_what_is_nested_too_deep)
{
    struct log_line line;
    log_line_begin(&line, true);
    for (int i = 0; i < LOG_DEPTH_MAX + 2; i++) {
        log_line_open(&line, i == 0 ? "a" : NULL, '[');
    }
    log_line_add(&line, &LOG_INT(NULL, 1));
    for (int i = 0; i < LOG_DEPTH_MAX + 2; i++) {
        log_line_close(&line);
    }
    log_line_add(&line, &LOG_INT("after", 2));
    struct span whole = log_line_end(&line);
    cr_assert(span_is(whole, SPAN("{\"a\":[[[[[[[[]]]]]]]],\"after\":2,\"truncated\":true}\n")),
              "%.*s", SPAN_ARGS(whole));
}

Test(log, knows_the_calendar)
{
    char out[LOG_TIME_SIZE];
    log_format_time(0, out);
    cr_assert_str_eq(out, "1970-01-01T00:00:00.000Z");
    log_format_time(INT64_C(951782400) * NS_PER_S + 999999999, out);
    cr_assert_str_eq(out, "2000-02-29T00:00:00.999Z");
    log_format_time(INT64_C(1798761599) * NS_PER_S, out);
    cr_assert_str_eq(out, "2026-12-31T23:59:59.000Z");
    log_format_time(-5, out);
    cr_assert_str_eq(out, "1970-01-01T00:00:00.000Z");
}

Test(log, agrees_with_gmtime_on_every_day_of_four_centuries)
{
    for (int64_t day = 0; day < 146097; day++) {
        time_t seconds = (time_t)(day * 86400 + 86399);
        struct tm tm;
        char wanted[LOG_TIME_SIZE];
        char out[LOG_TIME_SIZE];
        if (seconds >= INT64_MAX / NS_PER_S) {
            break;
        }
        gmtime_r(&seconds, &tm);
        strftime(wanted, sizeof(wanted), "%Y-%m-%dT%H:%M:%S.000Z", &tm);
        log_format_time((int64_t)seconds * NS_PER_S, out);
        cr_assert_str_eq(out, wanted);
    }
}

Test(log, reads_the_words_of_its_settings)
{
    enum log_level level = LOG_ERROR;
    enum log_format format = LOG_FORMAT_JSON;
    cr_assert_not(log_level_from(SPAN("verbose"), &level));
    cr_assert_eq(level, LOG_ERROR);
    cr_assert(log_level_from(SPAN("debug"), &level));
    cr_assert_eq(level, LOG_DEBUG);
    cr_assert_not(log_format_from(SPAN("xml"), &format));
    cr_assert(log_format_from(SPAN("auto"), &format));
    cr_assert_eq(format, LOG_FORMAT_AUTO);
}

Test(log, writes_in_order_through_its_thread_and_flushes_at_the_end)
{
    open_pipe();
    cr_assert_eq(log_start(writer), OK);
    for (int i = 0; i < 100; i++) {
        log_event(LOG_INFO, "e", LOG_INT("n", i));
    }
    log_stop(5 * NS_PER_S);
    const char *at = read_lines(100);
    for (int i = 0; i < 100; i++) {
        char wanted[24];
        snprintf(wanted, sizeof(wanted), "\"n\":%d}", i);
        at = strstr(at, wanted);
        cr_assert_not_null(at, "%s is missing or late", wanted);
    }
    cr_assert_eq(log_dropped(), 0);
}

Test(log, wakes_its_thread_for_a_single_line)
{
    open_pipe();
    cr_assert_eq(log_start(writer), OK);
    for (int i = 0; i < 50; i++) {
        log_event(LOG_INFO, "e", LOG_INT("n", i));
        read_lines(1);
    }
    log_stop(5 * NS_PER_S);
}

Test(log, writes_at_once_again_after_it_has_stopped)
{
    open_pipe();
    cr_assert_eq(log_start(writer), OK);
    log_stop(5 * NS_PER_S);
    log_event(LOG_INFO, "after");
    cr_assert(has_anything());
    read_lines(1);
    cr_assert_eq(log_start(writer), OK);
    log_event(LOG_INFO, "again");
    log_stop(5 * NS_PER_S);
    cr_assert_not_null(strstr(read_lines(1), "again"));
}

Test(log, drops_and_counts_on_a_descriptor_that_takes_nothing_and_never_waits_for_it, .timeout = 20)
{
    open_pipe();
    cr_assert_eq(log_start(writer), OK);
    for (int i = 0; i < 20000; i++) {
        log_event(LOG_INFO, "flood",
                  LOG_STR("text", "some 150 bytes of text, so that pipe and ring are full soon"));
    }
    uint64_t dropped = log_dropped();
    cr_assert_gt(dropped, 0);
    log_stop(NS_PER_MS);
    log_event(LOG_INFO, "later");
    cr_assert_eq(log_dropped(), dropped + 1);
    cr_assert_eq(log_start(writer), ERR_SYSTEM);
}

Test(log, reports_what_it_dropped_once_it_can, .timeout = 20)
{
    open_pipe();
    cr_assert_eq(log_start(writer), OK);
    for (int i = 0; i < 20000; i++) {
        log_event(LOG_INFO, "flood",
                  LOG_STR("text", "some 150 bytes of text, so that pipe and ring are full soon"));
    }
    cr_assert_gt(log_dropped(), 0);
    bool is_reported = false;
    while (!is_reported) {
        is_reported = strstr(read_lines(1), "\"event\":\"log_lines_dropped\",\"count\":") != NULL;
    }
    log_stop(5 * NS_PER_S);
}

Test(log, counts_lines_that_a_closed_descriptor_lost)
{
    open_pipe();
    signal(SIGPIPE, SIG_IGN);
    close(reader);
    log_event(LOG_INFO, "e");
    cr_assert_eq(log_dropped(), 1);
    cr_assert_eq(log_start(writer), OK);
    log_event(LOG_INFO, "e");
    log_stop(5 * NS_PER_S);
    cr_assert_geq(log_dropped(), 2);
}
