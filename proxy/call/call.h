/* call.h - the life of one call, as a table of steps that decide and never do.
 *
 * The host (the proxy's `request`, or the simulator in virtual time) translates what happens into
 * call_on_* events with `now`, and performs the actions that come out: call_begin(call, engine,
 * lane, &facts, now); while ((call = call_engine_next(engine))) perform(call,
 * call_take_actions(call), now); An action is never performed inside the event that caused it, so
 * no callback runs inside the call that started the work. Calls that wait in a line become ready
 * when somebody else's slot is released: hence one ready list per engine.
 *
 * Pure: no clock, no socket; timers live in the engine's wheel, which the host advances.
 * Single-threaded. Ownership: the host owns struct call (zeroed is fine before call_begin) until
 * the FINISH action. The engine holds no pointer to it afterwards. */
#ifndef OUTRIGGER_CALL_CALL_H
#define OUTRIGGER_CALL_CALL_H

#include "base/codes.h"
#include "base/list.h"
#include "base/outcome.h"
#include "base/reason.h"
#include "base/rng.h"
#include "base/span.h"
#include "base/wheel.h"
#include "call/target.h"
#include "policy/deadline.h"
#include "policy/gate.h"

#include <stdbool.h>
#include <stdint.h>

/* STEP(NAME, word): what exists, who may leave it (call_goto has the table of legal edges). */
#define CALL_STEP_LIST(X)                                                                          \
    X(ROUTE, route)           /* nothing yet; to ADMIT, or REPLY when the host refuses it */       \
    X(ADMIT, admit)           /* transient: the gate is asked */                                   \
    X(QUEUED, queued)         /* in a token line or a slot line; no permit */                      \
    X(ATTEMPT, attempt)       /* a permit is live; the upstream works on it */                     \
    X(JUDGE_HEAD, judge_head) /* transient: the final response head is here */                     \
    X(BACKOFF, backoff)       /* a retry was decided; maybe a kept head */                         \
    X(RELAY, relay)           /* headers are downstream: no way back to ATTEMPT */                 \
    X(REPLY, reply)           /* we answer: a local reply, or the kept head */                     \
    X(FINISH, finish)         /* over; the permit is released */

enum call_step {
#define X(name, word) CALL_STEP_##name,
    CALL_STEP_LIST(X)
#undef X
        CALL_STEP_COUNT
};

/* What the host is asked to do, performed in this order. */
enum call_action {
    CALL_ABORT_ATTEMPT = 1 << 0, /* end the attempt's upstream work now, and drop what was kept of
                                    an unfinished head */
    CALL_START_ATTEMPT =
        1 << 1, /* start attempt number call->attempt; fresh connection if call->needs_fresh */
    CALL_KEEP = 1 << 2,  /* hold the failed head and up to 64 KiB of its body */
    CALL_RELAY = 1 << 3, /* send the response head downstream and pump the rest */
    CALL_REPLY =
        1
        << 4, /* send the kept head if call->has_kept_head, else a local reply with call->reason */
    CALL_ABORT_DOWNSTREAM =
        1 << 5, /* the response is broken: the caller must see that it is not complete */
    CALL_FINISH =
        1 << 6, /* over: metrics, access log; then call_fini, and the memory is the host's again */
};

#define CALL_KEPT_BODY_BYTES 65536 /* POLICY section 3 */
#define CALL_PROBE_LEASE (10 * NS_PER_S)

struct call_facts { /* what the host knows of a call at its start */
    enum method method : 8;
    bool is_method_listed; /* in retry.methods, or admitted by an Idempotency-Key */
    bool is_idempotent; /* by RFC 9110, or by an Idempotency-Key: may be repeated when it may have
                           arrived */
    bool is_grpc;
    bool is_tunnel;         /* CONNECT: counts in maxConnections, judged by connect */
    bool is_upgrade;        /* wants to become a tunnel: counts in maxConnections from the start */
    dur_ns caller_deadline; /* grpc-timeout or the deadline header; DUR_FOREVER = none */
};

struct call_head {      /* a final response head */
    dur_ns retry_after; /* 0 = none */
    int status;
    int grpc_status;          /* of a trailers-only answer, later of the trailers; -1 = none */
    enum outcome outcome : 8; /* SUCCESS, FAILURE or THROTTLED, by http/classify */
    bool awaits_trailers;     /* gRPC, and not trailers-only: the verdict comes with the trailers */
    bool is_exhausted_marked;
    bool is_upgrade; /* 101: from here on a tunnel */
};

struct call_failure { /* an attempt that ended without a final head */
    enum reason reason : 8;
    bool is_reused;   /* the connection had served before */
    bool is_unsent;   /* not one byte of the request was written to it */
    bool is_answered; /* some byte of a response had arrived */
};

struct call;

