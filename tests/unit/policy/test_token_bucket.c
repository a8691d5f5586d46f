#include "policy/token_bucket.h"

#include "unit/base/seed.h"

#include <criterion/criterion.h>
#include <signal.h>

#define S NS_PER_S
#define MS NS_PER_MS

static struct rate_limit_config limit(uint64_t requests, dur_ns interval, uint64_t burst)
{
    return (struct rate_limit_config){
        .mode = POLICY_ENFORCE, .requests = requests, .interval = interval, .burst = burst};
}

static struct token_bucket bucket_of(uint64_t requests, dur_ns interval, uint64_t burst)
{
    const struct rate_limit_config cfg = limit(requests, interval, burst);
    struct token_bucket bucket;
    token_bucket_init(&bucket, &cfg, 0);
    return bucket;
}

static bool try_take(struct token_bucket *bucket, mono_ns now)
{
    if (token_bucket_when(bucket, 1, now) > now)
        return false;
    token_bucket_take(bucket, now);
    return true;
}

static int drain(struct token_bucket *bucket, mono_ns now)
{
    int taken = 0;
    while (try_take(bucket, now))
        taken++;
    return taken;
}

Test(token_bucket, without_requests_aborts, .signal = SIGABRT)
{
    bucket_of(0, S, 1);
}

Test(token_bucket, without_burst_aborts, .signal = SIGABRT)
{
    bucket_of(1, S, 0);
}

Test(token_bucket, without_interval_aborts, .signal = SIGABRT)
{
    bucket_of(1, 0, 1);
}

Test(token_bucket, of_an_interval_beyond_its_span_aborts, .signal = SIGABRT)
{
    bucket_of(1, TOKEN_BUCKET_MAX_SPAN + 1, 1);
}

Test(token_bucket, taking_what_is_not_there_aborts, .signal = SIGABRT)
{
    struct token_bucket bucket = bucket_of(1, S, 1);
    token_bucket_take(&bucket, 0);
    token_bucket_take(&bucket, S - 1);
}

Test(token_bucket, has_no_place_zero, .signal = SIGABRT)
{
    const struct token_bucket bucket = bucket_of(1, S, 1);
    token_bucket_when(&bucket, 0, 0);
}

Test(token_bucket, lets_the_burst_through_and_then_one_per_emission)
{
    struct token_bucket bucket = bucket_of(200, S, 200);
    cr_assert_eq(drain(&bucket, 0), 200);
    cr_assert_eq(token_bucket_when(&bucket, 1, 0), 5 * MS);
    cr_assert_eq(drain(&bucket, 5 * MS - 1), 0);
    cr_assert_eq(drain(&bucket, 5 * MS), 1);
    cr_assert_eq(drain(&bucket, S), 199);
}

Test(token_bucket, never_holds_more_than_the_burst)
{
    struct token_bucket bucket = bucket_of(10, S, 3);
    cr_assert_eq(drain(&bucket, 0), 3);
    cr_assert_eq(drain(&bucket, 1000 * S), 3);
}

Test(token_bucket, rounds_emission_up_so_that_the_rate_is_never_exceeded)
{
    struct token_bucket bucket = bucket_of(3, S, 1);
    cr_assert_eq(bucket.emission, 333333334);
    cr_assert(try_take(&bucket, 0));
    int taken = 1;
    for (mono_ns now = 0; now < 1000 * S; now = token_bucket_when(&bucket, 1, now))
        taken += try_take(&bucket, now);
    cr_assert(taken <= 3 * 1000 + 1 && taken >= 3 * 1000 - 1, "%d", taken);
}

Test(token_bucket, above_a_token_per_ns_is_one_token_per_ns)
{
    struct token_bucket bucket = bucket_of(UINT64_MAX, S, UINT64_MAX);
    cr_assert_eq(bucket.emission, 1);
    cr_assert_eq(bucket.capacity, TOKEN_BUCKET_MAX_BURST);
    cr_assert_eq(token_bucket_millitokens(&bucket, 0), (uint64_t)TOKEN_BUCKET_MAX_BURST * 1000);
}

