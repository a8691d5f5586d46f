#include "call_host.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct world w;

static void start(void)
{
    world_start(&w);
}

static void end(void)
{
    world_end(&w);
}

TestSuite(room, .init = start, .fini = end);

static struct room_table *slots(void)
{
    return w.target->instance->slots;
}

static struct room_table *buckets(void)
{
    return w.target->instance->tokens;
}

static void bulkhead_by_path(uint32_t max_keys)
{
    with_bulkhead(&w.policy, 1, 1, 1000);
    w.policy.bulkhead.key = (struct key_config){.kind = KEY_PATH, .max_keys = max_keys};
}

static void rate_by_header(uint32_t max_keys)
{
    with_rate(&w.policy, 1, 10000, 1, 0);
    w.policy.rate_limit.key =
        (struct key_config){.kind = KEY_HEADER, .header = "x-user", .max_keys = max_keys};
}

Test(room, gives_each_key_its_own_bulkhead)
{
    bulkhead_by_path(10);
    world_open(&w);
    struct visit *a = world_call_keyed(&w, "/a");
    struct visit *b = world_call_keyed(&w, "/b");
    struct visit *a2 = world_call_keyed(&w, "/a");
    cr_assert_eq(b->starts, 1);
    cr_assert_eq(step_of(a2), CALL_STEP_QUEUED);
    cr_assert_eq(slots()->count, 2u);
    answer(b, 200);
    cr_assert_eq(a2->starts, 0);
    answer(a, 200);
    cr_assert_eq(a2->starts, 1);
    answer(a2, 200);
}

Test(room, gives_each_key_its_own_bucket_and_an_absent_one_too)
{
    rate_by_header(10);
    world_open(&w);
    answer(world_call_keyed(&w, "ann"), 200);
    answer(world_call_keyed(&w, "bob"), 200);
    answer(world_call_keyed(&w, NULL), 200);
    cr_assert(is_refused(world_call_keyed(&w, "ann"), REASON_RATE_LIMITED));
    cr_assert(is_refused(world_call_keyed(&w, NULL), REASON_RATE_LIMITED));
    cr_assert_eq(buckets()->count, 3u);
}

Test(room, does_not_grow_with_the_length_of_a_key)
{
    static char key[16384];
    rate_by_header(10);
    world_open(&w);
    memset(key, 'k', sizeof key - 1);
    answer(world_call_keyed(&w, key), 200);
    cr_assert(is_refused(world_call_keyed(&w, key), REASON_RATE_LIMITED));
    key[sizeof key - 2] = 'x';
    answer(world_call_keyed(&w, key), 200);
    cr_assert_lt(sizeof(struct keyed_room), 256u);
}

Test(room, lets_further_keys_share_one_when_no_place_can_be_had)
{
    rate_by_header(2);
    world_open(&w);
    answer(world_call_keyed(&w, "ann"), 200);
    answer(world_call_keyed(&w, "bob"), 200);
    answer(world_call_keyed(&w, "cid"), 200);
    cr_assert(is_refused(world_call_keyed(&w, "dan"), REASON_RATE_LIMITED), "shared with cid");
    cr_assert(is_refused(world_call_keyed(&w, "ann"), REASON_RATE_LIMITED), "nothing was reset");
    cr_assert_eq(buckets()->count, 2u);
}

Test(room, evicts_the_oldest_bucket_that_is_full_again)
{
    rate_by_header(2);
    world_open(&w);
    answer(world_call_keyed(&w, "ann"), 200);
    world_advance(&w, 5000);
    answer(world_call_keyed(&w, "bob"), 200);
    world_advance(&w, 5000);
    answer(world_call_keyed(&w, "cid"), 200);
    cr_assert_eq(buckets()->count, 2u);
    cr_assert(is_refused(world_call_keyed(&w, "bob"), REASON_RATE_LIMITED), "bob is still there");
    cr_assert(is_refused(world_call_keyed(&w, "cid"), REASON_RATE_LIMITED));
    cr_assert_eq(w.target->instance->tokens->other->tokens.bucket.tat, w.began_at);
}

Test(room, evicts_only_empty_bulkheads_however_many_are_in_use_before_them)
{
    char names[20][16];
    struct visit *busy[20];
    bulkhead_by_path(20);
    world_open(&w);
    for (int i = 0; i < 20; i++) {
        snprintf(names[i], sizeof names[i], "/%d", i);
        busy[i] = world_call_keyed(&w, names[i]);
    }
    answer(busy[19], 200);
    struct visit *first = world_call_keyed(&w, "/new");
    struct visit *second = world_call_keyed(&w, "/new");
    cr_assert_eq(slots()->other->slots.bulkhead.in_flight[BULKHEAD_ATTEMPT], 1u);
    cr_assert_eq(second->starts, 0);
    answer(first, 200);
    struct visit *third = world_call_keyed(&w, "/new");
    cr_assert_eq(slots()->other->slots.bulkhead.in_flight[BULKHEAD_ATTEMPT], 1u,
                 "8 a call are looked at, and go to the end of the line: now it was found");
    cr_assert_eq(slots()->count, 20u);
    cr_assert_eq(third->starts, 1);
    for (int i = 0; i < 19; i++)
        answer(busy[i], 200);
}

