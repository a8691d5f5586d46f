/* gate.h - one door in front of an attempt: circuit breaker, rate limit, bulkhead, asked together.
 *
 * gate_ask asks every limiter and changes nothing; gate_take takes from all of them. A refusal by one therefore never
 * costs a token, a slot or a probe of another, and there is no roll-back code. Where several refuse, the first of
 * circuit_open, rate_limited, bulkhead_full is named. A shadow limiter never vetoes; it takes only when the enforcing
 * ones agree, and never goes negative.
 *
 * A permit is a lease with two ends, each settled exactly once: permit_judge (what the attempt proved) and
 * permit_release (the slot; when the upstream work has really ended). A permit of an instance outlives reloads; the
 * owner of the limiters keeps them alive while permits are out. Pure, single-threaded. */
#ifndef OUTRIGGER_POLICY_GATE_H
#define OUTRIGGER_POLICY_GATE_H

#include "base/reason.h"
#include "policy/breaker.h"
#include "policy/bulkhead.h"
#include "policy/token_bucket.h"

#include <stdbool.h>
#include <stdint.h>

#define GATE_BREAKERS 2 /* the target's or rule's, and the endpoint's */

struct gate { /* what one attempt has to pass; NULL = no such limiter */
    struct breaker *breakers[GATE_BREAKERS];
    struct token_bucket *bucket;
    enum policy_mode bucket_mode;
    struct bulkhead *bulkhead;
    enum policy_mode bulkhead_mode;
};

struct gate_question {
    enum bulkhead_slot slot; /* BULKHEAD_ATTEMPT or BULKHEAD_CONNECTION */
    bool may_probe;          /* first attempts only */
    uint64_t tokens_promised; /* to those who wait in line before this one; a token beyond them is wanted */
    bool is_slot_promised;   /* somebody waits for a slot before this one: there is no room for a newcomer */
};

struct gate_verdict {
    bool may_pass;
    enum reason reason;     /* CIRCUIT_OPEN, RATE_LIMITED, BULKHEAD_FULL; the caller may turn the last two into a wait */
    mono_ns not_before;     /* when that limiter may agree; MONO_NEVER when no time is known */
    uint32_t shadow_refusals; /* mask of 1 << enum policy_family: shadow limiters that would have refused */
};

struct permit {
    struct breaker *breakers[GATE_BREAKERS];
    struct breaker_pass passes[GATE_BREAKERS];
    struct bulkhead *bulkhead;
    enum bulkhead_slot slot;
    bool is_live;     /* granted and not released */
    bool is_judged;
};

struct gate_verdict gate_ask(const struct gate *gate, const struct gate_question *question, mono_ns now);

void gate_note_refusal(const struct gate *gate, const struct gate_verdict *verdict, mono_ns now);
/* Tell the breakers of a call that they refused (for the ramp's credit). */

void gate_take(const struct gate *gate, const struct gate_question *question, struct permit *permit, mono_ns now);
/* Only after a passing gate_ask of the same question at the same `now`. Fills `permit`. */

bool permit_is_probe(const struct permit *permit);

void permit_add_breaker(struct permit *permit, struct breaker *breaker, mono_ns now);
/* An endpoint that was chosen after the gate (its name had to be resolved first): its breaker joins, if it would pass. */

void permit_judge(struct permit *permit, enum judgement judgement, bool is_slow, dur_ns retry_after, struct rng *rng,
                  mono_ns now);
/* Once per live permit (INVARIANT). */

void permit_expire_probe(struct permit *permit, struct rng *rng, mono_ns now);
/* The probe's lease ran out: judged as a failed probe. Once, instead of permit_judge. */

bool permit_move_to_stream(struct permit *permit);
/* After 60 s: the attempt slot becomes a stream slot; false when maxStreams is full (the slot then stays). */

void permit_move_to_connection(struct permit *permit);
/* After 101: counts in maxConnections instead, even above its limit (it is open already). */

void permit_release(struct permit *permit, mono_ns now);
/* Gives the slot back; INVARIANT: live and judged. */

#endif
