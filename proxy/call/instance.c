/* instance.c - the run-time state of one document's or rule's blocks. See instance.h. */
#include "call/instance.h"

#include "base/check.h"
#include "call/call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INSTANCE_MAGIC 0x1257a9ceu

static void instance_copy_config(struct instance *instance, const struct policy *policy)
{
    instance->breaker_cfg = policy->breaker;
    instance->bulkhead_cfg = policy->bulkhead;
    instance->rate_cfg = policy->rate_limit;
    snprintf(instance->at_text, sizeof instance->at_text, "%s",
             policy->at[POLICY_FAMILY_CIRCUIT_BREAKER] ? policy->at[POLICY_FAMILY_CIRCUIT_BREAKER]
                                                       : "");
}

struct instance *instance_new(struct call_engine *engine, struct target *target, const char *name,
                              const struct policy *policy, mono_ns now)
{
    struct instance *instance = calloc(1, sizeof *instance);
    if (instance == NULL)
        return NULL;
    instance->name = strdup(name);
    if (instance->name == NULL) {
        free(instance);
        return NULL;
    }
    instance->magic = INSTANCE_MAGIC;
    instance->refs = 1;
    instance->engine = engine;
    instance->target = target;
    instance->at = instance->at_text;
    list_init(&instance->endpoint_seats);
    instance_copy_config(instance, policy);
    seat_init(&instance->seat, engine, instance, "", &instance->breaker_cfg, now);
    list_init(&instance->retired_tables);
    instance->slots = room_table_new_slots(engine, &instance->bulkhead_cfg, now);
    instance->tokens = room_table_new_tokens(engine, &instance->rate_cfg, now);
    if (instance->slots == NULL || instance->tokens == NULL)
        instance_unref(&instance);
    else
        engine->host->on_instance(instance);
    return instance;
}

void instance_ref(struct instance *instance)
{
    CHECK_OBJ(instance, INSTANCE_MAGIC);
    instance->refs++;
}

static void endpoint_seat_free(struct instance *instance, struct endpoint_seat *seat)
{
    list_remove(&seat->link);
    instance->endpoint_seat_count--;
    seat_fini(&seat->seat);
    free(seat);
}

static void instance_drop_tables(struct instance *instance)
{
    LIST_FOREACH_SAFE (link, following, &instance->retired_tables) {
        struct room_table *table = CONTAINER_OF(link, struct room_table, retired_link);
        room_table_free(&table);
    }
    room_table_free(&instance->slots);
    room_table_free(&instance->tokens);
}

void instance_unref(struct instance **taken)
{
    struct instance *instance = *taken;
    *taken = NULL;
    if (instance == NULL)
        return;
    CHECK_OBJ(instance, INSTANCE_MAGIC);
    if (--instance->refs > 0)
        return;
    LIST_FOREACH_SAFE (link, following, &instance->endpoint_seats)
        endpoint_seat_free(instance, CONTAINER_OF(link, struct endpoint_seat, link));
    seat_fini(&instance->seat);
    instance_drop_tables(instance);
    instance->engine->host->on_instance_gone(instance);
    instance->magic = 0;
    free(instance->name);
    free(instance);
}

/* A changed key makes the rooms meaningless. Calls may still wait or be in flight there, so the old
 * table is retired and serves them until it is idle. Without memory for a new one the old key stays
 * in force until the next reload. */
static void instance_retire_table(struct instance *instance, struct room_table **current,
                                  struct room_table *fresh)
{
    if (fresh == NULL)
        return;
    list_append(&instance->retired_tables, &(*current)->retired_link);
    *current = fresh;
}

static void instance_sweep_retired(struct instance *instance)
{
    LIST_FOREACH_SAFE (link, following, &instance->retired_tables) {
        struct room_table *table = CONTAINER_OF(link, struct room_table, retired_link);
        if (room_table_is_idle(table))
            room_table_free(&table);
    }
}

/* With another scope it starts empty. */
static void instance_configure_seat(const struct instance *instance, struct seat *seat,
                                    bool is_scope_changed, mono_ns now)
{
    seat_configure(seat, &instance->breaker_cfg, now);
    if (is_scope_changed && instance->breaker_cfg.mode != POLICY_FORCE_OPEN)
        seat_force(seat, BREAKER_CLOSED, now);
}

static void instance_configure_breakers(struct instance *instance, bool is_scope_changed,
                                        mono_ns now)
{
    instance_configure_seat(instance, &instance->seat, is_scope_changed, now);
    LIST_FOREACH_SAFE (link, following, &instance->endpoint_seats) {
        struct endpoint_seat *seat = CONTAINER_OF(link, struct endpoint_seat, link);
        if (is_scope_changed && seat->users == 0)
            endpoint_seat_free(instance, seat);
        else
            instance_configure_seat(instance, &seat->seat, is_scope_changed, now);
    }
}

