/* request.h - one call of the app, as the proxy holds it: head, call, attempt, body on both ways.
 *
 * Born when a head is complete, on an arena of its own; gone at CALL_FINISH. Whoever has work for a
 * part of its life is a file: route, upload (the caller's body), attempt_io (what the upstream
 * says), relay (the response), keep (a failed head held back), reply (our own answers), tunnel.
 * Loop thread only. INVARIANT: front == NULL, or front->user == this request. */
#ifndef OUTRIGGER_REQUEST_REQUEST_H
#define OUTRIGGER_REQUEST_REQUEST_H

#include "base/arena.h"
#include "call/call.h"
#include "codec/front.h"
#include "http/message.h"
#include "http/message_pack.h"
#include "http/request_id.h"
#include "request/connection.h"
#include "request/destination.h"
#include "request/proxy.h"
#include "request/replay.h"
#include "request/route.h"
#include "telemetry/access_log.h"
#include "upstream/attempt.h"

#include <stdbool.h>
#include <stdint.h>

#define REQUEST_ARENA_BYTES (256 * 1024) /* of one call, beside its heads: trailers, names, ids */
#define REQUEST_ARENA_HEADS                                                                        \
    4 /* times limits.maxHeaderBytes: the caller's head, kept ones, and their fields */

struct kept { /* a failed response held until the next attempt reaches the wire */
    bool is_complete;
    struct message head;
    struct replay body;
    struct span trailers;
};

struct request {
    uint32_t magic;
    int status;       /* sent downstream; 0 = nothing yet */
    struct list link; /* proxy.requests */
    struct proxy *proxy;
    struct front
        *front; /* the caller's exchange with us; NULL once it has gone or has its answer */
    struct arena arena;
    struct message_pack *pack; /* of its head: see request_message */
    struct call call;
    struct attempt attempt;
    uint64_t own_id[2]; /* of a head without X-Request-ID: see request_name */
    const char *client; /* its address, once `front` has gone and it may be logged */
    const char *detail; /* more words on `detail_reason`; NULL if none */
    struct replay replay;
    struct span *upload_trailers; /* in the arena; NULL = none */
    uint64_t bytes_in;
    uint64_t bytes_out;
    uint32_t replay_sent; /* of `replay`, on the attempt that runs */
    uint32_t attempt_count;
    enum reason detail_reason : 8; /* a later refusal has other reasons, and none of `detail` */
    enum route_http http : 8;      /* is spoken with the target */
    bool is_http10 : 1;            /* the caller has no interim responses */
    bool has_body : 1;             /* its head announces one, maybe an empty one */
    bool expects_continue : 1;
    bool is_too_long_to_keep : 1; /* by its Content-Length */
    bool is_upload_done : 1;      /* the caller's whole body is here */
    bool has_sent_head : 1;       /* the attempt's request head was written */
    bool is_continue_sent : 1;    /* a 100 was relayed: the caller sends now */
    bool has_response : 1;        /* a head went downstream */
    bool is_relaying : 1;
    bool is_response_done : 1; /* all of it was sent on; the upload may go on */
    bool is_tunnel : 1;
    bool is_tunnel_up_done : 1;   /* the caller's side has ended */
    bool is_tunnel_down_done : 1; /* the upstream's side has ended */
    struct message *head; /* the upstream's, from its callback until relay or keep has used it */
    struct sniff *sniff;  /* of a CONNECT whose first bytes are awaited, in the arena; else NULL */
    struct kept *kept;    /* in the arena; NULL = none */
    struct access_attempt *attempts; /* ACCESS_ATTEMPTS_MAX, in the arena, once there is one */
};

void request_begin(struct front *front, struct message *msg);
/* A head has come: routes it and begins its call. */

void request_refuse_head(struct front *front, enum reason reason, const char *detail);
/* What came is no request: answers it. */

void request_cancel(struct request *request);
/* The caller left. */

void request_detach(struct request *request, bool is_last);
/* The caller has its whole answer: the connection is free for the next request, or ends. */

static inline struct destination *request_destination(const struct request *request)
{
    return request->call.lane->target->user;
}

static inline struct connection *request_connection(const struct request *request)
{
    return request->front != NULL ? request->front->context : NULL;
}
/* NULL once the caller has gone or has its answer. */

static inline struct request *request_of(const struct call *call)
{
    return (struct request *)(void *)((char *)(uintptr_t)call - offsetof(struct request, call));
}

const struct message *request_message(const struct request *request);
/* Its head, until any request is asked for its own. */

struct span request_name(const struct request *request, const struct message *msg,
                         char own[REQUEST_ID_LEN]);
/* X-Request-ID of the head, else one of ours, in `own`. */

void request_perform(struct request *request, unsigned actions);
/* Does what the call asked for; see enum call_action. */

#endif
