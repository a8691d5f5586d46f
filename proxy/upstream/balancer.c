/* balancer.c - see balancer.h; the power of two choices is here, the other algorithms are in files
 * of their own. Two blind draws almost always land on candidates that are accepted; only when they
 * do not are all of them counted, so that what is left is still drawn evenly. INVARIANT: `turns`
 * links exactly the candidates. */
#include "base/check.h"
#include "base/hash.h"
#include "upstream/balancer_pick.h"

#define SHARE_LEAST 100 /* of a thousand: what a slow start begins with */
#define SHARE_WHOLE 1000

/* ---- the list ---- */

void balancer_init(struct balancer *balancer)
{
    *balancer = (struct balancer){.cfg = {.algorithm = BALANCE_LEAST_REQUEST}};
    list_init(&balancer->turns);
}

void candidate_init(struct candidate *candidate, uint64_t id)
{
    *candidate = (struct candidate){.id = id};
    list_init(&candidate->turn);
}

static void shuffle(struct candidate **candidates, size_t count, struct rng *rng)
{
    for (size_t left = count; left > 1; left--) {
        const size_t at = (size_t)rng_below(rng, left);
        struct candidate *last = candidates[left - 1];
        candidates[left - 1] = candidates[at];
        candidates[at] = last;
    }
}

void balancer_set(struct balancer *balancer, struct candidate **candidates, size_t count,
                  struct rng *rng)
{
    if (list_is_empty(&balancer->turns))
        shuffle(candidates, count, rng);
    balancer->candidates = candidates;
    balancer->count = count;
    for (size_t i = 0; i < count; i++)
        if (!list_is_linked(&candidates[i]->turn))
            list_append(&balancer->turns, &candidates[i]->turn);
}

void balancer_leave(struct candidate *candidate)
{
    list_remove(&candidate->turn);
}

struct candidate *balancer_find(const struct balancer *balancer, uint64_t id)
{
    for (size_t i = 0; i < balancer->count; i++)
        if (balancer->candidates[i]->id == id)
            return balancer->candidates[i];
    return NULL;
}

/* ---- slow start ---- */

void balancer_warm(struct balancer *balancer, struct candidate *candidate, mono_ns now)
{
    candidate->warm_since = now;
    balancer->warmed_at = now;
}

static bool is_warming(const struct balancer *balancer, mono_ns since, mono_ns now)
{
    return since != 0 && mono_since(now, since) < balancer->cfg.slow_start;
}

static uint64_t share_of(const struct balancer *balancer, const struct candidate *candidate,
                         mono_ns now)
{
    const dur_ns slow_start = balancer->cfg.slow_start;
    if (!is_warming(balancer, candidate->warm_since, now))
        return SHARE_WHOLE;
    const dur_ns warmed = mono_since(now, candidate->warm_since);
    return (uint64_t)(SHARE_LEAST + (SHARE_WHOLE - SHARE_LEAST) * warmed / slow_start);
}

bool pick_is_kept_out(const struct pick *pick, const struct candidate *candidate)
{
    const uint64_t share = share_of(pick->balancer, candidate, pick->query->now);
    const uint64_t coin = (hash_mix(pick->coins ^ candidate->id) >> 32) * SHARE_WHOLE >> 32;
    return coin >= share;
}

/* ---- two choices: leastRequest and peakEwma ---- */

/* One without a sample is taken to be as quick as the other: it gets its share, and no more, until
 * it has answered. */
static struct candidate *cheaper(struct candidate *first, struct candidate *second, mono_ns now)
{
    uint64_t a = ewma_cost(&first->latency, now);
    uint64_t b = ewma_cost(&second->latency, now);
    a = a > 0 ? a : b > 0 ? b : 1;
    b = b > 0 ? b : a;
    return b * (second->in_flight + UINT64_C(1)) < a * (first->in_flight + UINT64_C(1)) ? second
                                                                                        : first;
}

