/* latency.c - see latency.h. A cell is found by the position of the highest bit and the five bits
 * below it. */
#include "sim/latency.h"

#define SUB_BITS 5
#define UNIT NS_PER_US

static unsigned cell_of(uint64_t us)
{
    if (us < 1u << SUB_BITS)
        return (unsigned)us;
    const unsigned high = 63u - (unsigned)__builtin_clzll(us);
    const unsigned shift = high - SUB_BITS;
    const unsigned cell = ((shift + 1) << SUB_BITS) + (unsigned)((us >> shift) & 31u);
    return cell < LATENCY_CELLS ? cell : LATENCY_CELLS - 1;
}

/* The highest value that counts in `cell`. */
static uint64_t top_of(unsigned cell)
{
    if (cell < 1u << SUB_BITS)
        return cell;
    const unsigned shift = (cell >> SUB_BITS) - 1;
    const uint64_t first = (uint64_t)((cell & 31u) | 32u) << shift;
    return first + (UINT64_C(1) << shift) - 1;
}

void latency_add(struct latency *latency, dur_ns took)
{
    latency->count++;
    latency->cells[cell_of((uint64_t)(took / UNIT))]++;
}

dur_ns latency_quantile(const struct latency *latency, double share)
{
    const double wanted = share * (double)latency->count;
    uint64_t seen = 0;
    for (unsigned cell = 0; cell < LATENCY_CELLS; cell++) {
        seen += latency->cells[cell];
        if (seen > 0 && (double)seen >= wanted)
            return (dur_ns)top_of(cell) * UNIT;
    }
    return 0;
}
