/* retry_budget.h - retries may add at most a share to the load, whatever happens (SRE book, "Handling Overload"; GEP-3388).
 *
 * In the last `interval`, at most max(percent x first attempts admitted by the gate, minRetryRate x interval) retries.
 * Kept in a ring of buckets such that the bound is never exceeded: firsts are counted over at most the interval,
 * retries over at least the interval. Charged when decided, never refunded. Pure, single-threaded. */
#ifndef OUTRIGGER_POLICY_RETRY_BUDGET_H
#define OUTRIGGER_POLICY_RETRY_BUDGET_H

#include "base/mono.h"
#include "policy/mode.h"

#include <stdbool.h>
#include <stdint.h>

#define RETRY_BUDGET_BUCKETS 21 /* 20 over the interval and one that is leaving */

struct retry_budget_config {
    enum policy_mode mode; /* OFF removes the cap; SHADOW only counts */
    uint32_t permille;     /* percent x 10 */
    dur_ns interval;
    uint64_t min_count; /* minRetryRate: this many ... */
    dur_ns min_interval; /* ... per this long */
};

struct retry_budget {
    struct retry_budget_config cfg;
    int64_t head_epoch;
    struct {
        uint32_t firsts;
        uint32_t retries;
    } buckets[RETRY_BUDGET_BUCKETS];
};

void retry_budget_init(struct retry_budget *budget, const struct retry_budget_config *cfg, mono_ns now);
void retry_budget_configure(struct retry_budget *budget, const struct retry_budget_config *cfg, mono_ns now);
/* A changed interval starts empty; other numbers apply to what was counted. */

void retry_budget_note_first(struct retry_budget *budget, mono_ns now);
uint64_t retry_budget_available(struct retry_budget *budget, mono_ns now);
/* How many retries it would allow now; UINT64_MAX with mode OFF. */

bool retry_budget_charge(struct retry_budget *budget, mono_ns now);
/* Takes one retry if the budget allows it; false, and nothing taken, if not. */

#endif
