/* gate.c - see gate.h. Ask and take put the same questions (breaker_peek, bucket_agrees,
 * bulkhead_agrees), so that what was agreed at a `now` can be taken at it. INVARIANT: a permit's
 * breaker or bulkhead is NULL exactly where nothing was taken from it. */
#include "policy/gate.h"

#include "base/check.h"

static const enum policy_family breaker_families[GATE_BREAKERS] = {POLICY_FAMILY_CIRCUIT_BREAKER,
                                                                   POLICY_FAMILY_OUTLIER};

static bool is_absent(const struct breaker *breaker)
{
    return breaker == NULL || breaker->cfg.mode == POLICY_OFF;
}

static bool has_bucket(const struct gate *gate)
{
    return gate->bucket != NULL && gate->bucket_mode != POLICY_OFF;
}

static bool has_bulkhead(const struct gate *gate)
{
    return gate->bulkhead != NULL && gate->bulkhead_mode != POLICY_OFF;
}

static mono_ns bucket_when(const struct gate *gate, const struct gate_question *question,
                           mono_ns now)
{
    return token_bucket_when(gate->bucket, question->tokens_promised + 1, now);
}

static bool bulkhead_agrees(const struct gate *gate, const struct gate_question *question)
{
    return !question->is_slot_promised && bulkhead_has_room(gate->bulkhead, question->slot);
}

/* ---- asking ---- */

/* The first enforcing limiter that refuses is named; of two breakers, the time of the one that
 * refuses longer. */
static void refuse(struct gate_verdict *verdict, enum reason reason, mono_ns not_before)
{
    if (verdict->may_pass) {
        verdict->may_pass = false;
        verdict->reason = reason;
        verdict->not_before = not_before;
    } else if (verdict->reason == reason && not_before > verdict->not_before) {
        verdict->not_before = not_before;
    }
}

static void object(struct gate_verdict *verdict, enum policy_mode mode, enum policy_family family,
                   enum reason reason, mono_ns not_before)
{
    if (mode == POLICY_SHADOW)
        verdict->shadow_refusals |= 1u << family;
    else
        refuse(verdict, reason, not_before);
}

static void ask_breaker(const struct gate *gate, int i, bool may_probe,
                        struct gate_verdict *verdict, mono_ns now)
{
    const struct breaker *breaker = gate->breakers[i];
    if (is_absent(breaker))
        return;
    const struct breaker_verdict answer = breaker_peek(breaker, may_probe, now);
    if (answer.may_pass)
        return;
    if (breaker->cfg.mode != POLICY_SHADOW)
        verdict->refusing_breakers |= 1u << i;
    object(verdict, breaker->cfg.mode, breaker_families[i], REASON_CIRCUIT_OPEN, answer.not_before);
}

struct gate_verdict gate_ask(const struct gate *gate, const struct gate_question *question,
                             mono_ns now)
{
    struct gate_verdict verdict = {.may_pass = true, .reason = REASON_NONE, .not_before = now};
    for (int i = 0; i < GATE_BREAKERS; i++)
        ask_breaker(gate, i, question->may_probe, &verdict, now);
    if (has_bucket(gate)) {
        const mono_ns when = bucket_when(gate, question, now);
        if (when > now)
            object(&verdict, gate->bucket_mode, POLICY_FAMILY_RATE_LIMIT, REASON_RATE_LIMITED,
                   when);
    }
    if (has_bulkhead(gate) && !bulkhead_agrees(gate, question))
        object(&verdict, gate->bulkhead_mode, POLICY_FAMILY_BULKHEAD, REASON_BULKHEAD_FULL,
               MONO_NEVER);
    return verdict;
}

void gate_note_refusal(const struct gate *gate, const struct gate_verdict *verdict, mono_ns now)
{
    for (int i = 0; i < GATE_BREAKERS; i++)
        if (verdict->refusing_breakers >> i & 1)
            breaker_note_refusal(gate->breakers[i], now);
}

/* ---- taking ---- */

/* The breaker joins the permit if it lets the attempt pass. One that does not (a shadow) sees
 * nothing of it. */
static bool join(struct permit *permit, int i, struct breaker *breaker, mono_ns now)
{
    const bool agrees = breaker_peek(breaker, permit->may_probe, now).may_pass;
    if (agrees) {
        permit->breakers[i] = breaker;
        permit->passes[i] = breaker_take(breaker, now);
    } else {
        breaker_note_refusal(breaker, now);
    }
    return agrees;
}