/* What the engine asks and tells its host, inline. None of these may call back into the engine. */
struct call_host {
    void (*on_ready)(struct call_engine *engine);
    /* The ready list is no longer empty: actions are to be performed soon, in this turn. */
    struct span (*key)(const struct call *call, const struct key_config *key);
    /* The value of the call's key; an absent one is an empty span. */
    enum replayability (*replay)(const struct call *call);
    /* Can the request be sent again now? */
    uint64_t (*candidate)(struct call *call, bool may_probe, mono_ns now);
    /* Only where endpoints have breakers: one by its standing (choice_standing), the best that
     * there is; CANDIDATE_UNKNOWN while names are being resolved, CANDIDATE_NONE when none may be
     * used. */
    void (*on_chosen)(struct call *call);
    /* The gate has let it pass to the candidate, call->endpoint_id: an attempt there follows. */
    const char *(*endpoint_label)(const struct call *call, uint64_t endpoint_id);
    /* "10.0.0.1:80"; "" for one that is not the target's any more. */
    uint32_t (*endpoint_count)(const struct call *call);
    /* Of those that the balancer chooses among. */
    void (*snapshot_ref)(void *snapshot);
    void (*snapshot_unref)(void *snapshot);
    void (*on_waited)(struct call *call, enum room_kind line,
                      dur_ns waited); /* it left a line, admitted or not */
    void (*on_attempt_settled)(struct call *call, enum outcome outcome, dur_ns until_head);
    void (*on_retry)(struct call *call, enum retry_cause cause);
    void (*on_retry_skipped)(struct call *call, enum retry_skip skip);
    void (*on_shadow)(struct call *call, enum policy_family family, const char *decision);
    void (*on_ejection_held)(struct call *call);
    /* Its endpoint would have been ejected, but too many are. */
    void (*on_transition)(struct seat *seat, const struct breaker_transition *transition);
    void (*on_instance)(
        struct instance *instance); /* made, or has new numbers: the host may set instance->user */
    void (*on_instance_gone)(struct instance *instance);
    void (*on_lane)(struct lane *lane);
    void (*on_lane_gone)(struct lane *lane);
    bool (*on_target)(struct target *target);
    /* Made: the host may set target->user. False: it has no memory, and the target is not made. */
    void (*on_target_gone)(struct target *target);
    void (*on_seat)(struct seat *seat);
    void (*on_seat_gone)(struct seat *seat);
};

#define CANDIDATE_UNKNOWN 0
#define CANDIDATE_NONE UINT64_MAX

struct call_engine {
    struct wheel *wheel;
    struct rng *rng;
    const struct call_host *host;
    void *context;     /* the host's */
    struct list ready; /* call.ready_link: calls with actions to perform */
    struct list moved; /* seat.moved_link: breakers that moved in this event */
    dur_ns body_idle;  /* limits.bodyIdleTimeout; 0 = off */
    uint64_t steps;    /* taken so far: a trace and a test can tell that something moved */
};

struct call {
    uint32_t magic;
    unsigned actions;
    struct call_engine *engine;
    struct lane *lane;
    struct list ready_link;
    struct call_facts facts;

    struct timer timer;
    struct deadline deadline;
    mono_ns began_at;

    struct line *line; /* the line it waits in, NULL outside QUEUED */
    union {
        struct { /* while the gate is asked, and in QUEUED */
            struct token_room *tokens;
            struct slot_room *slots;
        };
        struct gate_verdict refusal; /* of the gate, when it said no */
    };
    union { /* only a first attempt waits in a line */
        struct {
            struct list line_link;
            struct list seat_link;
            mono_ns line_joined_at;
        };
        struct {
            struct endpoint_seat *endpoint_seat; /* of the endpoint that the permit is for, by its
                                                    circuit breaker; counted in its users */
            struct endpoint_seat *outlier_seat;  /* the same, by its outlier breaker */
            mono_ns attempt_at; /* start of the attempt; moves later while the caller's body is
                                   awaited */
            mono_ns lease_at;   /* end of a probe's lease; MONO_NEVER if none */
            mono_ns head_at;    /* final head of the attempt that is relayed */
        };
    };
    struct permit permit;
    uint64_t endpoint_id; /* candidate, or chosen; CANDIDATE_UNKNOWN before */
    mono_ns touched_at;   /* last byte in either direction */

    uint32_t attempt;      /* number of the attempt, from 0; x-outrigger-attempt is one more */
    uint32_t attempts_run; /* that reached ATTEMPT, transparent ones not counted */
    uint32_t retries_made;
    struct call_failure failure;
    dur_ns previous_delay;
    mono_ns not_before; /* end of the back-off */
    struct call_head head;
    mono_ns reply_not_before; /* for Retry-After of a local reply; MONO_NEVER if no time is known */

