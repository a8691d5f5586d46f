#include "policy/retry_budget.h"

#include "unit/base/seed.h"

#include <criterion/criterion.h>

#define S NS_PER_S
#define MS NS_PER_MS

static const struct retry_budget_config config = {
    .mode = POLICY_ENFORCE, .permille = 200, .interval = 10 * S, .min_count = 1, .min_interval = S};

static struct retry_budget start(const struct retry_budget_config *cfg)
{
    struct retry_budget budget;
    retry_budget_init(&budget, cfg, 0);
    return budget;
}

static struct retry_budget_config without_minimum(void)
{
    struct retry_budget_config cfg = config;
    cfg.min_count = 0;
    return cfg;
}

static void note_firsts(struct retry_budget *budget, int count, mono_ns now)
{
    for (int i = 0; i < count; i++)
        retry_budget_note_first(budget, now);
}

static int drain(struct retry_budget *budget, mono_ns now)
{
    int charged = 0;
    while (charged < 10000 && retry_budget_charge(budget, now))
        charged++;
    return charged;
}

Test(retry_budget, without_firsts_and_minimum_allows_nothing)
{
    const struct retry_budget_config cfg = without_minimum();
    struct retry_budget budget = start(&cfg);
    cr_assert_eq(retry_budget_available(&budget, 0), 0);
    cr_assert_not(retry_budget_may_charge(&budget, 0));
    cr_assert_not(retry_budget_charge(&budget, 0));
}

Test(retry_budget, without_firsts_allows_the_minimum_rate_over_the_interval)
{
    struct retry_budget budget = start(&config);
    cr_assert_eq(drain(&budget, 0), 10);
    cr_assert_eq(drain(&budget, 5 * S), 0);
    cr_assert_eq(drain(&budget, 10 * S - 1), 0);
}

Test(retry_budget, rounds_the_minimum_down)
{
    struct retry_budget_config cfg = config;
    cfg.min_interval = 60 * S;
    struct retry_budget budget = start(&cfg);
    cr_assert_eq(drain(&budget, 0), 0);
    cfg.min_count = 13;
    budget = start(&cfg);
    cr_assert_eq(drain(&budget, 0), 2);
}

Test(retry_budget, saturates_a_minimum_that_would_overflow)
{
    struct retry_budget_config cfg = config;
    cfg.min_count = UINT64_MAX;
    cfg.min_interval = 1;
    struct retry_budget budget = start(&cfg);
    cr_assert_eq(retry_budget_available(&budget, 0), UINT64_MAX - 1);
}

Test(retry_budget, without_a_minimum_interval_has_no_minimum)
{
    struct retry_budget_config cfg = config;
    cfg.min_interval = 0;
    struct retry_budget budget = start(&cfg);
    cr_assert_eq(drain(&budget, 0), 0);
}

Test(retry_budget, allows_its_percentage_of_first_attempts)
{
    struct retry_budget budget = start(&config);
    note_firsts(&budget, 100, 0);
    cr_assert_eq(retry_budget_available(&budget, 0), 20);
    cr_assert_eq(drain(&budget, 0), 20);
    note_firsts(&budget, 4, 0);
    cr_assert_eq(drain(&budget, 0), 0);
    note_firsts(&budget, 1, 0);
    cr_assert_eq(drain(&budget, 0), 1);
}

Test(retry_budget, takes_the_greater_of_percentage_and_minimum_not_their_sum)
{
    struct retry_budget budget = start(&config);
    note_firsts(&budget, 40, 0);
    cr_assert_eq(drain(&budget, 0), 10);
    note_firsts(&budget, 20, 0);
    cr_assert_eq(drain(&budget, 0), 2);
}

Test(retry_budget, never_refunds_and_forgets_only_after_the_interval)
{
    struct retry_budget budget = start(&config);
    cr_assert_eq(drain(&budget, 100 * MS), 10);
    cr_assert_eq(drain(&budget, 10 * S + 100 * MS), 0, "still within the interval");
    cr_assert_eq(drain(&budget, 10 * S + 500 * MS), 10);
}

