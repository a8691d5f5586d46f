/* events.h - what has just changed, for those who watch: /events subscribers and the log.
 *
 * The data loop publishes; each event becomes a structured log line and, while somebody subscribes,
 * one JSON object in a bounded ring that the admin thread empties. A full ring drops the event and
 * counts it; the loop never waits.
 * Example: events_publish(events, &(struct event){.policy = "circuitBreaker", .from = "closed"});
 * One publisher (data loop), one reader (admin thread). */
#ifndef OUTRIGGER_TELEMETRY_EVENTS_H
#define OUTRIGGER_TELEMETRY_EVENTS_H

#include "base/log.h"
#include "base/mono.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EVENT_MAX LOG_LINE_MAX /* bytes of one event as JSON; what does not fit is left out */

struct event {
    int64_t wall_ns;      /* CLOCK_REALTIME of the transition */
    const char *target;   /* "payments:8080" */
    const char *instance; /* "target", "rule:charge", "target/endpoint:10.0.0.7:8080" */
    const char *policy;   /* policy_family_word() */
    const char *from;
    const char *to;
    const char *reason;
    bool has_window;
    uint32_t window_calls; /* struct window_counts at that moment */
    uint32_t window_failures;
    uint32_t window_slow;
    uint32_t consecutive;
    dur_ns open_for; /* 0 when it did not open */
    const char *at;  /* "file:line" of the block that decided */
    bool is_warning; /* the level of the log line: it opened, or was forced open */
};

struct events;

struct events *events_new(void);
/* Aborts without memory (start of the process). */

void events_free(struct events **events);

void events_publish(struct events *events, const struct event *event);
/* Logs it and, with a subscriber, puts it into the ring and wakes the reader. Never blocks. */

void events_set_waker(struct events *events, void (*wake)(void *context), void *context);
/* What to call after a publish: thread-safe and non-blocking (uv_async_send). Set before the loop
 * publishes; NULL: none. */

void events_listen(struct events *events, bool is_wanted);
/* By the reader: with nobody to read them, events are logged only. */

size_t events_read(struct events *events, char *out, size_t size);
/* By the reader: the next event's JSON (no newline) of at most EVENT_MAX bytes, its length; 0 when
 * there is none. */

uint64_t events_dropped(const struct events *events);
/* Events that found the ring full. */

size_t event_to_json(const struct event *event, char out[EVENT_MAX]);
/* As POLICY section 5 has it; its length, always valid JSON. */

#endif
