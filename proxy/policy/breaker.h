/* breaker.h - stop calling a target that keeps failing, and find out gently when it is back.
 *
 * CLOSED passes; OPEN refuses until reopen_at; HALF_OPEN lets at most half_open_requests probes in
 * all through (one that proves nothing is given back). It trips on consecutive failures, failure
 * rate or slow-call rate. OPEN -> HALF_OPEN happens in breaker_tick, on a timer that the owner arms
 * for breaker_next_tick, so the gauge of an idle breaker is true.
 * Example: consecutive_failures = 3, open_for = 5 s: three failures at t = 10 s open it; at 14.9 s
 * it refuses with not_before = 15 s; at 15 s probes pass; one failing probe reopens it for 10 s;
 * when all succeed it closes, empty.
 *
 * Ownership: a plain value with a life; the config is copied in; the observer is borrowed. Passes
 * may outlive a move: results of an earlier generation are ignored. Units: ns, permille.
 * Modes are the gate's business, except FORCE_OPEN: a breaker in shadow moves as any other.
 * Pure: no clock, no allocation, no log; single-threaded. Taking without a passing peek is our bug
 * (INVARIANT). Follows Resilience4j (states, slow calls), gobreaker (generation), linkerd. */
#ifndef OUTRIGGER_POLICY_BREAKER_H
#define OUTRIGGER_POLICY_BREAKER_H

#include "base/codes.h"
#include "base/mono.h"
#include "base/rng.h"
#include "policy/mode.h"
#include "policy/window.h"

#include <stdbool.h>
#include <stdint.h>

#define BREAKER_DEFAULT_WINDOW (10 * NS_PER_S) /* POLICY section 3; where `window` is 0 */

enum breaker_scope { BREAKER_SCOPE_TARGET = 0, BREAKER_SCOPE_ENDPOINT };

struct breaker_config {
    enum policy_mode mode;
    uint32_t consecutive_failures; /* 0 = off */
    uint32_t failure_permille;     /* 0 = off */
    dur_ns window;                 /* time window (0: BREAKER_DEFAULT_WINDOW) ... */
    uint32_t window_calls;         /* ... or this many calls when > 0 */
    uint32_t min_requests;
    uint32_t slow_permille; /* 0 = off */
    dur_ns slow_longer_than;
    dur_ns open_for;
    dur_ns max_open_for; /* of doubling and Retry-After: an upstream cannot shut itself away */
    uint32_t open_jitter_permille;
    uint32_t half_open_requests; /* 0 counts as 1 */
    dur_ns ramp_up;              /* 0 = off */
    enum breaker_scope scope;
    bool throttled_is_failure;
    struct code_set failure_codes; /* for whoever judges; the breaker itself never looks */
};

#define BREAKER_STATE_LIST(X)                                                                      \
    X(CLOSED, closed)           /* passes; counts in the window; leaves by a trip */               \
    X(OPEN, open)               /* refuses; reopen_at is set; leaves by breaker_tick */            \
    X(HALF_OPEN, half_open)     /* lets probes through; leaves by their results or leases */       \
    X(FORCED_OPEN, forced_open) /* refuses until an operator or the config says otherwise */       \
    X(DISABLED, disabled)       /* passes, counts nothing; operator only */

enum breaker_state {
#define X(name, word) BREAKER_##name,
    BREAKER_STATE_LIST(X)
#undef X
        BREAKER_STATE_COUNT
};

/* Why it moved: the label `reason` of the transitions metric. */
#define BREAKER_CAUSE_LIST(X)                                                                      \
    X(NONE, none)                                                                                  \
    X(CONSECUTIVE_FAILURES, consecutive_failures)                                                  \
    X(FAILURE_RATE, failure_rate)                                                                  \
    X(SLOW_CALLS, slow_calls)                                                                      \
    X(OPEN_FOR_ELAPSED, open_for_elapsed)                                                          \
    X(PROBES_SUCCEEDED, probes_succeeded)                                                          \
    X(PROBE_FAILED, probe_failed)                                                                  \
    X(PROBE_EXPIRED, probe_expired)                                                                \
    X(PROBE_THROTTLED, probe_throttled)                                                            \
    X(OPERATOR, operator)                                                                          \
    X(CONFIG, config)

enum breaker_cause {
#define X(name, word) BREAKER_CAUSE_##name,
    BREAKER_CAUSE_LIST(X)
#undef X
        BREAKER_CAUSE_COUNT
};

/* What one attempt proved. Cancelled-while-slow is SLOW_CANCEL: slow, not a success, leaves the
 * consecutive count alone, fails a probe. JUDGED_NOT gives a probe back. */
enum judgement { JUDGED_SUCCESS, JUDGED_FAILURE, JUDGED_THROTTLED, JUDGED_SLOW_CANCEL, JUDGED_NOT };

