#include "sim/agenda.h"

#include "base/rng.h"

#include <criterion/criterion.h>

static struct agenda agenda;

static void open_agenda(void)
{
    agenda_init(&agenda);
}

static void close_agenda(void)
{
    agenda_fini(&agenda);
}

TestSuite(agenda, .init = open_agenda, .fini = close_agenda);

Test(agenda, without_entries_has_no_next_moment)
{
    cr_assert_eq(agenda_next(&agenda), MONO_NEVER);
}

Test(agenda, gives_what_was_entered_for_one_time_in_that_order)
{
    for (uint32_t i = 0; i < 100; i++)
        agenda_enter(&agenda, 7, HAPPENS_SAMPLE, NULL, i);
    for (uint32_t i = 0; i < 100; i++)
        cr_assert_eq(agenda_take(&agenda).epoch, i);
}

Test(agenda, gives_random_moments_in_order)
{
    struct rng rng;
    mono_ns before = 0;
    rng_seed(&rng, 3);
    for (int i = 0; i < 5000; i++)
        agenda_enter(&agenda, (mono_ns)rng_below(&rng, 1000), HAPPENS_SAMPLE, NULL, 0);
    for (int i = 0; i < 5000; i++) {
        const struct entry entry = agenda_take(&agenda);
        cr_assert_geq(entry.at, before);
        before = entry.at;
    }
    cr_assert_eq(agenda.count, 0);
}
