/* balancer_two.c - the power of two choices: leastRequest and peakEwma. Two blind draws almost
 * always land on candidates that are accepted; only when they do not are all of them counted, so
 * that what is left is still drawn evenly. */
#include "base/check.h"
#include "upstream/balancer_pick.h"

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

static struct candidate *pick_counted(const struct pick *pick)
{
    size_t first;
    size_t second;
    const size_t count = count_accepted(pick);
    if (count < 2)
        return count == 0 ? NULL : accepted_at(pick, 0);
    draw_two(pick->query->rng, count, &first, &second);
    return better(pick, accepted_at(pick, first), accepted_at(pick, second));
}

struct candidate *pick_of_two(const struct pick *pick)
{
    struct candidate *const *candidates = pick->balancer->candidates;
    const size_t count = pick->balancer->count;
    size_t first;
    size_t second;
    if (count >= 2) {
        draw_two(pick->query->rng, count, &first, &second);
        if (pick_accepts(pick, candidates[first]) && pick_accepts(pick, candidates[second]))
            return better(pick, candidates[first], candidates[second]);
    }
    return pick_counted(pick);
}
