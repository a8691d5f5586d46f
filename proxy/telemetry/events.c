/* events.c - see events.h. */
#include "telemetry/events.h"

#include "base/check.h"
#include "base/ring.h"

#include <stdlib.h>
#include <string.h>

#define RING_BYTES                                                                                 \
    ((size_t)64                                                                                    \
     << 10) /* some 150 transitions: more than a whole fleet's breakers in one turn of admin */

struct events {
    struct ring *ring;
    void (*wake)(void *context);
    void *context;
    int has_listener; /* atomic */
    uint64_t dropped; /* atomic */
};

struct events *events_new(void)
{
    struct events *events = calloc(1, sizeof(*events));
    INVARIANT(events != NULL);
    events->ring = ring_new(RING_BYTES);
    INVARIANT(events->ring != NULL);
    return events;
}

void events_free(struct events **events)
{
    ring_free(&(*events)->ring);
    free(*events);
    *events = NULL;
}

static void add(struct log_line *line, struct log_field field)
{
    log_line_add(line, &field);
}

static void add_counts(struct log_line *line, const struct event *event)
{
    add(line, LOG_UINT("calls", event->window_calls));
    add(line, LOG_UINT("failures", event->window_failures));
    add(line, LOG_UINT("slow", event->window_slow));
    add(line, LOG_UINT("consecutive", event->consecutive));
}

size_t event_to_json(const struct event *event, char out[EVENT_MAX])
{
    struct log_line line;
    char time_text[LOG_TIME_SIZE];
    log_format_time(event->wall_ns, time_text);
    log_line_begin(&line, true);
    add(&line, LOG_STR("time", time_text));
    add(&line, LOG_STR("target", event->target));
    add(&line, LOG_STR("instance", event->instance));
    add(&line, LOG_STR("policy", event->policy));
    add(&line, LOG_STR("from", event->from));
    add(&line, LOG_STR("to", event->to));
    add(&line, LOG_STR("reason", event->reason));
    if (event->has_window) {
        log_line_open(&line, "window", '{');
        add_counts(&line, event);
        log_line_close(&line);
    }
    add(&line, LOG_INT("openForMs", event->open_for / NS_PER_MS));
    add(&line, LOG_STR("at", event->at));
    struct span whole = log_line_end(&line);
    memcpy(out, whole.data, whole.len - 1); /* without the newline */
    return whole.len - 1;
}

static void log_it(const struct event *event)
{
    struct log_line window;
    log_line_begin(&window, true);
    add_counts(&window, event);
    struct span whole = log_line_end(&window);
    struct span shown = event->has_window ? span_make(whole.data, whole.len - 1) : SPAN_NONE;
    log_event(event->is_warning ? LOG_WARN : LOG_INFO, "transition",
              LOG_STR("target", event->target), LOG_STR("instance", event->instance),
              LOG_STR("policy", event->policy), LOG_STR("from", event->from),
              LOG_STR("to", event->to), LOG_STR("reason", event->reason), LOG_JSON("window", shown),
              LOG_INT("openForMs", event->open_for / NS_PER_MS), LOG_STR("at", event->at));
}

void events_publish(struct events *events, const struct event *event)
{
    log_it(event);
    if (!__atomic_load_n(&events->has_listener, __ATOMIC_ACQUIRE)) {
        return;
    }
    char json[EVENT_MAX];
    size_t len = event_to_json(event, json);
    if (!ring_put(events->ring, json, len)) {
        __atomic_fetch_add(&events->dropped, 1, __ATOMIC_RELAXED);
    }
    if (events->wake) {
        events->wake(events->context);
    }
}

void events_set_waker(struct events *events, void (*wake)(void *context), void *context)
{
    events->wake = wake;
    events->context = context;
}

void events_listen(struct events *events, bool is_wanted)
{
    char stale[EVENT_MAX];
    while (is_wanted && !__atomic_load_n(&events->has_listener, __ATOMIC_ACQUIRE) &&
           ring_take(events->ring, stale, sizeof(stale)) > 0) {
        /* what was left when the last listener went is news no more */
    }
    __atomic_store_n(&events->has_listener, is_wanted ? 1 : 0, __ATOMIC_RELEASE);
}

size_t events_read(struct events *events, char *out, size_t size)
{
    return ring_take(events->ring, out, size);
}

uint64_t events_dropped(const struct events *events)
{
    return __atomic_load_n(&events->dropped, __ATOMIC_RELAXED);
}
