/* log.h - structured log lines that never make the caller wait.
 *
 * A line is an event's name, in snake_case, and fields. It is formatted by the caller, put into a
 * bounded ring and written by a thread of its own; a full ring drops the line and counts it
 * (log_dropped). Before log_start, and after log_stop, lines are written at once by the caller:
 * start-up errors are seen even when nothing runs yet.
 *
 * Example: log_event(LOG_WARN, "config_reload_failed", LOG_TEXT("the running policy stays"),
 *                    LOG_STR("file", path), LOG_INT("line", line));
 * Text, on a terminal:
 *   2026-01-31T12:00:00.123Z WARN  config_reload_failed: the running policy stays file=a.yaml
 * line=3 JSON, elsewhere:
 *   {"time":"2026-...","level":"warn","event":"config_reload_failed","message":"...","line":3}
 *
 * Values are escaped and cut at LOG_VALUE_MAX bytes, lines at LOG_LINE_MAX: what a peer sends can
 * neither forge nor flood a line. Any thread may log. Fields are read before log_event returns;
 * nothing is kept. */
#ifndef OUTRIGGER_BASE_LOG_H
#define OUTRIGGER_BASE_LOG_H

#include "base/err.h"
#include "base/mono.h"
#include "base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_LINE_MAX                                                                               \
    4096 /* bytes of one line; further fields are left out and `truncated` says so */
#define LOG_VALUE_MAX 1024 /* bytes of one value before escaping */
#define LOG_DEPTH_MAX 8
#define LOG_TIME_SIZE 32 /* "2026-01-31T12:00:00.123Z" with its NUL */

enum log_level { LOG_DEBUG = 0, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_FORMAT_AUTO = 0, LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

enum log_field_kind {
    LOG_FIELD_NONE = 0,
    LOG_FIELD_TEXT,
    LOG_FIELD_STR,
    LOG_FIELD_INT,
    LOG_FIELD_UINT,
    LOG_FIELD_BOOL,
    LOG_FIELD_MS,
    LOG_FIELD_JSON
};

struct log_field {
    enum log_field_kind kind;
    const char *key; /* camelCase, not escaped */
    struct span text;
    int64_t number;
};

/* One sentence for a person; the key is `message`. */
#define LOG_TEXT(sentence) ((struct log_field){LOG_FIELD_TEXT, "message", span_of(sentence), 0})
#define LOG_STR(name, value)                                                                       \
    ((struct log_field){LOG_FIELD_STR, (name), span_of(value), 0}) /* NULL: left out */
#define LOG_SPAN(name, value) ((struct log_field){LOG_FIELD_STR, (name), (value), 0})
#define LOG_INT(name, value)                                                                       \
    ((struct log_field){LOG_FIELD_INT, (name), SPAN_NONE, (int64_t)(value)})
#define LOG_UINT(name, value)                                                                      \
    ((struct log_field){LOG_FIELD_UINT, (name), SPAN_NONE, (int64_t)(uint64_t)(value)})
#define LOG_BOOL(name, value)                                                                      \
    ((struct log_field){LOG_FIELD_BOOL, (name), SPAN_NONE, (value) ? 1 : 0})
#define LOG_MS(name, value)                                                                        \
    ((struct log_field){LOG_FIELD_MS, (name), SPAN_NONE, (value)}) /* a dur_ns, as ms: 12.345 */
#define LOG_ERR(name, value) LOG_STR(name, err_text(value))
/* JSON that we made ourselves (never a peer's), put in as it is. */
#define LOG_JSON(name, value) ((struct log_field){LOG_FIELD_JSON, (name), (value), 0})

#define log_event(level, event, ...)                                                               \
    do {                                                                                           \
        if (log_is_on(level)) {                                                                    \
            const struct log_field log_fields_[] = {{LOG_FIELD_NONE, "", SPAN_NONE, 0},            \
                                                    ##__VA_ARGS__};                                \
            log_write(level, event, log_fields_ + 1,                                               \
                      sizeof(log_fields_) / sizeof(log_fields_[0]) - 1);                           \
        }                                                                                          \
    } while (0)
/* Writes one line if `level` is on; the fields are not evaluated if it is not. */

extern int log_threshold; /* an enum log_level; only through log_is_on and log_set_level */

static inline bool log_is_on(enum log_level level)
{
    return (int)level >= __atomic_load_n(&log_threshold, __ATOMIC_RELAXED);
}

void log_write(enum log_level level, const char *event, const struct log_field *fields,
               size_t count);
/* What log_event calls; also for fields that were gathered at run time. */

void log_write_raw(const char *line, size_t len);
/* A finished line, with its newline (access logs, which have a level of their own). */

enum err log_start(int fd) MUST_CHECK;
/* Starts the writer thread, which writes to `fd` (borrowed until log_stop; usually STDERR_FILENO).
 */

void log_stop(dur_ns limit);
/* Writes what is in the ring and ends the thread. A descriptor that takes nothing for `limit` is
 * given up: the lines are lost, the thread is left behind, and later lines are dropped rather than
 * block. Harmless when not started. */

void log_set_level(enum log_level level);
void log_set_format(enum log_format format);
/* At any time, from any thread; for the lines that follow. AUTO: text when the descriptor is a
 * terminal, else JSON. */

void log_set_fd(int fd);
/* Where lines go while the writer does not run (STDERR_FILENO unless told otherwise). */

bool log_is_json(void);
/* Which of the two formats is in force; access logs follow it. */

uint64_t log_dropped(void);
/* Lines lost since the start of the process, because the ring was full or the descriptor failed. */

bool log_level_from(struct span word, enum log_level *level);
bool log_format_from(struct span word, enum log_format *format);
/* "debug info warn error" and "auto text json"; false when it is none of them. */

void log_format_time(int64_t wall_ns, char out[LOG_TIME_SIZE]);
/* CLOCK_REALTIME in ns as RFC 3339 in UTC with milliseconds. */

/* A line under construction, for those that format their own (access log): bounded, escaped, valid
 * JSON at any cut. */
struct log_line {
    bool is_json;
    bool is_cut;    /* something was left out; what is there is whole */
    unsigned depth; /* open braces and brackets */
    unsigned lost;  /* opened when there was no room: ignored until closed */
    size_t len;
    char closers[LOG_DEPTH_MAX];
    char bytes[LOG_LINE_MAX];
};

void log_line_begin(struct log_line *line, bool is_json);
void log_line_add(struct log_line *line, const struct log_field *field);
/* One field; in a list, its key may be NULL. */

void log_line_open(struct log_line *line, const char *key, char bracket);
void log_line_close(struct log_line *line);
/* '[' or '{' under `key` (NULL inside a list), and its end; at most LOG_DEPTH_MAX deep. Inside,
 * text is JSON too. */

struct span log_line_end(struct log_line *line);
/* Closes what is open, adds the newline; the span lives as long as the line. */

#endif