Test(retry_budget, forgets_firsts_within_the_interval)
{
    const struct retry_budget_config cfg = without_minimum();
    struct retry_budget budget = start(&cfg);
    note_firsts(&budget, 100, 100 * MS);
    cr_assert_eq(retry_budget_available(&budget, 10 * S - 1), 20);
    cr_assert_eq(retry_budget_available(&budget, 10 * S), 0);
}

Test(retry_budget, counts_what_falls_on_a_border_into_the_new_bucket)
{
    const struct retry_budget_config cfg = without_minimum();
    struct retry_budget budget = start(&cfg);
    note_firsts(&budget, 100, 500 * MS);
    cr_assert_eq(retry_budget_available(&budget, 10 * S + 500 * MS - 1), 20);
    cr_assert_eq(retry_budget_available(&budget, 10 * S + 500 * MS), 0);
}

Test(retry_budget, rounds_its_interval_up_to_twenty_buckets)
{
    struct retry_budget_config cfg = without_minimum();
    cfg.interval = 39;
    struct retry_budget budget = start(&cfg);
    note_firsts(&budget, 100, 0);
    cr_assert_eq(retry_budget_available(&budget, 39), 20);
    cr_assert_eq(retry_budget_available(&budget, 40), 0);
}

Test(retry_budget, forgets_all_after_a_long_silence)
{
    struct retry_budget budget = start(&config);
    note_firsts(&budget, 1000, 0);
    cr_assert_eq(drain(&budget, 0), 200);
    cr_assert_eq(drain(&budget, 100000 * S), 10);
}

Test(retry_budget, counts_into_the_newest_bucket_when_the_clock_goes_back)
{
    const struct retry_budget_config cfg = without_minimum();
    struct retry_budget budget = start(&cfg);
    note_firsts(&budget, 50, 100 * S);
    note_firsts(&budget, 50, 10 * S);
    cr_assert_eq(retry_budget_available(&budget, 10 * S), 20);
    cr_assert_eq(retry_budget_available(&budget, 109 * S), 20);
    cr_assert_eq(retry_budget_available(&budget, 110 * S), 0);
}

Test(retry_budget, that_is_off_has_no_cap_but_counts_on)
{
    struct retry_budget_config cfg = without_minimum();
    cfg.mode = POLICY_OFF;
    struct retry_budget budget = start(&cfg);
    note_firsts(&budget, 100, 0);
    cr_assert_eq(retry_budget_available(&budget, 0), UINT64_MAX);
    for (int i = 0; i < 15; i++)
        cr_assert(retry_budget_charge(&budget, 0));
    cr_assert(retry_budget_charge(&budget, 500 * MS));
    cfg.mode = POLICY_ENFORCE;
    retry_budget_configure(&budget, &cfg, 500 * MS);
    cr_assert_eq(retry_budget_available(&budget, 500 * MS), 4);
}

Test(retry_budget, that_is_off_needs_no_interval)
{
    const struct retry_budget_config cfg = {.mode = POLICY_OFF};
    struct retry_budget budget = start(&cfg);
    retry_budget_note_first(&budget, 12345);
    cr_assert(retry_budget_charge(&budget, 12346));
}

Test(retry_budget, in_shadow_counts_and_never_refuses)
{
    struct retry_budget_config cfg = config;
    cfg.mode = POLICY_SHADOW;
    struct retry_budget budget = start(&cfg);
    for (int i = 0; i < 15; i++)
        cr_assert(retry_budget_charge(&budget, 0));
    cr_assert_eq(retry_budget_available(&budget, 0), 0);
    cr_assert(retry_budget_may_charge(&budget, 0));
    note_firsts(&budget, 100, 0);
    cr_assert_eq(retry_budget_available(&budget, 0), 5);
}

Test(retry_budget, applies_new_numbers_to_what_was_counted)
{
    struct retry_budget_config cfg = without_minimum();
    struct retry_budget budget = start(&cfg);
    note_firsts(&budget, 100, 0);
    cr_assert_eq(drain(&budget, 0), 20);
    cfg.permille = 500;
    retry_budget_configure(&budget, &cfg, 0);
    cr_assert_eq(drain(&budget, 0), 30);
    cfg.permille = 100;
    retry_budget_configure(&budget, &cfg, 0);
    cr_assert_eq(retry_budget_available(&budget, 0), 0);
}

