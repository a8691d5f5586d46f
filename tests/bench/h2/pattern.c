/* pattern.c - two periods of noise, so that any window of one period is contiguous. */
#include "h2/pattern.h"

#include <string.h>

#define PERIOD 65521 /* the largest prime below 64 KiB */
#define SEED UINT32_C(2463534242)

static uint8_t noise[2 * PERIOD];

void pattern_init(void)
{
    uint32_t state = SEED; /* xorshift32 */
    for (size_t i = 0; i < PERIOD; i++) {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        noise[i] = noise[i + PERIOD] = (uint8_t)(state >> 24);
    }
}

void pattern_fill(uint64_t offset, uint8_t *bytes, size_t len)
{
    for (size_t part; len; bytes += part, offset += part, len -= part) {
        part = len < PERIOD ? len : PERIOD;
        memcpy(bytes, noise + offset % PERIOD, part);
    }
}

bool pattern_matches(uint64_t offset, const uint8_t *bytes, size_t len)
{
    for (size_t part; len; bytes += part, offset += part, len -= part) {
        part = len < PERIOD ? len : PERIOD;
        if (memcmp(bytes, noise + offset % PERIOD, part) != 0)
            return false;
    }
    return true;
}