struct breaker_transition {
    enum breaker_state from;
    enum breaker_state to;
    enum breaker_cause cause;
    mono_ns at;
    dur_ns open_for;             /* when `to` is OPEN: jitter and Retry-After included */
    struct window_counts window; /* at the moment of the trip */
    uint32_t consecutive;
};

struct breaker;
typedef void (*breaker_observer)(struct breaker *breaker,
                                 const struct breaker_transition *transition, void *context);

struct breaker {
    uint32_t magic;
    struct breaker_config cfg;
    enum breaker_state state;
    uint32_t generation; /* grows with every transition; a permit of an older one is not counted */
    uint32_t consecutive;
    uint32_t open_count; /* n of openFor x 2^n; 0 after closing */
    mono_ns reopen_at;   /* when OPEN */
    mono_ns closed_at;   /* start of the ramp; MONO_NEVER: no ramp */
    mono_ns entered_at;  /* of the present state */
    uint32_t ramp_credit_permille;
    uint32_t probes_admitted;
    uint32_t probes_succeeded;
    bool is_held;      /* it must not trip now: see breaker_hold */
    uint32_t held;     /* how often it would have */
    dur_ns open_total; /* time spent OPEN or FORCED_OPEN before entered_at */
    struct window window;
    struct breaker_transition last;
    breaker_observer observer; /* called inside the transition; must not call back; may be NULL */
    void *observer_context;
};

struct breaker_verdict {
    bool may_pass;
    bool is_probe;      /* passing, it would be one of the probes */
    mono_ns not_before; /* refused: when it may be worth asking again; MONO_NEVER if unknown */
};

struct breaker_pass { /* what breaker_take hands out and breaker_judge wants back */
    uint32_t generation;
    bool is_probe;
};

void breaker_init(struct breaker *breaker, const struct breaker_config *cfg, mono_ns now);
/* CLOSED, or FORCED_OPEN when cfg says forceOpen. */

void breaker_observe(struct breaker *breaker, breaker_observer observer, void *context);
/* Who is told of every move from now on; NULL for nobody. */

void breaker_configure(struct breaker *breaker, const struct breaker_config *cfg, mono_ns now);
/* New numbers on a live breaker: OPEN stays OPEN until its reopen_at; the window is emptied only if
 * its shape changed; forceOpen coming or going moves the state (cause CONFIG); HALF_OPEN closes if
 * as many probes have succeeded as are wanted now. */

struct breaker_verdict breaker_peek(const struct breaker *breaker, bool may_probe, mono_ns now);
/* Would an attempt pass at `now`? Changes nothing. In HALF_OPEN only if may_probe and a probe is
 * left. In the ramp the share that passes grows linearly from 0 to 1 over ramp_up, by credit, so
 * exactly, not by chance: every call earns the present share, and one that has a whole passes. */

struct breaker_pass breaker_take(struct breaker *breaker, mono_ns now);
/* Counts one admitted attempt. Only after a passing breaker_peek at the same `now` (INVARIANT). The
 * pass must be judged, once. */

void breaker_note_refusal(struct breaker *breaker, mono_ns now);
/* A call was refused by the ramp: earns the credit by which a later one passes. Harmless in other
 * states. */

void breaker_judge(struct breaker *breaker, struct breaker_pass pass, enum judgement judgement,
                   bool is_slow, dur_ns retry_after, struct rng *rng, mono_ns now);
/* The one verdict on an admitted attempt. `retry_after` (0 = none) may lengthen the open time, up
 * to max_open_for; for a throttled probe: max(open_for, retry_after), no doubling. `rng` is used by
 * the jitter of the open time only. */

static inline void breaker_hold(struct breaker *breaker, bool is_held)
{
    breaker->is_held = is_held;
}
/* While it is held it does not trip, goes on counting and notes in `held` that it would have: for
 * one of many, of which too many are open. What is open stays so. */

void breaker_probe_expired(struct breaker *breaker, struct breaker_pass pass, struct rng *rng,
                           mono_ns now);
/* The lease of a probe ran out: a failure, cause PROBE_EXPIRED. Ignored for what is no probe of the
 * present generation. */

mono_ns breaker_next_tick(const struct breaker *breaker);
/* When breaker_tick has something to do; MONO_NEVER if it has not. */

void breaker_tick(struct breaker *breaker, mono_ns now);
/* OPEN -> HALF_OPEN when reopen_at has come. Harmless early. */

void breaker_force(struct breaker *breaker, enum breaker_state state, mono_ns now);
/* An operator's word: FORCED_OPEN, CLOSED or DISABLED (INVARIANT). CLOSED in CLOSED is a reset: an
 * empty window and a new generation, no transition. Closing from a state that refused ramps up. */

dur_ns breaker_open_time(const struct breaker *breaker, mono_ns now);
/* Total time spent OPEN or FORCED_OPEN. */

const char *breaker_state_word(enum breaker_state state);
/* "half_open": the label `state` of the metrics. */

const char *breaker_cause_word(enum breaker_cause cause);
/* "failure_rate": the label `reason` of the transitions metric. */

#endif
