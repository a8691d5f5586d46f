/* room.c - keyed tables of slot rooms and token rooms. See room.h. */
#include "call/room.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/rng.h"
#include "call/admission.h"
#include "call/call.h"

#include <stdlib.h>
#include <string.h>

void line_join(struct line *line, struct list *link)
{
    list_append(&line->calls, link);
    line->length++;
}

void line_leave(struct line *line, struct list *link)
{
    INVARIANT(line->length > 0);
    list_remove(link);
    line->length--;
}

static void line_init(struct line *line)
{
    list_init(&line->calls);
    line->length = 0;
}

static void on_token_due(struct timer *timer, mono_ns now)
{
    struct token_room *room = CONTAINER_OF(timer, struct token_room, timer);
    admission_serve_tokens(room, now);
    call_engine_settle(room->engine, now);
}

static void room_init(struct room_table *table, struct keyed_room *room, mono_ns now)
{
    if (table->kind == ROOM_SLOTS) {
        bulkhead_init(&room->slots.bulkhead, table->cfg.bulkhead);
        for (int i = 0; i < SLOT_LINES; i++)
            line_init(&room->slots.lines[i]);
        room->slots.waiting = 0;
    } else {
        token_bucket_init(&room->tokens.bucket, table->cfg.rate, now);
        line_init(&room->tokens.line);
        room->tokens.promised = 0;
        room->tokens.waiting = 0;
        room->tokens.engine = table->engine;
        timer_init(&room->tokens.timer, on_token_due);
    }
}

static struct keyed_room *room_new(struct room_table *table, uint64_t hash, uint64_t check,
                                   mono_ns now)
{
    struct keyed_room *room = calloc(1, sizeof *room);
    if (room == NULL)
        return NULL;
    list_init(&room->age_link);
    room->hash = hash;
    room->check = check;
    room_init(table, room, now);
    return room;
}

static uint32_t chains_for(const struct key_config *key)
{
    uint32_t count = 16;
    while (count < key->max_keys && count < UINT32_C(1) << 20)
        count *= 2;
    return count;
}

static struct room_table *table_new(enum room_kind kind, struct call_engine *engine,
                                    const struct key_config *key)
{
    struct room_table *table = calloc(1, sizeof *table);
    if (table == NULL)
        return NULL;
    table->kind = kind;
    table->key = *key;
    table->engine = engine;
    list_init(&table->retired_link);
    list_init(&table->by_age);
    table->hash_seed = rng_next(engine->rng);
    table->check_seed = rng_next(engine->rng);
    if (key->kind == KEY_HEADER) {
        table->header = strdup(key->header);
        table->key.header = table->header;
    }
    return table;
}

static struct room_table *table_open(struct room_table *table, mono_ns now)
{
    table->other = room_new(table, 0, 0, now);
    if (table->other == NULL || (table->key.kind == KEY_HEADER && table->header == NULL))
        room_table_free(&table);
    return table;
}

struct room_table *room_table_new_slots(struct call_engine *engine,
                                        const struct bulkhead_config *cfg, mono_ns now)
{
    struct room_table *table = table_new(ROOM_SLOTS, engine, &cfg->key);
    if (table == NULL)
        return NULL;
    table->cfg.bulkhead = cfg;
    return table_open(table, now);
}

struct room_table *room_table_new_tokens(struct call_engine *engine,
                                         const struct rate_limit_config *cfg, mono_ns now)
{
    struct room_table *table = table_new(ROOM_TOKENS, engine, &cfg->key);
    if (table == NULL)
        return NULL;
    table->cfg.rate = cfg;
    return table_open(table, now);
}

static bool room_is_idle(const struct room_table *table, const struct keyed_room *room)
{
    if (table->kind == ROOM_TOKENS)
        return room->tokens.waiting == 0;
    return room->slots.waiting == 0 && bulkhead_is_empty(&room->slots.bulkhead);
}

static void room_free(struct room_table *table, struct keyed_room *room)
{
    INVARIANT(room_is_idle(table, room));
    if (table->kind == ROOM_TOKENS)
        wheel_clear(table->engine->wheel, &room->tokens.timer);
    free(room);
}

void room_table_free(struct room_table **taken)
{
    struct room_table *table = *taken;
    *taken = NULL;
    if (table == NULL)
        return;
    list_remove(&table->retired_link);
    LIST_FOREACH_SAFE (link, following, &table->by_age)
        room_free(table, CONTAINER_OF(link, struct keyed_room, age_link));
    if (table->other != NULL)
        room_free(table, table->other);
    free(table->chains);
    free(table->header);
    free(table);
}

bool room_table_has_key(const struct room_table *table, const struct key_config *key)
{
    if (table->key.kind != key->kind || table->key.max_keys != key->max_keys)
        return false;
    return key->kind != KEY_HEADER || strcmp(table->key.header, key->header) == 0;
}

