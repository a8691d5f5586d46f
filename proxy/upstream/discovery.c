/* discovery.c - see discovery.h. INVARIANT: `pending` lookups of places are under way. */
#include "upstream/discovery.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

#define DISCOVERY_MAGIC 0x44534356U
#define UNIX_PREFIX SPAN("unix:")

struct place {
    struct discovery *discovery;
    struct resolver_lookup *lookup; /* NULL: not being asked for */
    struct address *addresses;      /* what is known of it */
    size_t count;
    dur_ns ttl;
    uint16_t priority; /* of its SRV record */
    uint16_t port;
    bool is_literal;
    char *host;
};

struct discovery {
    uint32_t magic;
    struct resolver *resolver;
    discovery_callback callback;
    void *context;
    char *srv; /* NULL: the places are given */
    struct resolver_lookup *srv_lookup;
    dur_ns srv_ttl;
    struct place *places; /* those of SRV: lowest priority first */
    size_t count;
    size_t pending;
    const char *failure; /* of the round of lookups that is on */
};

/* ---- places ---- */

static enum err parse_literal(const char *host, uint16_t port, struct address *out)
{
    const struct span text = span_of(host);
    return span_starts_with(text, UNIX_PREFIX) ? address_parse(text, out)
                                               : address_from_ip(text, port, out);
}

static enum err keep_addresses(struct place *place, const struct address *addresses, size_t count,
                               dur_ns ttl)
{
    struct address *kept = malloc((count + 1) * sizeof *kept);
    if (kept == NULL)
        return ERR_NO_MEMORY;
    memcpy(kept, addresses, count * sizeof *kept);
    free(place->addresses);
    place->addresses = kept;
    place->count = count;
    place->ttl = ttl;
    return OK;
}

static enum err place_init(struct place *place, struct discovery *discovery, const char *host,
                           uint16_t port)
{
    struct address literal;
    *place = (struct place){.discovery = discovery, .port = port};
    place->is_literal = parse_literal(host, port, &literal) == OK;
    if (!place->is_literal && !resolver_is_name(span_of(host)))
        return ERR_INVALID;
    place->host = strdup(host);
    if (place->host == NULL)
        return ERR_NO_MEMORY;
    return place->is_literal ? keep_addresses(place, &literal, 1, DUR_FOREVER) : OK;
}

static void place_fini(struct place *place)
{
    if (place->lookup != NULL)
        resolver_cancel(&place->lookup);
    free(place->addresses);
    free(place->host);
}

static void places_free(struct place *places, size_t count)
{
    for (size_t i = 0; i < count; i++)
        place_fini(&places[i]);
    free(places);
}

/* ---- what is told ---- */

/* Of SRV records: where its addresses end. */
static size_t first_group(const struct discovery *discovery)
{
    size_t at = 0;
    while (at < discovery->count && discovery->places[at].count == 0)
        at++;
    if (discovery->srv == NULL || at == discovery->count)
        return discovery->count;
    const uint16_t priority = discovery->places[at].priority;
    while (at < discovery->count && discovery->places[at].priority == priority)
        at++;
    return at;
}

static void add(struct discovered *found, struct address *room, const struct place *place)
{
    if (place->count == 0)
        return;
    memcpy(room + found->count, place->addresses, place->count * sizeof *room);
    found->count += place->count;
    found->literal_count += place->is_literal ? place->count : 0;
    found->ttl = dur_min(found->ttl, place->ttl);
}

/* A single name's addresses are remembered by whoever hears of them. */
static void forget_single(struct discovery *discovery)
{
    struct place *place = &discovery->places[0];
    if (discovery->srv != NULL || discovery->count != 1 || place->is_literal)
        return;
    free(place->addresses);
    place->addresses = NULL;
    place->count = 0;
}

static enum err tell(struct discovery *discovery)
{
    const size_t end = first_group(discovery);
    struct discovered found = {.ttl = discovery->srv ? discovery->srv_ttl : DUR_FOREVER,
                               .failure = discovery->failure};
    size_t most = 0;
    for (size_t i = 0; i < end; i++)
        most += discovery->places[i].count;
    struct address *room = malloc((most + 1) * sizeof *room);
    if (room == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < end; i++)
        if (discovery->places[i].is_literal)
            add(&found, room, &discovery->places[i]);
    for (size_t i = 0; i < end; i++)
        if (!discovery->places[i].is_literal)
            add(&found, room, &discovery->places[i]);
    found.addresses = room;
    if (found.count == 0 && found.failure == NULL)
        found.failure = "no host of the SRV records has an address";
    forget_single(discovery);
    discovery->callback(discovery->context, &found);
    free(room);
    return OK;
}

static void tell_later(struct discovery *discovery)
{
    static const struct discovered nothing = {.failure = "out of memory"};
    if (tell(discovery) != OK)
        discovery->callback(discovery->context, &nothing);
}

/* ---- asking ---- */

static void on_addresses(void *context, const struct resolver_answer *answer)
{
    struct place *place = context;
    struct discovery *discovery = place->discovery;
    CHECK_OBJ(discovery, DISCOVERY_MAGIC);
    place->lookup = NULL;
    discovery->pending--;
    if (answer->count == 0)
        discovery->failure = answer->failure;
    else if (keep_addresses(place, answer->addresses, answer->count, answer->ttl) != OK)
        discovery->failure = "out of memory";
    if (discovery->pending == 0)
        tell_later(discovery);
}

