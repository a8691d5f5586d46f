#include "base/slab.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 100
#define MANY 1000 /* some slices of them */

static struct slab slab;
static void *blocks[MANY];

static void begin(void)
{
    slab_init(&slab, BLOCK);
}

static void end(void)
{
    slab_fini(&slab);
}

TestSuite(slab, .init = begin, .fini = end);

static void take_all(void)
{
    for (size_t i = 0; i < MANY; i++) {
        blocks[i] = slab_alloc(&slab);
        cr_assert_not_null(blocks[i]);
        cr_assert_eq((uintptr_t)blocks[i] % sizeof(uint64_t), 0u);
        memset(blocks[i], (int)(i % 251), BLOCK);
    }
}

static void give_all_but(size_t kept)
{
    for (size_t i = 0; i < MANY; i++)
        if (i != kept)
            slab_free(&slab, blocks[i]);
}

Test(slab, blocks_do_not_overlap)
{
    take_all();
    for (size_t i = 0; i < MANY; i++)
        for (size_t k = 0; k < BLOCK; k++)
            cr_assert_eq(((unsigned char *)blocks[i])[k], i % 251);
    give_all_but(MANY);
}

Test(slab, takes_first_what_was_given_back_last)
{
    take_all();
    slab_free(&slab, blocks[7]);
    slab_free(&slab, blocks[MANY / 2]);
    cr_expect_eq(slab_alloc(&slab), blocks[MANY / 2]);
    cr_expect_eq(slab_alloc(&slab), blocks[7]);
    give_all_but(MANY);
}

static size_t slices(void)
{
    size_t count = 0;
    LIST_FOREACH (link, &slab.roomy)
        count++;
    return count;
}

Test(slab, keeps_one_empty_slice_beside_those_in_use)
{
    take_all();
    give_all_but(0);
    const size_t all = slices();
    cr_assert_gt(all, 2u);
    slab_trim(&slab);
    cr_expect_eq(slices(), 2u);
    slab_free(&slab, blocks[0]);
    slab_trim(&slab);
    cr_expect_eq(slices(), 1u, "both were empty");
    take_all();
    give_all_but(MANY);
    cr_expect_eq(slices(), all, "a burst of the next turn finds them");
}

Test(slab, to_give_back_nothing_is_harmless)
{
    slab_free(&slab, NULL);
    cr_expect_eq(slices(), 0u);
}

Test(slab, blocks_of_a_multiple_of_16_bytes_can_be_told_from_those_of_libc)
{
    struct slab other;
    slab_init(&other, 224);
    for (size_t i = 0; i < MANY; i++) {
        blocks[i] = slab_alloc(&other);
        cr_assert(slab_is_block(blocks[i]));
        void *const libc = malloc(i);
        cr_assert_not(slab_is_block(libc));
        free(libc);
    }
    for (size_t i = 0; i < MANY; i++)
        slab_free(&other, blocks[i]);
    slab_fini(&other);
}
