/* choice.h - which endpoint a call goes to, where endpoints are judged one by one, and by which of
 * their breakers it is judged there.
 *
 * The host's balancer chooses (call_host.candidate) by what is said here of each endpoint; where
 * names are still being resolved the attempt tells later (choice_note). Example:
 *     if (choice_is_needed(lane) && !choice_make(call, true, &choice, now)) -> refuse
 *     ... gate_take ...; choice_take(call, &choice); ... choice_judge(call, ...);
 * choice_leave(call); Single-threaded. */
#ifndef OUTRIGGER_CALL_CHOICE_H
#define OUTRIGGER_CALL_CHOICE_H

#include "call/call.h"

#include <stdbool.h>
#include <stdint.h>

struct choice { /* the seats of the endpoint that is offered; NULL: none, or not known yet */
    struct endpoint_seat *breaker;
    struct endpoint_seat *outlier;
};

/* The balancer goes down these rungs until it finds an endpoint that it may use. */
enum choice_rung {
    CHOICE_CAREFUL = 0, /* an endpoint that has not given a good answer yet gets one call at a time,
                           so that one which hangs or fails costs no more than that */
    CHOICE_ANY,         /* they are all new, or the others are ejected */
    CHOICE_PANIC,       /* all are ejected, and the policy says to use them all the same */
    CHOICE_RUNGS
};

bool choice_is_needed(const struct lane *lane);
/* Do the endpoints have breakers of their own? */

bool choice_make(struct call *call, bool may_probe, struct choice *choice, mono_ns now);
/* False: no endpoint may be used now. */

mono_ns choice_next_probe(const struct lane *lane);
/* When one may; MONO_NEVER if no time is known. */

void choice_take(struct call *call, const struct choice *choice);
/* The gate has let it pass. */

void choice_note(struct call *call, mono_ns now);
/* The attempt went to call->endpoint_id, which was not known before: its breakers join the permit.
 */

void choice_move(struct call *call, mono_ns now);
/* The attempt went to call->endpoint_id instead of the one that was asked for: that one's breakers
 * learn that nothing came of it, and this one's join the permit. */

void choice_judge(struct call *call, enum judgement judgement, bool is_slow, dur_ns retry_after,
                  mono_ns now);
/* permit_judge, where an endpoint is ejected only if not too many are. */

void choice_leave(struct call *call);
/* The attempt is settled: it uses its endpoint's seats no more. */

bool choice_has_rung(const struct lane *lane, enum choice_rung rung);
/* Does it go that far down? */

bool choice_may_use(const struct call *call, enum choice_rung rung, uint64_t endpoint_id,
                    uint32_t in_flight, bool may_probe, mono_ns now);
/* The balancer's mask. `in_flight`: attempts that are at the endpoint. An endpoint whose circuit
 * (scope: endpoint) is open is used on no rung. */

#endif
