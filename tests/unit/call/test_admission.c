#include "call_host.h"

#include <criterion/criterion.h>

static struct world w;

static void start(void)
{
    world_start(&w);
}

static void end(void)
{
    world_end(&w);
}

TestSuite(admission, .init = start, .fini = end);

Test(admission, lets_a_call_through_where_no_policy_applies)
{
    world_open(&w);
    struct visit *a = world_call(&w);
    cr_assert_eq(a->starts, 1);
    answer(a, 200);
    cr_assert(is_over(a, FATE_SUCCESS));
}

Test(admission, serves_the_line_first_come_first_when_a_slot_is_given_back)
{
    with_bulkhead(&w.policy, 1, 2, 1000);
    world_open(&w);
    struct visit *a = world_call(&w);
    struct visit *b = world_call(&w);
    struct visit *c = world_call(&w);
    struct visit *d = world_call(&w);
    cr_assert(is_refused(d, REASON_BULKHEAD_FULL));
    cr_assert_eq(in_line(&w), 2u);
    answer(a, 200);
    cr_assert_eq(b->starts, 1);
    cr_assert_eq(c->starts, 0);
    answer(b, 200);
    cr_assert_eq(c->starts, 1);
    answer(c, 200);
    cr_assert_eq(in_flight(&w), 0u);
}

Test(admission, refuses_who_waited_the_pending_timeout)
{
    with_bulkhead(&w.policy, 1, 2, 1000);
    world_open(&w);
    struct visit *a = world_call(&w);
    struct visit *b = world_call(&w);
    world_advance(&w, 999);
    cr_assert_eq(step_of(b), CALL_STEP_QUEUED);
    world_advance(&w, 1);
    cr_assert(is_refused(b, REASON_QUEUE_TIMEOUT));
    cr_assert(is_over(b, FATE_QUEUE_TIMEOUT));
    answer(a, 200);
}
