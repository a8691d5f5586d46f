/* retry_budget.c - see retry_budget.h.
 *   INVARIANT: the head bucket is the one in which the newest event fell; the 19 before it and the
 * head lie within the interval and are asked for firsts; with the one that is leaving they cover
 * the interval and are asked for retries. */
#include "policy/retry_budget.h"

__extension__ typedef unsigned __int128 wide;

#define INSIDE (RETRY_BUDGET_BUCKETS - 1)

static mono_ns end_of_bucket(const struct retry_budget *budget, mono_ns now)
{
    return mono_add(now - now % budget->bucket_length, budget->bucket_length);
}

static void set_numbers(struct retry_budget *budget, const struct retry_budget_config *cfg)
{
    budget->cfg = *cfg;
    budget->bucket_length = dur_max(1, cfg->interval / INSIDE + (cfg->interval % INSIDE != 0));
    budget->least = 0;
    if (cfg->min_interval > 0) {
        const wide least = (wide)cfg->min_count * (wide)cfg->interval / (wide)cfg->min_interval;
        budget->least = least < UINT64_MAX ? (uint64_t)least : UINT64_MAX - 1;
    }
}

static void empty(struct retry_budget *budget)
{
    for (int i = 0; i < RETRY_BUDGET_BUCKETS; i++) {
        budget->buckets[i].firsts = 0;
        budget->buckets[i].retries = 0;
    }
}

void retry_budget_init(struct retry_budget *budget, const struct retry_budget_config *cfg,
                       mono_ns now)
{
    set_numbers(budget, cfg);
    empty(budget);
    budget->head = 0;
    budget->head_ends = end_of_bucket(budget, now);
}

void retry_budget_configure(struct retry_budget *budget, const struct retry_budget_config *cfg,
                            mono_ns now)
{
    if (cfg->interval != budget->cfg.interval)
        retry_budget_init(budget, cfg, now);
    else
        set_numbers(budget, cfg);
}

/* A clock that goes back finds the head bucket still open. */
static void roll(struct retry_budget *budget, mono_ns now)
{
    const mono_ns ends = end_of_bucket(budget, now);
    int64_t steps = (ends - budget->head_ends) / budget->bucket_length;
    budget->head_ends = ends;
    if (steps >= RETRY_BUDGET_BUCKETS) {
        empty(budget);
        return;
    }
    for (; steps > 0; steps--) {
        budget->head = budget->head + 1 == RETRY_BUDGET_BUCKETS ? 0 : budget->head + 1;
        budget->buckets[budget->head].firsts = 0;
        budget->buckets[budget->head].retries = 0;
    }
}

static void count(uint32_t *counter)
{
    *counter += *counter < UINT32_MAX;
}

void retry_budget_note_first(struct retry_budget *budget, mono_ns now)
{
    if (now >= budget->head_ends)
        roll(budget, now);
    count(&budget->buckets[budget->head].firsts);
}

uint64_t retry_budget_available(struct retry_budget *budget, mono_ns now)
{
    if (budget->cfg.mode == POLICY_OFF)
        return UINT64_MAX;
    if (now >= budget->head_ends)
        roll(budget, now);
    const uint32_t leaving = budget->head + 1 == RETRY_BUDGET_BUCKETS ? 0 : budget->head + 1;
    uint64_t firsts = 0;
    uint64_t retries = 0;
    for (uint32_t i = 0; i < RETRY_BUDGET_BUCKETS; i++) {
        firsts += budget->buckets[i].firsts;
        retries += budget->buckets[i].retries;
    }
    firsts -= budget->buckets[leaving].firsts;
    const uint64_t share = firsts * budget->cfg.permille / 1000;
    const uint64_t allowed = share > budget->least ? share : budget->least;
    return allowed > retries ? allowed - retries : 0;
}

bool retry_budget_may_charge(struct retry_budget *budget, mono_ns now)
{
    return retry_budget_available(budget, now) > 0 || budget->cfg.mode == POLICY_SHADOW;
}

bool retry_budget_charge(struct retry_budget *budget, mono_ns now)
{
    if (!retry_budget_may_charge(budget, now))
        return false;
    if (now >= budget->head_ends)
        roll(budget, now);
    count(&budget->buckets[budget->head].retries);
    return true;
}