static struct candidate *better(const struct pick *pick, struct candidate *first,
                                struct candidate *second)
{
    if (pick->balancer->cfg.algorithm == BALANCE_PEAK_EWMA)
        return cheaper(first, second, pick->query->now);
    return second->in_flight < first->in_flight ? second : first;
}

static size_t count_accepted(const struct pick *pick)
{
    const struct balancer *balancer = pick->balancer;
    size_t count = 0;
    for (size_t i = 0; i < balancer->count; i++)
        count += pick_accepts(pick, balancer->candidates[i]) ? 1 : 0;
    return count;
}

/* The `rank`th that is accepted; there is one. */
static struct candidate *accepted_at(const struct pick *pick, size_t rank)
{
    const struct balancer *balancer = pick->balancer;
    size_t at = 0;
    while (!pick_accepts(pick, balancer->candidates[at]) || rank-- > 0) {
        at++;
        INVARIANT(at < balancer->count); /* or the mask changed its mind */
    }
    return balancer->candidates[at];
}

/* Two different numbers below `count` (>= 2), every pair equally likely. */
static void draw_two(struct rng *rng, size_t count, size_t *first, size_t *second)
{
    *first = (size_t)rng_below(rng, count);
    *second = (size_t)rng_below(rng, count - 1);
    if (*second >= *first)
        (*second)++;
}

static __attribute__((noinline)) struct candidate *pick_counted(const struct pick *pick)
{
    size_t first;
    size_t second;
    const size_t count = count_accepted(pick);
    if (count < 2)
        return count == 0 ? NULL : accepted_at(pick, 0);
    draw_two(pick->query->rng, count, &first, &second);
    return better(pick, accepted_at(pick, first), accepted_at(pick, second));
}

static inline struct candidate *pick_of_two(const struct pick *pick)
{
    struct candidate *const *candidates = pick->balancer->candidates;
    const size_t count = pick->balancer->count;
    size_t first;
    size_t second;
    if (count == 1)
        return pick_accepts(pick, candidates[0]) ? candidates[0] : NULL;
    if (count >= 2) {
        draw_two(pick->query->rng, count, &first, &second);
        if (pick_accepts(pick, candidates[first]) && pick_accepts(pick, candidates[second]))
            return better(pick, candidates[first], candidates[second]);
    }
    return pick_counted(pick);
}

/* ---- picking ---- */

static struct candidate *pick_with(const struct pick *pick)
{
    switch (pick->balancer->cfg.algorithm) {
    case BALANCE_ROUND_ROBIN: return pick_in_turn(pick);
    case BALANCE_RING_HASH: return pick->query->key != 0 ? pick_by_key(pick) : pick_of_two(pick);
    default: return pick_of_two(pick);
    }
}

struct candidate *balancer_pick(struct balancer *balancer, const struct balancer_query *query)
{
    struct pick pick = {.balancer = balancer, .query = query, .care = PICK_FRESH};
    if (balancer->warmed_at != 0 && is_warming(balancer, balancer->warmed_at, query->now)) {
        pick.care = PICK_WARM;
        pick.coins = rng_next(query->rng);
    }
    struct candidate *picked = pick_with(&pick);
    while (picked == NULL && ++pick.care < PICK_CARES)
        picked = pick_with(&pick);
    return picked;
}

/* ---- what came of it ---- */

void balancer_observe(const struct balancer *balancer, struct candidate *candidate, dur_ns took,
                      enum outcome outcome, mono_ns now)
{
    if (balancer->cfg.algorithm != BALANCE_PEAK_EWMA)
        return;
    switch (outcome) {
    case OUTCOME_SUCCESS: ewma_observe(&candidate->latency, took, now); break;
    case OUTCOME_CANCELLED: ewma_observe_least(&candidate->latency, took, now); break;
    default: ewma_observe_failure(&candidate->latency, took, now); break;
    }
}
