#include "policy/bulkhead.h"

#include "unit/base/seed.h"

#include <criterion/criterion.h>
#include <signal.h>

static const struct bulkhead_config config = {.mode = POLICY_ENFORCE,
                                              .max_requests = 2,
                                              .max_connections = 1,
                                              .max_streams = BULKHEAD_UNLIMITED};

static struct bulkhead start(void)
{
    struct bulkhead bulkhead;
    bulkhead_init(&bulkhead, &config);
    return bulkhead;
}

Test(bulkhead, has_no_room_at_its_limit)
{
    struct bulkhead bulkhead = start();
    bulkhead_take(&bulkhead, BULKHEAD_ATTEMPT);
    cr_assert(bulkhead_has_room(&bulkhead, BULKHEAD_ATTEMPT));
    bulkhead_take(&bulkhead, BULKHEAD_ATTEMPT);
    cr_assert_not(bulkhead_has_room(&bulkhead, BULKHEAD_ATTEMPT));
    bulkhead_release(&bulkhead, BULKHEAD_ATTEMPT);
    cr_assert(bulkhead_has_room(&bulkhead, BULKHEAD_ATTEMPT));
}

Test(bulkhead, taking_above_the_limit_aborts, .signal = SIGABRT)
{
    struct bulkhead bulkhead = start();
    bulkhead_take(&bulkhead, BULKHEAD_CONNECTION);
    bulkhead_take(&bulkhead, BULKHEAD_CONNECTION);
}

Test(bulkhead, releasing_what_was_not_taken_aborts, .signal = SIGABRT)
{
    struct bulkhead bulkhead = start();
    bulkhead_take(&bulkhead, BULKHEAD_ATTEMPT);
    bulkhead_release(&bulkhead, BULKHEAD_CONNECTION);
}

Test(bulkhead, converting_what_was_not_taken_aborts, .signal = SIGABRT)
{
    struct bulkhead bulkhead = start();
    bulkhead_convert(&bulkhead, BULKHEAD_ATTEMPT, BULKHEAD_CONNECTION);
}

Test(bulkhead, converting_into_a_full_counter_aborts, .signal = SIGABRT)
{
    struct bulkhead bulkhead = start();
    bulkhead.in_flight[BULKHEAD_ATTEMPT] = 1;
    bulkhead.in_flight[BULKHEAD_STREAM] = UINT32_MAX;
    bulkhead_convert(&bulkhead, BULKHEAD_ATTEMPT, BULKHEAD_STREAM);
}

Test(bulkhead, counts_its_kinds_apart)
{
    struct bulkhead bulkhead = start();
    bulkhead_take(&bulkhead, BULKHEAD_CONNECTION);
    cr_assert_not(bulkhead_has_room(&bulkhead, BULKHEAD_CONNECTION));
    cr_assert(bulkhead_has_room(&bulkhead, BULKHEAD_ATTEMPT));
    cr_assert(bulkhead_has_room(&bulkhead, BULKHEAD_STREAM));
    cr_assert_eq(bulkhead.in_flight[BULKHEAD_CONNECTION], 1);
}

Test(bulkhead, of_streams_is_unlimited_by_default)
{
    struct bulkhead bulkhead = start();
    for (int i = 0; i < 100000; i++)
        bulkhead_take(&bulkhead, BULKHEAD_STREAM);
    cr_assert(bulkhead_has_room(&bulkhead, BULKHEAD_STREAM));
}

Test(bulkhead, moves_a_long_response_out_of_the_way)
{
    struct bulkhead bulkhead = start();
    bulkhead_take(&bulkhead, BULKHEAD_ATTEMPT);
    cr_assert(bulkhead_move(&bulkhead, BULKHEAD_ATTEMPT, BULKHEAD_STREAM));
    cr_assert_eq(bulkhead.in_flight[BULKHEAD_ATTEMPT], 0);
    cr_assert_eq(bulkhead.in_flight[BULKHEAD_STREAM], 1);
}

