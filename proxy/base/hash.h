/* hash.h - a keyed hash (SipHash-1-3, Aumasson and Bernstein 2012) for tables whose keys come from
 * the network: without the seed nobody can choose keys that all fall into one chain. Constant time
 * per byte; any thread. */
#ifndef OUTRIGGER_BASE_HASH_H
#define OUTRIGGER_BASE_HASH_H

#include "base/span.h"

#include <stdint.h>

uint64_t hash_span(struct span bytes, uint64_t seed);

#endif