Test(token_bucket, caps_a_burst_that_would_overflow)
{
    struct token_bucket bucket = bucket_of(1, TOKEN_BUCKET_MAX_SPAN / 3, 1000);
    cr_assert_eq(bucket.capacity, 3 * bucket.emission);
    cr_assert_eq(drain(&bucket, INT64_MAX / 2), 3);
    bucket = bucket_of(1, TOKEN_BUCKET_MAX_SPAN, 1000);
    cr_assert_eq(drain(&bucket, 0), 1);
}

Test(token_bucket, tells_when_each_place_in_line_is_due)
{
    struct token_bucket bucket = bucket_of(10, S, 2);
    cr_assert_eq(token_bucket_when(&bucket, 1, 0), 0);
    cr_assert_eq(token_bucket_when(&bucket, 2, 0), 0);
    cr_assert_eq(token_bucket_when(&bucket, 3, 0), 100 * MS);
    cr_assert_eq(token_bucket_when(&bucket, 12, 0), S);
    drain(&bucket, 0);
    cr_assert_eq(token_bucket_when(&bucket, 1, 30 * MS), 100 * MS);
    cr_assert_eq(token_bucket_when(&bucket, 2, 30 * MS), 200 * MS);
}

Test(token_bucket, serves_a_line_exactly_when_it_said)
{
    struct token_bucket bucket = bucket_of(7, S, 3);
    const struct token_bucket asked = bucket;
    mono_ns now = 0;
    for (uint64_t place = 1; place < 50; place++) {
        now = token_bucket_when(&bucket, 1, now);
        cr_assert_eq(now, token_bucket_when(&asked, place, 0));
        token_bucket_take(&bucket, now);
    }
}

Test(token_bucket, tells_never_for_a_place_beyond_all_time)
{
    struct token_bucket bucket = bucket_of(1, 3600 * S, 1);
    cr_assert_eq(token_bucket_when(&bucket, INT64_MAX / 1000, 0), MONO_NEVER);
    cr_assert_eq(token_bucket_when(&bucket, UINT64_MAX, 0), MONO_NEVER);
    drain(&bucket, INT64_MAX - 5);
    cr_assert_eq(token_bucket_when(&bucket, 1, INT64_MAX - 5), MONO_NEVER);
}

Test(token_bucket, owes_nothing_to_a_clock_that_goes_back)
{
    struct token_bucket bucket = bucket_of(10, S, 5);
    drain(&bucket, 1000 * S);
    cr_assert_eq(token_bucket_millitokens(&bucket, 0), 0);
    cr_assert_eq(token_bucket_when(&bucket, 1, 0), 100 * MS);
    drain(&bucket, 1000 * S);
    cr_assert_not(token_bucket_is_full(&bucket, 0));
}

Test(token_bucket, counts_thousandths_of_tokens)
{
    struct token_bucket bucket = bucket_of(10, S, 5);
    cr_assert_eq(token_bucket_millitokens(&bucket, 0), 5000);
    cr_assert(token_bucket_is_full(&bucket, 0));
    drain(&bucket, 0);
    cr_assert_eq(token_bucket_millitokens(&bucket, 0), 0);
    cr_assert_eq(token_bucket_millitokens(&bucket, 50 * MS), 500);
    cr_assert_eq(token_bucket_millitokens(&bucket, 100 * MS - 1), 999);
    cr_assert_not(token_bucket_is_full(&bucket, 500 * MS - 1));
    cr_assert(token_bucket_is_full(&bucket, 500 * MS));
    cr_assert_eq(token_bucket_millitokens(&bucket, 900 * MS), 5000);
}

