/* attempt_race.c - see attempt_race.h. */
#include "upstream/attempt_race.h"

#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

#define DETAIL_BYTES 256

struct attempt_race {
    struct attempt *owner;
    struct timer timer;
    struct attempt rival;
    enum reason lost_by; /* the owner's own connect failed; REASON_NONE: it is still on its way */
    char detail[DETAIL_BYTES];
};

static struct attempt_race *race_of(struct attempt *rival)
{
    return CONTAINER_OF(rival, struct attempt_race, rival);
}

static struct wheel *wheel_of(const struct attempt *attempt)
{
    return attempt->pool->codec->loop->wheel;
}

static void end(struct attempt_race *race)
{
    wheel_clear(wheel_of(race->owner), &race->timer);
    attempt_fini(&race->rival);
    free(race);
}

static void rival_ready(struct attempt *rival)
{
    struct attempt_race *race = race_of(rival);
    struct attempt *owner = race->owner;
    attempt_take_over(owner, rival);
    end(race);
    owner->handler->on_endpoint(owner);
    owner->handler->on_ready(owner);
}

static void rival_failed(struct attempt *rival, enum reason reason, const char *detail)
{
    struct attempt_race *race = race_of(rival);
    struct attempt *owner = race->owner;
    (void)reason;
    (void)detail;
    attempt_abort(rival);
    if (race->lost_by != REASON_NONE)
        owner->handler->on_failed(owner, race->lost_by, race->detail);
}

static void rival_endpoint(struct attempt *rival)
{
    (void)rival;
}

static const struct attempt_handler rival_handler = {
    .on_ready = rival_ready, .on_failed = rival_failed, .on_endpoint = rival_endpoint};

/* Of the other family; NULL: there is none any more. */
static bool start_rival(struct attempt_race *race)
{
    struct endpoint *other = endpoint_fallback(race->owner->endpoint);
    if (other == NULL)
        return false;
    struct attempt_order order = race->owner->search->order;
    order.stays = true;
    return attempt_start_at(&race->rival, &order, other);
}

static void on_timer(struct timer *timer, mono_ns now)
{
    (void)now;
    start_rival(CONTAINER_OF(timer, struct attempt_race, timer));
}

void attempt_race_begin(struct attempt *owner)
{
    if (owner->search->order.stays || endpoint_fallback(owner->endpoint) == NULL)
        return;
    struct attempt_race *race = calloc(1, sizeof *race);
    if (race == NULL)
        return;
    race->owner = owner;
    owner->search->race = race;
    attempt_init(&race->rival, owner->pool, &rival_handler);
    timer_init(&race->timer, on_timer);
    wheel_set(wheel_of(owner), &race->timer, mono_add(owner->pool->codec->loop->now, RACE_DELAY));
}

bool attempt_race_goes_on(struct attempt *owner, enum reason reason, const char *detail)
{
    struct attempt_race *race = owner->search->race;
    if (race == NULL || race->lost_by != REASON_NONE)
        return false;
    const bool is_waiting = timer_is_set(&race->timer);
    wheel_clear(wheel_of(owner), &race->timer);
    if (is_waiting ? reason != REASON_CONNECT_REFUSED : !attempt_is_on(&race->rival))
        return false;
    race->lost_by = reason;
    snprintf(race->detail, sizeof race->detail, "%s", detail ? detail : "");
    return is_waiting ? start_rival(race) : true;
}

void attempt_race_end(struct attempt *owner)
{
    if (owner->search == NULL || owner->search->race == NULL)
        return;
    struct attempt_race *race = owner->search->race;
    owner->search->race = NULL;
    end(race);
}
