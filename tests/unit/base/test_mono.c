#include "base/mono.h"

#include <criterion/criterion.h>

Test(mono, add_saturates_at_never)
{
    cr_assert_eq(mono_add(INT64_MAX - 5, 5), MONO_NEVER);
    cr_assert_eq(mono_add(INT64_MAX - 5, 6), MONO_NEVER);
    cr_assert_eq(mono_add(MONO_NEVER, 1), MONO_NEVER);
    cr_assert_eq(mono_add(1, DUR_FOREVER), MONO_NEVER);
    cr_assert_eq(mono_add(INT64_MAX - 5, 4), INT64_MAX - 1);
}

Test(mono, until_what_has_passed_is_nothing_and_until_never_is_forever)
{
    cr_assert_eq(mono_until(10, 9), 0);
    cr_assert_eq(mono_until(10, 10), 0);
    cr_assert_eq(mono_until(10, 12), 2);
    cr_assert_eq(mono_until(10, MONO_NEVER), DUR_FOREVER);
}

Test(mono, since_what_is_to_come_is_nothing)
{
    cr_assert_eq(mono_since(10, 11), 0);
    cr_assert_eq(mono_since(10, MONO_NEVER), 0);
    cr_assert_eq(mono_since(10, 7), 3);
}

Test(dur, sums_and_products_saturate_at_forever)
{
    cr_assert_eq(dur_add(DUR_FOREVER, 1), DUR_FOREVER);
    cr_assert_eq(dur_add(INT64_MAX - 1, 2), DUR_FOREVER);
    cr_assert_eq(dur_add(1, 2), 3);
    cr_assert_eq(dur_mul(DUR_FOREVER, 2), DUR_FOREVER);
    cr_assert_eq(dur_mul(INT64_C(1) << 62, 2), DUR_FOREVER);
    cr_assert_eq(dur_mul(DUR_FOREVER, 0), 0);
    cr_assert_eq(dur_mul(7, 6), 42);
}

Test(dur, min_and_max_choose)
{
    cr_assert_eq(dur_min(1, 2), 1);
    cr_assert_eq(dur_min(2, 1), 1);
    cr_assert_eq(dur_max(1, 2), 2);
    cr_assert_eq(dur_max(2, 1), 2);
    cr_assert_eq(mono_min(1, MONO_NEVER), 1);
    cr_assert_eq(mono_min(MONO_NEVER, 1), 1);
}