Test(retry_budget, starts_empty_when_its_interval_changes)
{
    struct retry_budget_config cfg = without_minimum();
    struct retry_budget budget = start(&cfg);
    note_firsts(&budget, 100, 0);
    cfg.interval = 20 * S;
    retry_budget_configure(&budget, &cfg, 0);
    cr_assert_eq(retry_budget_available(&budget, 0), 0);
}

Test(retry_budget, stops_counting_before_a_bucket_would_wrap)
{
    const struct retry_budget_config cfg = without_minimum();
    struct retry_budget budget = start(&cfg);
    budget.buckets[budget.head].firsts = UINT32_MAX;
    retry_budget_note_first(&budget, 0);
    cr_assert_eq(budget.buckets[budget.head].firsts, UINT32_MAX);
}

/* ---- against a log of everything ---- */

#define EVENTS 20000

static struct {
    mono_ns firsts[EVENTS];
    mono_ns retries[EVENTS];
    int first_count;
    int retry_count;
} history;

static uint64_t count_since(const mono_ns *at, int count, mono_ns after)
{
    uint64_t inside = 0;
    for (int i = count - 1; i >= 0 && at[i] > after; i--)
        inside++;
    return inside;
}

static void charge_and_check(struct retry_budget *budget, mono_ns now)
{
    const struct retry_budget_config *cfg = &budget->cfg;
    if (!retry_budget_charge(budget, now))
        return;
    history.retries[history.retry_count++] = now;
    const mono_ns after = now - cfg->interval;
    const uint64_t firsts = count_since(history.firsts, history.first_count, after);
    const uint64_t retries = count_since(history.retries, history.retry_count, after);
    const uint64_t share = firsts * cfg->permille / 1000;
    const uint64_t least = cfg->min_count * (uint64_t)cfg->interval / (uint64_t)cfg->min_interval;
    const uint64_t allowed = share > least ? share : least;
    cr_assert_leq(retries, allowed);
}

Test(retry_budget, is_never_exceeded_in_any_last_interval)
{
    struct rng rng = seeded_rng("retry budget in any interval");
    for (int round = 0; round < 8; round++) {
        struct retry_budget_config cfg = config;
        cfg.permille = (uint32_t)rng_below(&rng, 1000);
        cfg.interval = 20 * (1 + (dur_ns)rng_below(&rng, 100000));
        cfg.min_count = rng_below(&rng, 20);
        cfg.min_interval = 1 + (dur_ns)rng_below(&rng, (uint64_t)cfg.interval);
        struct retry_budget budget = start(&cfg);
        history.first_count = 0;
        history.retry_count = 0;
        mono_ns now = 0;
        uint64_t failing = 0;
        for (int i = 0; i < EVENTS; i++) {
            if (rng_below(&rng, 500) == 0)
                failing = rng_below(&rng, 4);
            const uint64_t most = (uint64_t)cfg.interval / (rng_below(&rng, 200) == 0 ? 1 : 100);
            now += (dur_ns)rng_below(&rng, 1 + most);
            if (rng_below(&rng, 4) < failing) {
                charge_and_check(&budget, now);
            } else {
                retry_budget_note_first(&budget, now);
                history.firsts[history.first_count++] = now;
            }
        }
    }
}

Test(retry_budget, gives_nearly_all_of_its_percentage_in_an_outage)
{
    const struct retry_budget_config cfg = without_minimum();
    struct retry_budget budget = start(&cfg);
    int retries = 0;
    for (int i = 0; i < 10000; i++) { /* 10 000 calls, each of which fails and asks */
        const mono_ns now = i * 10 * MS;
        retry_budget_note_first(&budget, now);
        retries += retry_budget_charge(&budget, now);
    }
    cr_assert_leq(retries, 2000);
    cr_assert_geq(retries, 1780);
}
