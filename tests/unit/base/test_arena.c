#include "base/arena.h"

#include <criterion/criterion.h>
#include <stdint.h>

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_TEST_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_TEST_SANITIZED 1
#endif
#endif

#define CHUNK 8192

Test(arena, refuses_past_its_limit)
{
    struct arena arena;
    arena_init(&arena, NULL, 64);
    cr_assert_null(arena_alloc(&arena, 65));
    cr_assert_not_null(arena_alloc(&arena, 64));
    cr_assert_null(arena_alloc(&arena, 1));
    cr_assert_eq(arena.used_bytes, 64);
    arena_fini(&arena);
}

Test(arena, refuses_sizes_that_overflow)
{
    struct arena arena;
    arena_init(&arena, NULL, SIZE_MAX);
    cr_assert_null(arena_alloc(&arena, SIZE_MAX));
    cr_assert_null(arena_alloc(&arena, SIZE_MAX - 14));
    cr_assert_null(arena_alloc(&arena, SIZE_MAX - 100));
    cr_assert_null(arena_copy(&arena, span_make("x", SIZE_MAX)).data);
    cr_assert_eq(arena.used_bytes, 0);
    arena_fini(&arena);
}

#if !defined(ARENA_TEST_SANITIZED) /* AddressSanitizer reports an allocation that large */
Test(arena, refuses_what_the_system_refuses)
{
    struct arena arena;
    arena_init(&arena, NULL, SIZE_MAX);
    cr_assert_null(arena_alloc(&arena, (size_t)PTRDIFF_MAX / 2));
    cr_assert_eq(arena.used_bytes, 0);
    cr_assert_not_null(arena_alloc(&arena, 1));
    arena_fini(&arena);
}
#endif

Test(arena, refusing_takes_nothing)
{
    struct arena arena;
    arena_init(&arena, NULL, 16);
    cr_assert_null(arena_zalloc(&arena, 17));
    cr_assert_null(arena_copy(&arena, SPAN("sixteen bytes, and a NUL")).data);
    cr_assert_null(arena_printf(&arena, "%s", "sixteen bytes, and a NUL"));
    cr_assert_eq(arena.used_bytes, 0);
    cr_assert_null(arena.chunks);
    arena_fini(&arena);
}

Test(arena, takes_no_memory_until_the_first_allocation)
{
    struct arena arena;
    arena_init(&arena, NULL, 1000);
    cr_assert_null(arena.chunks);
    arena_fini(&arena);
}

Test(arena, aligns_for_any_type)
{
    struct arena arena;
    arena_init(&arena, NULL, 100000);
    for (size_t size = 0; size < 100; size++) {
        char *block = arena_alloc(&arena, size);
        cr_assert_not_null(block);
        cr_assert_eq((uintptr_t)block % _Alignof(max_align_t), 0);
        memset(block, 0xa5, size);
    }
    arena_fini(&arena);
}

Test(arena, gives_blocks_that_do_not_overlap_over_many_chunks)
{
    enum { BLOCKS = 2000 };
    static unsigned char *blocks[BLOCKS];
    struct arena_pool pool;
    struct arena arena;
    arena_pool_init(&pool, 4);
    arena_init(&arena, &pool, 10000000);
    for (int i = 0; i < BLOCKS; i++) {
        const size_t size = (size_t)(i * 37 % 3000 + 1);
        blocks[i] = arena_alloc(&arena, size);
        memset(blocks[i], i, size);
    }
    for (int i = 0; i < BLOCKS; i++)
        for (size_t at = 0; at < (size_t)(i * 37 % 3000 + 1); at++)
            cr_assert_eq(blocks[i][at], (unsigned char)i);
    arena_fini(&arena);
    cr_assert_eq(pool.free_count, 4);
    arena_pool_fini(&pool);
}

