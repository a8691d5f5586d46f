/* metrics.c - see metrics.h.
 *
 * The reader and the data loop agree by one counter, `reader`, which is odd while the reader reads.
 * What the loop takes out of a list it may free at once if the counter is even then: a reader that
 * starts later cannot find it any more. If it is odd, the object waits until the counter has moved
 * on. Both sides use sequentially consistent accesses, so that "I have unlinked" and "I have begun"
 * cannot both be overlooked; a removal is rare, so that costs nothing. Every series is charged to a
 * node with a cap (target, rule, endpoint) and to the whole; freeing a node returns it. */
#include "telemetry/metrics.h"

#include "base/check.h"
#include "base/hash.h"
#include "telemetry/metrics_own.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define METRICS_MAGIC 0x4d455452u
#define TARGET_MAGIC 0x4d545247u
#define RULE_MAGIC 0x4d52554cu
#define INSTANCE_MAGIC 0x4d494e53u
#define INSTANCE_NAME_MAX 512 /* a longer name of a rule is cut in the label */

/* What is always shown: two histograms, the counters that export zeros, and the line that takes
 * what has no room. */
#define TARGET_FIXED                                                                               \
    (2 * HISTOGRAM_SERIES + OUTCOME_COUNT + RETRY_CAUSE_COUNT + RETRY_SKIP_COUNT + 1)
#define RULE_FIXED 1
#define BULKHEAD_FIXED (3 + HISTOGRAM_SERIES)
#define BUCKET_FIXED 2
#define BREAKER_GAUGES (BREAKER_STATE_COUNT + 3)