bool room_table_is_idle(const struct room_table *table)
{
    if (!room_is_idle(table, table->other))
        return false;
    LIST_FOREACH (link, &table->by_age)
        if (!room_is_idle(table, CONTAINER_OF(link, struct keyed_room, age_link)))
            return false;
    return true;
}

static bool room_is_evictable(const struct room_table *table, const struct keyed_room *room,
                              mono_ns now)
{
    return room_is_idle(table, room) &&
           (table->kind == ROOM_SLOTS || token_bucket_is_full(&room->tokens.bucket, now));
}

static struct keyed_room **room_place(struct room_table *table, uint64_t hash)
{
    return &table->chains[hash & (table->chain_count - 1)];
}

static void room_table_remove(struct room_table *table, struct keyed_room *room)
{
    struct keyed_room **at = room_place(table, room->hash);
    while (*at != room)
        at = &(*at)->chain;
    *at = room->chain;
    list_remove(&room->age_link);
    table->count--;
    room_free(table, room);
}

/* Looks at a few of the oldest rooms only: a full table of rooms in use must not cost a walk per
 * call. Those in use go to the end, so that a few long ones do not hide all others. */
#define EVICTION_LOOKS 8

static bool room_table_evict(struct room_table *table, mono_ns now)
{
    for (int looks = 0; looks < EVICTION_LOOKS; looks++) {
        struct keyed_room *room =
            CONTAINER_OF(list_first(&table->by_age), struct keyed_room, age_link);
        if (room_is_evictable(table, room, now)) {
            room_table_remove(table, room);
            return true;
        }
        list_remove(&room->age_link);
        list_append(&table->by_age, &room->age_link);
    }
    return false;
}

static struct keyed_room *room_table_add(struct room_table *table, uint64_t hash, uint64_t check,
                                         mono_ns now)
{
    if (table->chains == NULL) {
        table->chain_count = chains_for(&table->key);
        table->chains = calloc(table->chain_count, sizeof(struct keyed_room *));
        if (table->chains == NULL)
            return table->other;
    }
    if (table->count >= table->key.max_keys && !room_table_evict(table, now))
        return table->other;
    struct keyed_room *room = room_new(table, hash, check, now);
    if (room == NULL)
        return table->other;
    struct keyed_room **place = room_place(table, hash);
    room->chain = *place;
    *place = room;
    list_append(&table->by_age, &room->age_link);
    table->count++;
    return room;
}

struct keyed_room *room_table_find(struct room_table *table, struct span key, mono_ns now)
{
    if (table->key.kind == KEY_NONE)
        return table->other;
    const uint64_t hash = hash_span(key, table->hash_seed);
    const uint64_t check = hash_span(key, table->check_seed);
    struct keyed_room *room = table->chains ? *room_place(table, hash) : NULL;
    for (; room != NULL; room = room->chain) {
        if (room->hash != hash || room->check != check)
            continue;
        list_remove(&room->age_link);
        list_append(&table->by_age, &room->age_link);
        return room;
    }
    return room_table_add(table, hash, check, now);
}

static void room_configure(struct room_table *table, struct keyed_room *room, mono_ns now)
{
    if (table->kind == ROOM_SLOTS)
        bulkhead_configure(&room->slots.bulkhead, table->cfg.bulkhead);
    else
        token_bucket_configure(&room->tokens.bucket, table->cfg.rate, now);
}

void room_table_configure(struct room_table *table, mono_ns now)
{
    room_configure(table, table->other, now);
    LIST_FOREACH (link, &table->by_age)
        room_configure(table, CONTAINER_OF(link, struct keyed_room, age_link), now);
}

static void room_serve(const struct room_table *table, struct keyed_room *room, mono_ns now)
{
    if (table->kind == ROOM_SLOTS)
        admission_serve_slots(&room->slots, now);
    else
        admission_serve_tokens(&room->tokens, now);
}

void room_table_serve(struct room_table *table, mono_ns now)
{
    room_serve(table, table->other, now);
    LIST_FOREACH (link, &table->by_age)
        room_serve(table, CONTAINER_OF(link, struct keyed_room, age_link), now);
}

static void room_add_totals(const struct room_table *table, const struct keyed_room *room,
                            mono_ns now, struct room_totals *totals)
{
    if (table->kind == ROOM_TOKENS) {
        totals->millitokens += token_bucket_millitokens(&room->tokens.bucket, now);
        totals->queued += room->tokens.line.length;
        return;
    }
    for (int slot = 0; slot < BULKHEAD_SLOT_KINDS; slot++)
        totals->in_flight[slot] += room->slots.bulkhead.in_flight[slot];
    for (int i = 0; i < SLOT_LINES; i++)
        totals->queued += room->slots.lines[i].length;
}

void room_table_totals(const struct room_table *table, mono_ns now, struct room_totals *totals)
{
    room_add_totals(table, table->other, now, totals);
    LIST_FOREACH (link, &table->by_age)
        room_add_totals(table, CONTAINER_OF(link, struct keyed_room, age_link), now, totals);
}
