/* room.h - the places where calls wait: a slot room (bulkhead and its lines) and a token room
 * (bucket and its line).
 *
 * One FIFO per bulkhead instance and slot kind, one per token key. Who waits for a token holds no
 * slot; once due it joins the slot line, and token and slot are taken together. A call in a slot
 * line has a token `promised`: newcomers see only tokens beyond those, so that whoever reaches the
 * head of the line finds its token there. INVARIANT: waiting_count == length of the line; promised
 * == calls in slot lines that came by this token room. Keyed instances (bulkhead.key,
 * rateLimit.key) hold a bounded table of rooms: only full buckets and empty bulkheads are evicted;
 * when none is, further keys share `_other`, so cycling keys resets nothing. Single-threaded. */
#ifndef OUTRIGGER_CALL_ROOM_H
#define OUTRIGGER_CALL_ROOM_H

#include "base/list.h"
#include "base/span.h"
#include "base/wheel.h"
#include "policy/bulkhead.h"
#include "policy/token_bucket.h"

#include <stdbool.h>
#include <stdint.h>

struct call_engine;
struct instance;

enum slot_line { SLOT_LINE_CALLS = 0, SLOT_LINE_TUNNELS, SLOT_LINES };

struct line {
    struct list calls; /* call.line_link, first come first */
    uint32_t length;
};

struct slot_room {
    struct bulkhead bulkhead;
    struct line lines[SLOT_LINES];
    uint32_t waiting; /* calls in any line that will need it: those in its own, and those before it
                         for a token */
};

struct token_room {
    struct token_bucket bucket;
    struct line line;
    uint64_t promised;
    uint32_t waiting;   /* calls in any line that came by it */
    struct timer timer; /* when the head of the line is due */
    struct call_engine *engine;
};

enum room_kind { ROOM_SLOTS, ROOM_TOKENS };

struct keyed_room {       /* one key's room */
    struct list age_link; /* oldest use first */
    struct keyed_room *chain;
    uint64_t hash;  /* with `check` all that is known of the key: a key may be as long as a request
                       line, */
    uint64_t check; /* so 10 000 of them are not kept; two keyed hashes of 64 bits do not collide by
                       chance or intent */
    union {
        struct slot_room slots;
        struct token_room tokens;
    };
};

struct room_table { /* all rooms of one instance and kind; without a key just `other` */
    enum room_kind kind;
    struct list retired_link; /* instance.retired_tables */
    struct key_config key;    /* its header's name is the table's own copy */
    char *header;
    struct call_engine *engine;
    union {
        const struct bulkhead_config *bulkhead;
        const struct rate_limit_config *rate;
    } cfg;
    struct keyed_room *other; /* the room without a key, or of the keys that found no place */
    struct keyed_room **chains;
    uint32_t chain_count; /* a power of two, 0 without a key */
    uint32_t count;
    struct list by_age;
    uint64_t hash_seed;
    uint64_t check_seed;
};

void line_join(struct line *line, struct list *link);
void line_leave(struct line *line, struct list *link);

struct room_table *room_table_new_slots(struct call_engine *engine,
                                        const struct bulkhead_config *cfg, mono_ns now);
struct room_table *room_table_new_tokens(struct call_engine *engine,
                                         const struct rate_limit_config *cfg, mono_ns now);
/* `cfg` is the instance's own copy and outlives the table. NULL when there is no memory. */

void room_table_free(struct room_table **table);
/* INVARIANT: nobody waits, nothing is in flight in any room. NULL inside is harmless. */

bool room_table_has_key(const struct room_table *table, const struct key_config *key);
/* Is it a table for this key (same kind, header and number of keys)? */

bool room_table_is_idle(const struct room_table *table);
/* No waiting call needs it, and nothing is in flight in any room. */

struct keyed_room *room_table_find(struct room_table *table, struct span key, mono_ns now);
/* The room of `key`, made if need be; `_other` when the table is full of rooms in use or memory is
 * short. */

void room_table_configure(struct room_table *table, mono_ns now);
/* The instance's cfg has new numbers (same key): they reach every room; room_table_serve is due. */

void room_table_serve(struct room_table *table, mono_ns now);
/* Lets in, or refuses, who waits in any room and need not. */

struct room_totals {
    uint64_t in_flight[BULKHEAD_SLOT_KINDS];
    uint64_t queued;
    uint64_t millitokens;
};
void room_table_totals(const struct room_table *table, mono_ns now, struct room_totals *totals);
/* Adds all rooms to *totals (keyed instances are summed). */

#endif
