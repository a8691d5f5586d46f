/* arena.h - memory that dies together. A request owns one: allocation is a pointer bump, the end is
 * one call.
 *
 * Chunks (of 8 KiB, or what the pool says) come from a shared, bounded free list (arena_pool), so a
 * warm proxy allocates nothing per call; an allocation above 2 KiB that does not fit gets a chunk
 * of its own. Everything that a peer can size is capped: arena_alloc returns NULL past the arena's
 * limit, and the caller refuses the peer. The limit counts what was asked for, rounded up to the
 * alignment; what chunks waste adds a third and one chunk at most. Example:
 * arena_init(&request->arena, &pool, 256 * 1024); name = arena_copy(&request->arena, host); if
 * (name.data == NULL) refuse(...); ... arena_fini(&request->arena). Ownership: the arena owns what
 * it hands out, until arena_fini; the pool must outlive its arenas. Units: bytes. Single-threaded.
 * Under AddressSanitizer what is not handed out is poisoned. */
#ifndef OUTRIGGER_BASE_ARENA_H
#define OUTRIGGER_BASE_ARENA_H

#include "span.h"

#include <stddef.h>
#include <stdint.h>

struct arena_chunk;

struct arena_pool {
    struct arena_chunk *free;
    size_t free_count;
    size_t free_limit; /* chunks kept for reuse; more are given back to libc */
    size_t chunk_bytes;
};

struct arena {
    struct arena_pool *pool;    /* may be NULL: chunks then come from and return to libc */
    struct arena_chunk *chunks; /* the first one is being filled */
    uint32_t used_bytes;
    uint32_t limit_bytes;
};

void arena_pool_init(struct arena_pool *pool, size_t free_limit);
/* Empty; keeps at most `free_limit` chunks. */

void arena_pool_init_small(struct arena_pool *pool, size_t chunk_bytes, size_t free_limit);
/* The same with smaller chunks: for many arenas that live long and hold little. */

void arena_pool_fini(struct arena_pool *pool);
/* Gives its chunks back to libc. After the last arena_fini; it may then be used again. */

void arena_init(struct arena *arena, struct arena_pool *pool, size_t limit_bytes);
/* An empty arena; takes no memory until the first allocation. No limit is above 4 GiB. */

void arena_fini(struct arena *arena);
/* Gives everything back. The arena may be used again afterwards. */

void *arena_alloc(struct arena *arena, size_t size);
/* Aligned for any type, not zeroed; NULL when the limit or the system says no. Size 0 is fine. */

void *arena_zalloc(struct arena *arena, size_t size);
/* The same, zeroed. */

struct span arena_copy(struct arena *arena, struct span bytes);
/* A copy with a NUL behind it (not counted); SPAN_NONE when there is no room. */

char *arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A formatted, NUL-terminated string; NULL when there is no room. */

#endif
