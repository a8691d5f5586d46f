/* admin_own.h - what the files of the admin server share. Everything here belongs to the admin
 * thread, save where it says otherwise. Three lives cross: a client (the connection), an h2o
 * request (dies with its connection or its answer) and an exchange (a command that the data loop
 * has; dies when completed). Each knows the other only by a pointer that the one who dies clears.
 */
#ifndef OUTRIGGER_ADMIN_ADMIN_OWN_H
#define OUTRIGGER_ADMIN_ADMIN_OWN_H

#include "admin/admin.h"
#include "admin/reply.h"
#include "base/list.h"

#include <h2o.h>
#include <pthread.h>

struct desk;

struct admin_port {
    uv_tcp_t tcp;
    struct admin *admin;
    h2o_accept_ctx_t accept;
    bool is_loopback;
    bool is_metrics_only;
};

struct client {
    uv_tcp_t tcp; /* tcp.data is the h2o_socket_t */
    struct list link;
    struct admin_port *port;
    mono_ns deadline; /* the one request of this connection is over by then; MONO_NEVER for a
                         subscriber */
};

struct handler { /* of one host: everything, or what a metrics listener shows */
    h2o_handler_t super;
    struct admin *admin;
    bool is_metrics_only;
};

struct admin {
    uint32_t magic;
    struct admin_options options;
    struct admin_backend backend;
    char *token;
    uv_loop_t loop;
    uv_async_t wake; /* a command was completed, an event published, or is_stopping set */
    uv_timer_t sweep;
    pthread_t thread;
    int is_stopping; /* atomic; set by admin_stop */
    bool is_closing;
    struct admin_port *ports[ADMIN_LISTENERS_MAX];
    h2o_globalconf_t config;
    h2o_context_t context;
    h2o_hostconf_t *everything[2]; /* NULL-terminated, as h2o_accept_ctx_t wants them */
    h2o_hostconf_t *metrics_only[2];
    struct list clients;
    unsigned client_count;
    struct list exchanges; /* with the data loop, oldest first */
    struct list subscribers;
    unsigned subscriber_count;
    struct desk *desk;
};

struct exchange;
typedef void (*exchange_answer)(struct admin *admin, h2o_req_t *req, struct admin_command *command,
                                bool is_answered);
/* The requester's turn: with `command` filled in, or (is_answered false) the time is up, or there
 * is no way to ask. */

mono_ns admin_now(const struct admin *admin);

struct client *admin_client_of(struct admin *admin, h2o_req_t *req);
void admin_cut(struct client *client);
/* Ends a connection from below: libh2o sees a failed read or write and cleans up. */

void admin_wake_sweep(struct admin *admin);
/* There is something with a deadline: the sweep runs until there is nothing any more. */

/* exchange.c */

struct desk *desk_new(uv_async_t *wake);
void desk_close(struct admin *admin);
/* No command reaches the admin loop any more; those that are out are freed when completed. */

void exchange_begin(struct admin *admin, h2o_req_t *req, enum admin_command_kind kind,
                    const char *id, enum admin_action action, exchange_answer answer);
/* Asks the data loop on behalf of `req` (NULL: nobody waits, as for a ping). */

void exchange_collect(struct admin *admin);
/* Answers those whose command has been completed. */

void exchange_expire(struct admin *admin, mono_ns now);
/* Answers those who have waited for loop_limit; MONO_NEVER: all. */

bool exchange_is_stuck(const struct admin *admin, mono_ns now);
/* Has the data loop held a command for live_limit? */

/* stream.c */

void stream_begin(struct admin *admin, h2o_req_t *req);
/* Makes the request a subscriber of /events, or answers 503 when there are enough. */

void stream_publish(struct admin *admin);
/* Hands the events that have come to all subscribers. */

void stream_end(struct admin *admin);
/* After the sockets were cut: a last write to each subscriber, by which h2o notices at once. */

void stream_beat(struct admin *admin, mono_ns now);
/* Heartbeats, and an end for those who do not read. */

/* routes.c */

int routes_on_request(h2o_handler_t *handler, h2o_req_t *req);

#endif
