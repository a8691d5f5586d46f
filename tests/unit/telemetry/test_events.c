/* Transitions as JSON, in the log and in the ring. */
#include "telemetry/events.h"

#include "base/log.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int log_reader;
static int wakes;

static const struct event opened = {
    .wall_ns = INT64_C(951782400) * NS_PER_S,
    .target = "payments:8080",
    .instance = "rule:charge",
    .policy = "circuitBreaker",
    .from = "closed",
    .to = "open",
    .reason = "consecutive_failures",
    .has_window = true,
    .window_calls = 20,
    .window_failures = 7,
    .window_slow = 1,
    .consecutive = 7,
    .open_for = 5 * NS_PER_S,
    .at = "a.yaml:12",
    .is_warning = true,
};

static void redirect_log(void)
{
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    log_reader = ends[0];
    log_set_fd(ends[1]);
}

static void count_wake(void *context)
{
    (void)context;
    wakes++;
}

Test(events, are_json_as_the_contract_says)
{
    char json[EVENT_MAX];
    size_t len = event_to_json(&opened, json);
    cr_assert(span_is(span_make(json, len),
                      SPAN("{\"time\":\"2000-02-29T00:00:00.000Z\",\"target\":\"payments:8080\","
                           "\"instance\":\"rule:charge\","
                           "\"policy\":\"circuitBreaker\",\"from\":\"closed\",\"to\":\"open\","
                           "\"reason\":\"consecutive_failures\",\"window\":{\"calls\":20,"
                           "\"failures\":7,\"slow\":1,"
                           "\"consecutive\":7},\"openForMs\":5000,\"at\":\"a.yaml:12\"}")),
              "%.*s", (int)len, json);
}

Test(events, have_no_window_where_there_is_none)
{
    struct event event = opened;
    char json[EVENT_MAX];
    event.has_window = false;
    size_t len = event_to_json(&event, json);
    cr_assert_null(memmem(json, len, "window", 6));
}

Test(events, go_to_the_log_even_when_nobody_listens)
{
    struct events *events = events_new();
    char line[4096];
    char json[EVENT_MAX];
    redirect_log();
    events_set_waker(events, count_wake, NULL);
    events_publish(events, &opened);
    ssize_t len = read(log_reader, line, sizeof(line) - 1);
    cr_assert_gt(len, 0);
    line[len] = '\0';
    cr_assert_not_null(
        strstr(line, "\"level\":\"warn\",\"event\":\"transition\",\"target\":\"payments:8080\""),
        "%s", line);
    cr_assert_not_null(
        strstr(line, "\"window\":{\"calls\":20,\"failures\":7,\"slow\":1,\"consecutive\":7},"
                     "\"openForMs\":5000,\"at\":\"a.yaml:12\"}\n"));
    cr_assert_eq(events_read(events, json, sizeof(json)), 0);
    cr_assert_eq(wakes, 0);
    events_free(&events);
}

Test(events, reach_the_listener_in_order)
{
    struct events *events = events_new();
    struct event closed = opened;
    char json[EVENT_MAX];
    redirect_log();
    closed.to = "half_open";
    events_set_waker(events, count_wake, NULL);
    events_listen(events, true);
    events_publish(events, &opened);
    events_publish(events, &closed);
    cr_assert_eq(wakes, 2);
    size_t len = events_read(events, json, sizeof(json));
    cr_assert_not_null(memmem(json, len, "\"to\":\"open\"", 11));
    len = events_read(events, json, sizeof(json));
    cr_assert_not_null(memmem(json, len, "\"to\":\"half_open\"", 16));
    cr_assert_eq(events_read(events, json, sizeof(json)), 0);
    events_free(&events);
}

Test(events, are_dropped_and_counted_when_the_reader_sleeps)
{
    struct events *events = events_new();
    char json[EVENT_MAX];
    redirect_log();
    log_set_level(LOG_ERROR);
    events_listen(events, true);
    for (int i = 0; i < 1000; i++) {
        events_publish(events, &opened);
    }
    uint64_t dropped = events_dropped(events);
    cr_assert_gt(dropped, 0);
    uint64_t read_back = 0;
    while (events_read(events, json, sizeof(json)) > 0) {
        read_back++;
    }
    cr_assert_eq(read_back + dropped, 1000);
    events_free(&events);
}

Test(events, of_before_are_no_news_to_a_new_listener)
{
    struct events *events = events_new();
    char json[EVENT_MAX];
    redirect_log();
    events_listen(events, true);
    events_publish(events, &opened);
    events_listen(events, false);
    events_publish(events, &opened);
    events_listen(events, true);
    cr_assert_eq(events_read(events, json, sizeof(json)), 0);
    events_free(&events);
}
