#include "call_host.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct world w;

static void start(void)
{
    world_start(&w);
    with_breaker(&w.policy, 1);
    world_open(&w);
}

static void end(void)
{
    world_end(&w);
}

TestSuite(target, .init = start, .fini = end);

static struct target *add(const char *name)
{
    const struct plan plan = {
        .policy_name = "all", .policy = &w.policy, .snapshot = &w.snapshot_refs};
    struct target *target = NULL;
    const enum err err = target_table_add(&w.targets, span_of(name), &plan, w.now, &target);
    cr_assert_eq(err == OK, target != NULL);
    return target;
}

static struct visit *call_to(struct target *target)
{
    return world_call_on(&w, target->lanes[0], &get_facts, NULL, false);
}

static bool is_there(const char *name)
{
    return target_table_lookup(&w.targets, span_of(name)) != NULL;
}

Test(target, is_found_by_its_name_alone)
{
    struct target *a = add("a:80");
    cr_assert_eq(target_table_lookup(&w.targets, SPAN("a:80")), a);
    cr_assert_null(target_table_lookup(&w.targets, SPAN("a:81")));
    cr_assert_null(target_table_lookup(&w.targets, SPAN("")));
    cr_assert_str_eq(a->name, "a:80");
    cr_assert_str_eq(a->policy_name, "all");
}

Test(target, shares_its_breaker_with_no_other)
{
    struct target *a = add("a:80");
    struct target *b = add("a:81");
    answer(call_to(a), 500);
    struct visit *refused = call_to(a);
    cr_assert(is_refused(refused, REASON_CIRCUIT_OPEN));
    answer(call_to(b), 200);
}

Test(target, makes_room_by_the_oldest_idle_one_whose_breakers_are_closed)
{
    w.targets.limit = 4;
    struct target *open = add("open:80");
    struct target *busy = add("busy:80");
    add("closed:80");
    answer(call_to(open), 500);
    struct visit *call = call_to(busy);
    cr_assert(is_there("payments:80"), "a look-up marks it as used");
    add("new:80");
    cr_assert_not(is_there("closed:80"));
    cr_assert(is_there("open:80") && is_there("busy:80") && is_there("payments:80"));
    answer(call, 200);
}

Test(target, makes_room_by_the_oldest_idle_one_when_none_is_closed)
{
    w.targets.limit = 3;
    answer(world_call(&w), 500);
    struct target *first = add("first:80");
    struct target *second = add("second:80");
    answer(call_to(first), 500);
    answer(call_to(second), 500);
    w.target = first;
    add("new:80");
    cr_assert_not(is_there("payments:80"));
    cr_assert_eq(w.targets.count, 3u);
}

Test(target, takes_no_other_in_when_all_are_busy)
{
    w.targets.limit = 1;
    struct visit *a = world_call(&w);
    struct target *other = NULL;
    const struct plan plan = {
        .policy_name = "all", .policy = &w.policy, .snapshot = &w.snapshot_refs};
    cr_assert_eq(target_table_add(&w.targets, SPAN("b:80"), &plan, w.now, &other), ERR_FULL);
    cr_assert_null(other);
    world_reload(&w);
    cr_assert_not(target_is_idle(w.target), "its call is on a lane of before the reload");
    cr_assert_eq(target_table_add(&w.targets, SPAN("b:80"), &plan, w.now, &other), ERR_FULL);
    answer(a, 200);
    cr_assert(target_is_idle(w.target));
    cr_assert_eq(target_table_add(&w.targets, SPAN("b:80"), &plan, w.now, &other), OK);
}

