/* What happens when the n-th allocation fails, for every n. This program's own calloc, strdup and
 * strndup stand before libc's (and the sanitizer's). */
#include "call_host.h"

#include "base/check.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#define NEVER (-1)

static int fails_in = NEVER; /* so many allocations from now one fails */

static bool fails(void)
{
    if (fails_in == NEVER)
        return false;
    return fails_in-- == 0;
}

/* dlsym itself allocates before it has told where to. */
static void *early_alloc(size_t size)
{
    static _Alignas(16) char bytes[8192];
    static size_t used;
    const size_t start = used;
    used += (size + 15) & ~(size_t)15;
    return used <= sizeof bytes ? bytes + start : NULL;
}

void *calloc(size_t count, size_t size)
{
    static void *(*real)(size_t, size_t);
    static bool is_asking;
    if (is_asking)
        return early_alloc(count * size);
    if (real == NULL) {
        is_asking = true;
        *(void **)&real = dlsym(RTLD_NEXT, "calloc");
        is_asking = false;
    }
    return fails() ? NULL : real(count, size);
}

char *strndup(const char *text, size_t most)
{
    const size_t length = strnlen(text, most);
    char *copy = fails() ? NULL : malloc(length + 1);
    if (copy == NULL)
        return NULL;
    memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

char *strdup(const char *text)
{
    return strndup(text, strlen(text));
}

static struct world w;

static void start(void)
{
    world_start(&w);
    with_breaker(&w.policy, 1);
    with_bulkhead(&w.policy, 1, 5, 1000);
    with_rate(&w.policy, 10, 1000, 5, 1000);
    w.policy.rate_limit.key =
        (struct key_config){.kind = KEY_HEADER, .header = "x-user", .max_keys = 10};
    world_add_rule(&w, "charge", 1u << POLICY_FAMILY_CIRCUIT_BREAKER);
    world_add_rule(&w, "plain", 0);
    world_add_rule(&w, "quote", 1u << POLICY_FAMILY_RATE_LIMIT);
}

static void end(void)
{
    fails_in = NEVER;
    world_end(&w);
}

TestSuite(memory, .init = start, .fini = end);

static enum err add(struct target **target)
{
    const struct plan plan = {.policy_name = "shop",
                              .policy = &w.policy,
                              .rules = w.rules,
                              .rule_count = w.rule_count,
                              .snapshot = &w.snapshot_refs};
    return target_table_add(&w.targets, SPAN("payments:80"), &plan, w.now, target);
}

static enum err apply(size_t rule_count)
{
    const struct plan plan = {.policy_name = "shop",
                              .policy = &w.policy,
                              .rules = w.rules,
                              .rule_count = rule_count,
                              .snapshot = &w.snapshot_refs};
    return target_apply(w.target, &plan, w.now);
}

Test(memory, that_fails_at_any_place_leaves_nothing_of_a_target_behind)
{
    struct target *target = NULL;
    int failures = 0;
    enum err err;
    do {
        fails_in = failures;
        err = add(&target);
        cr_assert_eq(err, fails_in == NEVER ? ERR_NO_MEMORY : OK);
        fails_in = NEVER;
        failures += err != OK;
        cr_assert_eq(w.targets_live, err == OK);
        cr_assert_eq(w.targets.count, (uint32_t)(err == OK));
        cr_assert_eq(w.lanes_live, err == OK ? 4 : 0);
        cr_assert_eq(w.instances_live, err == OK ? 3 : 0);
        cr_assert_eq(w.seats_live, err == OK ? 3 : 0);
        cr_assert_eq(w.snapshot_refs, err == OK ? 4u : 0u);
    } while (err != OK);
    cr_assert_gt(failures, 20);
    cr_assert_not_null(target);
}

Test(memory, that_fails_at_any_place_leaves_the_old_lanes_of_a_reload)
{
    cr_assert_eq(add(&w.target), OK);
    cr_assert_eq(apply(0), OK);
    struct lane *const old = w.target->lanes[0];
    int failures = 0;
    enum err err;
    do {
        fails_in = failures;
        err = apply(3);
        fails_in = NEVER;
        failures += err != OK;
        cr_assert(err == OK || w.target->lanes[0] == old);
        cr_assert_eq(w.target->lane_count, err == OK ? 4u : 1u);
        cr_assert_eq(w.lanes_live, err == OK ? 4 : 1);
        cr_assert_eq(w.instances_live, err == OK ? 3 : 1);
    } while (err != OK);
    cr_assert_gt(failures, 10);
    struct visit *a = world_call(&w);
    answer(a, 200);
}

Test(memory, that_fails_for_a_changed_key_leaves_the_old_one_in_force)
{
    cr_assert_eq(add(&w.target), OK);
    cr_assert_eq(apply(0), OK);
    struct room_table *const slots = w.target->instance->slots;
    struct room_table *const buckets = w.target->instance->tokens;
    w.policy.bulkhead.key = (struct key_config){.kind = KEY_PATH, .max_keys = 3};
    w.policy.rate_limit.key =
        (struct key_config){.kind = KEY_HEADER, .header = "x-tenant", .max_keys = 3};
    bool kept_slots = false;
    bool kept_buckets = false;
    for (int i = 3; i < 8; i++) { /* after the instances and the lane */
        fails_in = i;
        const enum err err = apply(0);
        fails_in = NEVER;
        struct visit *a = world_call_keyed(&w, "ann");
        answer(a, 200);
        kept_slots |= err == OK && w.target->instance->slots == slots;
        kept_buckets |= err == OK && w.target->instance->tokens == buckets;
    }
    cr_assert_eq(apply(0), OK);
    cr_assert_neq(w.target->instance->slots, slots, "the next reload does it");
    cr_assert_neq(w.target->instance->tokens, buckets);
    cr_assert(kept_slots || kept_buckets);
}

Test(memory, that_fails_for_a_key_lets_it_share_the_room_of_the_others)
{
    cr_assert_eq(add(&w.target), OK);
    struct room_table *buckets = w.target->instance->tokens;
    for (int i = 0; i < 2; i++) { /* the chains, then the room itself */
        fails_in = i;
        struct keyed_room *room = room_table_find(buckets, SPAN("ann"), w.now);
        fails_in = NEVER;
        cr_assert_eq(room, buckets->other);
    }
    cr_assert_neq(room_table_find(buckets, SPAN("ann"), w.now), buckets->other);
}

Test(memory, that_fails_for_an_endpoint_leaves_it_unjudged)
{
    cr_assert_eq(add(&w.target), OK);
    fails_in = 0;
    cr_assert_null(board_seat(&w.target->instance->endpoints, 1, "10.0.0.1:80", w.now));
    fails_in = NEVER;
    cr_assert_not_null(board_seat(&w.target->instance->endpoints, 1, "10.0.0.1:80", w.now));
}
