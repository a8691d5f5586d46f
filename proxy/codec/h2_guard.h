/* h2_guard.h - what a peer of HTTP/2 may make us do for nothing: two buckets, one that useful
 * frames fill and frames which carry nothing empty, and one for the streams that it resets.
 *
 * Every frame costs us work; most are worth it. Those that are not (empty DATA, PRIORITY, PING,
 * SETTINGS, WINDOW_UPDATE, unknown types, our own RST_STREAM for a fault of the peer) are charged,
 * and an honest peer sends them beside DATA and HEADERS, which pay for them: so a fast stream with
 * a WINDOW_UPDATE a frame, or two a KiB, is in balance, a flood of them is not. Known attacks:
 * CVE-2019-9511 to 9518, CVE-2023-44487 (rapid reset), CVE-2025-8671 (MadeYouReset), HPACK bombs.
 * Example: if (!h2_guard_charge(&guard, H2_COST_FAULT, now)) -> GOAWAY, ENHANCE_YOUR_CALM
 * Plain value, one per connection. Time is an argument; a clock that goes back fills nothing. Pure.
 */
#ifndef OUTRIGGER_CODEC_H2_GUARD_H
#define OUTRIGGER_CODEC_H2_GUARD_H

#include "base/mono.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define H2_GUARD_BURST 4000 /* units at the start, and at most */
#define H2_GUARD_REFILL 200 /* a second, by time alone: PINGs, SETTINGS of a quiet peer */
#define H2_GUARD_BYTES 64   /* of frames that we are told nothing of, for a unit */

/* What may be under way on streams that we reset: no more than the connection's window, twice. An
 * attack: have many streams reset, then send as much for nothing. */
#define H2_GUARD_EXCUSED_MAX (2 * 1024 * 1024)

#define H2_COST_EMPTY 1  /* a frame that carries nothing */
#define H2_COST_FAULT 40 /* a message or frame that is none: a hundred at once */
#define H2_COST_LIST 800 /* a header list beyond the limits: five at once */
#define H2_WORTH_FRAME 3 /* of a DATA frame with bytes in it, sent or received */
#define H2_WORTH_BYTES                                                                             \
    512                 /* of it are worth a unit more: credit in pieces of 1 KiB is clumsy, and   \
                           two WINDOW_UPDATEs each, however large our frames are */
#define H2_WORTH_HEAD 6 /* of a head that is served, sent or received */

/* Streams that a peer may reset: a burst, and then so many a second. An app that hedges or cancels
 * every second call at 2 000 calls a second on one connection stays below; an attacker at the limit
 * costs a tenth of a core at most (tests/e2e/test_h2_load.py), because a reset call ends at once.
 */
#define H2_RESET_BURST 5000
#define H2_RESETS_PER_SECOND 1000

struct h2_bucket {
    int32_t units;
    mono_ns filled_at;
};

struct h2_guard {
    struct h2_bucket work;
    struct h2_bucket resets;
    uint32_t excused_bytes;
    uint32_t odd_bytes; /* not charged yet: less than a unit */
};

void h2_guard_init(struct h2_guard *guard, mono_ns now);

bool h2_guard_charge(struct h2_guard *guard, uint32_t units, mono_ns now);
/* False when the peer has used up its credit; as the next two. */

bool h2_guard_charge_bytes(struct h2_guard *guard, uint64_t bytes, mono_ns now);
/* Of frames that we are told nothing of: unknown types, and DATA on streams that are gone. */

bool h2_guard_reset(struct h2_guard *guard, mono_ns now);
/* The peer has reset a stream. */

void h2_guard_excuse(struct h2_guard *guard, uint32_t bytes);
/* We have reset a stream: so much may still be under way on it. */

static inline void h2_guard_earn(struct h2_guard *guard, int32_t units)
{
    if (guard->work.units < H2_GUARD_BURST)
        guard->work.units += units;
}
/* A useful frame. (May pass the burst by one frame's worth.) */

static inline void h2_guard_earn_data(struct h2_guard *guard, size_t bytes)
{
    h2_guard_earn(guard, H2_WORTH_FRAME + (int32_t)(bytes / H2_WORTH_BYTES));
}
/* DATA, of at most a frame. */

#endif
