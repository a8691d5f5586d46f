/* instance.c - the run-time state of one document's or rule's blocks. See instance.h. */
#include "call/instance.h"

#include "base/check.h"
#include "call/call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INSTANCE_MAGIC 0x1257a9ceu

static void copy_place(char out[INSTANCE_AT_BYTES], const char *at)
{
    snprintf(out, INSTANCE_AT_BYTES, "%s", at ? at : "");
}

static void instance_copy_config(struct instance *instance, const struct policy *policy)
{
    instance->breaker_cfg = policy->breaker;
    instance->outlier_cfg = policy->outlier;
    instance->bulkhead_cfg = policy->bulkhead;
    instance->rate_cfg = policy->rate_limit;
    copy_place(instance->at_text, policy->at[POLICY_FAMILY_CIRCUIT_BREAKER]);
    copy_place(instance->outlier_at, policy->at[POLICY_FAMILY_OUTLIER]);
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
    board_init(&instance->endpoints, instance, POLICY_FAMILY_CIRCUIT_BREAKER,
               &instance->breaker_cfg);
    board_init(&instance->outliers, instance, POLICY_FAMILY_OUTLIER,
               &instance->outlier_cfg.breaker);
    instance_copy_config(instance, policy);
    seat_init(&instance->seat, instance, POLICY_FAMILY_CIRCUIT_BREAKER, "", &instance->breaker_cfg,
              now);
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
    board_fini(&instance->endpoints);
    board_fini(&instance->outliers);
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

void instance_configure(struct instance *instance, const struct policy *policy, mono_ns now)
{
    CHECK_OBJ(instance, INSTANCE_MAGIC);
    const bool is_scope_changed = instance->breaker_cfg.scope != policy->breaker.scope;
    const bool is_outlier_gone = policy->outlier.breaker.mode == POLICY_OFF;
    instance_copy_config(instance, policy);
    seat_renew(&instance->seat, &instance->breaker_cfg, is_scope_changed, now);
    board_configure(&instance->endpoints, is_scope_changed, now);
    board_configure(&instance->outliers, is_outlier_gone, now);
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

bool instance_is_by_endpoint(const struct instance *instance)
{
    return instance->breaker_cfg.scope == BREAKER_SCOPE_ENDPOINT &&
           instance->breaker_cfg.mode != POLICY_OFF &&
           instance->breaker_cfg.mode != POLICY_FORCE_OPEN;
}

bool instance_has_outliers(const struct instance *instance)
{
    return instance->outlier_cfg.breaker.mode != POLICY_OFF;
}

bool instance_is_closed(const struct instance *instance)
{
    return instance->seat.breaker.state == BREAKER_CLOSED && instance->endpoints.ejected == 0 &&
           instance->outliers.ejected == 0;
}
