/* instance.h - the run-time state of a document's (or a rule's) policies for one target: breaker,
 * rooms, lines.
 *
 * It survives reloads: new numbers reach live instances, OPEN stays OPEN, what is in flight and
 * waiting stays counted. Only a changed key or window shape starts empty. Reference-counted: lanes
 * hold references; a permit settles on the instance that granted it, which its call's lane keeps
 * alive. Single-threaded. */
#ifndef OUTRIGGER_CALL_INSTANCE_H
#define OUTRIGGER_CALL_INSTANCE_H

#include "call/room.h"
#include "call/seat.h"
#include "policy/policy.h"

#include <stdint.h>

#define INSTANCE_ENDPOINT_SEATS                                                                    \
    256 /* breakers per endpoint; further endpoints are not judged one by one */

struct target;

struct endpoint_seat {
    struct list link;
    uint64_t endpoint_id;
    uint32_t users; /* calls between choosing this endpoint and the end of their attempt */
    struct seat seat;
    char label[64];
};

struct instance {
    uint32_t magic;
    uint32_t refs;
    struct call_engine *engine;
    struct target *target; /* not owned: whoever holds an instance holds its target */
    char *name;            /* "target" or "rule:NAME"; owned */
    const char *at;        /* "file:line" of the breaker block; owned by `at_text` */
    char at_text[160];
    struct breaker_config breaker_cfg;
    struct bulkhead_config bulkhead_cfg;
    struct rate_limit_config rate_cfg;
    struct seat seat;
    struct list endpoint_seats; /* endpoint_seat.link */
    uint32_t endpoint_seat_count;
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

struct endpoint_seat *instance_endpoint_seat(struct instance *instance, uint64_t endpoint_id,
                                             const char *label, mono_ns now);
/* The seat of one endpoint, made if need be; NULL when there is no room or no memory: that endpoint
 * is then not judged by itself. */

bool instance_is_by_endpoint(const struct instance *instance);
/* Do its endpoints have breakers of their own? (scope: endpoint; forceOpen is a matter of the whole
 * instance.) */

mono_ns instance_next_probe(const struct instance *instance);
/* When the first of its endpoints' breakers will let a probe through; MONO_NEVER if none will. */

bool instance_is_closed(const struct instance *instance);
/* Are all its breakers CLOSED: would nothing be forgotten with them that protects somebody? */

bool instance_endpoint_may_pass(const struct instance *instance, uint64_t endpoint_id,
                                bool may_probe, mono_ns now);
/* Would that endpoint's breaker admit? True where there is none. The balancer's mask. */

#endif