Test(arena, gives_a_large_block_its_own_chunk_and_goes_on_in_the_old_one)
{
    struct arena arena;
    arena_init(&arena, NULL, 1000000);
    char *first = arena_alloc(&arena, 16);
    char *large = arena_alloc(&arena, 100000);
    char *second = arena_alloc(&arena, 16);
    memset(large, 1, 100000);
    cr_assert_eq(second, first + 16);
    arena_fini(&arena);
}

Test(arena, may_start_with_a_large_block)
{
    struct arena arena;
    arena_init(&arena, NULL, 1000000);
    char *large = arena_alloc(&arena, 100000);
    char *small = arena_alloc(&arena, 16);
    memset(large, 1, 100000);
    memset(small, 2, 16);
    cr_assert_eq(large[99999], 1);
    arena_fini(&arena);
}

Test(arena, fills_a_chunk_with_a_middling_block_that_fits)
{
    struct arena arena;
    arena_init(&arena, NULL, 1000000);
    char *first = arena_alloc(&arena, 16);
    char *second = arena_alloc(&arena, 4096);
    cr_assert_eq(second, first + 16);
    arena_fini(&arena);
}

Test(arena, zalloc_zeroes_what_another_arena_left)
{
    struct arena_pool pool;
    struct arena arena;
    arena_pool_init(&pool, 1);
    arena_init(&arena, &pool, 4096);
    memset(arena_alloc(&arena, 1000), 0xff, 1000);
    arena_fini(&arena);
    cr_assert_eq(pool.free_count, 1);
    const char *zeroes = arena_zalloc(&arena, 1000);
    cr_assert_eq(pool.free_count, 0);
    for (int i = 0; i < 1000; i++)
        cr_assert_eq(zeroes[i], 0);
    arena_fini(&arena);
    arena_pool_fini(&pool);
}

Test(arena, may_be_used_again_after_its_end)
{
    struct arena arena;
    arena_init(&arena, NULL, 64);
    cr_assert_not_null(arena_alloc(&arena, 64));
    arena_fini(&arena);
    cr_assert_eq(arena.used_bytes, 0);
    cr_assert_not_null(arena_alloc(&arena, 64));
    arena_fini(&arena);
}

Test(arena_pool, keeps_no_more_chunks_than_its_limit)
{
    struct arena_pool pool;
    struct arena arenas[3];
    arena_pool_init(&pool, 2);
    for (int i = 0; i < 3; i++) {
        arena_init(&arenas[i], &pool, CHUNK);
        arena_alloc(&arenas[i], 1);
    }
    for (int i = 0; i < 3; i++)
        arena_fini(&arenas[i]);
    cr_assert_eq(pool.free_count, 2);
    arena_pool_fini(&pool);
    cr_assert_eq(pool.free_count, 0);
    cr_assert_null(pool.free);
}

Test(arena_pool, never_keeps_a_large_chunk)
{
    struct arena_pool pool;
    struct arena arena;
    arena_pool_init(&pool, 8);
    arena_init(&arena, &pool, 1000000);
    arena_alloc(&arena, 100000);
    arena_fini(&arena);
    cr_assert_eq(pool.free_count, 0);
    arena_pool_fini(&pool);
}

Test(arena, copies_with_a_nul_behind)
{
    struct arena arena;
    arena_init(&arena, NULL, 1000);
    const struct span copy = arena_copy(&arena, SPAN("outrigger"));
    cr_assert_eq(copy.len, 9);
    cr_assert_str_eq(copy.data, "outrigger");
    const struct span nothing = arena_copy(&arena, SPAN_NONE);
    cr_assert_eq(nothing.len, 0);
    cr_assert_str_eq(nothing.data, "");
    arena_fini(&arena);
}

Test(arena, prints_as_printf_does)
{
    struct arena arena;
    arena_init(&arena, NULL, 1000);
    cr_assert_str_eq(arena_printf(&arena, "%s:%d", "file", 42), "file:42");
    cr_assert_str_eq(arena_printf(&arena, "%s", ""), "");
    arena_fini(&arena);
}
