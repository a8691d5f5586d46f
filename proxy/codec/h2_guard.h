/* h2_guard.h - what a peer of HTTP/2 may make us do for nothing: a bucket that useful frames fill
 * and that frames which carry nothing empty.
 *
 * Every frame costs us work; most are worth it. Those that are not (empty DATA, PRIORITY, PING,
 * SETTINGS, WINDOW_UPDATE, unknown types, our own RST_STREAM for a fault of the peer) are charged,
 * and an honest peer sends them beside DATA and HEADERS, which pay for them: so a fast stream with
 * a WINDOW_UPDATE a frame is in balance, a flood of them is not. Known attacks:
 * CVE-2019-9511..9518, MadeYouReset (CVE-2025-8671), HPACK bombs. Example: if
 * (!h2_guard_charge(&guard, H2_COST_FAULT, now)) -> end the connection, ENHANCE_YOUR_CALM Plain
 * value, one per connection and direction. Time is an argument. Pure. */
#ifndef OUTRIGGER_CODEC_H2_GUARD_H
#define OUTRIGGER_CODEC_H2_GUARD_H

#include "base/mono.h"

#include <stdbool.h>
#include <stdint.h>

#define H2_GUARD_BURST 4000 /* units at the start, and at most */
#define H2_GUARD_REFILL                                                                            \
    200 /* units a second that time alone brings: PINGs, SETTINGS of a quiet peer */
#define H2_GUARD_BYTES 64 /* of frames that we do not know, for a unit */

#define H2_COST_EMPTY 1 /* a frame that carries nothing */
#define H2_COST_FAULT                                                                              \
    40                   /* an invalid frame, a stream that the peer makes us reset: 100 at once   \
                          */
#define H2_COST_LIST 800 /* a header list beyond the limits: 5 at once */
#define H2_WORTH_FRAME 3 /* of a DATA frame with bytes in it, sent or received */
#define H2_WORTH_HEAD 6  /* of a head, sent or received */

struct h2_guard {
    int32_t units;
    mono_ns filled_at;
};

void h2_guard_init(struct h2_guard *guard, mono_ns now);

bool h2_guard_charge(struct h2_guard *guard, uint32_t units, mono_ns now);
/* False when the peer has used up its credit. */

static inline void h2_guard_earn(struct h2_guard *guard, int32_t units)
{
    guard->units = guard->units < H2_GUARD_BURST ? guard->units + units : guard->units;
}
/* A useful frame. (May pass the burst by one frame's worth.) */

#endif
