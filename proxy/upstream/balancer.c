/* balancer.c - see balancer.h. Two blind draws almost always land on endpoints that may be used;
 * only when they do not are all of them counted, so that what is left is still drawn evenly (a
 * neighbour of a masked endpoint must not get that one's share too). */
#include "upstream/balancer.h"

#include "base/check.h"
#include "upstream/endpoint.h"

static bool was_tried(const struct balancer_query *query, const struct endpoint *endpoint)
{
    for (size_t i = 0; i < query->tried_count; i++) {
        if (query->tried[i] == endpoint->id) {
            return true;
        }
    }
    return false;
}

static bool may_use(const struct balancer_query *query, const struct endpoint *endpoint)
{
    return query->may_use == NULL || query->may_use(query->context, endpoint);
}

static bool is_fresh(const struct balancer_query *query, const struct endpoint *endpoint)
{
    return !was_tried(query, endpoint) && may_use(query, endpoint);
}

static struct endpoint *less_loaded(struct endpoint *first, struct endpoint *second)
{
    return second->in_flight < first->in_flight ? second : first;
}

typedef bool (*endpoint_test)(const struct balancer_query *query, const struct endpoint *endpoint);

static size_t count_passing(const struct endpoint_set *set, const struct balancer_query *query,
                            endpoint_test test)
{
    size_t count = 0;
    for (size_t i = 0; i < set->usable_count; i++) {
        count += test(query, set->usable[i]) ? 1 : 0;
    }
    return count;
}

/* The `rank`th endpoint that passes; there is one. */
static struct endpoint *passing_at(const struct endpoint_set *set,
                                   const struct balancer_query *query, endpoint_test test,
                                   size_t rank)
{
    size_t at = 0;
    while (!test(query, set->usable[at]) || rank-- > 0) {
        at++;
        INVARIANT(at < set->usable_count); /* or the mask changed its mind */
    }
    return set->usable[at];
}

/* Two different numbers below `count` (>= 2), every pair equally likely. */
static void draw_two(struct rng *rng, size_t count, size_t *first, size_t *second)
{
    *first = (size_t)rng_below(rng, count);
    *second = (size_t)rng_below(rng, count - 1);
    if (*second >= *first) {
        (*second)++;
    }
}

static struct endpoint *pick_among(const struct endpoint_set *set,
                                   const struct balancer_query *query, endpoint_test test)
{
    size_t first;
    size_t second;
    size_t count = count_passing(set, query, test);
    if (count < 2) {
        return count == 0 ? NULL : passing_at(set, query, test, 0);
    }
    draw_two(query->rng, count, &first, &second);
    return less_loaded(passing_at(set, query, test, first), passing_at(set, query, test, second));
}

struct endpoint *balancer_pick(const struct endpoint_set *set, const struct balancer_query *query)
{
    size_t first;
    size_t second;
    struct endpoint *picked;
    if (set->usable_count >= 2) {
        draw_two(query->rng, set->usable_count, &first, &second);
        if (is_fresh(query, set->usable[first]) && is_fresh(query, set->usable[second])) {
            return less_loaded(set->usable[first], set->usable[second]);
        }
    }
    picked = pick_among(set, query, is_fresh);
    return picked != NULL ? picked : pick_among(set, query, may_use);
}
