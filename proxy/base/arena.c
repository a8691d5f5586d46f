/* arena.c - see arena.h.
 *
 * Chunks of one size are pooled. What would leave too much of a chunk unused gets a chunk of its
 * own size, which goes back to libc. Under AddressSanitizer everything in a chunk that is not
 * handed out is poisoned: a read past an allocation, or through a pointer that outlived its
 * request, is found as if it came from malloc. */
#include "base/arena.h"

#include "base/check.h"
#include "base/poison.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALIGNMENT _Alignof(max_align_t)
#define CHUNK_BYTES                                                                                \
    8192 /* the usual request fits into one, its head and its response's head included */
#define OWN_CHUNK_SHARE                                                                            \
    4 /* what is larger than so much of a chunk starts none: at most a quarter of                  \
         one is wasted */

struct arena_chunk {
    struct arena_chunk *next;
    uint32_t size; /* of `data` */
    uint32_t used;
    _Alignas(max_align_t) char data[];
};

/* Of the chunks that are pooled. */
static size_t data_bytes_of(const struct arena_pool *pool)
{
    return (pool != NULL ? pool->chunk_bytes : CHUNK_BYTES) - sizeof(struct arena_chunk);
}

void arena_pool_init(struct arena_pool *pool, size_t free_limit)
{
    arena_pool_init_small(pool, CHUNK_BYTES, free_limit);
}

void arena_pool_init_small(struct arena_pool *pool, size_t chunk_bytes, size_t free_limit)
{
    INVARIANT(chunk_bytes > sizeof(struct arena_chunk));
    *pool = (struct arena_pool){.free_limit = free_limit, .chunk_bytes = chunk_bytes};
}

void arena_pool_fini(struct arena_pool *pool)
{
    while (pool->free != NULL) {
        struct arena_chunk *chunk = pool->free;
        pool->free = chunk->next;
        UNPOISON(chunk->data, chunk->size);
        free(chunk);
    }
    pool->free_count = 0;
}

void arena_init(struct arena *arena, struct arena_pool *pool, size_t limit_bytes)
{
    *arena = (struct arena){
        .pool = pool, .limit_bytes = limit_bytes < UINT32_MAX ? (uint32_t)limit_bytes : UINT32_MAX};
}

static void give_back(struct arena_pool *pool, struct arena_chunk *chunk)
{
    if (pool != NULL && chunk->size == data_bytes_of(pool) && pool->free_count < pool->free_limit) {
        POISON(chunk->data, chunk->size);
        chunk->next = pool->free;
        pool->free = chunk;
        pool->free_count++;
        return;
    }
    UNPOISON(chunk->data, chunk->size);
    free(chunk);
}

void arena_fini(struct arena *arena)
{
    while (arena->chunks != NULL) {
        struct arena_chunk *chunk = arena->chunks;
        arena->chunks = chunk->next;
        give_back(arena->pool, chunk);
    }
    arena_init(arena, arena->pool, arena->limit_bytes);
}

static struct arena_chunk *take_pooled(struct arena_pool *pool)
{
    if (pool == NULL || pool->free == NULL)
        return NULL;
    struct arena_chunk *chunk = pool->free;
    pool->free = chunk->next;
    pool->free_count--;
    return chunk;
}

static struct arena_chunk *new_chunk(size_t data_bytes)
{
    struct arena_chunk *chunk = malloc(sizeof *chunk + data_bytes);
    if (chunk == NULL)
        return NULL;
    chunk->size = (uint32_t)data_bytes;
    POISON(chunk->data, data_bytes);
    return chunk;
}

/* A chunk of its own, behind the one that is being filled. */
static void *alloc_alone(struct arena *arena, size_t size)
{
    struct arena_chunk *chunk = new_chunk(size);
    if (chunk == NULL)
        return NULL;
    struct arena_chunk **place = arena->chunks != NULL ? &arena->chunks->next : &arena->chunks;
    chunk->used = chunk->size;
    chunk->next = *place;
    *place = chunk;
    return chunk->data;
}

static bool start_chunk(struct arena *arena)
{
    struct arena_chunk *chunk = take_pooled(arena->pool);
    if (chunk == NULL)
        chunk = new_chunk(data_bytes_of(arena->pool));
    if (chunk == NULL)
        return false;
    chunk->used = 0;
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    return true;
}

static bool fits(const struct arena *arena, size_t size)
{
    const struct arena_chunk *chunk = arena->chunks;
    return chunk != NULL && size <= chunk->size - chunk->used;
}

static void *bump(struct arena *arena, size_t size)
{
    if (!fits(arena, size) && !start_chunk(arena))
        return NULL;
    struct arena_chunk *chunk = arena->chunks;
    void *block = chunk->data + chunk->used;
    chunk->used += (uint32_t)size;
    return block;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    const size_t wanted = size + (size == 0);
    const size_t rounded = (wanted + ALIGNMENT - 1) & ~(ALIGNMENT - 1); /* 0 where that overflows */
    if (rounded == 0 || rounded > arena->limit_bytes - arena->used_bytes)
        return NULL;
    const bool is_small = rounded <= data_bytes_of(arena->pool) / OWN_CHUNK_SHARE;
    void *block =
        fits(arena, rounded) || is_small ? bump(arena, rounded) : alloc_alone(arena, rounded);
    if (block == NULL)
        return NULL;
    arena->used_bytes += (uint32_t)rounded;
    UNPOISON(block, size);
    return block;
}

void *arena_zalloc(struct arena *arena, size_t size)
{
    void *block = arena_alloc(arena, size);
    return block != NULL ? memset(block, 0, size) : NULL;
}

struct span arena_copy(struct arena *arena, struct span bytes)
{
    char *copy = bytes.len < SIZE_MAX ? arena_alloc(arena, bytes.len + 1) : NULL;
    if (copy == NULL)
        return SPAN_NONE;
    if (bytes.len > 0)
        memcpy(copy, bytes.data, bytes.len);
    copy[bytes.len] = '\0';
    return span_make(copy, bytes.len);
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *text = length >= 0 ? arena_alloc(arena, (size_t)length + 1) : NULL;
    if (text == NULL)
        return NULL;
    va_start(arguments, format);
    vsnprintf(text, (size_t)length + 1, format, arguments);
    va_end(arguments);
    return text;
}
