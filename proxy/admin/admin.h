/* admin.h - the HTTP server of the control side (libh2o), on a thread and event loop of its own.
 *
 * What it serves: GET / /metrics /ready /live /policies /circuits /instances /events and POST
 * /circuits/{id}, /quit; a metrics listener serves GET /metrics /ready /live only. It can neither
 * change nor stall what it shows: counters are read from metric cells, all else is asked of the
 * data loop by an admin_command, which builds the reply and completes it. A loop that does not
 * answer within `loop_limit` costs the requester a 503, nothing else. /live is answered by the
 * admin thread alone: 503 only when the data loop has been stuck for `live_limit`.
 *
 * Bounds, each against a peer that takes more than its share: `max_connections` at once, one
 * request a connection, `request_limit` from accept to the last byte of the answer (a slow sender
 * or reader), bodies of 64 KiB, `max_streams` subscribers with a backlog of ADMIN_BACKLOG_MAX each.
 * State changes by POST only, never from a web page of another origin, and off loopback (or where a
 * token is set) only with `Authorization: Bearer TOKEN`.
 *
 * Example: struct admin *admin = NULL; char why[ADMIN_ERROR_SIZE];
 *          if (admin_start(&options, &backend, &admin, why) != OK) -> print `why`, exit 2
 *          ... admin_stop(&admin);   // before the mailbox, the events and the metrics go
 * Threads: admin_start and admin_stop by the data loop's thread, or while it does not run;
 * admin_command_complete by any. */
#ifndef OUTRIGGER_ADMIN_ADMIN_H
#define OUTRIGGER_ADMIN_ADMIN_H

#include "base/err.h"
#include "base/mono.h"
#include "net/address.h"
#include "net/mailbox.h"
#include "telemetry/events.h"
#include "telemetry/metrics.h"
#include "telemetry/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ADMIN_BODY_MAX ((size_t)64 << 10)     /* a larger request body is 413 */
#define ADMIN_REPLY_MAX ((size_t)64 << 20)    /* else 500: 100 000 series are some 15 MiB */
#define ADMIN_BACKLOG_MAX ((size_t)256 << 10) /* a subscriber that is further behind is cut */
#define ADMIN_ID_MAX 512                      /* of a circuit's id, percent-decoded */
#define ADMIN_LISTENERS_MAX 8
#define ADMIN_ERROR_SIZE 256

enum admin_command_kind {
    ADMIN_PING = 0,       /* complete it: the loop lives */
    ADMIN_REFRESH_GAUGES, /* set the gauge cells (metrics_set_*); no reply */
    ADMIN_READY,          /* status 200 or 503; reply: JSON with the reasons */
    ADMIN_POLICIES,       /* reply: JSON, what is loaded from where */
    ADMIN_CIRCUITS,       /* reply: JSON, every breaker */
    ADMIN_INSTANCES,      /* reply: JSON, what every live instance holds */
    ADMIN_CIRCUIT_ACTION, /* `id` and `action`; 200 with what changed, or 404 */
    ADMIN_QUIT,           /* drain, and end: as SIGTERM does. 202 */
};

enum admin_action { ADMIN_FORCE_OPEN = 0, ADMIN_CLOSE, ADMIN_DISABLE, ADMIN_RESET };

struct admin_command {
    struct mail mail; /* the data loop's: `post` sets `run` and posts it */
    enum admin_command_kind kind;
    enum admin_action action;
    char id[ADMIN_ID_MAX + 1]; /* as /circuits lists it */
    void *loop_context;        /* the backend's own, from post to completion */
    int status;                /* out: HTTP status, 200 when untouched */
    struct text reply;         /* out: JSON; empty at first, filled over one or more turns */
};

void admin_command_complete(struct admin_command *command);
/* The data loop has filled in the answer and lets go of the command for good. Exactly once per
 * posted command, from any thread; nothing happens to the data loop if the requester, or the admin
 * server, has gone meanwhile. */

struct admin_backend {
    enum err (*post)(void *context, struct admin_command *command);
    /* Hands the command to the data loop (mail_init, mailbox_post). From the admin thread; must not
     * block. On error the command stays admin's and the requester gets a 503. */
    void *context;
};

struct admin_listener {
    struct address address; /* TCP; port 0 takes any */
    bool is_metrics_only;
};

struct admin_options {
    struct admin_listener listeners[ADMIN_LISTENERS_MAX];
    size_t listener_count;
    const char *token; /* what POST must bear; NULL: none. Copied */
    struct metrics *metrics;
    struct events *events;
    dur_ns request_limit; /* 0 in each of these: its default */
    dur_ns loop_limit;
    dur_ns heartbeat;
    dur_ns live_limit;
    unsigned max_connections;
    unsigned max_streams;
};

#define ADMIN_REQUEST_LIMIT (5 * NS_PER_S)
#define ADMIN_LOOP_LIMIT (2 * NS_PER_S) /* for an answer of the data loop */
#define ADMIN_HEARTBEAT                                                                            \
    (5 * NS_PER_S) /* between two comments on /events, so that a dead subscriber is noticed */
#define ADMIN_LIVE_LIMIT                                                                           \
    (10 * NS_PER_S) /* /live fails when the data loop has been stuck for this long */
#define ADMIN_MAX_CONNECTIONS 32
#define ADMIN_MAX_STREAMS 8

struct admin;

enum err admin_start(const struct admin_options *options, const struct admin_backend *backend,
                     struct admin **admin, char error[ADMIN_ERROR_SIZE]) MUST_CHECK;
/* Binds every listener, then starts the thread. On error nothing runs, and `error` names the
 * address and what to do. Without listeners there is nothing to run: OK, and *admin stays NULL. */

uint16_t admin_port(const struct admin *admin, size_t listener);
/* The port that it got. */

void admin_stop(struct admin **admin);
/* Cuts every connection, ends the thread and waits for it; commands that are still with the data
 * loop stay valid until they are completed, and are then freed. Harmless on NULL. */

bool admin_action_from(struct span word, enum admin_action *action);
/* "force_open", "close", "disable", "reset". */

#endif
