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

TestSuite(reload, .init = start, .fini = end);

Test(reload, keeps_an_open_breaker_open_until_its_time)
{
    with_breaker(&w.policy, 1);
    world_open(&w);
    trip(&w, 1);
    w.policy.breaker.consecutive_failures = 10;
    w.policy.breaker.open_for = 60 * NS_PER_S;
    world_reload(&w);
    cr_assert_eq(world_breaker(&w)->state, BREAKER_OPEN);
    world_advance(&w, 5000);
    cr_assert_eq(world_breaker(&w)->state, BREAKER_HALF_OPEN);
}

Test(reload, keeps_what_is_in_flight_and_waits_counted)
{
    with_bulkhead(&w.policy, 2, 5, 60000);
    world_open(&w);
    struct visit *a = world_call(&w);
    struct visit *b = world_call(&w);
    struct visit *c = world_call(&w);
    struct visit *d = world_call(&w);
    w.policy.bulkhead.max_requests = 1;
    world_reload(&w);
    cr_assert_eq(in_flight(&w), 2u);
    cr_assert_eq(in_line(&w), 2u);
    answer(a, 200);
    cr_assert_eq(c->starts, 0, "still as many in flight as may be");
    answer(b, 200);
    cr_assert_eq(c->starts, 1);
    w.policy.bulkhead.max_requests = 5;
    world_reload(&w);
    cr_assert_eq(d->starts, 1, "a higher limit reaches those who wait");
    answer(c, 200);
    answer(d, 200);
}

Test(reload, lets_all_in_that_wait_when_the_limits_go)
{
    with_bulkhead(&w.policy, 1, 5, 60000);
    with_rate(&w.policy, 1, 10000, 2, 60000);
    world_open(&w);
    struct visit *a = world_call(&w);
    struct visit *slot = world_call(&w);
    struct visit *token = world_call(&w);
    w.policy.bulkhead.mode = POLICY_OFF;
    w.policy.rate_limit.mode = POLICY_OFF;
    world_reload(&w);
    cr_assert_eq(slot->starts, 1);
    cr_assert_eq(token->starts, 1);
    answer(a, 200);
    answer(slot, 200);
    answer(token, 200);
}

Test(reload, clamps_the_tokens_to_the_new_burst)
{
    with_rate(&w.policy, 1, 1000, 10, 0);
    world_open(&w);
    answer(world_call(&w), 200);
    w.policy.rate_limit.burst = 3;
    world_reload(&w);
    cr_assert_eq(tokens(&w), 3u);
    w.policy.rate_limit.burst = 20;
    world_reload(&w);
    cr_assert_eq(tokens(&w), 3u);
}

Test(reload, refuses_who_waits_when_force_open_comes)
{
    with_breaker(&w.policy, 7);
    with_bulkhead(&w.policy, 1, 5, 60000);
    world_add_rule(&w, "own", 1u << POLICY_FAMILY_CIRCUIT_BREAKER);
    world_open(&w);
    struct visit *a = world_call(&w);
    struct visit *b = world_call(&w);
    struct visit *c = world_call_rule(&w, 0);
    w.rule_policies[0].breaker.mode = POLICY_FORCE_OPEN;
    world_reload(&w);
    cr_assert(is_refused(c, REASON_CIRCUIT_OPEN));
    cr_assert_eq(step_of(b), CALL_STEP_QUEUED);
    w.rule_policies[0].breaker.mode = POLICY_ENFORCE;
    world_reload(&w);
    cr_assert_eq(w.target->rule_instances[0]->seat.breaker.state, BREAKER_CLOSED);
    answer(a, 200);
    answer(b, 200);
}

Test(reload, sends_back_to_the_token_line_whose_promise_was_taken_away)
{
    with_bulkhead(&w.policy, 1, 5, 60000);
    with_rate(&w.policy, 10, 1000, 3, 60000);
    world_open(&w);
    struct visit *a = world_call(&w);
    struct visit *b = world_call(&w);
    struct visit *c = world_call(&w);
    cr_assert_eq(in_line(&w), 2u);
    w.policy.rate_limit.burst = 1;
    world_reload(&w);
    answer(a, 200);
    cr_assert_eq(b->starts, 1);
    answer(b, 200);
    cr_assert_eq(c->starts, 0);
    cr_assert_eq(c->call.line, &w.target->instance->tokens->other->tokens.line);
    world_advance(&w, 100);
    cr_assert_eq(c->starts, 1);
    answer(c, 200);
}

