/* breaker.c - see breaker.h. breaker_move is the only writer of `state`.
 *   INVARIANT: generation grows with every move and every reset, so what a permit proves is counted
 * in the state that granted it. INVARIANT: in HALF_OPEN probes_succeeded <= probes_admitted <= the
 * largest half_open_requests of the episode, and probes_succeeded < half_open_requests. */
#include "policy/breaker.h"

#include "base/check.h"

#define BREAKER_MAGIC UINT32_C(0x42524b52)
#define LAST_DOUBLING 62 /* openFor x 2^62 is past every cap; a larger shift would overflow */
#define WHOLE_PERMILLE 1000

#define TO(state) (1u << BREAKER_##state)
static const unsigned legal_edges[BREAKER_STATE_COUNT] = {
    [BREAKER_CLOSED] = TO(OPEN) | TO(FORCED_OPEN) | TO(DISABLED),
    [BREAKER_OPEN] = TO(HALF_OPEN) | TO(CLOSED) | TO(FORCED_OPEN) | TO(DISABLED),
    [BREAKER_HALF_OPEN] = TO(CLOSED) | TO(OPEN) | TO(FORCED_OPEN) | TO(DISABLED),
    [BREAKER_FORCED_OPEN] = TO(CLOSED) | TO(DISABLED),
    [BREAKER_DISABLED] = TO(CLOSED) | TO(FORCED_OPEN),
};

static bool is_open(enum breaker_state state)
{
    return state == BREAKER_OPEN || state == BREAKER_FORCED_OPEN;
}

/* ---- numbers ---- */

static bool is_same_window(const struct breaker_config *a, const struct breaker_config *b)
{
    return a->window_calls == b->window_calls && (a->window_calls > 0 || a->window == b->window);
}

static void start_window(struct breaker *breaker, mono_ns now)
{
    const dur_ns span = breaker->cfg.window;
    window_init(&breaker->window, span > 0 ? span : BREAKER_DEFAULT_WINDOW,
                breaker->cfg.window_calls, now);
}

static uint32_t probes_wanted(const struct breaker *breaker)
{
    const uint32_t wanted = breaker->cfg.half_open_requests;
    return wanted > 0 ? wanted : 1;
}

static dur_ns with_jitter(const struct breaker *breaker, dur_ns open_for, struct rng *rng)
{
    const int64_t permille = breaker->cfg.open_jitter_permille;
    const dur_ns most = dur_min(dur_mul(open_for / WHOLE_PERMILLE, permille) +
                                    open_for % WHOLE_PERMILLE * permille / WHOLE_PERMILLE,
                                open_for);
    return dur_add(open_for - most, rng_between(rng, 0, dur_mul(most, 2)));
}

/* openFor x 2^n up to maxOpenFor, then the jitter, then what the response itself asked for, up to
 * maxOpenFor. */
static dur_ns open_time(const struct breaker *breaker, uint32_t doublings, dur_ns retry_after,
                        struct rng *rng)
{
    const struct breaker_config *cfg = &breaker->cfg;
    const dur_ns doubled = dur_mul(cfg->open_for, INT64_C(1) << doublings);
    const dur_ns ours = with_jitter(breaker, dur_min(doubled, cfg->max_open_for), rng);
    return dur_max(ours, dur_min(retry_after, cfg->max_open_for));
}

/* ---- the one writer ---- */

static void forget_calls(struct breaker *breaker, mono_ns now)
{
    window_clear(&breaker->window, now);
    breaker->consecutive = 0;
    breaker->open_count = 0;
    breaker->ramp_credit_permille = 0;
}

