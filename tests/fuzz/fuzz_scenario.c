/* fuzz_scenario.c - any bytes as a scenario file: read or refused with places, never a crash; and
 * every sentence of `expect` that was taken can be asked of a result. */
#include "sim/result.h"

#include <stdint.h>
#include <stdlib.h>

#define BUCKETS_MAX                                                                                \
    100000 /* a week in seconds is a valid scenario, and too much to allocate here */

static void ask(const struct scenario *scenario)
{
    char found[64];
    if (scenario->duration / NS_PER_S > BUCKETS_MAX)
        return;
    struct result *result = result_new(scenario, "fuzz", scenario->seed);
    if (result == NULL)
        return;
    result_conclude(result);
    for (size_t i = 0; i < scenario->expectation_count; i++)
        (void)expectation_is_met(result, i, found, sizeof found);
    result_free(&result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct diagnostics diag;
    struct scenario *scenario = NULL;
    diagnostics_init(&diag);
    if (scenario_load_text("fuzz.yaml", (const char *)data, size, &scenario, &diag) == OK)
        ask(scenario);
    else if (diag.errors == 0)
        abort(); /* refused without a word */
    scenario_free(&scenario);
    diagnostics_fini(&diag);
    return 0;
}
