/* A ring between threads: what goes in comes out, whole and in order, and a full ring says so. */
#include "base/ring.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

Test(ring, is_empty_at_first)
{
    struct ring *ring = ring_new(64);
    char out[8];
    cr_assert(ring_is_empty(ring));
    cr_assert_eq(ring_take(ring, out, sizeof(out)), 0);
    ring_free(&ring);
    cr_assert_null(ring);
}

Test(ring, refuses_what_can_never_fit)
{
    struct ring *ring = ring_new(64);
    char big[64] = {0};
    cr_assert_not(ring_put(ring, big, 57));
    cr_assert(ring_put(ring, big, 56));
    ring_free(&ring);
}

Test(ring, refuses_when_full_and_takes_again_after_a_read)
{
    struct ring *ring = ring_new(64);
    char out[16];
    for (int i = 0; i < 4; i++) {
        cr_assert(ring_put(ring, "12345678", 8));
    }
    cr_assert_not(ring_put(ring, "x", 1));
    cr_assert_eq(ring_take(ring, out, sizeof(out)), 8);
    cr_assert(ring_put(ring, "x", 1));
    ring_free(&ring);
}

Test(ring, cuts_a_record_to_the_room_of_the_reader_and_goes_on_with_the_next)
{
    struct ring *ring = ring_new(64);
    char out[4];
    cr_assert(ring_put(ring, "123456789", 9));
    cr_assert(ring_put(ring, "ab", 2));
    cr_assert_eq(ring_take(ring, out, sizeof(out)), 4);
    cr_assert(memcmp(out, "1234", 4) == 0);
    cr_assert_eq(ring_take(ring, out, sizeof(out)), 2);
    cr_assert(memcmp(out, "ab", 2) == 0);
    ring_free(&ring);
}

Test(ring, keeps_records_whole_across_its_edge)
{
    struct ring *ring = ring_new(128);
    char in[40];
    char out[40];
    for (unsigned round = 0; round < 1000; round++) {
        size_t len = 1 + round % sizeof(in);
        memset(in, (int)('a' + round % 26), len);
        cr_assert(ring_put(ring, in, len));
        cr_assert_eq(ring_take(ring, out, sizeof(out)), len);
        cr_assert(memcmp(in, out, len) == 0, "round %u", round);
    }
    ring_free(&ring);
}

#define WRITERS 3
#define EACH 2000

static void *write_numbers(void *pointer)
{
    struct ring *ring = *(struct ring **)pointer;
    for (uint32_t i = 0; i < EACH; i++) {
        char record[24];
        int len = snprintf(record, sizeof(record), "%p %u", pointer, i);
        while (!ring_put(ring, record, (size_t)len)) {
            sched_yield();
        }
    }
    return NULL;
}

Test(ring, loses_and_reorders_nothing_between_many_writers_and_one_reader)
{
    struct ring *ring = ring_new(1024);
    struct ring *seen_by[WRITERS] = {ring, ring, ring};
    uint32_t next[WRITERS] = {0};
    pthread_t threads[WRITERS];
    for (int i = 0; i < WRITERS; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, write_numbers, &seen_by[i]), 0);
    }
    for (int taken = 0; taken < WRITERS * EACH;) {
        char out[32];
        void *from;
        uint32_t number;
        size_t len = ring_take(ring, out, sizeof(out) - 1);
        if (len == 0) {
            sched_yield();
            continue;
        }
        out[len] = '\0';
        cr_assert_eq(sscanf(out, "%p %u", &from, &number), 2, "torn record: %s", out);
        cr_assert_eq(number, next[(struct ring **)from - seen_by]++);
        taken++;
    }
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(threads[i], NULL);
    }
    cr_assert(ring_is_empty(ring));
    ring_free(&ring);
}