static void take_bulkhead(const struct gate *gate, const struct gate_question *question,
                          struct permit *permit)
{
    if (gate->bulkhead_mode == POLICY_SHADOW && !bulkhead_agrees(gate, question))
        return;
    bulkhead_take(gate->bulkhead, question->slot);
    permit->bulkhead = gate->bulkhead;
}

void gate_take(const struct gate *gate, const struct gate_question *question, struct permit *permit,
               mono_ns now)
{
    *permit =
        (struct permit){.slot = question->slot, .is_live = true, .may_probe = question->may_probe};
    for (int i = 0; i < GATE_BREAKERS; i++) {
        if (is_absent(gate->breakers[i]))
            continue;
        if (!join(permit, i, gate->breakers[i], now))
            INVARIANT(gate->breakers[i]->cfg.mode == POLICY_SHADOW);
    }
    if (has_bucket(gate) &&
        (gate->bucket_mode != POLICY_SHADOW || bucket_when(gate, question, now) == now))
        token_bucket_take(gate->bucket, now);
    if (has_bulkhead(gate))
        take_bulkhead(gate, question, permit);
}

/* ---- a permit's life ---- */

bool permit_is_probe(const struct permit *permit)
{
    return permit->passes[0].is_probe || permit->passes[1].is_probe;
}

void permit_add_breaker(struct permit *permit, struct breaker *breaker, mono_ns now)
{
    INVARIANT(permit->is_live);
    INVARIANT(!permit->is_judged);
    if (is_absent(breaker))
        return;
    int place = 0;
    while (place < GATE_BREAKERS && permit->breakers[place] != NULL)
        place++;
    if (place < GATE_BREAKERS)
        join(permit, place, breaker, now);
}

void permit_drop_breaker(struct permit *permit, struct breaker *breaker, struct rng *rng,
                         mono_ns now)
{
    INVARIANT(permit->is_live);
    INVARIANT(!permit->is_judged);
    for (int i = 0; i < GATE_BREAKERS; i++) {
        if (permit->breakers[i] != breaker)
            continue;
        breaker_judge(breaker, permit->passes[i], JUDGED_NOT, false, 0, rng, now);
        permit->breakers[i] = NULL;
        permit->passes[i] = (struct breaker_pass){0};
    }
}

static void settle(struct permit *permit)
{
    INVARIANT(permit->is_live);
    INVARIANT(!permit->is_judged);
    permit->is_judged = true;
}

void permit_judge(struct permit *permit, enum judgement judgement, bool is_slow, dur_ns retry_after,
                  struct rng *rng, mono_ns now)
{
    settle(permit);
    for (int i = 0; i < GATE_BREAKERS; i++)
        if (permit->breakers[i] != NULL)
            breaker_judge(permit->breakers[i], permit->passes[i], judgement, is_slow, retry_after,
                          rng, now);
}

void permit_expire_probe(struct permit *permit, struct rng *rng, mono_ns now)
{
    settle(permit);
    for (int i = 0; i < GATE_BREAKERS; i++)
        if (permit->passes[i].is_probe)
            breaker_probe_expired(permit->breakers[i], permit->passes[i], rng, now);
}

bool permit_move_to_stream(struct permit *permit)
{
    INVARIANT(permit->is_live);
    if (permit->bulkhead == NULL || permit->slot != BULKHEAD_ATTEMPT)
        return false;
    if (!bulkhead_move(permit->bulkhead, BULKHEAD_ATTEMPT, BULKHEAD_STREAM))
        return false;
    permit->slot = BULKHEAD_STREAM;
    return true;
}

void permit_move_to_connection(struct permit *permit)
{
    INVARIANT(permit->is_live);
    if (permit->bulkhead != NULL)
        bulkhead_convert(permit->bulkhead, permit->slot, BULKHEAD_CONNECTION);
    permit->slot = BULKHEAD_CONNECTION;
}

void permit_release(struct permit *permit, mono_ns now)
{
    (void)now;
    INVARIANT(permit->is_live);
    INVARIANT(permit->is_judged);
    if (permit->bulkhead != NULL)
        bulkhead_release(permit->bulkhead, permit->slot);
    permit->is_live = false;
}
