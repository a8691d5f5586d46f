/* verdict.c - tables from ends to meanings. See verdict.h. */
#include "call/verdict.h"

#include "policy/deadline.h"

#define GRPC_DEADLINE_EXCEEDED 4

static bool is_callers_hurry(const struct call *call, mono_ns now)
{
    return call->head.grpc_status == GRPC_DEADLINE_EXCEEDED &&
           call->facts.caller_deadline != DUR_FOREVER &&
           !deadline_is_evidence(verdict_timeouts(call), mono_since(now, call->attempt_at));
}

enum judgement verdict_of_head(const struct call *call, mono_ns now)
{
    static const enum judgement judgements[OUTCOME_COUNT] = {
        [OUTCOME_SUCCESS] = JUDGED_SUCCESS,
        [OUTCOME_FAILURE] = JUDGED_FAILURE,
        [OUTCOME_THROTTLED] = JUDGED_THROTTLED,
    };
    return is_callers_hurry(call, now) ? JUDGED_NOT : judgements[call->head.outcome];
}

/* Of a failure that belongs to no group of `retry.on`. */
static enum judgement of_ungrouped(enum reason reason, enum outcome *outcome)
{
    switch (reason) {
    case REASON_PROTOCOL_ERROR: *outcome = OUTCOME_FAILURE; return JUDGED_FAILURE;
    case REASON_IDLE_TIMEOUT:
    case REASON_REQUEST_TIMEOUT:
    case REASON_MAX_DURATION: *outcome = OUTCOME_TIMEOUT; return JUDGED_NOT;
    default: /* our own troubles, or the caller's */
        *outcome = OUTCOME_CANCELLED;
        return JUDGED_NOT;
    }
}

enum judgement verdict_of_failure(enum reason reason, enum outcome *outcome)
{
    switch (reason_group(reason)) {
    case REASON_GROUP_CONNECT_FAILURE: *outcome = OUTCOME_CONNECT_FAILURE; return JUDGED_FAILURE;
    case REASON_GROUP_TIMEOUT: *outcome = OUTCOME_TIMEOUT; return JUDGED_FAILURE;
    case REASON_GROUP_NONE: return of_ungrouped(reason, outcome);
    default: /* RESET, REFUSED_STREAM */ *outcome = OUTCOME_RESET; return JUDGED_FAILURE;
    }
}

const struct timeouts_config *verdict_timeouts(const struct call *call)
{
    static const struct timeouts_config none = {.mode = POLICY_OFF};
    const struct timeouts_config *cfg = &call->lane->policy->timeouts;
    return cfg->mode == POLICY_OFF ? &none : cfg;
}

mono_ns verdict_deadline(const struct call *call)
{
    return verdict_timeouts(call)->mode == POLICY_SHADOW ? MONO_NEVER
                                                         : deadline_of_call(&call->deadline);
}

static struct retry_facts facts_of(const struct call *call)
{
    const bool has_head = call->reason == REASON_NONE;
    return (struct retry_facts){
        .is_grpc = call->facts.is_grpc,
        .http_status = has_head ? call->head.status : 0,
        .grpc_status = has_head ? call->head.grpc_status : -1,
        .reason = call->reason,
        .is_method_listed = call->facts.is_method_listed,
        .is_exhausted_marked = has_head && call->head.is_exhausted_marked,
        .replay = call->engine->host->replay(call),
        .retries_made = call->retries_made,
        .retry_after = has_head ? call->head.retry_after : 0,
        .previous_delay = call->previous_delay,
        .deadline = verdict_deadline(call),
    };
}

/* Retries ended in failure: layers in front that trust the mark must not multiply them. A policy
 * without retries, or one that may not repeat this call, ended nothing. */
static bool is_end_of_retries(const struct retry_config *cfg, enum retry_skip skip)
{
    return cfg->attempts > 0 && skip != RETRY_SKIP_METHOD;
}

/* An answer that is good, or a failure that the policy does not name. */
static void not_wanted(struct call *call)
{
    if (call->reason == REASON_NONE && call->head.outcome == OUTCOME_SUCCESS)
        return;
    const bool is_without_endpoint = call->reason == REASON_NO_ENDPOINT;
    call->engine->host->on_retry_skipped(call, is_without_endpoint ? RETRY_SKIP_NO_ENDPOINT
                                                                   : RETRY_SKIP_NOT_RETRYABLE);
    call->is_exhausted = call->retries_made > 0;
}

bool verdict_retry(struct call *call, mono_ns now)
{
    const struct retry_config *cfg = &call->lane->policy->retry;
    if (cfg->mode == POLICY_OFF)
        return false;
    const struct retry_facts facts = facts_of(call);
    enum retry_cause cause;
    if (!retry_is_wanted(cfg, &facts, &cause)) {
        not_wanted(call);
        return false;
    }
    const struct retry_verdict verdict =
        retry_judge(cfg, &facts, &call->lane->target->budget, call->engine->rng, now);
    if (verdict.is_shadow) {
        call->engine->host->on_shadow(call, POLICY_FAMILY_RETRY, retry_cause_word(cause));
        return false;
    }
    if (!verdict.may_retry) {
        call->engine->host->on_retry_skipped(call, verdict.skip);
        call->is_exhausted = is_end_of_retries(cfg, verdict.skip);
        return false;
    }
    call->retry_cause = verdict.cause;
    call->previous_delay = verdict.delay;
    call->not_before = verdict.not_before;
    return true;
}

enum policy_family verdict_family(enum reason refusal)
{
    switch (refusal) {
    case REASON_CIRCUIT_OPEN: return POLICY_FAMILY_CIRCUIT_BREAKER;
    case REASON_RATE_LIMITED: return POLICY_FAMILY_RATE_LIMIT;
    case REASON_REQUEST_TIMEOUT: return POLICY_FAMILY_TIMEOUTS;
    default: /* BULKHEAD_FULL, QUEUE_TIMEOUT */ return POLICY_FAMILY_BULKHEAD;
    }
}

enum retry_skip verdict_skip(enum reason refusal)
{
    switch (refusal) {
    case REASON_RATE_LIMITED: return RETRY_SKIP_RATE_LIMITED;
    case REASON_BULKHEAD_FULL: return RETRY_SKIP_BULKHEAD_FULL;
    default: return RETRY_SKIP_CIRCUIT_OPEN;
    }
}

static enum fate fate_of_reason(const struct call *call)
{
    switch (call->reason) {
    case REASON_CIRCUIT_OPEN: return FATE_CIRCUIT_OPEN;
    case REASON_BULKHEAD_FULL: return FATE_BULKHEAD_FULL;
    case REASON_QUEUE_TIMEOUT: return FATE_QUEUE_TIMEOUT;
    case REASON_RATE_LIMITED: return FATE_RATE_LIMITED;
    case REASON_REQUEST_TIMEOUT:
    case REASON_ATTEMPT_TIMEOUT:
    case REASON_IDLE_TIMEOUT:
    case REASON_MAX_DURATION: return FATE_TIMEOUT;
    default: return call->retries_made > 0 ? FATE_FAILURE_AFTER_RETRY : FATE_FAILURE;
    }
}

enum fate verdict_fate(const struct call *call)
{
    if (call->is_cancelled)
        return FATE_CANCELLED;
    if (call->reason != REASON_NONE && !call->has_kept_head)
        return fate_of_reason(call);
    if (call->head.outcome == OUTCOME_SUCCESS)
        return call->retries_made > 0 ? FATE_SUCCESS_AFTER_RETRY : FATE_SUCCESS;
    return call->retries_made > 0 ? FATE_FAILURE_AFTER_RETRY : FATE_FAILURE;
}
