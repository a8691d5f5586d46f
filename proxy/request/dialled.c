/* dialled.c - see dialled.h. */
#include "request/dialled.h"

#include <stdlib.h>
#include <string.h>

struct dialled_place {
    struct address address;
    mono_ns used_at;
};

static struct dialled_place *find(const struct dialled *dialled, const struct address *address)
{
    for (size_t i = 0; i < dialled->count; i++)
        if (address_equal(&dialled->places[i].address, address))
            return &dialled->places[i];
    return NULL;
}

/* Where the next one stands: at the end, or in place of the one that is missed least. */
static struct dialled_place *make_room(struct dialled *dialled, mono_ns now)
{
    struct dialled_place *oldest = NULL;
    for (size_t i = 0; i < dialled->count; i++)
        if (oldest == NULL || dialled->places[i].used_at < oldest->used_at)
            oldest = &dialled->places[i];
    const bool is_stale = oldest != NULL && mono_since(now, oldest->used_at) > DIALLED_STALE;
    if (is_stale || dialled->count == DIALLED_MAX)
        return oldest;
    struct dialled_place *more =
        realloc(dialled->places, (dialled->count + 1) * sizeof *dialled->places);
    if (more == NULL)
        return NULL;
    dialled->places = more;
    return &more[dialled->count++];
}

static enum err follow(struct dialled *dialled)
{
    char(*texts)[ADDRESS_TEXT_BYTES] = malloc(dialled->count * sizeof *texts);
    struct discovery_place *places = malloc(dialled->count * sizeof *places);
    enum err e = ERR_NO_MEMORY;
    for (size_t i = 0; texts != NULL && places != NULL && i < dialled->count; i++) {
        address_ip_text(&dialled->places[i].address, texts[i]);
        places[i] = (struct discovery_place){texts[i], address_port(&dialled->places[i].address)};
    }
    if (texts != NULL && places != NULL) {
        const struct discovery_order order = {.places = places, .count = dialled->count};
        e = endpoint_set_follow(dialled->set, &order);
    }
    free(texts);
    free(places);
    return e;
}

static enum err add(struct dialled *dialled, struct loop *loop, const struct endpoint_hooks *hooks,
                    const struct address *address)
{
    char text[ADDRESS_TEXT_BYTES];
    struct dialled_place *place = make_room(dialled, loop->now);
    if (place == NULL)
        return ERR_NO_MEMORY;
    *place = (struct dialled_place){*address, loop->now};
    if (dialled->set != NULL)
        return follow(dialled);
    address_ip_text(address, text);
    return endpoint_set_new(loop, NULL, span_of(text), address_port(address), hooks, &dialled->set);
}

struct endpoint_set *dialled_use(struct dialled *dialled, struct loop *loop,
                                 const struct endpoint_hooks *hooks, const struct address *address)
{
    struct dialled_place *place = find(dialled, address);
    if (place != NULL)
        place->used_at = loop->now;
    else if (add(dialled, loop, hooks, address) != OK)
        return NULL;
    return dialled->set;
}

void dialled_end(struct dialled *dialled)
{
    if (dialled->set != NULL)
        endpoint_set_free(&dialled->set);
    free(dialled->places);
    *dialled = (struct dialled){.set = NULL};
}