static void breaker_move(struct breaker *breaker, enum breaker_state to, enum breaker_cause cause,
                         dur_ns open_for, mono_ns now)
{
    const enum breaker_state from = breaker->state;
    INVARIANT(legal_edges[from] >> to & 1);
    breaker->last = (struct breaker_transition){
        .from = from,
        .to = to,
        .cause = cause,
        .at = now,
        .open_for = open_for,
        .window = window_counts(&breaker->window, now),
        .consecutive = breaker->consecutive,
    };
    breaker->open_total = breaker_open_time(breaker, now);
    breaker->state = to;
    breaker->generation++;
    breaker->entered_at = now;
    breaker->reopen_at = to == BREAKER_OPEN ? mono_add(now, open_for) : MONO_NEVER;
    breaker->closed_at = to == BREAKER_CLOSED && from != BREAKER_DISABLED ? now : MONO_NEVER;
    breaker->probes_admitted = 0;
    breaker->probes_succeeded = 0;
    if (to == BREAKER_CLOSED)
        forget_calls(breaker, now);
    if (breaker->observer != NULL)
        breaker->observer(breaker, &breaker->last, breaker->observer_context);
}

/* ---- life ---- */

void breaker_init(struct breaker *breaker, const struct breaker_config *cfg, mono_ns now)
{
    *breaker = (struct breaker){
        .magic = BREAKER_MAGIC,
        .cfg = *cfg,
        .state = cfg->mode == POLICY_FORCE_OPEN ? BREAKER_FORCED_OPEN : BREAKER_CLOSED,
        .reopen_at = MONO_NEVER,
        .closed_at = MONO_NEVER,
        .entered_at = now,
    };
    start_window(breaker, now);
}

void breaker_observe(struct breaker *breaker, breaker_observer observer, void *context)
{
    CHECK_OBJ(breaker, BREAKER_MAGIC);
    breaker->observer = observer;
    breaker->observer_context = context;
}

void breaker_configure(struct breaker *breaker, const struct breaker_config *cfg, mono_ns now)
{
    CHECK_OBJ(breaker, BREAKER_MAGIC);
    const bool was_forced = breaker->cfg.mode == POLICY_FORCE_OPEN;
    const bool is_forced = cfg->mode == POLICY_FORCE_OPEN;
    const bool is_kept = is_same_window(&breaker->cfg, cfg);
    breaker->cfg = *cfg;
    if (!is_kept)
        start_window(breaker, now);
    if (is_forced && !was_forced && breaker->state != BREAKER_FORCED_OPEN)
        breaker_move(breaker, BREAKER_FORCED_OPEN, BREAKER_CAUSE_CONFIG, 0, now);
    else if (was_forced && !is_forced && breaker->state == BREAKER_FORCED_OPEN)
        breaker_move(breaker, BREAKER_CLOSED, BREAKER_CAUSE_CONFIG, 0, now);
    if (breaker->probes_succeeded >= probes_wanted(breaker)) /* fewer are wanted than before */
        breaker_move(breaker, BREAKER_CLOSED, BREAKER_CAUSE_PROBES_SUCCEEDED, 0, now);
}

/* ---- admission ---- */

static dur_ns ramp_step(const struct breaker *breaker)
{
    return dur_max(breaker->cfg.ramp_up / WHOLE_PERMILLE, 1);
}

/* What one call earns at `now`; the whole when there is no ramp, or it is over. */
static uint32_t ramp_share(const struct breaker *breaker, mono_ns now)
{
    if (breaker->cfg.ramp_up == 0 || breaker->closed_at == MONO_NEVER)
        return WHOLE_PERMILLE;
    const dur_ns share = mono_since(now, breaker->closed_at) / ramp_step(breaker);
    return (uint32_t)dur_min(share, WHOLE_PERMILLE);
}

static struct breaker_verdict peek_closed(const struct breaker *breaker, mono_ns now)
{
    const uint32_t credit = breaker->ramp_credit_permille;
    if (credit + ramp_share(breaker, now) >= WHOLE_PERMILLE)
        return (struct breaker_verdict){true, false, now};
    const dur_ns wanted = dur_mul(ramp_step(breaker), WHOLE_PERMILLE - credit);
    return (struct breaker_verdict){false, false, mono_add(breaker->closed_at, wanted)};
}

