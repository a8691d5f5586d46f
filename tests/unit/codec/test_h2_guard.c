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
        h2_guard_earn(&guard, H2_WORTH_FRAME);
    cr_assert_leq(charges_until_empty(1, 0), (uint32_t)(H2_GUARD_BURST + H2_WORTH_FRAME));
}

Test(h2_guard, stays_in_balance_with_a_window_update_and_a_ping_for_every_data_frame)
{
    for (int i = 0; i < 1000000; i++) {
        h2_guard_earn(&guard, H2_WORTH_FRAME);
        cr_assert(h2_guard_charge(&guard, 3 * H2_COST_EMPTY, 0));
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
    const int32_t units = guard.units;
    cr_assert_gt(units, H2_GUARD_BURST);
    cr_assert(h2_guard_charge(&guard, 1, NS_PER_S));
    cr_assert_eq(guard.units, units - 1);
}
