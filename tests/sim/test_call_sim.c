/* Random histories around the engine of call/: many calls, random policies, an upstream that
 * answers, fails and hangs, callers that leave, reloads, operators, a loop that is late.
 * One seed again: SIM_SEED=17. More of them: SIM_SEEDS=100000. */
#include "sim_world.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define SEEDS 400
#define STEPS 1000

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *given = getenv(name);
    return given != NULL ? strtoull(given, NULL, 10) : otherwise;
}

static void run(uint64_t seed)
{
    struct sim *sim = sim_new(seed);
    for (int i = 0; i < STEPS; i++) {
        sim_step(sim);
        sim_check(sim);
    }
    sim_drain(sim);
    sim_free(&sim);
}

static void say_seed(uint64_t seed)
{
    static char text[64];
    snprintf(text, sizeof text, "call_sim: SIM_SEED=%llu\n", (unsigned long long)seed);
    fputs(text, stderr);
}

Test(call_sim, keeps_every_invariant_after_every_event_of_random_histories, .timeout = 600)
{
    const uint64_t first = number("SIM_SEED", 1);
    const uint64_t count = number("SIM_SEEDS", getenv("SIM_SEED") ? 1 : SEEDS);
    for (uint64_t seed = first; seed < first + count; seed++) {
        say_seed(seed);
        run(seed);
    }
}
