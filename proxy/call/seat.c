/* seat.c - a breaker with its timer and those who wait behind it. See seat.h. */
#include "call/seat.h"

#include "base/check.h"
#include "call/admission.h"
#include "call/call.h"

#include <stdio.h>

static void on_moved(struct breaker *breaker, const struct breaker_transition *transition,
                     void *context)
{
    struct seat *seat = context;
    (void)breaker;
    list_remove(&seat->moved_link);
    list_append(&seat->engine->moved, &seat->moved_link);
    if (seat->endpoint[0] != '\0')
        board_note(instance_board(seat->instance, seat->family), transition);
    seat->engine->host->on_transition(seat, transition);
}

static void on_tick(struct timer *timer, mono_ns now)
{
    struct seat *seat = CONTAINER_OF(timer, struct seat, timer);
    breaker_tick(&seat->breaker, now);
    seat_rearm(seat);
    call_engine_settle(seat->engine, now);
}

void seat_rearm(struct seat *seat)
{
    wheel_set(seat->engine->wheel, &seat->timer, breaker_next_tick(&seat->breaker));
}

void seat_init(struct seat *seat, struct instance *instance, enum policy_family family,
               const char *endpoint, const struct breaker_config *cfg, mono_ns now)
{
    list_init(&seat->moved_link);
    list_init(&seat->waiting);
    seat->engine = instance->engine;
    seat->instance = instance;
    seat->family = family;
    seat->endpoint = endpoint;
    timer_init(&seat->timer, on_tick);
    breaker_init(&seat->breaker, cfg, now);
    breaker_observe(&seat->breaker, on_moved, seat);
    seat->engine->host->on_seat(seat);
}

void seat_force(struct seat *seat, enum breaker_state state, mono_ns now)
{
    breaker_force(&seat->breaker, state, now);
    seat_rearm(seat);
    call_engine_settle(seat->engine, now);
}

void seat_renew(struct seat *seat, const struct breaker_config *cfg, bool is_begun_anew,
                mono_ns now)
{
    breaker_configure(&seat->breaker, cfg, now);
    seat_rearm(seat);
    if (is_begun_anew && cfg->mode != POLICY_FORCE_OPEN)
        seat_force(seat, BREAKER_CLOSED, now);
}

const char *seat_noun(const struct seat *seat)
{
    if (seat->endpoint[0] == '\0')
        return "";
    return seat->family == POLICY_FAMILY_OUTLIER ? "/outlier:" : "/endpoint:";
}

void seat_label(const struct seat *seat, char *out, size_t size)
{
    snprintf(out, size, "%s%s%s", seat->instance->name, seat_noun(seat), seat->endpoint);
}

void seat_fini(struct seat *seat)
{
    INVARIANT(list_is_empty(&seat->waiting));
    wheel_clear(seat->engine->wheel, &seat->timer);
    list_remove(&seat->moved_link);
    seat->engine->host->on_seat_gone(seat);
}
