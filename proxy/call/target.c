/* target.c - destinations, their lanes, and the table that bounds them. See target.h. */
#include "call/target.h"

#include "base/check.h"
#include "base/hash.h"
#include "call/call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TARGET_MAGIC 0x7a96e701u
#define LANE_MAGIC 0x1a9e0001u
#define TARGET_CHAINS 8192 /* a power of two, twice TARGET_LIMIT */
#define RULE_LABEL_BYTES 160

static void target_ref(struct target *target)
{
    CHECK_OBJ(target, TARGET_MAGIC);
    target->refs++;
}

static void target_free_state(struct target *target, size_t rule_count)
{
    for (size_t i = 0; i < rule_count; i++)
        instance_unref(&target->rule_instances[i]);
    free(target->rule_instances);
    target->rule_instances = NULL;
}

static void target_unref(struct target *target)
{
    CHECK_OBJ(target, TARGET_MAGIC);
    if (--target->refs > 0)
        return;
    target->engine->host->on_target_gone(target);
    target->magic = 0;
    free(target->name);
    free(target->policy_name);
    free(target);
}

/* ---- lanes ---- */

static struct instance *lane_pick(struct target *target, const struct plan_rule *rule,
                                  struct instance *own, enum policy_family family)
{
    const bool has_own = rule != NULL && own != NULL && (rule->policy->own >> family & 1);
    struct instance *instance = has_own ? own : target->instance;
    instance_ref(instance);
    return instance;
}

static struct lane *lane_new(struct target *target, const struct plan *plan,
                             const struct plan_rule *rule, struct instance *own)
{
    struct lane *lane = calloc(1, sizeof *lane);
    if (lane == NULL)
        return NULL;
    lane->magic = LANE_MAGIC;
    lane->refs = 1;
    lane->target = target;
    target_ref(target);
    lane->policy = rule ? rule->policy : plan->policy;
    lane->policy_name = plan->policy_name;
    lane->rule_name = rule ? rule->name : "";
    lane->breaker = lane_pick(target, rule, own, POLICY_FAMILY_CIRCUIT_BREAKER);
    lane->bulkhead = lane_pick(target, rule, own, POLICY_FAMILY_BULKHEAD);
    lane->rate = lane_pick(target, rule, own, POLICY_FAMILY_RATE_LIMIT);
    lane->outlier = lane_pick(target, rule, own, POLICY_FAMILY_OUTLIER);
    lane->snapshot = plan->snapshot;
    target->engine->host->snapshot_ref(lane->snapshot);
    target->engine->host->on_lane(lane);
    return lane;
}

void lane_ref(struct lane *lane)
{
    CHECK_OBJ(lane, LANE_MAGIC);
    lane->refs++;
}

void lane_unref(struct lane **taken)
{
    struct lane *lane = *taken;
    *taken = NULL;
    CHECK_OBJ(lane, LANE_MAGIC);
    if (--lane->refs > 0)
        return;
    const struct call_host *host = lane->target->engine->host;
    host->on_lane_gone(lane);
    instance_unref(&lane->breaker);
    instance_unref(&lane->bulkhead);
    instance_unref(&lane->rate);
    instance_unref(&lane->outlier);
    host->snapshot_unref(lane->snapshot);
    lane->magic = 0;
    target_unref(lane->target);
    free(lane);
}

static void lanes_free(struct lane **lanes, size_t count)
{
    for (size_t i = 0; lanes != NULL && i < count; i++)
        lane_unref(&lanes[i]);
    free(lanes);
}

/* ---- a plan becomes instances and lanes ---- */

static bool rule_has_instance(const struct plan_rule *rule)
{
    const uint32_t limiters = 1u << POLICY_FAMILY_CIRCUIT_BREAKER | 1u << POLICY_FAMILY_BULKHEAD |
                              1u << POLICY_FAMILY_RATE_LIMIT | 1u << POLICY_FAMILY_OUTLIER;
    return (rule->policy->own & limiters) != 0;
}

/* The instance that this rule had under the plan before, found by name: a reload may have moved the
 * rule. */
