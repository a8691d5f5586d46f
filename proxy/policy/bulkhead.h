/* bulkhead.h - a bound on what is in flight, so that one slow target cannot take the whole caller
 * with it.
 *
 * Three kinds of slot are counted apart: attempts, streams (responses that last longer than 60 s)
 * and connections (tunnels). The bulkhead counts; the line in front of it belongs to `call`.
 * Example: max_requests 2: two bulkhead_take pass, bulkhead_has_room then says no; one
 * bulkhead_release makes room again.
 * Ownership: a plain value; who takes a slot gives it back, once. Pure, single-threaded. Errors:
 * taking without room and releasing what was not taken are our bugs (INVARIANT). */
#ifndef OUTRIGGER_POLICY_BULKHEAD_H
#define OUTRIGGER_POLICY_BULKHEAD_H

#include "base/mono.h"
#include "policy/mode.h"
#include "policy/token_bucket.h"

#include <stdbool.h>
#include <stdint.h>

#define BULKHEAD_UNLIMITED UINT32_MAX
#define BULKHEAD_STREAM_AFTER (60 * NS_PER_S) /* POLICY: a longer response moves to maxStreams */

struct bulkhead_config {
    enum policy_mode mode;
    uint32_t max_requests;
    uint32_t max_pending;
    dur_ns pending_timeout;
    uint32_t max_connections; /* tunnels; BULKHEAD_UNLIMITED by default */
    uint32_t max_streams;     /* BULKHEAD_UNLIMITED by default */
    struct key_config key;
};

enum bulkhead_slot {
    BULKHEAD_ATTEMPT = 0,
    BULKHEAD_STREAM,
    BULKHEAD_CONNECTION,
    BULKHEAD_SLOT_KINDS
};

struct bulkhead {
    uint32_t limit[BULKHEAD_SLOT_KINDS];
    uint32_t in_flight[BULKHEAD_SLOT_KINDS];
};

void bulkhead_init(struct bulkhead *bulkhead, const struct bulkhead_config *cfg);
/* Empty, with the limits of `cfg`. */

void bulkhead_configure(struct bulkhead *bulkhead, const struct bulkhead_config *cfg);
/* New limits; what is in flight stays counted, even above the new limit. */

bool bulkhead_has_room(const struct bulkhead *bulkhead, enum bulkhead_slot slot);
/* Fewer in flight of that kind than its limit? */

void bulkhead_take(struct bulkhead *bulkhead, enum bulkhead_slot slot);
/* Only when it has room (INVARIANT). */

void bulkhead_release(struct bulkhead *bulkhead, enum bulkhead_slot slot);
/* INVARIANT: something of that kind was in flight. */

bool bulkhead_move(struct bulkhead *bulkhead, enum bulkhead_slot from, enum bulkhead_slot to);
/* Re-labels one slot (a long response becomes a stream); false, and nothing changed, when `to` has
 * no room. */

void bulkhead_convert(struct bulkhead *bulkhead, enum bulkhead_slot from, enum bulkhead_slot to);
/* Re-labels one slot even above the limit of `to`: what is open already cannot be refused. */

bool bulkhead_is_empty(const struct bulkhead *bulkhead);
/* Nothing of any kind in flight: it may be forgotten. */

#endif