void instance_configure(struct instance *instance, const struct policy *policy, mono_ns now)
{
    CHECK_OBJ(instance, INSTANCE_MAGIC);
    const bool is_scope_changed = instance->breaker_cfg.scope != policy->breaker.scope;
    instance_copy_config(instance, policy);
    instance_configure_breakers(instance, is_scope_changed, now);
    if (!room_table_has_key(instance->slots, &instance->bulkhead_cfg.key))
        instance_retire_table(instance, &instance->slots,
                              room_table_new_slots(instance->engine, &instance->bulkhead_cfg, now));
    if (!room_table_has_key(instance->tokens, &instance->rate_cfg.key))
        instance_retire_table(instance, &instance->tokens,
                              room_table_new_tokens(instance->engine, &instance->rate_cfg, now));
    room_table_configure(instance->slots, now);
    room_table_configure(instance->tokens, now);
    instance_sweep_retired(instance);
    instance->engine->host->on_instance(instance);
}

void instance_serve(struct instance *instance, mono_ns now)
{
    room_table_serve(instance->slots, now);
    room_table_serve(instance->tokens, now);
}

static struct endpoint_seat *instance_find_endpoint_seat(const struct instance *instance,
                                                         uint64_t endpoint_id)
{
    LIST_FOREACH (link, &instance->endpoint_seats) {
        struct endpoint_seat *seat = CONTAINER_OF(link, struct endpoint_seat, link);
        if (seat->endpoint_id == endpoint_id)
            return seat;
    }
    return NULL;
}

/* Endpoints come and go with their pods: the oldest seat that nobody uses and that has nothing to
 * say makes room. */
static bool instance_make_room_for_seat(struct instance *instance)
{
    if (instance->endpoint_seat_count < INSTANCE_ENDPOINT_SEATS)
        return true;
    LIST_FOREACH (link, &instance->endpoint_seats) {
        struct endpoint_seat *seat = CONTAINER_OF(link, struct endpoint_seat, link);
        if (seat->users > 0 || seat->seat.breaker.state != BREAKER_CLOSED)
            continue;
        endpoint_seat_free(instance, seat);
        return true;
    }
    return false;
}

struct endpoint_seat *instance_endpoint_seat(struct instance *instance, uint64_t endpoint_id,
                                             const char *label, mono_ns now)
{
    CHECK_OBJ(instance, INSTANCE_MAGIC);
    struct endpoint_seat *seat = instance_find_endpoint_seat(instance, endpoint_id);
    if (seat != NULL)
        return seat;
    if (!instance_make_room_for_seat(instance))
        return NULL;
    seat = calloc(1, sizeof *seat);
    if (seat == NULL)
        return NULL;
    seat->endpoint_id = endpoint_id;
    snprintf(seat->label, sizeof seat->label, "%s", label);
    list_append(&instance->endpoint_seats, &seat->link);
    instance->endpoint_seat_count++;
    seat_init(&seat->seat, instance->engine, instance, seat->label, &instance->breaker_cfg, now);
    return seat;
}

bool instance_is_by_endpoint(const struct instance *instance)
{
    return instance->breaker_cfg.scope == BREAKER_SCOPE_ENDPOINT &&
           instance->breaker_cfg.mode != POLICY_OFF &&
           instance->breaker_cfg.mode != POLICY_FORCE_OPEN;
}

mono_ns instance_next_probe(const struct instance *instance)
{
    mono_ns next = MONO_NEVER;
    LIST_FOREACH (link, &instance->endpoint_seats)
        next = mono_min(
            next, breaker_next_tick(&CONTAINER_OF(link, struct endpoint_seat, link)->seat.breaker));
    return next;
}

bool instance_is_closed(const struct instance *instance)
{
    bool is_closed = instance->seat.breaker.state == BREAKER_CLOSED;
    LIST_FOREACH (link, &instance->endpoint_seats)
        is_closed &=
            CONTAINER_OF(link, struct endpoint_seat, link)->seat.breaker.state == BREAKER_CLOSED;
    return is_closed;
}

bool instance_endpoint_may_pass(const struct instance *instance, uint64_t endpoint_id,
                                bool may_probe, mono_ns now)
{
    const struct endpoint_seat *seat = instance_find_endpoint_seat(instance, endpoint_id);
    if (seat == NULL || instance->breaker_cfg.mode == POLICY_OFF ||
        instance->breaker_cfg.mode == POLICY_SHADOW)
        return true;
    return breaker_peek(&seat->seat.breaker, may_probe, now).may_pass;
}
