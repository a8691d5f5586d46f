/* access_log.c - see access_log.h. One order of fields for both formats; in text the time and the
 * word `access` stand without their keys, as on every other line. */
#include "telemetry/access_log.h"

#include "base/log.h"

#include <string.h>

void access_log_init(struct access_log *log, const struct access_config *cfg, uint64_t seed)
{
    rng_seed(&log->rng, seed);
    log->cfg = *cfg;
}

void access_log_configure(struct access_log *log, const struct access_config *cfg)
{
    log->cfg = *cfg;
}

static void add(struct log_line *line, struct log_field field)
{
    log_line_add(line, &field);
}

static const char *fate_text(enum fate fate)
{
    static const char *const words[] = {
#define X(name, word) #word,
        FATE_LIST(X)
#undef X
    };
    return words[fate];
}

static const char *reason_or_null(enum reason reason)
{
    static const char *const words[] = {
        NULL,
#define REASON(name, word, http, grpc, group, proxy_status, text) #word,
#include "base/reason.def"
#undef REASON
    };
    return words[reason];
}

static const char *or_null(const char *text)
{
    return text && text[0] ? text : NULL;
}

static void add_attempts(struct log_line *line, const struct access_entry *entry)
{
    size_t shown = entry->attempts == NULL                      ? 0 /* no memory for them */
                   : entry->attempt_count < ACCESS_ATTEMPTS_MAX ? entry->attempt_count
                                                                : ACCESS_ATTEMPTS_MAX;
    log_line_open(line, "attempts", '[');
    for (size_t i = 0; i < shown; i++) {
        const struct access_attempt *attempt = &entry->attempts[i];
        log_line_open(line, NULL, '{');
        add(line, LOG_STR("peer", attempt->peer));
        add(line, LOG_INT("status", attempt->status));
        add(line, LOG_MS("ms", attempt->took));
        add(line, LOG_STR("why", attempt->why));
        log_line_close(line);
    }
    log_line_close(line);
    if (entry->attempt_count > shown) {
        add(line, LOG_UINT("attemptsOmitted", entry->attempt_count - shown));
    }
}

void access_log_write(const struct access_entry *entry)
{
    struct log_line line;
    char time_text[LOG_TIME_SIZE];
    log_format_time(entry->wall_ns, time_text);
    bool is_json = log_is_json();
    log_line_begin(&line, is_json);
    add(&line, LOG_STR(is_json ? "time" : NULL, time_text));
    add(&line, LOG_STR(is_json ? "event" : NULL, "access"));
    add(&line, LOG_STR("target", entry->target));
    add(&line, LOG_STR("rule", or_null(entry->rule)));
    add(&line, LOG_SPAN("method", entry->method));
    add(&line, LOG_SPAN("path", entry->path));
    add(&line, LOG_INT("status", entry->status));
    add(&line, LOG_STR("outcome", fate_text(entry->fate)));
    add(&line, LOG_STR("reason", reason_or_null(entry->reason)));
    add(&line, LOG_STR("at", or_null(entry->at)));
    add(&line, LOG_MS("ms", entry->took));
    add(&line, LOG_SPAN("requestId", entry->request_id));
    add(&line, LOG_SPAN("client", entry->client));
    add(&line, LOG_UINT("bytesIn", entry->bytes_in));
    add(&line, LOG_UINT("bytesOut", entry->bytes_out));
    add_attempts(&line, entry);
    struct span whole = log_line_end(&line);
    log_write_raw(whole.data, whole.len);
}
