#include "codec/h2_guard.h"

#include <criterion/criterion.h>

static struct h2_guard guard;

static void start(void)
{
    h2_guard_init(&guard, 0);
}

TestSuite(h2_guard, .init = start);

static uint32_t charges_until_empty(uint32_t units, mono_ns now)
{
    uint32_t count = 0;
    while (h2_guard_charge(&guard, units, now))
        count++;
    return count;
}

Test(h2_guard, is_used_up_by_frames_that_carry_nothing)
{
    cr_assert_eq(charges_until_empty(H2_COST_EMPTY, 0), (uint32_t)H2_GUARD_BURST);
    cr_assert_not(h2_guard_charge(&guard, H2_COST_EMPTY, 0));
}

Test(h2_guard, is_used_up_sooner_by_faults)
{
    cr_assert_eq(charges_until_empty(H2_COST_FAULT, 0), (uint32_t)(H2_GUARD_BURST / H2_COST_FAULT));
}

Test(h2_guard, is_filled_by_useful_frames_up_to_its_burst)
{
    charges_until_empty(H2_COST_EMPTY, 0);
    for (int i = 0; i < 1000000; i++)
        h2_guard_earn_data(&guard, 1);
    cr_assert_leq(charges_until_empty(1, 0), (uint32_t)(H2_GUARD_BURST + H2_WORTH_FRAME));
}

Test(h2_guard, stays_in_balance_with_a_window_update_and_a_ping_for_every_data_frame)
{
    for (int i = 0; i < 1000000; i++) {
        h2_guard_earn_data(&guard, 1);
        cr_assert(h2_guard_charge(&guard, 3 * H2_COST_EMPTY, 0));
    }
}

/* The frames are ours: how many there are is no merit of a peer whose credit is clumsy. */
Test(h2_guard, stays_in_balance_with_credit_in_pieces_of_1_kib_for_frames_of_16_kib)
{
    for (int i = 0; i < 100000; i++) {
        h2_guard_earn_data(&guard, 16384);
        cr_assert(h2_guard_charge(&guard, (2 * 16 + 1) * H2_COST_EMPTY, 0));
    }
}

Test(h2_guard, is_filled_by_time)
{
    charges_until_empty(1, 0);
    cr_assert_eq(charges_until_empty(1, NS_PER_S / 2), (uint32_t)(H2_GUARD_REFILL / 2));
    cr_assert_eq(charges_until_empty(1, 3600 * NS_PER_S), (uint32_t)H2_GUARD_BURST);
}

Test(h2_guard, takes_nothing_from_a_clock_that_goes_back)
{
    h2_guard_init(&guard, NS_PER_S);
    charges_until_empty(1, NS_PER_S);
    cr_assert_not(h2_guard_charge(&guard, 1, 0));
    cr_assert_not(h2_guard_charge(&guard, 1, NS_PER_S));
}

Test(h2_guard, keeps_what_it_earned_above_its_burst)
{
    h2_guard_charge(&guard, 1, 0);
    h2_guard_earn(&guard, H2_WORTH_HEAD);
    const int32_t units = guard.work.units;
    cr_assert_gt(units, H2_GUARD_BURST);
    cr_assert(h2_guard_charge(&guard, 1, NS_PER_S));
    cr_assert_eq(guard.work.units, units - 1);
}

/* ---- bytes that nobody knows ---- */

Test(h2_guard, charges_bytes_of_unknown_frames_however_they_are_cut)
{
    uint32_t bytes = 0;
    while (h2_guard_charge_bytes(&guard, 9, 0))
        bytes += 9;
    cr_assert_geq(bytes, H2_GUARD_BURST * H2_GUARD_BYTES - 9u);
    cr_assert_leq(bytes, H2_GUARD_BURST * H2_GUARD_BYTES + H2_GUARD_BYTES);
}

Test(h2_guard, refuses_more_unknown_bytes_than_an_int_could_count)
{
    cr_assert_not(h2_guard_charge_bytes(&guard, UINT64_MAX / 2, 0));
}

Test(h2_guard, excuses_what_was_under_way_on_a_stream_that_we_reset)
{
    h2_guard_excuse(&guard, 262144);
    cr_assert(h2_guard_charge_bytes(&guard, 262144, 0));
    cr_assert_eq(guard.work.units, H2_GUARD_BURST);
    cr_assert(h2_guard_charge_bytes(&guard, H2_GUARD_BYTES, 0));
    cr_assert_eq(guard.work.units, H2_GUARD_BURST - 1);
}

Test(h2_guard, excuses_no_more_than_can_be_under_way_whatever_was_reset)
{
    for (int i = 0; i < 1000000; i++)
        h2_guard_excuse(&guard, 262144);
    cr_assert_eq(guard.excused_bytes, (uint32_t)H2_GUARD_EXCUSED_MAX);
}

/* ---- resets ---- */

Test(h2_guard, allows_a_burst_of_resets_and_then_so_many_a_second)
{
    int count = 0;
    while (h2_guard_reset(&guard, 0))
        count++;
    cr_assert_eq(count, H2_RESET_BURST);
    for (int second = 1; second <= 10; second++)
        for (count = 0; count < H2_RESETS_PER_SECOND; count++)
            cr_assert(h2_guard_reset(&guard, second * NS_PER_S));
    cr_assert_not(h2_guard_reset(&guard, 10 * NS_PER_S));
}
