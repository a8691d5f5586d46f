/* steps.h - inside `call`: the events that steps react to, and the engine that runs them. Hosts use
 * call.h. */
#ifndef OUTRIGGER_CALL_STEPS_H
#define OUTRIGGER_CALL_STEPS_H

#include "call/call.h"

enum call_event {
    CALL_EVENT_ENTER,     /* the step was just entered */
    CALL_EVENT_TIMER,     /* call->timer fired (maybe early) */
    CALL_EVENT_ADMITTED,  /* served in a line: the permit is live */
    CALL_EVENT_MOVED,     /* from the token line to the slot line */
    CALL_EVENT_REFUSED,   /* served in a line: call->refusal says no */
    CALL_EVENT_HEAD,      /* call->head is here */
    CALL_EVENT_FAILED,    /* call->failure says how the attempt ended */
    CALL_EVENT_ENDED,     /* the upstream work has ended */
    CALL_EVENT_BROKEN,    /* the relayed response cannot be completed: call->reason */
    CALL_EVENT_BYTES,     /* first byte of a tunnel */
    CALL_EVENT_TRAILERS,  /* of a gRPC stream: call->head has the outcome */
    CALL_EVENT_DELIVERED, /* the caller has everything */
    CALL_EVENT_CLOCK,   /* the attempt's times moved: its clock was stopped or goes on, or it has a
                           lease now */
    CALL_EVENT_CANCEL,  /* the caller left */
    CALL_EVENT_ABANDON, /* the host ends it with call->reason */
};

typedef void (*step_function)(struct call *call, enum call_event event, mono_ns now);

void step_relay(struct call *call, enum call_event event, mono_ns now); /* step_relay.c */

/* What steps share. */
void step_goto(struct call *call, enum call_step step);
/* The one writer of call->step. */

void step_emit(struct call *call, unsigned actions);
void step_arm(struct call *call, mono_ns at);
void step_settle(struct call *call, enum judgement judgement, bool is_slow, enum outcome outcome,
                 dur_ns retry_after, mono_ns now);
void step_end_work(struct call *call, mono_ns now);

void steps_run(struct call *call, enum call_event event, mono_ns now);
/* Runs the call's step on the event, then every step that this enters. */

#endif
