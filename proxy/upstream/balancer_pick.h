/* balancer_pick.h - one question to the balancer, as its algorithms see it. For balancer*.c only.
 *
 * An algorithm is asked with less and less care until it finds a candidate. It must choose evenly
 * (or in turn) among those that pick_accepts: the neighbour of a masked one gets no share of its.
 */
#ifndef OUTRIGGER_UPSTREAM_BALANCER_PICK_H
#define OUTRIGGER_UPSTREAM_BALANCER_PICK_H

#include "upstream/balancer.h"

enum pick_care {
    PICK_WARM = 0, /* none that its slow start keeps out of this pick, nor any tried one */
    PICK_FRESH,    /* none that this call has tried */
    PICK_ALLOWED,  /* the mask is law */
    PICK_CARES
};

struct pick {
    struct balancer *balancer;
    const struct balancer_query *query;
    enum pick_care care;
    uint64_t
        coins; /* of this pick: what keeps a candidate out of it does so each time it is asked */
};

static inline bool pick_was_tried(const struct pick *pick, const struct candidate *candidate)
{
    const struct balancer_query *query = pick->query;
    for (size_t i = 0; i < query->tried_count; i++)
        if (query->tried[i] == candidate->id)
            return true;
    return false;
}

static inline bool pick_may_use(const struct pick *pick, const struct candidate *candidate)
{
    const struct balancer_query *query = pick->query;
    if (candidate->is_unhealthy && !query->takes_unhealthy)
        return false;
    return query->may_use == NULL || query->may_use(query->context, candidate);
}

bool pick_is_kept_out(const struct pick *pick, const struct candidate *candidate);
/* By its slow start. */

static inline bool pick_accepts(const struct pick *pick, const struct candidate *candidate)
{
    if (pick->care < PICK_ALLOWED && pick_was_tried(pick, candidate))
        return false;
    return pick_may_use(pick, candidate) &&
           (pick->care != PICK_WARM || !pick_is_kept_out(pick, candidate));
}

struct candidate *pick_in_turn(const struct pick *pick);
struct candidate *pick_by_key(const struct pick *pick);
/* balancer_turn.c, balancer_hash.c */

#endif