struct breaker_verdict breaker_peek(const struct breaker *breaker, bool may_probe, mono_ns now)
{
    CHECK_OBJ(breaker, BREAKER_MAGIC);
    switch (breaker->state) {
    case BREAKER_CLOSED: return peek_closed(breaker, now);
    case BREAKER_DISABLED: return (struct breaker_verdict){true, false, now};
    case BREAKER_HALF_OPEN:
        if (may_probe && breaker->probes_admitted < probes_wanted(breaker))
            return (struct breaker_verdict){true, true, now};
        return (struct breaker_verdict){false, false, MONO_NEVER};
    default: /* OPEN, FORCED_OPEN */
        return (struct breaker_verdict){false, false, breaker->reopen_at};
    }
}

struct breaker_pass breaker_take(struct breaker *breaker, mono_ns now)
{
    const struct breaker_verdict verdict = breaker_peek(breaker, true, now);
    INVARIANT(verdict.may_pass);
    breaker->probes_admitted += verdict.is_probe;
    if (breaker->state == BREAKER_CLOSED) {
        const uint32_t share = ramp_share(breaker, now);
        breaker->ramp_credit_permille =
            share == WHOLE_PERMILLE ? 0 : breaker->ramp_credit_permille + share - WHOLE_PERMILLE;
    }
    return (struct breaker_pass){breaker->generation, verdict.is_probe};
}

void breaker_note_refusal(struct breaker *breaker, mono_ns now)
{
    CHECK_OBJ(breaker, BREAKER_MAGIC);
    if (breaker->state != BREAKER_CLOSED)
        return;
    const uint32_t credit = breaker->ramp_credit_permille + ramp_share(breaker, now);
    breaker->ramp_credit_permille = credit < WHOLE_PERMILLE ? credit : WHOLE_PERMILLE;
}

/* ---- judgement ---- */

static bool is_rate(uint32_t part, uint32_t calls, uint32_t permille)
{
    return permille > 0 && (uint64_t)part * WHOLE_PERMILLE >= (uint64_t)calls * permille;
}

static enum breaker_cause trip_cause(const struct breaker *breaker, bool is_failure)
{
    const struct breaker_config *cfg = &breaker->cfg;
    const struct window_counts *counts = &breaker->window.sum;
    if (is_failure && cfg->consecutive_failures > 0 &&
        breaker->consecutive >= cfg->consecutive_failures)
        return BREAKER_CAUSE_CONSECUTIVE_FAILURES;
    if (counts->calls < cfg->min_requests)
        return BREAKER_CAUSE_NONE;
    if (is_rate(counts->failures, counts->calls, cfg->failure_permille))
        return BREAKER_CAUSE_FAILURE_RATE;
    if (is_rate(counts->slow, counts->calls, cfg->slow_permille))
        return BREAKER_CAUSE_SLOW_CALLS;
    return BREAKER_CAUSE_NONE;
}

static void judge_call(struct breaker *breaker, enum judgement judgement, bool is_slow,
                       dur_ns retry_after, struct rng *rng, mono_ns now)
{
    const bool is_failure = judgement == JUDGED_FAILURE;
    if (judgement == JUDGED_NOT)
        return;
    if (judgement == JUDGED_SUCCESS)
        breaker->consecutive = 0;
    breaker->consecutive += is_failure && breaker->consecutive < UINT32_MAX;
    window_add(&breaker->window, is_failure, is_slow || judgement == JUDGED_SLOW_CANCEL, now);
    const enum breaker_cause cause = trip_cause(breaker, is_failure);
    if (cause == BREAKER_CAUSE_NONE)
        return;
    if (breaker->is_held)
        breaker->held++;
    else
        breaker_move(breaker, BREAKER_OPEN, cause, open_time(breaker, 0, retry_after, rng), now);
}

static void probe_failed(struct breaker *breaker, enum breaker_cause cause, dur_ns retry_after,
                         struct rng *rng, mono_ns now)
{
    breaker->open_count += breaker->open_count < LAST_DOUBLING;
    breaker_move(breaker, BREAKER_OPEN, cause,
                 open_time(breaker, breaker->open_count, retry_after, rng), now);
}

