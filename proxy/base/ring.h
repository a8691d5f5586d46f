/* ring.h - lines or events on their way to another thread: a bounded ring of bytes, many writers,
 * one reader, no lock.
 *
 * A writer reserves room by moving `head`, copies, and publishes by storing the record's length;
 * the reader clears what it took before it moves `tail`. A full ring refuses; nobody waits. A
 * writer that is interrupted between reserving and publishing holds up the reader, never another
 * writer.
 * Example: if (!ring_put(ring, line, len)) dropped++;
 *          while ((len = ring_take(ring, out, sizeof(out))) > 0) ...
 * Ownership: bytes are copied in and out. */
#ifndef OUTRIGGER_BASE_RING_H
#define OUTRIGGER_BASE_RING_H

#include <stdbool.h>
#include <stddef.h>

struct ring;

struct ring *ring_new(size_t size_bytes);
/* `size_bytes` is a power of two. NULL without memory. */

void ring_free(struct ring **ring);
/* When no thread uses it any more. */

bool ring_put(struct ring *ring, const char *bytes, size_t len);
/* One record of at least one byte; false, and nothing is put in, when there is no room. Any thread.
 */

size_t ring_take(struct ring *ring, char *out, size_t size);
/* The oldest record, cut to `size`, and its length; 0 when there is none. The reader only. */

bool ring_is_empty(const struct ring *ring);
/* Is nothing there for ring_take? The reader only. */

#endif
