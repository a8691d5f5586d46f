/* How many endpoints may be ejected, and a breaker that is held. */
#include "policy/outlier.h"

#include "breaker_story.h"

#include <criterion/criterion.h>

Test(outlier, ejects_the_share_rounded_down)
{
    const struct outlier_config cfg = {.max_ejection_permille = 500};
    cr_assert_eq(outlier_most(&cfg, 10), 5u);
    cr_assert_eq(outlier_most(&cfg, 11), 5u);
    cr_assert_eq(outlier_most(&cfg, UINT32_MAX), UINT32_MAX / 2);
}

Test(outlier, ejects_one_of_two_or_more_whatever_the_share)
{
    const struct outlier_config cfg = {.max_ejection_permille = 100};
    cr_assert_eq(outlier_most(&cfg, 2), 1u);
    cr_assert_eq(outlier_most(&cfg, 3), 1u);
}

Test(outlier, ejects_nobody_where_there_is_nobody_else)
{
    const struct outlier_config cfg = {.max_ejection_permille = 1000};
    cr_assert_eq(outlier_most(&cfg, 0), 0u);
    cr_assert_eq(outlier_most(&cfg, 1), 0u);
    cr_assert_eq(outlier_most(&cfg, 2), 2u);
}

Test(outlier, ejects_nobody_where_the_share_is_0)
{
    const struct outlier_config cfg = {.max_ejection_permille = 0};
    cr_assert_eq(outlier_most(&cfg, 100), 0u);
}

/* ---- a breaker that is held ---- */

static struct story story;

static void fail_once(void)
{
    const struct breaker_pass pass = breaker_take(&story.breaker, story.now);
    breaker_judge(&story.breaker, pass, JUDGED_FAILURE, false, 0, &story.rng, story.now);
}

Test(outlier, a_held_breaker_stays_closed_and_trips_at_the_first_failure_after)
{
    story_start(&story);
    breaker_hold(&story.breaker, true);
    for (uint32_t i = 0; i < story.cfg.consecutive_failures + 2; i++)
        fail_once();
    cr_assert_eq(story.breaker.state, BREAKER_CLOSED);
    cr_assert_eq(story.breaker.held, 3u);
    breaker_hold(&story.breaker, false);
    fail_once();
    cr_assert_eq(story.breaker.state, BREAKER_OPEN);
    cr_assert_eq(story.breaker.held, 3u);
}

Test(outlier, an_open_breaker_that_is_held_stays_open_when_its_probe_fails)
{
    story_start(&story);
    for (uint32_t i = 0; i < story.cfg.consecutive_failures; i++)
        fail_once();
    breaker_hold(&story.breaker, true);
    story.now = breaker_next_tick(&story.breaker);
    breaker_tick(&story.breaker, story.now);
    fail_once();
    cr_assert_eq(story.breaker.state, BREAKER_OPEN);
    cr_assert_eq(story.breaker.held, 0u);
}
