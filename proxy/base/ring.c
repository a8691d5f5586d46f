/* ring.c - see ring.h.
 *
 * A record is a header word, aligned to it, and its bytes. The header is its length, and 0 while it
 * is being written; so every free word must be 0, which is why the reader clears what it has taken:
 * any word may become a header. head and tail grow for ever; the place in the ring is their
 * remainder. head - tail <= size always. */
#include "base/ring.h"

#include "base/check.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define WORD sizeof(uint64_t)

struct ring {
    uint64_t head __attribute__((aligned(64))); /* writers' */
    uint64_t tail __attribute__((aligned(64))); /* reader's */
    size_t size;
    uint64_t words[];
};

static char *bytes_at(struct ring *ring, uint64_t position)
{
    return (char *)ring->words + (position & (ring->size - 1));
}

static uint64_t *header_at(const struct ring *ring, uint64_t position)
{
    return (uint64_t *)&ring->words[(position & (ring->size - 1)) / WORD];
}

static size_t record_size(size_t len)
{
    return WORD + (len + WORD - 1) / WORD * WORD;
}

static size_t until_edge(const struct ring *ring, uint64_t position, size_t len)
{
    size_t left = ring->size - (size_t)(position & (ring->size - 1));
    return len < left ? len : left;
}

struct ring *ring_new(size_t size_bytes)
{
    INVARIANT(size_bytes >= 64 && (size_bytes & (size_bytes - 1)) == 0);
    size_t whole = (sizeof(struct ring) + size_bytes + 63) / 64 * 64;
    struct ring *ring = aligned_alloc(64, whole);
    if (!ring) {
        return NULL;
    }
    memset(ring, 0, whole);
    ring->size = size_bytes;
    return ring;
}

void ring_free(struct ring **ring)
{
    free(*ring);
    *ring = NULL;
}

bool ring_put(struct ring *ring, const char *bytes, size_t len)
{
    INVARIANT(len > 0);
    if (len > ring->size - WORD) {
        return false;
    }
    size_t need = record_size(len);
    uint64_t head = __atomic_load_n(&ring->head, __ATOMIC_RELAXED);
    do {
        uint64_t tail = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);
        if (head - tail > ring->size - need && head >= tail) {
            return false;
        }
    } while (!__atomic_compare_exchange_n(&ring->head, &head, head + need, true, __ATOMIC_RELAXED,
                                          __ATOMIC_RELAXED));
    size_t first = until_edge(ring, head + WORD, len);
    memcpy(bytes_at(ring, head + WORD), bytes, first);
    memcpy(bytes_at(ring, 0), bytes + first, len - first);
    __atomic_store_n(header_at(ring, head), len, __ATOMIC_SEQ_CST);
    return true;
}

size_t ring_take(struct ring *ring, char *out, size_t size)
{
    uint64_t tail = __atomic_load_n(&ring->tail, __ATOMIC_RELAXED);
    size_t len = (size_t)__atomic_load_n(header_at(ring, tail), __ATOMIC_SEQ_CST);
    if (len == 0) {
        return 0;
    }
    size_t wanted = len < size ? len : size;
    size_t first = until_edge(ring, tail + WORD, wanted);
    memcpy(out, bytes_at(ring, tail + WORD), first);
    memcpy(out + first, bytes_at(ring, 0), wanted - first);
    size_t whole = record_size(len);
    first = until_edge(ring, tail, whole);
    memset(bytes_at(ring, tail), 0, first);
    memset(bytes_at(ring, 0), 0, whole - first);
    __atomic_store_n(&ring->tail, tail + whole, __ATOMIC_RELEASE);
    return wanted;
}

bool ring_is_empty(const struct ring *ring)
{
    uint64_t tail = __atomic_load_n(&ring->tail, __ATOMIC_RELAXED);
    return __atomic_load_n(header_at(ring, tail), __ATOMIC_SEQ_CST) == 0;
}
