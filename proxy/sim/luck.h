/* luck.h - chance that belongs to one call: what it draws depends on its number and on nothing that
 * others drew before it, so two policies with one seed meet the same luck. splitmix64. Pure. */
#ifndef OUTRIGGER_SIM_LUCK_H
#define OUTRIGGER_SIM_LUCK_H

#include "base/hash.h"

#include <math.h>
#include <stdint.h>

static inline uint64_t luck_next(uint64_t *luck)
{
    return hash_mix(*luck += UINT64_C(0x9e3779b97f4a7c15));
}

static inline double luck_share(uint64_t *luck)
{
    return (double)(luck_next(luck) >> 11) * 0x1.0p-53;
}
/* Evenly in [0, 1). */

static inline double luck_exponential(uint64_t *luck)
{
    return -log1p(-luck_share(luck));
}
/* With mean 1. */

static inline double luck_normal(uint64_t *luck)
{
    const double radius = sqrt(2 * luck_exponential(luck));
    return radius * cos(6.283185307179586 * luck_share(luck));
}
/* Mean 0, variance 1 (Box and Muller). */

#endif