Test(reload, refuses_whose_promise_was_taken_away_and_who_may_not_wait_so_long)
{
    with_bulkhead(&w.policy, 1, 5, 60000);
    with_rate(&w.policy, 10, 1000, 3, 60000);
    world_open(&w);
    struct visit *a = world_call(&w);
    struct visit *b = world_call(&w);
    struct visit *c = world_call(&w);
    w.policy.rate_limit.burst = 1;
    w.policy.rate_limit.wait = 10 * MS;
    world_reload(&w);
    answer(a, 200);
    answer(b, 200);
    cr_assert(is_refused(c, REASON_RATE_LIMITED));
}

Test(reload, starts_empty_with_another_key_and_settles_permits_where_they_were_granted)
{
    with_bulkhead(&w.policy, 1, 5, 60000);
    with_rate(&w.policy, 1, 1000, 2, 60000);
    world_open(&w);
    struct visit *a = world_call(&w);
    struct visit *slot = world_call(&w);
    struct visit *token = world_call(&w);
    struct bulkhead *old = a->call.permit.bulkhead;
    w.policy.bulkhead.key = (struct key_config){.kind = KEY_PATH, .max_keys = 10};
    w.policy.rate_limit.key = (struct key_config){.kind = KEY_PATH, .max_keys = 10};
    world_reload(&w);
    struct visit *fresh = world_call_keyed(&w, "/a");
    cr_assert_eq(fresh->starts, 1);
    cr_assert_eq(old->in_flight[BULKHEAD_ATTEMPT], 1u);
    answer(a, 200);
    cr_assert_eq(slot->starts, 1, "it was waiting in the old room");
    world_reload(&w);
    cr_assert_eq(token->finishes, 0);
    answer(slot, 200);
    world_advance(&w, 1000);
    cr_assert_eq(token->starts, 1);
    answer(token, 200);
    cr_assert_not(list_is_empty(&w.target->instance->retired_tables));
    world_reload(&w);
    cr_assert(list_is_empty(&w.target->instance->retired_tables), "nobody needs them any more");
    answer(fresh, 200);
}

Test(reload, keeps_a_retired_table_as_long_as_any_of_its_rooms_is_in_use)
{
    with_bulkhead(&w.policy, 1, 5, 60000);
    w.policy.bulkhead.key = (struct key_config){.kind = KEY_PATH, .max_keys = 10};
    world_open(&w);
    struct visit *a = world_call_keyed(&w, "/a");
    answer(world_call_keyed(&w, "/b"), 200);
    w.policy.bulkhead.key.max_keys = 11;
    world_reload(&w);
    world_reload(&w);
    cr_assert_not(list_is_empty(&w.target->instance->retired_tables));
    answer(a, 200);
    world_reload(&w);
    cr_assert(list_is_empty(&w.target->instance->retired_tables));
}

Test(reload, keeps_the_rooms_where_the_key_is_the_same_by_value)
{
    char first[] = "x-user";
    char second[] = "x-user";
    with_rate(&w.policy, 1, 1000000, 1, 0);
    w.policy.rate_limit.key =
        (struct key_config){.kind = KEY_HEADER, .header = first, .max_keys = 10};
    world_open(&w);
    answer(world_call_keyed(&w, "ann"), 200);
    w.policy.rate_limit.key.header = second;
    world_reload(&w);
    first[0] = 'y';
    cr_assert(is_refused(world_call_keyed(&w, "ann"), REASON_RATE_LIMITED));
    w.policy.rate_limit.key.header = "x-tenant";
    world_reload(&w);
    struct visit *a = world_call_keyed(&w, "ann");
    cr_assert_eq(a->starts, 1);
    answer(a, 200);
}

Test(reload, reaches_the_rooms_of_all_keys)
{
    with_rate(&w.policy, 1, 1000000, 5, 0);
    w.policy.rate_limit.key = (struct key_config){.kind = KEY_PATH, .max_keys = 10};
    world_open(&w);
    answer(world_call_keyed(&w, "/a"), 200);
    w.policy.rate_limit.burst = 1;
    world_reload(&w);
    answer(world_call_keyed(&w, "/a"), 200);
    cr_assert(is_refused(world_call_keyed(&w, "/a"), REASON_RATE_LIMITED));
}

