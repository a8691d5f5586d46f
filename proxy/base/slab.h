/* slab.h - blocks of one size that live long: side by side, with nothing between them, and apart
 * from what comes and goes, which would leave holes among them.
 *
 * A block costs its own bytes (malloc adds up to 24), taking and giving back one are a few
 * instructions. Slices of 32 KiB come from the system, and go back when slab_trim is asked for:
 * now and then, for a burst comes in every turn of a loop. Example: slab_init(&slab, sizeof(struct
 * request)); request = slab_alloc(&slab); ... slab_free(&slab, request); Ownership: the slab's,
 * until slab_fini. Single-threaded. Under AddressSanitizer what is not handed out is poisoned. */
#ifndef OUTRIGGER_BASE_SLAB_H
#define OUTRIGGER_BASE_SLAB_H

#include "list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SLAB_ODD_UNIT 16

struct slab {
    struct list roomy; /* slices with a free block, the one to take from first */
    char *beside;      /* where the next slice had best be */
    size_t block_bytes;
};

void slab_init(struct slab *slab, size_t block_bytes);
/* No slice yet. Blocks are aligned for pointers and 64-bit numbers; at most a tenth of a slice. */

void slab_fini(struct slab *slab);
/* All blocks must have been given back (INVARIANT). */

void slab_trim(struct slab *slab);
/* Slices without a block in use go back to the system, but for one. */

void *slab_alloc(struct slab *slab);
/* Not zeroed; NULL without memory. */

void slab_free(struct slab *slab, void *block);
/* NULL is harmless. */

static inline bool slab_is_block(const void *pointer)
{
    return ((uintptr_t)pointer & (SLAB_ODD_UNIT - 1)) != 0;
}
/* Of two pointers, one from a slab whose block_bytes are a multiple of SLAB_ODD_UNIT and one from
 * libc: which is it? Such blocks lie where libc's never do. */

#endif