    enum call_step step : 8;
    enum reason reason : 8; /* of the last refusal or failure; REASON_NONE after a head */
    enum retry_cause retry_cause : 8;
    enum policy_family refused_by : 8;
    enum fate fate : 8;
    bool is_promised : 1;     /* a token of `tokens` is promised to it */
    bool is_attempt_live : 1; /* between START_ATTEMPT and its end upstream */
    bool is_tunnel : 1;       /* CONNECT from the start, or after 101 */
    bool is_settled : 1;      /* the attempt was judged, and told to the host */
    bool is_slow : 1;         /* its head came late: a flag of the verdict that is still to fall */
    bool is_transparent_used : 1;
    bool needs_fresh : 1; /* the next connection must not come from the pool */
    bool has_kept_head : 1;
    bool is_exhausted : 1; /* the answer carries x-outrigger-retries: exhausted */
    bool is_delivered : 1;
    bool is_cancelled : 1;
    bool is_broken : 1;
    bool is_stream : 1; /* moved to maxStreams */
    bool has_shadow_timeout : 1;
};

void call_engine_init(struct call_engine *engine, struct wheel *wheel, struct rng *rng,
                      const struct call_host *host, void *context);
struct call *call_engine_next(struct call_engine *engine);
/* The next call with actions, taken off the ready list; NULL when there is none. */

void call_engine_settle(struct call_engine *engine, mono_ns now);
/* Breakers that moved get their timers, and who waits behind one that opened is refused. Every
 * event ends with it. */

unsigned call_take_actions(struct call *call);
/* Its actions, once. */

void call_fini(struct call *call);
/* After CALL_FINISH was performed: gives the lane back. */

void call_begin(struct call *call, struct call_engine *engine, struct lane *lane,
                const struct call_facts *facts, mono_ns now);
/* Takes a reference of `lane`. Asks the gate; actions follow. */

void call_refuse(struct call *call, struct call_engine *engine, struct lane *lane,
                 const struct call_facts *facts, enum reason reason, mono_ns now);
/* Instead of call_begin: the host refuses (loop, shutdown, bad request); no policy is asked. `lane`
 * may not be NULL. */

void call_on_endpoint(struct call *call, uint64_t endpoint_id, mono_ns now);
/* The attempt goes to this endpoint; again, where it went elsewhere than it was to. */

void call_on_connected(struct call *call, mono_ns now);
void call_on_wire(struct call *call);
/* The first byte of the attempt's request was written: a kept head is dropped. */

void call_on_head(struct call *call, const struct call_head *head, mono_ns now);
void call_on_kept(struct call *call);
/* The whole body of the kept head is in hand. */

void call_on_attempt_failed(struct call *call, const struct call_failure *failure, mono_ns now);
/* Without a final head; its upstream work has ended. */

void call_on_attempt_ended(struct call *call, mono_ns now);
/* After the head: the upstream work has really ended (the response is complete, or its connection
 * closed). Releases the slot. Harmless when repeated. */

void call_on_response_broken(struct call *call, enum reason reason, mono_ns now);
/* The upstream died before the response was complete, or the downstream write failed; also of a
 * head that is being kept. Without a response it is ignored. */

void call_on_trailers(struct call *call, int grpc_status, enum outcome outcome, mono_ns now);
/* The end of a gRPC stream whose head came before: the verdict on its attempt (POLICY section 3).
 * Ignored where it has fallen already. */

void call_on_tunnel_bytes(struct call *call, mono_ns now);
/* The first byte from upstream in a tunnel: judged a success. */

void call_on_delivered(struct call *call, mono_ns now);
/* The downstream has the whole response (or reply). */

void call_on_cancel(struct call *call, mono_ns now);
/* The caller went away. */

void call_refuse_now(struct call *call, enum reason reason, mono_ns now);
/* The host ends it: bad body bytes (BAD_REQUEST), too large a body, shutdown. Once headers are
 * downstream the response is cut off; a call that is already answered or over keeps its answer. */

static inline mono_ns call_waits_for_body_since(const struct call *call)
{
    return call->deadline.paused_at;
}
/* MONO_NEVER if it does not. */

void call_pause(struct call *call, mono_ns now);
void call_resume(struct call *call, mono_ns now);
/* While we wait for the caller's own body, the clock of request, backendRequest, slowCalls and
 * lease stands still. */

static inline void call_touch(struct call *call, mono_ns now)
{
    call->touched_at = now;
}

dur_ns call_attempt_left(const struct call *call, mono_ns now);
/* Until the attempt's deadline, for the header that tells the upstream; DUR_FOREVER if none. */

dur_ns call_caller_left(const struct call *call, mono_ns now);
/* Of the caller's own deadline, for grpc-timeout; DUR_FOREVER if it has none. */

const char *call_step_word(enum call_step step);

#endif
