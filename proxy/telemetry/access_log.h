/* access_log.h - one line per call, as much of it as somebody asked for.
 *
 * `off` costs a comparison. `refusals`: calls that Outrigger answered itself. `sampled`: those, and
 * a share of the rest.
 * Example: if (access_log_wants(&log, is_refusal)) { fill an access_entry; access_log_write(&e); }
 * Lines leave through base/log's ring, so they never block; JSON or text as the log. Owned by the
 * data loop. */
#ifndef OUTRIGGER_TELEMETRY_ACCESS_LOG_H
#define OUTRIGGER_TELEMETRY_ACCESS_LOG_H

#include "base/mono.h"
#include "base/outcome.h"
#include "base/reason.h"
#include "base/rng.h"
#include "base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ACCESS_ATTEMPTS_MAX 8 /* listed; further ones are counted in `attemptsOmitted` */

enum access_mode { ACCESS_OFF = 0, ACCESS_REFUSALS, ACCESS_SAMPLED, ACCESS_ALL };

struct access_config {
    enum access_mode mode;
    uint32_t sampled_ppm; /* with ACCESS_SAMPLED: calls per million */
};

struct access_log {
    struct access_config cfg;
    struct rng rng;
};

struct access_attempt {
    const char *peer; /* "10.0.0.7:8080"; NULL when it had none yet */
    int status;       /* 0 without a response head */
    dur_ns took;      /* to the head, or to its failure */
    const char
        *why; /* why it was not the last: "status_503", a reason's word; NULL when it was good */
};

struct access_entry {
    int64_t wall_ns; /* CLOCK_REALTIME of the start of the call */
    struct span request_id;
    const char *target;
    const char *rule; /* NULL or "": none */
    struct span method;
    struct span path; /* with its query, as the client sent it */
    struct span client;
    int status; /* sent downstream; 0: none */
    enum fate fate;
    enum reason reason;
    const char *at; /* "file:line" that decided, NULL: none */
    dur_ns took;
    uint64_t bytes_in;  /* of the request's body */
    uint64_t bytes_out; /* of the response's body */
    const struct access_attempt *attempts;
    size_t attempt_count; /* all of them, listed or not */
};

void access_log_init(struct access_log *log, const struct access_config *cfg, uint64_t seed);
void access_log_configure(struct access_log *log, const struct access_config *cfg);
/* New settings, from the next call on. */

static inline bool access_log_wants(struct access_log *log, bool is_refusal)
{
    if (log->cfg.mode == ACCESS_OFF) {
        return false;
    }
    if (is_refusal || log->cfg.mode == ACCESS_ALL) {
        return true;
    }
    return log->cfg.mode == ACCESS_SAMPLED && rng_below(&log->rng, 1000000) < log->cfg.sampled_ppm;
}
/* Should the call that has just ended be logged? Ask once per call. `is_refusal`: Outrigger
 * answered it itself. */

void access_log_write(const struct access_entry *entry);
/* Formats and queues the line. The first ACCESS_ATTEMPTS_MAX of `attempts` are read, at most
 * attempt_count. */

#endif
