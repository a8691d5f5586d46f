/* ringHash: equal keys go to the same endpoint, and as few as can be move. */
#include "balancer_field.h"

#include <stdio.h>

#define KEYS 20000

static uint64_t key_at(uint64_t index)
{
    char text[32];
    const int len = snprintf(text, sizeof text, "user-%u", (unsigned)index);
    return balancer_key(span_make(text, (size_t)len));
}

static uint64_t owner(struct field *field, uint64_t index)
{
    struct balancer_query query = field_query(field);
    query.key = key_at(index);
    return field_pick(field, &query);
}

Test(ring_hash, has_no_key_for_an_empty_value)
{
    cr_assert_eq(balancer_key(SPAN("")), 0u);
    cr_assert_neq(balancer_key(SPAN("a")), 0u);
    cr_assert_neq(balancer_key(SPAN("a")), balancer_key(SPAN("b")));
}

/* Sidecars of different versions stand beside each other: these numbers must never change. */
Test(ring_hash, hashes_a_key_as_ever)
{
    cr_assert_eq(balancer_key(SPAN("alice")), UINT64_C(3797606290294006431));
    struct field field;
    field_open(&field, BALANCE_RING_HASH, 10);
    uint64_t owners = 0;
    for (uint64_t index = 0; index < 16; index++)
        owners = owners * 11 + owner(&field, index);
    cr_assert_eq(owners, UINT64_C(26681393187141492), "%llu", (unsigned long long)owners);
}

Test(ring_hash, gives_a_key_to_the_same_endpoint_in_every_sidecar)
{
    struct field one;
    struct field other;
    field_open(&one, BALANCE_RING_HASH, 6);
    field_open(&other, BALANCE_RING_HASH, 0);
    rng_seed(&other.rng, 77);
    field_set(&other, (const uint64_t[]){6, 1, 5, 2, 4, 3}, 6); /* DNS in another order */
    for (uint64_t index = 0; index < 1000; index++)
        cr_assert_eq(owner(&one, index), owner(&other, index));
}

Test(ring_hash, spreads_keys_evenly)
{
    struct field field;
    field_open(&field, BALANCE_RING_HASH, 8);
    for (uint64_t index = 0; index < KEYS; index++)
        owner(&field, index);
    for (uint64_t id = 1; id <= 8; id++)
        field_expect_share(&field, id, KEYS / 8);
}

Test(ring_hash, moves_only_the_keys_of_who_leaves_and_spreads_them)
{
    static uint64_t before[KEYS];
    struct field field;
    field_open(&field, BALANCE_RING_HASH, 5);
    for (uint64_t index = 0; index < KEYS; index++)
        before[index] = owner(&field, index);
    field_set(&field, (const uint64_t[]){1, 2, 4, 5}, 4);
    memset(field.picks, 0, sizeof field.picks);
    for (uint64_t index = 0; index < KEYS; index++) {
        if (before[index] != 3) {
            const uint64_t now = owner(&field, index);
            cr_assert_eq(now, before[index]);
            field.picks[now]--;
        } else {
            owner(&field, index);
        }
    }
    for (uint64_t id = 1; id <= 5; id++)
        if (id != 3)
            field_expect_share(&field, id, KEYS / 5.0 / 4);
    field_set(&field, (const uint64_t[]){1, 2, 3, 4, 5}, 5); /* back: as if nothing had been */
    for (uint64_t index = 0; index < KEYS; index++)
        cr_assert_eq(owner(&field, index), before[index]);
}

Test(ring_hash, gives_who_comes_its_share_and_moves_nothing_else)
{
    static uint64_t before[KEYS];
    struct field field;
    field_open(&field, BALANCE_RING_HASH, 4);
    for (uint64_t index = 0; index < KEYS; index++)
        before[index] = owner(&field, index);
    field_set(&field, (const uint64_t[]){1, 2, 3, 4, 5}, 5);
    unsigned moved = 0;
    for (uint64_t index = 0; index < KEYS; index++) {
        const uint64_t now = owner(&field, index);
        cr_assert(now == before[index] || now == 5);
        moved += now == 5;
    }
    cr_assert(moved > KEYS / 5 * 9 / 10 && moved < KEYS / 5 * 11 / 10, "%u", moved);
}

Test(ring_hash, leads_a_retry_where_the_key_would_go_without_the_first)
{
    struct field field;
    field_open(&field, BALANCE_RING_HASH, 5);
    for (uint64_t index = 0; index < 500; index++) {
        struct balancer_query query = field_query(&field);
        uint64_t tried[1];
        uint64_t mask;
        query.key = key_at(index);
        tried[0] = field_pick(&field, &query);
        query.tried = tried;
        query.tried_count = 1;
        const uint64_t next = field_pick(&field, &query);
        query.tried_count = 0;
        mask = ~(UINT64_C(1) << tried[0]);
        query.may_use = field_mask;
        query.context = &mask;
        cr_assert(next != tried[0] && next == field_pick(&field, &query));
    }
}

Test(ring_hash, balances_calls_without_a_key_by_least_request)
{
    struct field field;
    field_open(&field, BALANCE_RING_HASH, 5);
    field.candidates[2].in_flight = 1;
    const struct balancer_query query = field_query(&field);
    field_draw(&field, &query, 4000);
    for (uint64_t id = 1; id <= 5; id++)
        cr_assert(id == 3 ? field.picks[id] == 0 : field.picks[id] > 800);
}