Test(reload, starts_empty_with_another_scope)
{
    with_breaker(&w.policy, 1);
    world_open(&w);
    trip(&w, 1);
    w.policy.breaker.scope = BREAKER_SCOPE_ENDPOINT;
    world_reload(&w);
    cr_assert_eq(world_breaker(&w)->state, BREAKER_CLOSED);
    w.endpoint_count = 2;
    w.endpoints[0] = 1;
    w.endpoints[1] = 2;
    struct visit *a = world_call(&w);
    answer(world_call(&w), 500);
    struct visit *b = world_call(&w);
    cr_assert_eq(b->call.endpoint_id, 2u);
    w.policy.breaker.scope = BREAKER_SCOPE_TARGET;
    world_reload(&w);
    cr_assert_eq(w.target->instance->endpoints.count, 2u, "both are still worked for");
    cr_assert(instance_is_closed(w.target->instance));
    answer(a, 500);
    answer(b, 500);
    cr_assert(instance_is_closed(w.target->instance), "results of an earlier generation");
    w.policy.breaker.scope = BREAKER_SCOPE_ENDPOINT;
    world_reload(&w);
    cr_assert_eq(w.target->instance->endpoints.count, 0u);
}

Test(reload, with_another_scope_and_force_open_is_forced_open)
{
    with_breaker(&w.policy, 1);
    world_open(&w);
    w.policy.breaker.scope = BREAKER_SCOPE_ENDPOINT;
    w.policy.breaker.mode = POLICY_FORCE_OPEN;
    world_reload(&w);
    cr_assert_eq(world_breaker(&w)->state, BREAKER_FORCED_OPEN);
}

Test(reload, finds_the_instance_of_a_rule_by_its_name_wherever_it_moved)
{
    with_breaker(&w.policy, 1);
    world_add_rule(&w, "charge", 1u << POLICY_FAMILY_CIRCUIT_BREAKER);
    world_add_rule(&w, "quote", 0);
    world_add_rule(&w, "list", 1u << POLICY_FAMILY_CIRCUIT_BREAKER);
    world_open(&w);
    answer(world_call_rule(&w, 2), 500);
    const struct plan_rule list = w.rules[2];
    w.rules[2] = w.rules[0];
    w.rules[0] = list;
    world_reload(&w);
    cr_assert_eq(w.target->rule_instances[0]->seat.breaker.state, BREAKER_OPEN);
    cr_assert_eq(w.target->rule_instances[2]->seat.breaker.state, BREAKER_CLOSED);
    struct visit *a = world_call_rule(&w, 2);
    w.rule_count = 1;
    world_reload(&w);
    cr_assert_eq(w.instances_live, 3, "the call keeps the instance of its rule alive");
    answer(a, 500);
    cr_assert_eq(w.instances_live, 2);
    cr_assert_str_eq(w.moves[w.move_count - 1].label, "rule:charge");
}

Test(reload, leaves_calls_on_the_snapshot_they_began_with)
{
    world_open(&w);
    cr_assert_eq(w.snapshot_refs, 1u);
    struct visit *a = world_call(&w);
    world_reload(&w);
    cr_assert_eq(w.snapshot_refs, 2u, "the old lane and the new one");
    answer(a, 200);
    cr_assert_eq(w.snapshot_refs, 1u);
}

Test(reload, changes_the_budget_of_the_target)
{
    with_retry(&w.policy, 1);
    w.policy.retry.budget = (struct retry_budget_config){.mode = POLICY_ENFORCE,
                                                         .interval = 10 * NS_PER_S,
                                                         .min_count = 1,
                                                         .min_interval = 10 * NS_PER_S};
    world_open(&w);
    fail(world_call(&w), REASON_CONNECTION_RESET);
    fail(world_call(&w), REASON_CONNECTION_RESET);
    cr_assert_eq(w.skips[RETRY_SKIP_BUDGET], 1);
    w.policy.retry.budget.min_count = 2;
    world_reload(&w);
    fail(world_call(&w), REASON_CONNECTION_RESET);
    cr_assert_eq(w.skips[RETRY_SKIP_BUDGET], 1);
}

Test(reload, leaves_a_retired_table_to_the_end_of_its_instance)
{
    with_bulkhead(&w.policy, 1, 5, 60000);
    world_open(&w);
    struct visit *a = world_call(&w);
    w.policy.bulkhead.key = (struct key_config){.kind = KEY_PATH, .max_keys = 10};
    world_reload(&w);
    answer(a, 200);
    cr_assert_not(list_is_empty(&w.target->instance->retired_tables));
}
