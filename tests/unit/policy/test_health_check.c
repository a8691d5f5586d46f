/* What the results of health checks prove. */
#include "policy/health_check.h"

#include <criterion/criterion.h>

static const struct health_check_config cfg = {.unhealthy_threshold = 3, .healthy_threshold = 2};

static bool note(struct health_state *state, const char *results)
{
    bool has_changed = false;
    for (; *results != '\0'; results++)
        has_changed = health_note(state, &cfg, *results == '+');
    return has_changed;
}

Test(health_check, is_decided_by_the_first_result)
{
    struct health_state good = {HEALTH_UNKNOWN, 0};
    struct health_state bad = {HEALTH_UNKNOWN, 0};
    cr_assert(note(&good, "+"));
    cr_assert_eq(good.health, HEALTHY);
    cr_assert(note(&bad, "-"));
    cr_assert_eq(bad.health, UNHEALTHY);
}

Test(health_check, is_unhealthy_after_failures_in_a_row)
{
    struct health_state state = {HEALTHY, 0};
    cr_assert_not(note(&state, "--"));
    cr_assert_not(note(&state, "+--"), "a good one between them: the row begins anew");
    cr_assert_eq(state.health, HEALTHY);
    cr_assert(note(&state, "-"));
    cr_assert_eq(state.health, UNHEALTHY);
    cr_assert_not(note(&state, "-"), "it is told once");
}

Test(health_check, is_healthy_again_after_good_ones_in_a_row)
{
    struct health_state state = {UNHEALTHY, 0};
    cr_assert_not(note(&state, "+-+"));
    cr_assert_eq(state.health, UNHEALTHY);
    cr_assert(note(&state, "+"));
    cr_assert_eq(state.health, HEALTHY);
}

Test(health_check, has_a_word_for_each)
{
    cr_assert_str_eq(health_word(HEALTH_UNKNOWN), "unknown");
    cr_assert_str_eq(health_word(HEALTHY), "healthy");
    cr_assert_str_eq(health_word(UNHEALTHY), "unhealthy");
}