const struct metrics_move metrics_moves[BREAKER_MOVE_COUNT] = {
#define X(from, to, cause, is_shown)                                                               \
    {BREAKER_##from, BREAKER_##to, BREAKER_CAUSE_##cause, is_shown},
    BREAKER_MOVE_LIST(X)
#undef X
};

/* Refusals of the gate and of the timeouts export zeros. */
static const enum reason shown_rejections[] = {REASON_CIRCUIT_OPEN,    REASON_BULKHEAD_FULL,
                                               REASON_QUEUE_TIMEOUT,   REASON_RATE_LIMITED,
                                               REASON_REQUEST_TIMEOUT, REASON_ATTEMPT_TIMEOUT};
#define SHOWN_REJECTIONS (sizeof(shown_rejections) / sizeof(shown_rejections[0]))

/* Lists and their reader */

static void publish(struct metrics_node **place, struct metrics_node *node)
{
    __atomic_store_n(place, node, __ATOMIC_SEQ_CST);
}

static void list_publish(struct metrics_list *list, struct metrics_node *node)
{
    node->next = NULL;
    node->prev = list->last;
    publish(list->last ? &list->last->next : &list->first, node);
    list->last = node;
}

static void list_unlink(struct metrics_list *list, struct metrics_node *node)
{
    publish(node->prev ? &node->prev->next : &list->first, node->next);
    if (node->next) {
        node->next->prev = node->prev;
    } else {
        list->last = node->prev;
    }
}

void metrics_retire(struct metrics *metrics, struct metrics_node *node)
{
    metrics_reclaim(metrics);
    node->retired_at = __atomic_load_n(&metrics->reader, __ATOMIC_SEQ_CST);
    if (node->retired_at % 2 == 0) {
        free(node);
        return;
    }
    node->retired_next = metrics->retired;
    metrics->retired = node;
}

void metrics_reclaim(struct metrics *metrics)
{
    uint64_t reader = __atomic_load_n(&metrics->reader, __ATOMIC_SEQ_CST);
    struct metrics_node **place = &metrics->retired;
    while (*place) {
        struct metrics_node *node = *place;
        if (node->retired_at == reader) {
            place = &node->retired_next;
            continue;
        }
        *place = node->retired_next;
        free(node);
    }
}

void metrics_read_begin(struct metrics *metrics)
{
    CHECK_OBJ(metrics, METRICS_MAGIC);
    __atomic_fetch_add(&metrics->reader, 1, __ATOMIC_SEQ_CST);
}

void metrics_read_end(struct metrics *metrics)
{
    __atomic_fetch_add(&metrics->reader, 1, __ATOMIC_SEQ_CST);
}

/* Series and their caps */

static bool charge(struct metrics *metrics, struct metrics_node *node, uint32_t cap,
                   uint32_t series)
{
    bool is_other = node == &metrics->other->node; /* it stands for those that found no room */
    if (node->series + series > cap ||
        (!is_other && metrics->series + series > metrics->max_series)) {
        cell_add(&metrics->series_dropped, 1);
        return false;
    }
    node->series += series;
    metrics->series += is_other ? 0 : series;
    return true;
}

static void discharge(struct metrics *metrics, struct metrics_node *node, uint32_t series)
{
    INVARIANT(node->series >= series && metrics->series >= series);
    node->series -= series;
    metrics->series -= series;
}

bool metrics_open_cell(struct metrics *metrics, struct metrics_node *node, uint32_t cap,
                       metric_cell *cell)
{
    if (cell_get(cell) > 0) {
        return true;
    }
    if (!charge(metrics, node, cap, 1)) {
        return false;
    }
    cell_set(cell, 1);
    return true;
}

/* Life of the whole */

static struct metrics_target *make_target(struct metrics *metrics, const char *name, uint64_t hash)
{
    size_t len = strlen(name);
    struct metrics_target *target = calloc(1, sizeof(*target) + len + 1);
    if (!target) {
        return NULL;
    }
    target->magic = TARGET_MAGIC;
    target->owner = metrics;
    target->name_hash = hash;
    target->node.refs = 1;
    memcpy(target->name, name, len + 1);
    for (size_t i = 0; i < SHOWN_REJECTIONS; i++) {
        cell_set(&target->rejections[shown_rejections[i]], 1);
    }
    return target;
}

struct metrics *metrics_new(uint32_t max_series, const char *version, const char *revision,
                            uint64_t seed)
{
    struct metrics *metrics = calloc(1, sizeof(*metrics));
    INVARIANT(metrics != NULL);
    metrics->magic = METRICS_MAGIC;
    metrics->max_series = max_series;
    metrics->version = version;
    metrics->revision = revision;
    metrics->seed = seed;
    metrics->other = make_target(metrics, "_other", 0);
    INVARIANT(metrics->other != NULL);
    return metrics;
}

static void free_nodes(struct metrics_list *list)
{
    while (list->first) {
        struct metrics_node *node = list->first;
        list->first = node->next;
        free(node);
    }
}

void metrics_free(struct metrics **metrics)
{
    struct metrics *whole = *metrics;
    CHECK_OBJ(whole, METRICS_MAGIC);
    INVARIANT(__atomic_load_n(&whole->reader, __ATOMIC_SEQ_CST) % 2 == 0);
    metrics_reclaim(whole);
    for (struct metrics_node *node = whole->targets.first; node; node = node->next) {
        struct metrics_target *target = (struct metrics_target *)(void *)node;
        free_nodes(&target->rules);
        free_nodes(&target->instances);
    }
    if (whole->other->node.series == 0) {
        free(whole->other);
    }
    free_nodes(&whole->targets);
    free(whole->config_hash);
    whole->magic = 0;
    free(whole);
    *metrics = NULL;
}

/* Targets */

static struct metrics_target *other_target(struct metrics *metrics)
{
    if (metrics->other->node.series == 0) {
        metrics->other->node.series = TARGET_FIXED + (uint32_t)SHOWN_REJECTIONS;
        list_publish(&metrics->targets, &metrics->other->node);
    }
    metrics->other->node.refs++;
    return metrics->other;
}

struct metrics_target *metrics_target_get(struct metrics *metrics, const char *name)
{
    CHECK_OBJ(metrics, METRICS_MAGIC);
    uint64_t hash = hash_span(span_of(name), metrics->seed);
    struct metrics_target **chain = &metrics->chains[hash % METRICS_HASH_CHAINS];
    for (struct metrics_target *target = *chain; target; target = target->hash_next) {
        if (target->name_hash == hash && strcmp(target->name, name) == 0) {
            target->node.refs++;
            return target;
        }
    }
    struct metrics_node room = {0};
    if (!charge(metrics, &room, METRICS_TARGET_SERIES, TARGET_FIXED + SHOWN_REJECTIONS)) {
        return other_target(metrics);
    }
    struct metrics_target *target = make_target(metrics, name, hash);
    if (!target) {
        discharge(metrics, &room, room.series);
        return other_target(metrics);
    }
    target->node.series = room.series;
    target->hash_next = *chain;
    *chain = target;
    list_publish(&metrics->targets, &target->node);
    return target;
}

static void remove_from_chain(struct metrics *metrics, struct metrics_target *target)
{
    struct metrics_target **place = &metrics->chains[target->name_hash % METRICS_HASH_CHAINS];
    while (*place != target) {
        INVARIANT(*place != NULL);
        place = &(*place)->hash_next;
    }
    *place = target->hash_next;
}

void metrics_target_unref(struct metrics_target **target)
{
    struct metrics_target *gone = *target;
    CHECK_OBJ(gone, TARGET_MAGIC);
    *target = NULL;
    INVARIANT(gone->node.refs > 0);
    if (--gone->node.refs > 0 || gone == gone->owner->other) {
        return; /* _other keeps its sums until the end */
    }
    struct metrics *metrics = gone->owner;
    remove_from_chain(metrics, gone);
    discharge(metrics, &gone->node, gone->node.series);
    list_unlink(&metrics->targets, &gone->node);
    metrics_retire(metrics, &gone->node);
}

/* Rules */

static struct metrics_rule *find_rule(struct metrics_target *target, const char *name)
{
    for (struct metrics_node *node = target->rules.first; node; node = node->next) {
        struct metrics_rule *rule = (struct metrics_rule *)(void *)node;
        if (strcmp(rule->name, name) == 0) {
            return rule;
        }
    }
    return NULL;
}

struct metrics_rule *metrics_rule_get(struct metrics_target *target, const char *name)
{
    CHECK_OBJ(target, TARGET_MAGIC);
    struct metrics *metrics = target->owner;
    struct metrics_rule *rule = find_rule(target, name);
    if (rule) {
        rule->node.refs++;
        return rule;
    }
    struct metrics_node room = {0};
    if (target == metrics->other || !charge(metrics, &room, METRICS_RULE_SERIES, RULE_FIXED)) {
        return NULL;
    }
    size_t len = strlen(name);
    rule = calloc(1, sizeof(*rule) + len + 1);
    if (!rule) {
        discharge(metrics, &room, room.series);
        return NULL;
    }
    rule->magic = RULE_MAGIC;
    rule->target = target;
    rule->node.refs = 1;
    rule->node.series = room.series;
    memcpy(rule->name, name, len + 1);
    target->node.refs++;
    list_publish(&target->rules, &rule->node);
    return rule;
}

void metrics_rule_unref(struct metrics_rule **rule)
{
    struct metrics_rule *gone = *rule;
    *rule = NULL;
    if (!gone) {
        return;
    }
    CHECK_OBJ(gone, RULE_MAGIC);
    INVARIANT(gone->node.refs > 0);
    if (--gone->node.refs > 0) {
        return;
    }
    struct metrics_target *target = gone->target;
    discharge(target->owner, &gone->node, gone->node.series);
    list_unlink(&target->rules, &gone->node);
    metrics_retire(target->owner, &gone->node);
    metrics_target_unref(&target);
}

/* Instances */

struct metrics_node *metrics_payer(struct metrics_instance *instance, uint32_t *cap)
{
    if (instance->is_endpoint) {
        *cap = METRICS_ENDPOINT_SERIES;
        return &instance->node;
    }
    *cap = instance->rule ? METRICS_RULE_SERIES : METRICS_TARGET_SERIES;
    return instance->rule ? &instance->rule->node : &instance->target->node;
}

static uint32_t part_series(enum metrics_part part)
{
    if (part == METRICS_BULKHEAD) {
        return BULKHEAD_FIXED;
    }
    if (part == METRICS_BUCKET) {
        return BUCKET_FIXED;
    }
    if (part == METRICS_HEALTH) {
        return 1;
    }
    uint32_t series = BREAKER_GAUGES;
    for (unsigned i = 0; i < BREAKER_MOVE_COUNT; i++) {
        series += metrics_moves[i].is_shown ? 1 : 0;
    }
    return series;
}

static uint32_t new_series(const struct metrics_instance *instance, uint32_t parts)
{
    uint32_t series = 0;
    for (unsigned i = 0; i < METRICS_PARTS; i++) {
        bool is_new = (parts >> i & 1) && instance->part_refs[i] == 0;
        series += is_new ? part_series((enum metrics_part)(1u << i)) : 0;
    }
    return series;
}

static bool add_parts(struct metrics_instance *instance, uint32_t parts)
{
    uint32_t cap;
    struct metrics_node *payer = metrics_payer(instance, &cap);
    if (!charge(instance->target->owner, payer, cap, new_series(instance, parts))) {
        return false;
    }
    for (unsigned i = 0; i < METRICS_PARTS; i++) {
        instance->part_refs[i] += parts >> i & 1;
    }
    for (unsigned i = 0; i < BREAKER_MOVE_COUNT && (parts & METRICS_BREAKER); i++) {
        if (metrics_moves[i].is_shown && cell_get(&instance->transitions[i]) == 0) {
            cell_set(&instance->transitions[i], 1);
        }
    }
    __atomic_store_n(&instance->parts, instance->parts | parts, __ATOMIC_RELAXED);
    return true;
}

static struct metrics_instance *find_instance(struct metrics_target *target, const char *name)
{
    for (struct metrics_node *node = target->instances.first; node; node = node->next) {
        struct metrics_instance *instance = (struct metrics_instance *)(void *)node;
        if (strcmp(instance->name, name) == 0) {
            return instance;
        }
    }
    return NULL;
}

static struct metrics_instance *make_instance(struct metrics_target *target, const char *rule,
                                              bool is_endpoint, const char *name)
{
    size_t len = strlen(name);
    struct metrics_instance *instance = calloc(1, sizeof(*instance) + len + 1);
    if (!instance) {
        return NULL;
    }
    if (rule && rule[0] && !(instance->rule = metrics_rule_get(target, rule))) {
        free(instance);
        return NULL;
    }
    instance->magic = INSTANCE_MAGIC;
    instance->target = target;
    instance->is_endpoint = is_endpoint;
    memcpy(instance->name, name, len + 1);
    target->node.refs++;
    list_publish(&target->instances, &instance->node);
    return instance;
}

static void drop_instance(struct metrics_instance *instance)
{
    struct metrics_target *target = instance->target;
    struct metrics_rule *rule = instance->rule;
    uint32_t cap;
    struct metrics_node *payer = metrics_payer(instance, &cap);
    uint32_t opened = 0;
    for (unsigned i = 0; i < BREAKER_MOVE_COUNT; i++) {
        opened += !metrics_moves[i].is_shown && cell_get(&instance->transitions[i]) > 0 ? 1 : 0;
    }
    discharge(target->owner, payer, opened);
    list_unlink(&target->instances, &instance->node);
    metrics_retire(target->owner, &instance->node);
    metrics_rule_unref(&rule);
    metrics_target_unref(&target);
}

struct metrics_instance *metrics_instance_get(struct metrics_target *target, const char *rule,
                                              const char *place, uint32_t parts)
{
    CHECK_OBJ(target, TARGET_MAGIC);
    INVARIANT(parts != 0 && parts < 1u << METRICS_PARTS);
    if (target == target->owner->other) {
        cell_add(&target->owner->series_dropped, 1);
        return NULL;
    }
    bool is_rule = rule && rule[0];
    char name[INSTANCE_NAME_MAX];
    snprintf(name, sizeof(name), "%s%s%s", is_rule ? "rule:" : "target", is_rule ? rule : "",
             place ? place : "");
    struct metrics_instance *instance = find_instance(target, name);
    if (!instance) {
        instance = make_instance(target, rule, place != NULL, name);
    }
    if (!instance) {
        return NULL;
    }
    bool has_room = add_parts(instance, parts);
    instance->node.refs += has_room ? 1 : 0;
    if (instance->node.refs == 0) {
        drop_instance(instance);
    }
    return has_room ? instance : NULL;
}

void metrics_instance_unref(struct metrics_instance **instance, uint32_t parts)
{
    struct metrics_instance *gone = *instance;
    *instance = NULL;
    if (!gone) {
        return;
    }
    CHECK_OBJ(gone, INSTANCE_MAGIC);
    for (unsigned i = 0; i < METRICS_PARTS; i++) {
        INVARIANT(gone->part_refs[i] >= (parts >> i & 1));
        gone->part_refs[i] -= parts >> i & 1;
    }
    uint32_t ended = 0;
    for (unsigned i = 0; i < METRICS_PARTS; i++) {
        ended |= gone->part_refs[i] == 0 ? parts & 1u << i : 0;
    }
    uint32_t cap;
    struct metrics_node *payer = metrics_payer(gone, &cap);
    discharge(gone->target->owner, payer, new_series(gone, ended));
    __atomic_store_n(&gone->parts, gone->parts & ~ended, __ATOMIC_RELAXED);
    if (--gone->node.refs == 0) {
        drop_instance(gone);
    }
}
