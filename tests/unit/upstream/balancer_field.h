/* balancer_field.h - a balancer with some candidates, ids 1, 2, 3, ..., for its tests. */
#ifndef OUTRIGGER_TESTS_BALANCER_FIELD_H
#define OUTRIGGER_TESTS_BALANCER_FIELD_H

#include "base/rng.h"
#include "upstream/balancer.h"

#include <criterion/criterion.h>

#define FIELD_MAX 256
#define FIELD_BEGIN (1000 * NS_PER_S) /* `now`, unless a test says another */

struct field {
    struct candidate candidates[FIELD_MAX];
    struct candidate *usable[FIELD_MAX];
    struct balancer balancer;
    struct rng rng;
    unsigned picks[FIELD_MAX + 1]; /* by id */
};

static inline struct balancer_query field_query(struct field *field)
{
    return (struct balancer_query){.rng = &field->rng, .now = FIELD_BEGIN};
}

static inline void field_open(struct field *field, enum balance algorithm, size_t count)
{
    *field = (struct field){.picks = {0}};
    rng_seed(&field->rng, 1);
    balancer_init(&field->balancer);
    field->balancer.cfg.algorithm = algorithm;
    for (size_t i = 0; i < count; i++) {
        candidate_init(&field->candidates[i], i + 1);
        field->usable[i] = &field->candidates[i];
    }
    balancer_set(&field->balancer, field->usable, count, &field->rng);
}

/* These ids it are from now on; `at` says where each stands in field->candidates. */
static inline void field_set(struct field *field, const uint64_t *ids, size_t count)
{
    for (size_t i = 0; i < field->balancer.count; i++) {
        bool stays = false;
        for (size_t k = 0; k < count; k++)
            stays |= field->usable[i]->id == ids[k];
        if (!stays)
            balancer_leave(field->usable[i]);
    }
    for (size_t i = 0; i < count; i++) {
        struct candidate *candidate = &field->candidates[ids[i] - 1];
        if (candidate->id == 0)
            candidate_init(candidate, ids[i]);
        field->usable[i] = candidate;
    }
    balancer_set(&field->balancer, field->usable, count, &field->rng);
}

static inline uint64_t field_pick(struct field *field, const struct balancer_query *query)
{
    struct candidate *picked = balancer_pick(&field->balancer, query);
    if (picked == NULL)
        return 0;
    balancer_take(&field->balancer, picked);
    field->picks[picked->id]++;
    return picked->id;
}

static inline void field_draw(struct field *field, const struct balancer_query *query, int draws)
{
    for (int i = 0; i < draws; i++)
        cr_assert_neq(field_pick(field, query), 0u);
}

/* `context`: a uint64_t with bits 1 << id. */
static inline bool field_mask(void *context, const struct candidate *candidate)
{
    return (*(const uint64_t *)context >> candidate->id) & 1;
}

static inline void field_expect_share(const struct field *field, uint64_t id, double wanted)
{
    const double got = field->picks[id];
    cr_assert(got >= wanted * 0.9 && got <= wanted * 1.1, "%u: %.0f, not %.0f", (unsigned)id, got,
              wanted);
}

#endif
