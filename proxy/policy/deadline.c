/* deadline.c - see deadline.h. */
#include "policy/deadline.h"

#define EVIDENCE_AFTER                                                                             \
    NS_PER_S /* POLICY section 2: a timeout of at least this long proves something */
#define CANCEL_THRESHOLD                                                                           \
    NS_PER_S /* POLICY section 2: where neither slowCalls nor backendRequest is on */

static dur_ns limit_or_forever(dur_ns limit)
{
    return limit > 0 ? limit : DUR_FOREVER;
}

/* What time the call's clock shows: it stands still in a pause. */
static mono_ns clock_of(const struct deadline *deadline, mono_ns now)
{
    return mono_min(now, deadline->paused_at);
}

void deadline_init(struct deadline *deadline, dur_ns request, dur_ns from_caller, mono_ns now)
{
    deadline->call_at = mono_add(now, dur_min(limit_or_forever(request), from_caller));
    deadline->attempt_at = MONO_NEVER;
    deadline->connect_at = MONO_NEVER;
    deadline->paused_at = MONO_NEVER;
    deadline->fixed_at = MONO_NEVER;
}

void deadline_fix(struct deadline *deadline, mono_ns at)
{
    deadline->fixed_at = at;
}

void deadline_start_attempt(struct deadline *deadline, const struct timeouts_config *cfg,
                            mono_ns now)
{
    const mono_ns ends = mono_add(clock_of(deadline, now), limit_or_forever(cfg->backend_request));
    deadline->attempt_at = mono_min(ends, deadline->call_at);
    deadline_reconnect(deadline, cfg, now);
}

void deadline_reconnect(struct deadline *deadline, const struct timeouts_config *cfg, mono_ns now)
{
    const mono_ns ends = mono_add(clock_of(deadline, now), limit_or_forever(cfg->connect));
    deadline->connect_at = mono_min(ends, deadline->attempt_at);
}

void deadline_connected(struct deadline *deadline)
{
    deadline->connect_at = MONO_NEVER;
}

/* A time that was cut short by the one that goes, goes with it. */
static void drop(mono_ns *at, mono_ns *shorter)
{
    if (*shorter >= *at)
        *shorter = MONO_NEVER;
    *at = MONO_NEVER;
}

void deadline_forget(struct deadline *deadline, enum reason reason)
{
    if (reason == REASON_REQUEST_TIMEOUT) {
        if (deadline->connect_at >= deadline->call_at)
            deadline->connect_at = MONO_NEVER;
        drop(&deadline->call_at, &deadline->attempt_at);
        deadline->fixed_at = MONO_NEVER;
    } else if (reason == REASON_ATTEMPT_TIMEOUT) {
        drop(&deadline->attempt_at, &deadline->connect_at);
    } else {
        deadline->connect_at = MONO_NEVER;
    }
}

void deadline_end_attempt(struct deadline *deadline)
{
    deadline->attempt_at = MONO_NEVER;
    deadline->connect_at = MONO_NEVER;
}

void deadline_pause(struct deadline *deadline, mono_ns now)
{
    if (deadline->paused_at == MONO_NEVER)
        deadline->paused_at = now;
}

void deadline_resume(struct deadline *deadline, mono_ns now)
{
    const dur_ns stood = mono_since(now, deadline->paused_at);
    deadline->call_at = mono_add(deadline->call_at, stood);
    deadline->attempt_at = mono_add(deadline->attempt_at, stood);
    deadline->connect_at = mono_add(deadline->connect_at, stood);
    deadline->paused_at = MONO_NEVER;
}

dur_ns deadline_left(const struct deadline *deadline, mono_ns now)
{
    return dur_min(mono_until(clock_of(deadline, now), deadline->call_at),
                   mono_until(now, deadline->fixed_at));
}

mono_ns deadline_of_call(const struct deadline *deadline)
{
    return mono_min(deadline->call_at, deadline->fixed_at);
}

dur_ns deadline_attempt_left(const struct deadline *deadline, mono_ns now)
{
    return mono_until(now, mono_min(deadline->attempt_at, deadline->fixed_at));
}

mono_ns deadline_next(const struct deadline *deadline)
{
    if (deadline->paused_at != MONO_NEVER)
        return deadline->fixed_at;
    return mono_min(deadline_of_call(deadline),
                    mono_min(deadline->attempt_at, deadline->connect_at));
}

enum reason deadline_expired(const struct deadline *deadline, mono_ns now)
{
    const mono_ns clock = clock_of(deadline, now);
    if (clock >= deadline->call_at || now >= deadline->fixed_at)
        return REASON_REQUEST_TIMEOUT;
    if (clock >= deadline->attempt_at)
        return REASON_ATTEMPT_TIMEOUT;
    if (clock >= deadline->connect_at)
        return REASON_CONNECT_TIMEOUT;
    return REASON_NONE;
}

bool deadline_is_evidence(const struct timeouts_config *cfg, dur_ns attempt_ran)
{
    return attempt_ran >= dur_min(limit_or_forever(cfg->backend_request), EVIDENCE_AFTER);
}

dur_ns deadline_cancel_threshold(const struct timeouts_config *cfg, dur_ns slow_longer_than)
{
    const dur_ns half = limit_or_forever(cfg->backend_request / 2);
    const dur_ns least = dur_min(limit_or_forever(slow_longer_than), half);
    return least < DUR_FOREVER ? least : CANCEL_THRESHOLD;
}
