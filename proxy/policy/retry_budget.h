/* retry_budget.h - retries may add at most a share to the load, whatever happens (SRE book,
 * "Handling Overload"; GEP-3388).
 *
 * In the last `interval`, at most max(percent x first attempts admitted by the gate, minRetryRate x
 * interval) retries, each rounded down. Kept in a ring of buckets such that the bound is never
 * exceeded: firsts are counted over at most the interval (19/20 of it at least), retries over at
 * least the interval (21/20 at most). Charged when decided, never refunded.
 * Example: 20 %, 10 s, at least 1 per 1 s: 100 firsts in the last 10 s allow 20 retries in those
 * 10 s; no first at all still allows 10.
 * Units: permille, ns; an interval that is no multiple of 20 ns counts as the next one. Ownership:
 * a plain value, the config is copied in. Pure, single-threaded; a clock that goes back counts into
 * the newest bucket. */
#ifndef OUTRIGGER_POLICY_RETRY_BUDGET_H
#define OUTRIGGER_POLICY_RETRY_BUDGET_H

#include "base/mono.h"
#include "policy/mode.h"

#include <stdbool.h>
#include <stdint.h>

#define RETRY_BUDGET_BUCKETS 21 /* 20 over the interval and one that is leaving */

struct retry_budget_config {
    enum policy_mode mode; /* OFF removes the cap; SHADOW counts and never refuses */
    uint32_t permille;     /* percent x 10 */
    dur_ns interval;
    uint64_t min_count;  /* minRetryRate: this many ... */
    dur_ns min_interval; /* ... per this long */
};

struct retry_budget {
    struct retry_budget_config cfg;
    dur_ns bucket_length; /* interval / 20 */
    uint64_t least;       /* minRetryRate x interval */
    mono_ns head_ends;    /* when the newest bucket is over */
    uint32_t head;        /* index of the newest bucket; the one after it is the oldest */
    struct {
        uint32_t firsts;
        uint32_t retries;
    } buckets[RETRY_BUDGET_BUCKETS];
};

void retry_budget_init(struct retry_budget *budget, const struct retry_budget_config *cfg,
                       mono_ns now);
/* Nothing counted yet: only minRetryRate allows retries. */

void retry_budget_configure(struct retry_budget *budget, const struct retry_budget_config *cfg,
                            mono_ns now);
/* A changed interval starts empty; other numbers apply to what was counted. */

void retry_budget_note_first(struct retry_budget *budget, mono_ns now);
/* The gate has admitted the first attempt of a call. */

uint64_t retry_budget_available(struct retry_budget *budget, mono_ns now);
/* How many retries it would allow now; UINT64_MAX with mode OFF. With SHADOW: as if enforced. */

bool retry_budget_may_charge(struct retry_budget *budget, mono_ns now);
/* Would retry_budget_charge allow one at `now`? Takes nothing. */

bool retry_budget_charge(struct retry_budget *budget, mono_ns now);
/* Takes one retry if the budget allows it; false, and nothing taken, if not. */

#endif
