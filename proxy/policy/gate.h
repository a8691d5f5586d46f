/* gate.h - one door in front of an attempt: circuit breaker, rate limit, bulkhead, asked together.
 *
 * gate_ask asks every limiter and changes nothing; gate_take takes from all of them. A refusal by
 * one therefore never costs a token, a slot or a probe of another, and there is no roll-back code.
 * Where several refuse, the first of circuit_open, rate_limited, bulkhead_full is named. A shadow
 * limiter never vetoes; it takes only when the enforcing ones agree and it would have agreed
 * itself, so it never goes negative; a shadow breaker that would have refused sees nothing of the
 * attempt.
 * Example: verdict = gate_ask(&gate, &question, now); if it may pass: gate_take(&gate, &question,
 * &permit, now); at the response head permit_judge(&permit, JUDGED_SUCCESS, false, 0, rng, then);
 * at the response's end permit_release(&permit, later).
 *
 * A permit is a lease with two ends, each settled exactly once (INVARIANT): permit_judge (what the
 * attempt proved) and permit_release (the slot; when the upstream work has really ended). A permit
 * of an instance outlives reloads; the owner of the limiters keeps them alive while permits are
 * out. Pure, single-threaded; a refusal is an answer with a reason, not an error. */
#ifndef OUTRIGGER_POLICY_GATE_H
#define OUTRIGGER_POLICY_GATE_H

#include "base/reason.h"
#include "policy/breaker.h"
#include "policy/bulkhead.h"
#include "policy/token_bucket.h"

#include <stdbool.h>
#include <stdint.h>

#define GATE_BREAKERS                                                                              \
    2 /* the circuit breaker's, and the one that judges the endpoint (outlier)                     \
       */

struct gate { /* what one attempt has to pass; NULL, or mode OFF = no such limiter */
    struct breaker *breakers[GATE_BREAKERS];
    struct token_bucket *bucket;
    enum policy_mode bucket_mode;
    struct bulkhead *bulkhead;
    enum policy_mode bulkhead_mode;
};

struct gate_question {
    enum bulkhead_slot slot;  /* BULKHEAD_ATTEMPT or BULKHEAD_CONNECTION */
    bool may_probe;           /* first attempts only */
    uint64_t tokens_promised; /* to those before it in line: it asks for the place behind them */
    bool is_slot_promised;    /* somebody waits for a slot before it: no room for a newcomer */
};

struct gate_verdict {
    bool may_pass;
    enum reason reason;         /* who refused; the caller may turn the last two into a wait */
    mono_ns not_before;         /* when that one may agree; MONO_NEVER: no time is known */
    uint32_t shadow_refusals;   /* shadows that would have: mask of 1 << enum policy_family */
    uint32_t refusing_breakers; /* enforcing ones that did: mask of 1 << index in gate.breakers */
};

struct permit {
    struct breaker *breakers[GATE_BREAKERS];
    struct breaker_pass passes[GATE_BREAKERS];
    struct bulkhead *bulkhead;
    enum bulkhead_slot slot;
    bool is_live; /* granted and not released */
    bool is_judged;
    bool may_probe; /* as the question said; for a breaker that joins later */
};

struct gate_verdict gate_ask(const struct gate *gate, const struct gate_question *question,
                             mono_ns now);
/* Would all of them let this attempt pass at `now`? Changes nothing. */

void gate_note_refusal(const struct gate *gate, const struct gate_verdict *verdict, mono_ns now);
/* Tells the breakers that refused that the call is not made after all (for the ramp's credit). Once
 * per refused call, with the verdict of gate_ask at the same `now`. */

void gate_take(const struct gate *gate, const struct gate_question *question, struct permit *permit,
               mono_ns now);
/* Only after a passing gate_ask of the same question at the same `now` (INVARIANT). Fills it. */

bool permit_is_probe(const struct permit *permit);
/* Is it a probe of one of its breakers? It then has a lease: see permit_expire_probe. */

void permit_add_breaker(struct permit *permit, struct breaker *breaker, mono_ns now);
/* An endpoint that was chosen after the gate (its name had to be resolved first): its breaker
 * joins, if it would pass. Before permit_judge (INVARIANT). One beyond GATE_BREAKERS is told
 * nothing: a reload that turns the circuit breaker of a target into one of its endpoints leaves the
 * attempts of that moment with both. */

void permit_drop_breaker(struct permit *permit, struct breaker *breaker, struct rng *rng,
                         mono_ns now);
/* The attempt went to another endpoint: this one's breaker learns that it proved nothing, and hears
 * no more. Before permit_judge (INVARIANT). Harmless where it is none of the permit's. */

void permit_judge(struct permit *permit, enum judgement judgement, bool is_slow, dur_ns retry_after,
                  struct rng *rng, mono_ns now);
/* What the attempt proved, to all its breakers. Once per live permit (INVARIANT). */

void permit_expire_probe(struct permit *permit, struct rng *rng, mono_ns now);
/* The probe's lease ran out: a failed probe to the breakers that it probes for; to another one it
 * proved nothing. Once, instead of permit_judge (INVARIANT). */

bool permit_move_to_stream(struct permit *permit);
/* After 60 s: the attempt slot becomes a stream slot. False when no attempt slot was freed by that:
 * maxStreams is full (the slot then stays), or the permit holds none. */

void permit_move_to_connection(struct permit *permit);
/* After 101: counts in maxConnections instead, even above its limit (it is open already). */

void permit_release(struct permit *permit, mono_ns now);
/* Gives the slot back; INVARIANT: live and judged. */

#endif
