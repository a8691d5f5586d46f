/* instance.h - the run-time state of a document's (or a rule's) policies for one target: breaker,
 * rooms, lines.
 *
 * It survives reloads: new numbers reach live instances, OPEN stays OPEN, what is in flight and
 * waiting stays counted. Only a changed key or window shape starts empty. Reference-counted: lanes
 * hold references; a permit settles on the instance that granted it, which its call's lane keeps
 * alive. Single-threaded. */
#ifndef OUTRIGGER_CALL_INSTANCE_H
#define OUTRIGGER_CALL_INSTANCE_H

#include "call/board.h"
#include "call/room.h"
#include "call/seat.h"
#include "policy/policy.h"

#include <stdint.h>

struct target;

#define INSTANCE_AT_BYTES 160

struct instance {
    uint32_t magic;
    uint32_t refs;
    struct call_engine *engine;
    struct target *target; /* not owned: whoever holds an instance holds its target */
    char *name;            /* "target" or "rule:NAME"; owned */
    const char *at;        /* "file:line" of the breaker block; owned by `at_text` */
    char at_text[INSTANCE_AT_BYTES];
    char outlier_at[INSTANCE_AT_BYTES]; /* the same of the outlier block */
    struct breaker_config breaker_cfg;
    struct outlier_config outlier_cfg;
    struct bulkhead_config bulkhead_cfg;
    struct rate_limit_config rate_cfg;
    struct seat seat;
    struct endpoint_board endpoints; /* of circuitBreaker with scope: endpoint */
    struct endpoint_board outliers;
    struct room_table *slots;
    struct room_table *tokens;
    struct list retired_tables; /* room_table.retired_link: of a key that is no longer in force,
                                   until idle */
    void *user;                 /* the host's metrics of it */
    uint32_t user_parts;
};

struct instance *instance_new(struct call_engine *engine, struct target *target, const char *name,
                              const struct policy *policy, mono_ns now);
/* NULL when there is no memory. One reference. */

void instance_ref(struct instance *instance);
void instance_unref(struct instance **instance);

void instance_configure(struct instance *instance, const struct policy *policy, mono_ns now);
/* New numbers on live state, as POLICY section 1 "Reload" says; instance_serve is due. */

void instance_serve(struct instance *instance, mono_ns now);
/* Once all instances of a target have their new numbers: lets in, or refuses, who need not wait. */

bool instance_is_by_endpoint(const struct instance *instance);
/* Do its endpoints have breakers of their own? (scope: endpoint; forceOpen is a matter of the whole
 * instance.) */

static inline struct endpoint_board *instance_board(struct instance *instance,
                                                    enum policy_family family)
{
    return family == POLICY_FAMILY_OUTLIER ? &instance->outliers : &instance->endpoints;
}

bool instance_has_outliers(const struct instance *instance);
/* Are its endpoints judged one by one, to be passed by? */

bool instance_is_closed(const struct instance *instance);
/* Are all its breakers CLOSED: would nothing be forgotten with them that protects somebody? */

#endif
