/* cell.h - one number that the data loop writes and the admin thread reads: a relaxed 64-bit
 * atomic.
 *
 * There is one writer, so adding is a plain load and store: no lock prefix, about a nanosecond.
 * A lazy cell is a series that is not shown before its first use: it holds 0 while hidden, else its
 * value plus one. */
#ifndef OUTRIGGER_TELEMETRY_CELL_H
#define OUTRIGGER_TELEMETRY_CELL_H

#include <stdint.h>

typedef uint64_t metric_cell;

static inline uint64_t cell_get(const metric_cell *cell)
{
    return __atomic_load_n(cell, __ATOMIC_RELAXED);
}

static inline void cell_set(metric_cell *cell, uint64_t value)
{
    __atomic_store_n(cell, value, __ATOMIC_RELAXED);
}

static inline void cell_add(metric_cell *cell, uint64_t more)
{
    __atomic_store_n(cell, __atomic_load_n(cell, __ATOMIC_RELAXED) + more, __ATOMIC_RELAXED);
}

#endif
