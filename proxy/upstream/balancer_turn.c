/* balancer_turn.c - roundRobin. The turns are a list, and who was taken goes to its end: whoever
 * comes, leaves, is masked or tried moves nobody else, so that no one is skipped or doubled. A
 * candidate that its slow start keeps out loses its turn; one that is masked keeps it. */
#include "base/check.h"
#include "upstream/balancer_pick.h"

static struct candidate *from_turn(struct list *turn)
{
    return CONTAINER_OF(turn, struct candidate, turn);
}

static void end_turn(struct balancer *balancer, struct candidate *candidate)
{
    list_remove(&candidate->turn);
    list_append(&balancer->turns, &candidate->turn);
}

/* Those whose slow start keeps them out go to the end, where they are not asked again. */
static struct candidate *pick_warm(const struct pick *pick)
{
    struct balancer *balancer = pick->balancer;
    struct list *next = balancer->turns.next;
    for (size_t i = 0; i < balancer->count; i++) {
        struct candidate *candidate = from_turn(next);
        next = next->next;
        if (pick_accepts(pick, candidate))
            return candidate;
        if (!pick_was_tried(pick, candidate) && pick_may_use(pick, candidate))
            end_turn(balancer, candidate);
    }
    return NULL;
}

__attribute__((noinline)) struct candidate *pick_in_turn(const struct pick *pick)
{
    if (pick->care == PICK_WARM)
        return pick_warm(pick);
    LIST_FOREACH (turn, &pick->balancer->turns)
        if (pick_accepts(pick, from_turn(turn)))
            return from_turn(turn);
    return NULL;
}

void balancer_take(struct balancer *balancer, struct candidate *candidate)
{
    if (balancer->cfg.algorithm == BALANCE_ROUND_ROBIN && list_is_linked(&candidate->turn))
        end_turn(balancer, candidate);
}
