#include "base/check.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdint.h>

struct thing {
    uint32_t magic;
    int first;
    int second;
};

Test(invariant, that_fails_aborts, .signal = SIGABRT)
{
    int one = 1;
    INVARIANT(one == 2);
}

Test(invariant, out_of_line_that_fails_aborts, .signal = SIGABRT)
{
    invariant_check(0, "one == 2", "test_check.c", 1);
}

Test(invariant, that_holds_goes_on_and_is_evaluated_once)
{
    int count = 0;
    INVARIANT(++count == 1);
    invariant_check(1, "holds", "test_check.c", 1);
    cr_assert_eq(count, 1);
}

Test(check_obj, of_another_magic_aborts, .signal = SIGABRT)
{
    struct thing thing = {1, 0, 0};
    CHECK_OBJ(&thing, 2);
}

Test(check_obj, of_null_aborts, .signal = SIGABRT)
{
    struct thing *thing = NULL;
    CHECK_OBJ(thing, 2);
}

Test(check_obj, out_of_line_of_another_magic_aborts, .signal = SIGABRT)
{
    struct thing thing = {1, 0, 0};
    invariant_check_obj(&thing, 2, "test_check.c", 1);
}

Test(check_obj, out_of_line_of_null_aborts, .signal = SIGABRT)
{
    invariant_check_obj(NULL, 2, "test_check.c", 1);
}

Test(check_obj, of_the_wanted_magic_goes_on)
{
    struct thing thing = {2, 0, 0};
    CHECK_OBJ(&thing, 2);
    invariant_check_obj(&thing, 2, "test_check.c", 1);
    cr_assert_eq(CONTAINER_OF(&thing.second, struct thing, second), &thing);
}