static void judge_probe(struct breaker *breaker, enum judgement judgement, dur_ns retry_after,
                        struct rng *rng, mono_ns now)
{
    switch (judgement) {
    case JUDGED_SUCCESS:
        if (++breaker->probes_succeeded >= probes_wanted(breaker))
            breaker_move(breaker, BREAKER_CLOSED, BREAKER_CAUSE_PROBES_SUCCEEDED, 0, now);
        break;
    case JUDGED_THROTTLED:
        breaker_move(breaker, BREAKER_OPEN, BREAKER_CAUSE_PROBE_THROTTLED,
                     open_time(breaker, 0, retry_after, rng), now);
        break;
    case JUDGED_NOT: breaker->probes_admitted--; break;
    default: /* FAILURE, SLOW_CANCEL */
        probe_failed(breaker, BREAKER_CAUSE_PROBE_FAILED, retry_after, rng, now);
        break;
    }
}

void breaker_judge(struct breaker *breaker, struct breaker_pass pass, enum judgement judgement,
                   bool is_slow, dur_ns retry_after, struct rng *rng, mono_ns now)
{
    CHECK_OBJ(breaker, BREAKER_MAGIC);
    if (pass.generation != breaker->generation)
        return;
    if (judgement == JUDGED_THROTTLED && breaker->cfg.throttled_is_failure)
        judgement = JUDGED_FAILURE;
    if (breaker->state == BREAKER_CLOSED)
        judge_call(breaker, judgement, is_slow, retry_after, rng, now);
    else if (breaker->state == BREAKER_HALF_OPEN)
        judge_probe(breaker, judgement, retry_after, rng, now);
}

void breaker_probe_expired(struct breaker *breaker, struct breaker_pass pass, struct rng *rng,
                           mono_ns now)
{
    CHECK_OBJ(breaker, BREAKER_MAGIC);
    if (pass.is_probe && pass.generation == breaker->generation)
        probe_failed(breaker, BREAKER_CAUSE_PROBE_EXPIRED, 0, rng, now);
}

/* ---- time and operators ---- */

mono_ns breaker_next_tick(const struct breaker *breaker)
{
    CHECK_OBJ(breaker, BREAKER_MAGIC);
    return breaker->reopen_at;
}

void breaker_tick(struct breaker *breaker, mono_ns now)
{
    CHECK_OBJ(breaker, BREAKER_MAGIC);
    if (breaker->state == BREAKER_OPEN && now >= breaker->reopen_at)
        breaker_move(breaker, BREAKER_HALF_OPEN, BREAKER_CAUSE_OPEN_FOR_ELAPSED, 0, now);
}

void breaker_force(struct breaker *breaker, enum breaker_state state, mono_ns now)
{
    CHECK_OBJ(breaker, BREAKER_MAGIC);
    INVARIANT((TO(FORCED_OPEN) | TO(CLOSED) | TO(DISABLED)) >> state & 1);
    if (state != breaker->state) {
        breaker_move(breaker, state, BREAKER_CAUSE_OPERATOR, 0, now);
    } else if (state == BREAKER_CLOSED) {
        breaker->generation++;
        forget_calls(breaker, now);
    }
}

dur_ns breaker_open_time(const struct breaker *breaker, mono_ns now)
{
    CHECK_OBJ(breaker, BREAKER_MAGIC);
    const dur_ns present = is_open(breaker->state) ? mono_since(now, breaker->entered_at) : 0;
    return dur_add(breaker->open_total, present);
}

const char *breaker_state_word(enum breaker_state state)
{
    static const char *const words[] = {
#define X(name, word) #word,
        BREAKER_STATE_LIST(X)
#undef X
    };
    INVARIANT((unsigned)state < BREAKER_STATE_COUNT);
    return words[state];
}

const char *breaker_cause_word(enum breaker_cause cause)
{
    static const char *const words[] = {
#define X(name, word) #word,
        BREAKER_CAUSE_LIST(X)
#undef X
    };
    INVARIANT((unsigned)cause < BREAKER_CAUSE_COUNT);
    return words[cause];
}