Test(bulkhead, moves_nothing_to_where_no_room_is)
{
    struct bulkhead_config cfg = config;
    struct bulkhead bulkhead;
    cfg.max_streams = 0;
    bulkhead_init(&bulkhead, &cfg);
    bulkhead_take(&bulkhead, BULKHEAD_ATTEMPT);
    cr_assert_not(bulkhead_move(&bulkhead, BULKHEAD_ATTEMPT, BULKHEAD_STREAM));
    cr_assert_eq(bulkhead.in_flight[BULKHEAD_ATTEMPT], 1);
    cr_assert_eq(bulkhead.in_flight[BULKHEAD_STREAM], 0);
}

Test(bulkhead, converts_even_above_the_limit)
{
    struct bulkhead bulkhead = start();
    bulkhead_take(&bulkhead, BULKHEAD_CONNECTION);
    bulkhead_take(&bulkhead, BULKHEAD_ATTEMPT);
    bulkhead_convert(&bulkhead, BULKHEAD_ATTEMPT, BULKHEAD_CONNECTION);
    cr_assert_eq(bulkhead.in_flight[BULKHEAD_CONNECTION], 2);
    cr_assert_eq(bulkhead.in_flight[BULKHEAD_ATTEMPT], 0);
    cr_assert_not(bulkhead_has_room(&bulkhead, BULKHEAD_CONNECTION));
}

Test(bulkhead, keeps_counting_what_is_in_flight_above_a_new_limit)
{
    struct bulkhead bulkhead = start();
    struct bulkhead_config cfg = config;
    bulkhead_take(&bulkhead, BULKHEAD_ATTEMPT);
    bulkhead_take(&bulkhead, BULKHEAD_ATTEMPT);
    cfg.max_requests = 1;
    bulkhead_configure(&bulkhead, &cfg);
    bulkhead_release(&bulkhead, BULKHEAD_ATTEMPT);
    cr_assert_not(bulkhead_has_room(&bulkhead, BULKHEAD_ATTEMPT));
    bulkhead_release(&bulkhead, BULKHEAD_ATTEMPT);
    cr_assert(bulkhead_has_room(&bulkhead, BULKHEAD_ATTEMPT));
}

Test(bulkhead, is_empty_only_when_nothing_of_any_kind_is_in_flight)
{
    for (enum bulkhead_slot slot = 0; slot < BULKHEAD_SLOT_KINDS; slot++) {
        struct bulkhead bulkhead = start();
        cr_assert(bulkhead_is_empty(&bulkhead));
        bulkhead_take(&bulkhead, slot);
        cr_assert_not(bulkhead_is_empty(&bulkhead));
        bulkhead_release(&bulkhead, slot);
        cr_assert(bulkhead_is_empty(&bulkhead));
    }
}

Test(bulkhead, counts_what_was_taken_and_not_released)
{
    struct rng rng = seeded_rng("bulkhead against a count");
    struct bulkhead bulkhead = start();
    struct bulkhead_config cfg = config;
    uint32_t live[BULKHEAD_SLOT_KINDS] = {0};
    for (int step = 0; step < 20000; step++) {
        const enum bulkhead_slot slot = (enum bulkhead_slot)rng_below(&rng, BULKHEAD_SLOT_KINDS);
        const uint64_t what = rng_below(&rng, 9);
        if (what == 0) {
            cfg.max_requests = (uint32_t)rng_below(&rng, 20);
            bulkhead_configure(&bulkhead, &cfg);
        } else if (what == 1 && live[BULKHEAD_ATTEMPT] > 0) {
            const bool has_moved = bulkhead_move(&bulkhead, BULKHEAD_ATTEMPT, slot);
            live[BULKHEAD_ATTEMPT] -= has_moved;
            live[slot] += has_moved;
        } else if (what < 5 && live[slot] > 0) {
            bulkhead_release(&bulkhead, slot);
            live[slot]--;
        } else if (bulkhead_has_room(&bulkhead, slot)) {
            bulkhead_take(&bulkhead, slot);
            live[slot]++;
            cr_assert_leq(bulkhead.in_flight[slot], bulkhead.limit[slot]);
        }
        for (int i = 0; i < BULKHEAD_SLOT_KINDS; i++)
            cr_assert_eq(bulkhead.in_flight[i], live[i]);
    }
}