Test(target, is_closed_only_when_the_breakers_of_its_rules_and_endpoints_are)
{
    world_add_rule(&w, "own", 1u << POLICY_FAMILY_CIRCUIT_BREAKER);
    world_add_rule(&w, "none", 0);
    world_reload(&w);
    answer(world_call_rule(&w, 0), 500);
    w.policy.breaker.scope = BREAKER_SCOPE_ENDPOINT;
    struct target *by_endpoint = add("endpoints:80");
    w.endpoint_count = 1;
    w.endpoints[0] = 1;
    answer(call_to(by_endpoint), 500);
    add("closed:80");
    w.targets.limit = 3;
    add("new:80");
    cr_assert(is_there("payments:80"));
    cr_assert(is_there("endpoints:80"));
    cr_assert_not(is_there("closed:80"));
    seat_force(&w.target->rule_instances[0]->seat, BREAKER_CLOSED, w.now);
    answer(call_to(target_table_lookup(&w.targets, SPAN("new:80"))), 500);
    cr_assert(is_there("endpoints:80") && is_there("new:80"));
    add("newer:80");
    cr_assert_not(is_there("payments:80"), "now its rule's breaker is closed");
}

Test(target, that_was_dropped_lives_on_until_its_calls_have_ended)
{
    struct visit *a = world_call(&w);
    struct visit *b = world_call(&w);
    target_table_drop(&w.targets, w.target);
    cr_assert_not(is_there("payments:80"));
    cr_assert_eq(w.targets_live, 1);
    add("payments:80");
    cr_assert_eq(w.targets_live, 2);
    answer(a, 200);
    cr_assert_eq(w.targets_live, 2);
    answer(b, 200);
    cr_assert_eq(w.targets_live, 1);
    cr_assert_eq(w.instances_live, 1);
}

Test(target, is_found_though_it_shares_a_chain_and_dropped_out_of_its_middle)
{
    char name[24];
    struct target *targets[64];
    target_table_drop(&w.targets, w.target);
    w.targets.chain_count = 1; /* all in one chain */
    for (int i = 0; i < 64; i++) {
        snprintf(name, sizeof name, "host-%d:80", i);
        targets[i] = add(name);
    }
    for (int i = 0; i < 64; i += 2)
        target_table_drop(&w.targets, targets[i]);
    for (int i = 0; i < 64; i++) {
        snprintf(name, sizeof name, "host-%d:80", i);
        cr_assert_eq(is_there(name), i % 2 == 1);
    }
    cr_assert_eq(w.targets.count, 32u);
}

Test(target, table_is_bounded_at_4096_and_stays_there)
{
    char name[24];
    for (int i = 0; i < TARGET_LIMIT + 50; i++) {
        snprintf(name, sizeof name, "10.0.%d.%d:80", i / 256, i % 256);
        add(name);
        cr_assert_leq(w.targets.count, (uint32_t)TARGET_LIMIT);
    }
    cr_assert_eq(w.targets.count, (uint32_t)TARGET_LIMIT);
    cr_assert_not(is_there("10.0.0.0:80"));
    cr_assert(is_there("10.0.0.200:80"));
}

Test(target, gives_its_calls_a_lane_for_each_rule)
{
    world_add_rule(&w, "charge", 1u << POLICY_FAMILY_BULKHEAD);
    world_reload(&w);
    cr_assert_eq(w.target->lane_count, 2u);
    cr_assert_str_eq(w.target->lanes[0]->rule_name, "");
    cr_assert_str_eq(w.target->lanes[1]->rule_name, "charge");
    cr_assert_str_eq(w.target->lanes[1]->policy_name, "shop");
    cr_assert_eq(w.target->lanes[1]->policy, &w.rule_policies[0]);
    cr_assert_eq(w.target->lanes[1]->breaker, w.target->instance);
    cr_assert_eq(w.target->lanes[1]->bulkhead, w.target->rule_instances[0]);
}

Test(target, is_not_made_when_the_host_has_no_room_for_it)
{
    w.refuses_targets = true;
    cr_assert_null(add("a:80"));
    cr_assert_not(is_there("a:80"));
    w.refuses_targets = false;
    cr_assert_not_null(add("a:80"));
}