static struct instance *target_old_rule_instance(const struct target *target, const char *label)
{
    for (size_t i = 0; i + 1 < target->lane_count; i++)
        if (target->rule_instances[i] != NULL &&
            strcmp(target->rule_instances[i]->name, label) == 0)
            return target->rule_instances[i];
    return NULL;
}

static struct instance **target_make_rule_instances(struct target *target, const struct plan *plan,
                                                    mono_ns now)
{
    struct instance **made = calloc(plan->rule_count + 1, sizeof(struct instance *));
    for (size_t i = 0; made != NULL && i < plan->rule_count; i++) {
        char label[RULE_LABEL_BYTES];
        if (!rule_has_instance(&plan->rules[i]))
            continue;
        snprintf(label, sizeof label, "rule:%s", plan->rules[i].name);
        made[i] = target_old_rule_instance(target, label);
        if (made[i] != NULL)
            instance_ref(made[i]);
        else
            made[i] = instance_new(target->engine, target, label, plan->rules[i].policy, now);
        if (made[i] != NULL)
            continue;
        for (size_t k = 0; k < i; k++)
            instance_unref(&made[k]);
        free(made);
        return NULL;
    }
    return made;
}

static struct lane **target_make_lanes(struct target *target, const struct plan *plan,
                                       struct instance **own)
{
    const size_t count = plan->rule_count + 1;
    struct lane **lanes = calloc(count, sizeof(struct lane *));
    for (size_t i = 0; lanes != NULL && i < count; i++) {
        const struct plan_rule *rule = i == 0 ? NULL : &plan->rules[i - 1];
        lanes[i] = lane_new(target, plan, rule, i == 0 ? NULL : own[i - 1]);
        if (lanes[i] != NULL)
            continue;
        lanes_free(lanes, i);
        return NULL;
    }
    return lanes;
}

/* All instances have their new numbers: forceOpen may have come or gone, limits risen. */
static void target_serve(struct target *target, mono_ns now)
{
    call_engine_settle(target->engine, now);
    instance_serve(target->instance, now);
    for (size_t i = 0; i + 1 < target->lane_count; i++)
        if (target->rule_instances[i] != NULL)
            instance_serve(target->rule_instances[i], now);
}

enum err target_apply(struct target *target, const struct plan *plan, mono_ns now)
{
    CHECK_OBJ(target, TARGET_MAGIC);
    struct instance **own = target_make_rule_instances(target, plan, now);
    if (own == NULL)
        return ERR_NO_MEMORY;
    struct lane **lanes = target_make_lanes(target, plan, own);
    if (lanes == NULL) {
        for (size_t i = 0; i < plan->rule_count; i++)
            instance_unref(&own[i]);
        free(own);
        return ERR_NO_MEMORY;
    }
    instance_configure(target->instance, plan->policy, now);
    for (size_t i = 0; i < plan->rule_count; i++)
        if (own[i] != NULL)
            instance_configure(own[i], plan->rules[i].policy, now);
    retry_budget_configure(&target->budget, &plan->policy->retry.budget, now);

    const size_t old_rules = target->lane_count > 0 ? target->lane_count - 1 : 0;
    target_free_state(target, old_rules);
    lanes_free(target->lanes, target->lane_count);
    target->rule_instances = own;
    target->lanes = lanes;
    target->lane_count = plan->rule_count + 1;
    target->snapshot = plan->snapshot;
    target_serve(target, now);
    return OK;
}

static struct target *target_new(struct call_engine *engine, struct span name,
                                 const struct plan *plan, mono_ns now)
{
    struct target *target = calloc(1, sizeof *target);
    if (target == NULL)
        return NULL;
    target->magic = TARGET_MAGIC;
    target->refs = 1;
    target->engine = engine;
    list_init(&target->age_link);
    target->name = strndup(name.data, name.len);
    target->policy_name = strdup(plan->policy_name);
    retry_budget_init(&target->budget, &plan->policy->retry.budget, now);
    if (target->name == NULL || target->policy_name == NULL || !engine->host->on_target(target)) {
        free(target->name);
        free(target->policy_name);
        free(target);
        return NULL;
    }
    target->instance = instance_new(engine, target, "target", plan->policy, now);
    if (target->instance == NULL || target_apply(target, plan, now) != OK) {
        instance_unref(&target->instance);
        target_unref(target);
        return NULL;
    }
    return target;
}

