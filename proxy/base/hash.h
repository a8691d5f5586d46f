/* hash.h - a keyed hash (SipHash-1-3, Aumasson and Bernstein 2012) for tables whose keys come from
 * the network: without the seed nobody can choose keys that all fall into one chain. Constant time
 * per byte; any thread. */
#ifndef OUTRIGGER_BASE_HASH_H
#define OUTRIGGER_BASE_HASH_H

#include "base/span.h"

#include <stdint.h>

uint64_t hash_span(struct span bytes, uint64_t seed);

/* The finalizer of splitmix64: one to one, every bit of the result depends on all of `bits`. */
static inline uint64_t hash_mix(uint64_t bits)
{
    bits = (bits ^ (bits >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    bits = (bits ^ (bits >> 27)) * UINT64_C(0x94d049bb133111eb);
    return bits ^ (bits >> 31);
}

#endif
