/* retry.c - see retry.h. Questions are asked from the cheapest "no" to the one that costs. */
#include "policy/retry.h"

static bool is_head_wanted(const struct retry_config *cfg, const struct retry_facts *facts,
                           enum retry_cause *cause)
{
    const bool is_named = facts->is_grpc ? code_set_has_grpc(&cfg->codes, facts->grpc_status)
                                         : code_set_has_http(&cfg->codes, facts->http_status);
    if (is_named)
        *cause = facts->is_grpc ? RETRY_CAUSE_GRPC_CODE : RETRY_CAUSE_CODE;
    return is_named;
}

static enum retry_cause cause_of_group(enum reason_group group)
{
    switch (group) {
    case REASON_GROUP_CONNECT_FAILURE: return RETRY_CAUSE_CONNECT_FAILURE;
    case REASON_GROUP_REFUSED_STREAM: return RETRY_CAUSE_REFUSED_STREAM;
    case REASON_GROUP_TIMEOUT: return RETRY_CAUSE_TIMEOUT;
    default: return RETRY_CAUSE_RESET;
    }
}

bool retry_is_wanted(const struct retry_config *cfg, const struct retry_facts *facts,
                     enum retry_cause *cause)
{
    if (cfg->mode == POLICY_OFF)
        return false;
    if (facts->reason == REASON_NONE)
        return is_head_wanted(cfg, facts, cause);
    const enum reason_group group = reason_group(facts->reason);
    if (!(cfg->on & group))
        return false;
    *cause = cause_of_group(group);
    return true;
}

static struct retry_verdict no(enum retry_skip skip)
{
    return (struct retry_verdict){.skip = skip, .not_before = MONO_NEVER};
}

/* The questions about the call itself, in order; RETRY_SKIP_COUNT when none says no. */
static enum retry_skip skip_of_call(const struct retry_config *cfg, const struct retry_facts *facts,
                                    enum retry_cause *cause)
{
    static const enum retry_skip of_replay[] = {
        [REPLAY_OK] = RETRY_SKIP_COUNT,
        [REPLAY_COMMITTED] = RETRY_SKIP_COMMITTED,
        [REPLAY_BODY_TOO_LARGE] = RETRY_SKIP_BODY_TOO_LARGE,
        [REPLAY_POOL_EMPTY] = RETRY_SKIP_REPLAY_POOL,
    };
    if (facts->is_exhausted_marked && cfg->trusts_upstream_marks)
        return RETRY_SKIP_EXHAUSTED_UPSTREAM;
    if (!retry_is_wanted(cfg, facts, cause))
        return RETRY_SKIP_NOT_RETRYABLE;
    if (!facts->is_method_listed && !facts->is_grpc)
        return RETRY_SKIP_METHOD;
    if (facts->replay != REPLAY_OK)
        return of_replay[facts->replay];
    if (facts->retries_made >= cfg->attempts)
        return RETRY_SKIP_ATTEMPTS;
    /* "do not" (DUR_FOREVER) is longer than any maximum that means something */
    if (facts->retry_after > cfg->max_retry_after || facts->retry_after == DUR_FOREVER)
        return RETRY_SKIP_RETRY_AFTER;
    return RETRY_SKIP_COUNT;
}

struct retry_verdict retry_judge(const struct retry_config *cfg, const struct retry_facts *facts,
                                 struct retry_budget *budget, struct rng *rng, mono_ns now)
{
    enum retry_cause cause = RETRY_CAUSE_COUNT;
    const enum retry_skip skip = skip_of_call(cfg, facts, &cause);
    if (skip != RETRY_SKIP_COUNT)
        return no(skip);
    const dur_ns delay =
        backoff_delay(&cfg->backoff, facts->retries_made, facts->previous_delay, rng);
    const mono_ns not_before = mono_add(now, dur_max(delay, facts->retry_after));
    if (not_before >= facts->deadline && facts->deadline != MONO_NEVER)
        return no(RETRY_SKIP_DEADLINE);
    const bool is_shadow = cfg->mode == POLICY_SHADOW;
    if (budget != NULL &&
        !(is_shadow ? retry_budget_may_charge(budget, now) : retry_budget_charge(budget, now)))
        return no(RETRY_SKIP_BUDGET);
    return (struct retry_verdict){.may_retry = !is_shadow,
                                  .is_shadow = is_shadow,
                                  .skip = RETRY_SKIP_NOT_RETRYABLE,
                                  .cause = cause,
                                  .delay = delay,
                                  .not_before = not_before};
}