Test(room, evicts_no_room_that_a_waiting_call_will_need)
{
    bulkhead_by_path(1);
    w.policy.bulkhead.max_pending = 5;
    with_rate(&w.policy, 10, 1000, 1, 5000);
    world_open(&w);
    answer(world_call_keyed(&w, "/a"), 200);
    struct visit *a = world_call_keyed(&w, "/a");
    cr_assert_eq(a->call.line, &buckets()->other->tokens.line);
    struct visit *b = world_call_keyed(&w, "/b");
    cr_assert_neq(b->call.slots, a->call.slots);
    cr_assert_eq(b->call.slots, &slots()->other->slots, "the place of /a is empty, but not free");
    world_advance(&w, 100);
    cr_assert_eq(a->starts, 1);
    world_advance(&w, 100);
    cr_assert_eq(b->starts, 1);
}

Test(room, evicts_no_bucket_of_a_call_that_waits_for_a_slot)
{
    rate_by_header(1);
    w.policy.rate_limit.mode = POLICY_SHADOW;
    with_bulkhead(&w.policy, 1, 5, 60000);
    world_open(&w);
    struct visit *a = world_call_keyed(&w, "ann");
    struct visit *b = world_call_keyed(&w, "bob");
    struct visit *c = world_call_keyed(&w, "ann");
    world_advance(&w, 20000);
    struct visit *d = world_call_keyed(&w, "cid");
    cr_assert_eq(d->call.tokens, &buckets()->other->tokens);
    answer(a, 200);
    answer(b, 200);
    answer(c, 200);
    answer(d, 200);
}

Test(room, finds_keys_that_share_a_chain)
{
    char name[32];
    rate_by_header(200);
    world_open(&w);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 200; i++) {
            snprintf(name, sizeof name, "user-%d", i);
            struct visit *a = world_call_keyed(&w, name);
            cr_assert_eq(a->starts, round == 0, "user %d in round %d", i, round);
            if (round == 0)
                answer(a, 200);
        }
    cr_assert_eq(buckets()->count, 200u);
    world_advance(&w, 20000);
    for (int i = 200; i < 400; i++) { /* each takes the place of an old one, in whatever chain */
        snprintf(name, sizeof name, "user-%d", i);
        answer(world_call_keyed(&w, name), 200);
    }
    cr_assert_eq(buckets()->count, 200u);
}

Test(room, bounds_the_table_of_chains_whatever_max_keys_says)
{
    rate_by_header(UINT32_MAX);
    world_open(&w);
    answer(world_call_keyed(&w, "ann"), 200);
    cr_assert_eq(buckets()->chain_count, UINT32_C(1) << 20);
}

Test(room, sums_up_what_is_in_all_rooms)
{
    bulkhead_by_path(10);
    rate_by_header(10);
    w.policy.rate_limit.wait = 60 * NS_PER_S;
    world_open(&w);
    struct visit *a = world_call_keyed(&w, "a");
    struct visit *b = world_call_keyed(&w, "b");
    world_call_keyed(&w, "b");
    struct room_totals totals = {0};
    room_table_totals(slots(), w.now, &totals);
    cr_assert_eq(totals.in_flight[BULKHEAD_ATTEMPT], 2u);
    cr_assert_eq(totals.in_flight[BULKHEAD_CONNECTION], 0u);
    cr_assert_eq(totals.queued, 0u);
    room_table_totals(buckets(), w.now, &totals);
    cr_assert_eq(totals.queued, 1u);
    cr_assert_eq(totals.millitokens, 1000u, "the bucket of the calls without a place");
    answer(a, 200);
    answer(b, 200);
}

Test(room, tells_keys_apart_whose_places_and_hashes_are_the_same)
{
    rate_by_header(10);
    world_open(&w);
    struct keyed_room *ann = room_table_find(buckets(), SPAN("ann"), w.now);
    cr_assert_eq(room_table_find(buckets(), SPAN("ann"), w.now), ann);
    ann->check ^= 1; /* now it is the room of another key with the hash of ann */
    cr_assert_neq(room_table_find(buckets(), SPAN("ann"), w.now), ann);
    cr_assert_eq(buckets()->count, 2u);
}
