/* agenda.c - a heap with four children a node: shallow, and the four lie side by side. */
#include "sim/agenda.h"

#include "base/check.h"

#include <stdbool.h>
#include <stdlib.h>

#define CHILDREN 4
#define FIRST_CAPACITY 1024

void agenda_init(struct agenda *agenda)
{
    *agenda = (struct agenda){.capacity = FIRST_CAPACITY};
    agenda->entries = malloc(agenda->capacity * sizeof *agenda->entries);
    INVARIANT(agenda->entries != NULL);
}

void agenda_fini(struct agenda *agenda)
{
    free(agenda->entries);
    agenda->entries = NULL;
}

static bool is_before(const struct entry *a, const struct entry *b)
{
    return a->at < b->at || (a->at == b->at && a->number < b->number);
}

void agenda_enter(struct agenda *agenda, mono_ns at, enum happening what, void *subject,
                  uint32_t epoch)
{
    if (agenda->count == agenda->capacity) {
        agenda->capacity *= 2;
        agenda->entries = realloc(agenda->entries, agenda->capacity * sizeof *agenda->entries);
        INVARIANT(agenda->entries != NULL);
    }
    const struct entry entry = {at, agenda->entered++, subject, epoch, what};
    size_t place = agenda->count++;
    while (place > 0) {
        const size_t parent = (place - 1) / CHILDREN;
        if (!is_before(&entry, &agenda->entries[parent]))
            break;
        agenda->entries[place] = agenda->entries[parent];
        place = parent;
    }
    agenda->entries[place] = entry;
}

static size_t least_child(const struct agenda *agenda, size_t parent)
{
    const size_t first = parent * CHILDREN + 1;
    const size_t end = first + CHILDREN < agenda->count ? first + CHILDREN : agenda->count;
    size_t least = first;
    for (size_t child = first + 1; child < end; child++)
        if (is_before(&agenda->entries[child], &agenda->entries[least]))
            least = child;
    return least;
}

struct entry agenda_take(struct agenda *agenda)
{
    INVARIANT(agenda->count > 0);
    const struct entry first = agenda->entries[0];
    const struct entry moved = agenda->entries[--agenda->count];
    size_t place = 0;
    while (place * CHILDREN + 1 < agenda->count) {
        const size_t child = least_child(agenda, place);
        if (!is_before(&agenda->entries[child], &moved))
            break;
        agenda->entries[place] = agenda->entries[child];
        place = child;
    }
    agenda->entries[place] = moved;
    return first;
}
