/* h1_bytes.c - sixteen bytes at a time where SSE2 is there (every x86-64), else eight by
 * arithmetic. */
#include "codec/h1_bytes.h"

#include "http/bytes.h"

#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define LAST_CONTROL 0x1f
#define DELETE 0x7f
#define BLOCK_BYTES 16

#define EVERY_BYTE UINT64_C(0x0101010101010101)
#define HIGH_BITS UINT64_C(0x8080808080808080)

/* Is any byte of the word below 0x20 (HTAB too), or DEL? May say yes wrongly only when some byte is
 * one of these. */
static int may_have_control(uint64_t word)
{
    uint64_t low = (word - EVERY_BYTE * (LAST_CONTROL + 1)) & ~word & HIGH_BITS;
    uint64_t without_delete = word ^ (EVERY_BYTE * DELETE);
    uint64_t is_delete = (without_delete - EVERY_BYTE) & ~without_delete & HIGH_BITS;
    return (low | is_delete) != 0;
}

size_t h1_find_control_portable(const char *bytes, size_t len)
{
    size_t at = 0;
    while (at + sizeof(uint64_t) <= len) {
        uint64_t word;
        memcpy(&word, bytes + at, sizeof(word));
        if (may_have_control(word)) {
            size_t clean = bytes_span(bytes + at, sizeof(word), BYTE_VALUE);
            if (clean < sizeof(word))
                return at + clean;
        }
        at += sizeof(word);
    }
    return at + bytes_span(bytes + at, len - at, BYTE_VALUE);
}

#ifdef __SSE2__

size_t h1_find_control(const char *bytes, size_t len)
{
    const __m128i last = _mm_set1_epi8(LAST_CONTROL);
    const __m128i tab = _mm_set1_epi8('\t');
    const __m128i delete = _mm_set1_epi8(DELETE);
    size_t at = 0;
    while (at + BLOCK_BYTES <= len) {
        __m128i block = _mm_loadu_si128((const __m128i *)(const void *)(bytes + at));
        __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(block, last), block);
        __m128i bad = _mm_or_si128(_mm_andnot_si128(_mm_cmpeq_epi8(block, tab), low),
                                   _mm_cmpeq_epi8(block, delete));
        unsigned mask = (unsigned)_mm_movemask_epi8(bad);
        if (mask != 0)
            return at + (size_t)__builtin_ctz(mask);
        at += BLOCK_BYTES;
    }
    return at + bytes_span(bytes + at, len - at, BYTE_VALUE);
}

#else

size_t h1_find_control(const char *bytes, size_t len)
{
    return h1_find_control_portable(bytes, len);
}

#endif
