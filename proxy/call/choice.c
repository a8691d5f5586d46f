/* choice.c - see choice.h. */
#include "call/choice.h"

#include "base/check.h"

bool choice_is_needed(const struct lane *lane)
{
    return instance_is_by_endpoint(lane->breaker) || instance_has_outliers(lane->outlier);
}

static struct endpoint_seat *seat_on(struct call *call, struct endpoint_board *board, mono_ns now)
{
    const char *label = call->engine->host->endpoint_label(call, call->endpoint_id);
    return board_seat(board, call->endpoint_id, label, now);
}

static struct choice seats_of(struct call *call, mono_ns now)
{
    struct instance *breaker = call->lane->breaker;
    struct instance *outlier = call->lane->outlier;
    return (struct choice){
        .breaker =
            instance_is_by_endpoint(breaker) ? seat_on(call, &breaker->endpoints, now) : NULL,
        .outlier = instance_has_outliers(outlier) ? seat_on(call, &outlier->outliers, now) : NULL,
    };
}

/* An endpoint that is ejected and offered all the same is not judged by what comes of it. */
static bool is_used_in_panic(const struct endpoint_seat *outlier, bool may_probe, mono_ns now)
{
    const struct breaker *breaker = &outlier->seat.breaker;
    return breaker->cfg.mode == POLICY_ENFORCE && !breaker_peek(breaker, may_probe, now).may_pass;
}

bool choice_make(struct call *call, bool may_probe, struct choice *choice, mono_ns now)
{
    const uint64_t id = call->engine->host->candidate(call, may_probe, now);
    *choice = (struct choice){NULL, NULL};
    if (id == CANDIDATE_NONE)
        return false;
    call->endpoint_id = id;
    if (id == CANDIDATE_UNKNOWN)
        return true;
    *choice = seats_of(call, now);
    if (choice->outlier != NULL && is_used_in_panic(choice->outlier, may_probe, now))
        choice->outlier = NULL;
    return true;
}

mono_ns choice_next_probe(const struct lane *lane)
{
    return mono_min(board_next_probe(&lane->breaker->endpoints),
                    board_next_probe(&lane->outlier->outliers));
}

/* ---- a permit's endpoint ---- */

static void use(struct call *call, const struct choice *choice)
{
    call->endpoint_seat = choice->breaker;
    call->outlier_seat = choice->outlier;
    if (choice->breaker != NULL)
        choice->breaker->users++;
    if (choice->outlier != NULL)
        choice->outlier->users++;
}

void choice_take(struct call *call, const struct choice *choice)
{
    use(call, choice);
    if (choice_is_needed(call->lane) && call->endpoint_id != CANDIDATE_UNKNOWN)
        call->engine->host->on_chosen(call);
}

static void join(struct call *call, struct endpoint_seat *seat, mono_ns now)
{
    if (seat != NULL)
        permit_add_breaker(&call->permit, &seat->seat.breaker, now);
}

void choice_note(struct call *call, mono_ns now)
{
    const struct choice choice = seats_of(call, now);
    use(call, &choice);
    join(call, choice.breaker, now);
    join(call, choice.outlier, now);
}

static void drop(struct call *call, struct endpoint_seat *seat, mono_ns now)
{
    if (seat != NULL)
        permit_drop_breaker(&call->permit, &seat->seat.breaker, call->engine->rng, now);
}

static void leave(struct endpoint_seat **taken)
{
    if (*taken != NULL)
        (*taken)->users--;
    *taken = NULL;
}

void choice_leave(struct call *call)
{
    leave(&call->endpoint_seat);
    leave(&call->outlier_seat);
}

void choice_move(struct call *call, mono_ns now)
{
    drop(call, call->endpoint_seat, now);
    drop(call, call->outlier_seat, now);
    choice_leave(call);
    choice_note(call, now);
}

/* ---- judgement ---- */

static bool is_listed(const void *context, uint64_t endpoint_id)
{
    const struct call *call = context;
    return call->engine->host->endpoint_label(call, endpoint_id)[0] != '\0';
}

/* May its endpoint's outlier breaker trip? */
static void hold(const struct call *call)
{
    struct endpoint_board *board = &call->lane->outlier->outliers;
    const uint32_t endpoints = call->engine->host->endpoint_count(call);
    if (board->count > endpoints)
        board_prune(board, is_listed, call);
    breaker_hold(&call->outlier_seat->seat.breaker,
                 board->ejected >= outlier_most(&call->lane->outlier->outlier_cfg, endpoints));
}

static void judge(struct call *call, enum judgement judgement, bool is_slow, dur_ns retry_after,
                  mono_ns now)
{
    permit_judge(&call->permit, judgement, is_slow, retry_after, call->engine->rng, now);
}

void choice_judge(struct call *call, enum judgement judgement, bool is_slow, dur_ns retry_after,
                  mono_ns now)
{
    struct endpoint_seat *outlier = call->outlier_seat;
    if (outlier == NULL) {
        judge(call, judgement, is_slow, retry_after, now);
        return;
    }
    const uint32_t held = outlier->seat.breaker.held;
    outlier->has_served |= judgement == JUDGED_SUCCESS;
    hold(call);
    judge(call, judgement, is_slow, retry_after, now);
    if (outlier->seat.breaker.held != held)
        call->engine->host->on_ejection_held(call);
}

/* ---- what the balancer asks ---- */

bool choice_has_rung(const struct lane *lane, enum choice_rung rung)
{
    return rung != CHOICE_PANIC || lane->outlier->outlier_cfg.panic == OUTLIER_PANIC_USE_ALL;
}

static bool is_refused(const struct call *call, uint64_t endpoint_id, bool may_probe, mono_ns now)
{
    const struct instance *instance = call->lane->breaker;
    if (!instance_is_by_endpoint(instance) || instance->breaker_cfg.mode == POLICY_SHADOW)
        return false;
    const struct endpoint_seat *seat = board_find(&instance->endpoints, endpoint_id);
    return seat != NULL && !breaker_peek(&seat->seat.breaker, may_probe, now).may_pass;
}

bool choice_may_use(const struct call *call, enum choice_rung rung, uint64_t endpoint_id,
                    uint32_t in_flight, bool may_probe, mono_ns now)
{
    const struct instance *instance = call->lane->outlier;
    if (is_refused(call, endpoint_id, may_probe, now))
        return false;
    if (rung == CHOICE_PANIC || instance->outlier_cfg.breaker.mode != POLICY_ENFORCE)
        return true;
    const struct endpoint_seat *seat = board_find(&instance->outliers, endpoint_id);
    if (seat != NULL && !breaker_peek(&seat->seat.breaker, may_probe, now).may_pass)
        return false;
    const bool is_known = seat != NULL && seat->has_served;
    return rung == CHOICE_ANY || is_known || in_flight == 0;
}
