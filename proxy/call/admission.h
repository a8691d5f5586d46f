/* admission.h - asking the gate for a call, and the lines of those who wait for a yes.
 *
 * A first attempt may wait: in the line of its token key, then in the line of its bulkhead. Retries
 * never queue. When a slot is given back, a token falls due or new numbers arrive, the lines are
 * served from their heads; whoever is admitted or refused becomes ready in the engine. Rooms and
 * lines: room.h. Single-threaded. */
#ifndef OUTRIGGER_CALL_ADMISSION_H
#define OUTRIGGER_CALL_ADMISSION_H

#include "call/call.h"

enum admission { ADMISSION_PASSED, ADMISSION_WAITS, ADMISSION_REFUSED };

enum admission admission_ask(struct call *call, bool may_wait, mono_ns now);
/* PASSED: call->permit is live. WAITS: the call stands in call->line. REFUSED: call->refusal says
 * why. */

struct gate_verdict admission_overdue(const struct call *call, mono_ns now);
/* Has a waiting call waited too long? If not, may_pass, and not_before is when it will have (its
 * deadline apart). */

void admission_leave(struct call *call, mono_ns now);
/* Takes a waiting call out of its line (cancelled, timed out, refused). */

void admission_release(struct call *call, mono_ns now);
/* Gives the permit's slot back and serves those who wait for it. Harmless when the permit is not
 * live. */

void admission_release_permit(struct permit *permit, mono_ns now);
/* The same for a permit that is no longer the call's. */

void admission_serve_permit_room(const struct permit *permit, mono_ns now);
/* A slot of the permit's bulkhead changed its kind: somebody may be let in. */

void admission_serve_slots(struct slot_room *room, mono_ns now);
void admission_serve_tokens(struct token_room *room, mono_ns now);

void admission_refuse_waiting(struct seat *seat, mono_ns now);
/* Its breaker opened: everybody who waits behind it is refused at once. */

#endif
