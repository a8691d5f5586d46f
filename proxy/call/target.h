/* target.h - one destination under one document: its instances, its retry budget, and a lane for
 * every rule.
 *
 * A lane is what all calls of one (target, rule) under one snapshot of the config share: the
 * policy, and which instance each family uses (the rule's own where the rule has that block, else
 * the target's). Calls hold a lane; a lane holds its instances, its target and the snapshot; a
 * reload makes new lanes and lets the old ones run out. The table applies `*` to each dialled
 * host:port by itself: at most TARGET_LIMIT at a time, idle closed ones leave first.
 * Single-threaded. */
#ifndef OUTRIGGER_CALL_TARGET_H
#define OUTRIGGER_CALL_TARGET_H

#include "base/err.h"
#include "base/list.h"
#include "base/span.h"
#include "call/instance.h"
#include "policy/policy.h"

#include <stdint.h>

#define TARGET_LIMIT 4096 /* POLICY section 1; attack: a client that dials ever new hosts */

struct plan_rule {
    const char *name;
    const struct policy *policy;
};

struct plan { /* a document, as `call` sees it; owned by the config snapshot that `snapshot` stands
                 for */
    const char *policy_name; /* the document's name, "" where no document applies */
    const struct policy *policy;
    const struct plan_rule *rules;
    size_t rule_count;
    void *snapshot; /* the host's reference: see call_host.snapshot_ref and snapshot_unref */
};

struct lane {
    uint32_t magic;
    uint32_t refs;
    struct target *target;
    const struct policy *policy;
    const char *policy_name;
    const char *rule_name; /* "" without a rule */
    struct instance *breaker;
    struct instance *bulkhead;
    struct instance *rate;
    struct instance *outlier;
    void *snapshot;
    void *user; /* the host's metrics of (target, rule) */
};

struct target {
    uint32_t magic;
    uint32_t refs; /* the table's, and one per lane */
    struct call_engine *engine;
    struct list age_link; /* target_table.by_age, oldest use first */
    struct target *chain;
    uint64_t hash;
    char *name;        /* "payments:8080", lower case */
    char *policy_name; /* an instance exists per (document, target) */
    struct instance *instance;
    struct instance *
        *rule_instances; /* one per rule of the plan; NULL where the rule has no block of its own */
    struct retry_budget budget;
    struct lane **lanes; /* [0] without a rule, [1 + i] for rule i */
    size_t lane_count;
    void *snapshot; /* of the plan in force: tells whether it is up to date */
    void *user;     /* the host's metrics and endpoints of it */
};

struct target_table {
    struct call_engine *engine;
    struct target **chains;
    uint32_t chain_count;
    uint32_t count;
    uint32_t limit;
    struct list by_age;
    uint64_t hash_seed;
};

void target_table_init(struct target_table *table, struct call_engine *engine, uint32_t limit);
void target_table_fini(struct target_table *table);

struct target *target_table_lookup(struct target_table *table, struct span name);
/* The live target of that name (already lower case), or NULL. Marks it as used. */

enum err target_table_add(struct target_table *table, struct span name, const struct plan *plan,
                          mono_ns now, struct target **out) MUST_CHECK;
/* A new target; makes room first by dropping the oldest idle one whose breakers are closed, then
 * the oldest idle one. ERR_FULL when all are busy, ERR_NO_MEMORY. */

enum err target_apply(struct target *target, const struct plan *plan, mono_ns now) MUST_CHECK;
/* A reload: instances keep their state and get new numbers, lanes are made anew. On error the old
 * lanes stay. */

void target_table_drop(struct target_table *table, struct target *target);
/* Its document no longer applies: new calls will make a new one; those under way end on this one.
 */

bool target_is_idle(const struct target *target);
/* No call holds a lane of it. */

void lane_ref(struct lane *lane);
void lane_unref(struct lane **lane);

#endif