/* The table lets go: calls that still hold lanes keep target and instances alive until they end. */
static void target_detach(struct target *target)
{
    target_free_state(target, target->lane_count - 1);
    instance_unref(&target->instance);
    struct lane **lanes = target->lanes;
    target->lanes = NULL;
    lanes_free(lanes, target->lane_count);
    target->lane_count = 0;
    target_unref(target);
}

bool target_is_idle(const struct target *target)
{
    CHECK_OBJ(target, TARGET_MAGIC);
    if (target->refs > 1 + target->lane_count) /* the table's and the lanes'; others are lanes of an
                                                  older snapshot */
        return false;
    for (size_t i = 0; i < target->lane_count; i++)
        if (target->lanes[i]->refs > 1)
            return false;
    return true;
}

/* ---- the table ---- */

void target_table_init(struct target_table *table, struct call_engine *engine, uint32_t limit)
{
    table->engine = engine;
    table->chain_count = TARGET_CHAINS;
    table->chains = calloc(table->chain_count, sizeof(struct target *));
    INVARIANT(table->chains != NULL);
    table->count = 0;
    table->limit = limit;
    list_init(&table->by_age);
    table->hash_seed = rng_next(engine->rng);
}

void target_table_fini(struct target_table *table)
{
    LIST_FOREACH_SAFE (link, following, &table->by_age)
        target_table_drop(table, CONTAINER_OF(link, struct target, age_link));
    free(table->chains);
    table->chains = NULL;
}

static struct target **target_place(struct target_table *table, uint64_t hash)
{
    return &table->chains[hash & (table->chain_count - 1)];
}

struct target *target_table_lookup(struct target_table *table, struct span name)
{
    const uint64_t hash = hash_span(name, table->hash_seed);
    struct target *target = *target_place(table, hash);
    while (target != NULL && !span_is(span_of(target->name), name))
        target = target->chain;
    if (target == NULL)
        return NULL;
    list_remove(&target->age_link);
    list_append(&table->by_age, &target->age_link);
    return target;
}

void target_table_drop(struct target_table *table, struct target *target)
{
    CHECK_OBJ(target, TARGET_MAGIC);
    struct target **at = target_place(table, target->hash);
    while (*at != target)
        at = &(*at)->chain;
    *at = target->chain;
    target->chain = NULL;
    list_remove(&target->age_link);
    table->count--;
    target_detach(target);
}

static bool target_is_closed(const struct target *target)
{
    if (!instance_is_closed(target->instance))
        return false;
    for (size_t i = 0; i + 1 < target->lane_count; i++)
        if (target->rule_instances[i] != NULL && !instance_is_closed(target->rule_instances[i]))
            return false;
    return true;
}

static bool target_table_evict(struct target_table *table)
{
    struct target *victim = NULL;
    LIST_FOREACH (link, &table->by_age) {
        struct target *target = CONTAINER_OF(link, struct target, age_link);
        if (!target_is_idle(target))
            continue;
        if (victim == NULL)
            victim = target;
        if (target_is_closed(target)) {
            victim = target;
            break;
        }
    }
    if (victim != NULL)
        target_table_drop(table, victim);
    return victim != NULL;
}

enum err target_table_add(struct target_table *table, struct span name, const struct plan *plan,
                          mono_ns now, struct target **out)
{
    if (table->count >= table->limit && !target_table_evict(table))
        return ERR_FULL;
    struct target *target = target_new(table->engine, name, plan, now);
    if (target == NULL)
        return ERR_NO_MEMORY;
    target->hash = hash_span(name, table->hash_seed);
    struct target **place = target_place(table, target->hash);
    target->chain = *place;
    *place = target;
    list_append(&table->by_age, &target->age_link);
    table->count++;
    *out = target;
    return OK;
}
