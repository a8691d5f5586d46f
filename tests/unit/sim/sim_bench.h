/* sim_bench.h - what the tests of sim/ share: policies and scenarios as text. */
#ifndef OUTRIGGER_TESTS_SIM_BENCH_H
#define OUTRIGGER_TESTS_SIM_BENCH_H

#include "config/load.h"
#include "sim/world.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define SIM_POLICY                                                                                 \
    "apiVersion: outrigger.dev/v1alpha1\nkind: ResiliencePolicy\nmetadata: {name: p}\nspec:\n"     \
    "  targets: [{host: \"*\"}]\n"
#define SIM_SCENARIO                                                                               \
    "apiVersion: outrigger.dev/v1alpha1\nkind: Scenario\nmetadata: {name: s}\nspec:\n"

struct sim_bench {
    struct diagnostics diag;
    struct policy_set *policies;
    struct scenario *scenario;
    struct result *result;
};

void sim_bench_open(struct sim_bench *bench);
void sim_bench_close(struct sim_bench *bench);

enum err sim_bench_scenario(struct sim_bench *bench, const char *spec);
/* Reads `spec` under SIM_SCENARIO. */

const struct result *sim_bench_run(struct sim_bench *bench, const char *policy, const char *spec,
                                   uint64_t seed);
/* A run; both texts must be good. The result is the bench's until the next run. */

const char *sim_bench_complaints(const struct sim_bench *bench);
/* All diagnostics in one text. */

#endif
