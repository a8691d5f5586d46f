/* slab.c - see slab.h. A slice is aligned to its size, so a block tells where its slice begins. The
 * system maps one beside the other, which are then one region to it; libc would put as much again
 * between them to align them. */
#include "base/slab.h"

#include "base/check.h"
#include "base/poison.h"

#include <stdint.h>
#include <sys/mman.h>

#define SLICE_BYTES ((size_t)32 * 1024)
#define SLICE_MAGIC 0x51ab51abu

struct slice {
    uint32_t magic;
    uint32_t used;    /* blocks that are handed out */
    struct list link; /* slab.roomy, or alone where none is free */
    void *freed;      /* given back, each holds the next; NULL = none */
    char *fresh;      /* never handed out, to the slice's end */
    char blocks[];
};
_Static_assert(sizeof(struct slice) % SLAB_ODD_UNIT == sizeof(uint64_t), "see slab_is_block");

static bool has_fresh(const struct slab *slab, const struct slice *slice)
{
    return (size_t)((const char *)slice + SLICE_BYTES - slice->fresh) >= slab->block_bytes;
}

void slab_init(struct slab *slab, size_t block_bytes)
{
    const size_t unit = sizeof(uint64_t);
    INVARIANT(block_bytes > 0 && block_bytes <= SLICE_BYTES / 10);
    slab->block_bytes = (block_bytes + unit - 1) / unit * unit;
    slab->beside = NULL;
    list_init(&slab->roomy);
}

static char *map(char *hint, size_t bytes)
{
    void *at = mmap(hint, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at != MAP_FAILED ? at : NULL;
}

/* Beside an aligned one the next is mostly aligned, too. */
static char *map_aligned(char *beside)
{
    char *at = map(beside, SLICE_BYTES);
    if (((uintptr_t)at & (SLICE_BYTES - 1)) == 0)
        return at;
    munmap(at, SLICE_BYTES);
    at = map(NULL, 2 * SLICE_BYTES);
    if (at == NULL)
        return NULL;
    const size_t before = (size_t)(-(uintptr_t)at & (SLICE_BYTES - 1));
    if (before > 0)
        munmap(at, before);
    munmap(at + before + SLICE_BYTES, SLICE_BYTES - before);
    return at + before;
}

static struct slice *new_slice(struct slab *slab)
{
    char *at = map_aligned(slab->beside);
    if (at == NULL)
        return NULL;
    struct slice *slice = (struct slice *)(void *)at;
    slab->beside = at - SLICE_BYTES;
    *slice = (struct slice){.magic = SLICE_MAGIC, .fresh = slice->blocks};
    POISON(slice->blocks, SLICE_BYTES - sizeof *slice);
    HOLDS_POINTERS(slice, SLICE_BYTES);
    list_init(&slice->link);
    list_append(&slab->roomy, &slice->link);
    return slice;
}

static void drop_slice(struct slice *slice)
{
    INVARIANT(slice->used == 0);
    list_remove(&slice->link);
    UNPOISON(slice->blocks, SLICE_BYTES - sizeof *slice);
    HOLDS_NONE(slice, SLICE_BYTES);
    munmap(slice, SLICE_BYTES);
}

void slab_fini(struct slab *slab)
{
    struct list *first;
    while ((first = list_first(&slab->roomy)) != NULL)
        drop_slice(CONTAINER_OF(first, struct slice, link));
}

void slab_trim(struct slab *slab)
{
    bool has_one = false;
    LIST_FOREACH_SAFE (link, following, &slab->roomy) {
        struct slice *slice = CONTAINER_OF(link, struct slice, link);
        if (slice->used > 0)
            continue;
        if (has_one)
            drop_slice(slice);
        has_one = true;
    }
}

static void *take_block(const struct slab *slab, struct slice *slice)
{
    void *block = slice->freed;
    if (block != NULL) {
        UNPOISON(block, slab->block_bytes);
        slice->freed = *(void **)block;
        return block;
    }
    block = slice->fresh;
    slice->fresh += slab->block_bytes;
    UNPOISON(block, slab->block_bytes);
    return block;
}

void *slab_alloc(struct slab *slab)
{
    struct list *first = list_first(&slab->roomy);
    struct slice *slice = first != NULL ? CONTAINER_OF(first, struct slice, link) : new_slice(slab);
    if (slice == NULL)
        return NULL;
    void *block = take_block(slab, slice);
    slice->used++;
    if (slice->freed == NULL && !has_fresh(slab, slice))
        list_remove(&slice->link);
    return block;
}

void slab_free(struct slab *slab, void *block)
{
    if (block == NULL)
        return;
    struct slice *slice = (struct slice *)((uintptr_t)block & ~(uintptr_t)(SLICE_BYTES - 1));
    CHECK_OBJ(slice, SLICE_MAGIC);
    INVARIANT(slice->used > 0);
    *(void **)block = slice->freed;
    slice->freed = block;
    POISON(block, slab->block_bytes);
    slice->used--;
    if (!list_is_linked(&slice->link))
        list_prepend(&slab->roomy, &slice->link);
}