Test(token_bucket, clamps_its_tokens_to_a_new_smaller_burst)
{
    struct token_bucket bucket = bucket_of(10, S, 5);
    const struct rate_limit_config cfg = limit(10, S, 2);
    token_bucket_configure(&bucket, &cfg, 0);
    cr_assert_eq(drain(&bucket, 0), 2);
}

Test(token_bucket, keeps_its_tokens_when_the_burst_grows)
{
    struct token_bucket bucket = bucket_of(10, S, 5);
    try_take(&bucket, 0);
    const struct rate_limit_config cfg = limit(10, S, 50);
    token_bucket_configure(&bucket, &cfg, 0);
    cr_assert_eq(token_bucket_millitokens(&bucket, 0), 4000);
    cr_assert_eq(drain(&bucket, 0), 4);
}

Test(token_bucket, keeps_parts_of_a_token_when_the_rate_changes)
{
    struct token_bucket bucket = bucket_of(10, S, 5);
    drain(&bucket, 0);
    const struct rate_limit_config cfg = limit(20, S, 5);
    token_bucket_configure(&bucket, &cfg, 150 * MS);
    cr_assert_eq(token_bucket_millitokens(&bucket, 150 * MS), 1500);
    cr_assert_eq(drain(&bucket, 150 * MS), 1);
    cr_assert_eq(token_bucket_when(&bucket, 1, 150 * MS), 175 * MS);
}

Test(token_bucket, that_is_off_agrees_to_everything_and_starts_full_when_switched_on)
{
    const struct rate_limit_config off = {.mode = POLICY_OFF};
    struct token_bucket bucket;
    token_bucket_init(&bucket, &off, 5);
    for (int i = 0; i < 100; i++)
        cr_assert(try_take(&bucket, 5));
    cr_assert_eq(token_bucket_millitokens(&bucket, 5), 0);
    const struct rate_limit_config cfg = limit(10, S, 5);
    token_bucket_configure(&bucket, &cfg, 5);
    cr_assert_eq(drain(&bucket, 5), 5);
    token_bucket_configure(&bucket, &off, 6);
    cr_assert(try_take(&bucket, 6));
}

/* In any interval [taken[i], taken[k]] at most burst + length / emission tokens leave. */
Test(token_bucket, lets_at_most_burst_plus_rate_leave_in_any_interval)
{
    enum { TAKES = 600 };
    static mono_ns taken[TAKES];
    struct rng rng = seeded_rng("token bucket in any interval");
    for (int round = 0; round < 30; round++) {
        const uint64_t requests = 1 + rng_below(&rng, 1000);
        const uint64_t burst = 1 + rng_below(&rng, 50);
        struct token_bucket bucket = bucket_of(requests, S, burst);
        mono_ns now = 0;
        for (int count = 0; count < TAKES;) {
            now += (dur_ns)rng_below(&rng, 1 + rng_below(&rng, (uint64_t)bucket.emission * 3));
            if (rng_below(&rng, 4) == 0)
                now = token_bucket_when(&bucket, 1, now);
            cr_assert_leq(token_bucket_millitokens(&bucket, now), burst * 1000);
            if (try_take(&bucket, now))
                taken[count++] = now;
        }
        for (int i = 0; i < TAKES; i++)
            for (int k = i; k < TAKES; k++) {
                const uint64_t length = (uint64_t)(taken[k] - taken[i]);
                /* tokens x interval <= burst x interval + length x requests, exactly */
                cr_assert_leq((uint64_t)(k - i + 1) * S, burst * S + length * requests);
            }
    }
}

Test(token_bucket, loses_no_token_to_rounding_when_always_asked)
{
    struct token_bucket bucket = bucket_of(1000, S, 1);
    mono_ns now = 0;
    int taken = 0;
    while (now <= 10 * S) {
        taken += try_take(&bucket, now);
        now = token_bucket_when(&bucket, 1, now);
    }
    cr_assert_eq(taken, 10001);
}
