/* policy_set.c - the life of a policy set; see policy_set.h. Asking it: policy_index.c (hosts),
 * match.c (rules). */
#include "config/policy_set.h"

#include "base/check.h"

#include <stdlib.h>

#define POLICY_SET_MAGIC 0x5E7F01C4u

struct policy_set *policy_set_new(size_t limit_bytes)
{
    struct policy_set *set = calloc(1, sizeof *set);
    if (set == NULL)
        return NULL;
    set->magic = POLICY_SET_MAGIC;
    set->refs = 1;
    arena_init(&set->arena, NULL, limit_bytes);
    return set;
}

struct policy_set *policy_set_ref(struct policy_set *set)
{
    CHECK_OBJ(set, POLICY_SET_MAGIC);
    INVARIANT(set->refs < UINT32_MAX);
    set->refs++;
    return set;
}

void policy_set_unref(struct policy_set **set)
{
    struct policy_set *gone = *set;
    if (gone == NULL)
        return;
    CHECK_OBJ(gone, POLICY_SET_MAGIC);
    INVARIANT(gone->refs > 0);
    *set = NULL;
    if (--gone->refs > 0)
        return;
    gone->magic = 0;
    arena_fini(&gone->arena);
    free(gone);
}