/* OK: at least one is asked for. */
static enum err ask_places(struct discovery *discovery)
{
    enum err result = ERR_INVALID;
    for (size_t i = 0; i < discovery->count; i++) {
        struct place *place = &discovery->places[i];
        if (place->is_literal)
            continue;
        const enum err e = resolver_lookup(discovery->resolver, span_of(place->host), place->port,
                                           on_addresses, place, &place->lookup);
        discovery->pending += e == OK ? 1 : 0;
        if (e == OK || result != OK)
            result = e;
        if (e != OK)
            discovery->failure = err_text(e);
    }
    return result;
}

static struct place *find_place(const struct discovery *discovery,
                                const struct resolver_record *record)
{
    for (size_t i = 0; i < discovery->count; i++) {
        struct place *place = &discovery->places[i];
        if (place->port == record->port && strcmp(place->host, record->host) == 0)
            return place;
    }
    return NULL;
}

/* What is known of a host moves to its new place. */
static void inherit(struct place *place, struct place *known)
{
    if (known == NULL)
        return;
    place->addresses = known->addresses;
    place->count = known->count;
    place->ttl = known->ttl;
    known->addresses = NULL;
    known->count = 0;
}

static enum err take_records(struct discovery *discovery, const struct resolver_records *answer)
{
    struct place *places = calloc(answer->count, sizeof *places);
    size_t made = 0;
    enum err e = places ? OK : ERR_NO_MEMORY;
    for (; made < answer->count && e == OK; made++) {
        e = place_init(&places[made], discovery, answer->records[made].host,
                       answer->records[made].port);
        places[made].priority = answer->records[made].priority;
    }
    if (e != OK) {
        places_free(places, made);
        return e;
    }
    for (size_t i = 0; i < made; i++)
        inherit(&places[i], find_place(discovery, &answer->records[i]));
    places_free(discovery->places, discovery->count);
    discovery->places = places;
    discovery->count = made;
    discovery->srv_ttl = answer->ttl;
    return OK;
}

/* Where the records cannot be had, the hosts known so far are asked for all the same. */
static void on_records(void *context, const struct resolver_records *answer)
{
    struct discovery *discovery = context;
    CHECK_OBJ(discovery, DISCOVERY_MAGIC);
    discovery->srv_lookup = NULL;
    if (answer->count == 0)
        discovery->failure = answer->failure;
    else if (take_records(discovery, answer) != OK)
        discovery->failure = "out of memory";
    if (ask_places(discovery) != OK)
        tell_later(discovery);
}

enum err discovery_ask(struct discovery *discovery)
{
    CHECK_OBJ(discovery, DISCOVERY_MAGIC);
    INVARIANT(!discovery_is_asking(discovery));
    discovery->failure = NULL;
    if (discovery->srv == NULL)
        return ask_places(discovery);
    return resolver_lookup_srv(discovery->resolver, span_of(discovery->srv), on_records, discovery,
                               &discovery->srv_lookup);
}

bool discovery_is_asking(const struct discovery *discovery)
{
    return discovery->srv_lookup != NULL || discovery->pending > 0;
}

enum err discovery_tell(struct discovery *discovery)
{
    CHECK_OBJ(discovery, DISCOVERY_MAGIC);
    discovery->failure = NULL;
    return tell(discovery);
}

/* ---- life ---- */

bool discovery_is_fixed(const struct discovery *discovery)
{
    if (discovery->srv != NULL)
        return false;
    for (size_t i = 0; i < discovery->count; i++)
        if (!discovery->places[i].is_literal)
            return false;
    return true;
}

bool discovery_is(const struct discovery *discovery, const struct discovery_order *order)
{
    if ((discovery->srv == NULL) != (order->srv == NULL))
        return false;
    if (order->srv != NULL)
        return strcmp(discovery->srv, order->srv) == 0;
    if (discovery->count != order->count)
        return false;
    for (size_t i = 0; i < order->count; i++)
        if (discovery->places[i].port != order->places[i].port ||
            strcmp(discovery->places[i].host, order->places[i].host) != 0)
            return false;
    return true;
}

static enum err take_order(struct discovery *discovery, const struct discovery_order *order)
{
    if (order->srv != NULL) {
        discovery->srv = strdup(order->srv);
        if (!resolver_is_name(span_of(order->srv)))
            return ERR_INVALID;
        return discovery->srv ? OK : ERR_NO_MEMORY;
    }
    enum err e = OK;
    discovery->places = calloc(order->count, sizeof *discovery->places);
    if (discovery->places == NULL)
        return ERR_NO_MEMORY;
    while (discovery->count < order->count && e == OK) {
        const struct discovery_place *place = &order->places[discovery->count];
        e = place_init(&discovery->places[discovery->count++], discovery, place->host, place->port);
    }
    return e;
}

enum err discovery_new(struct resolver *resolver, const struct discovery_order *order,
                       discovery_callback callback, void *context, struct discovery **out)
{
    struct discovery *discovery = calloc(1, sizeof *discovery);
    if (discovery == NULL)
        return ERR_NO_MEMORY;
    *discovery = (struct discovery){
        .magic = DISCOVERY_MAGIC, .resolver = resolver, .callback = callback, .context = context};
    const enum err e = take_order(discovery, order);
    if (e != OK)
        discovery_free(&discovery);
    else
        *out = discovery;
    return e;
}

void discovery_free(struct discovery **taken)
{
    struct discovery *discovery = *taken;
    *taken = NULL;
    if (discovery == NULL)
        return;
    CHECK_OBJ(discovery, DISCOVERY_MAGIC);
    if (discovery->srv_lookup != NULL)
        resolver_cancel(&discovery->srv_lookup);
    places_free(discovery->places, discovery->count);
    free(discovery->srv);
    discovery->magic = 0;
    free(discovery);
}
