/* sim_bench.c - see sim_bench.h. */
#include "sim_bench.h"

void sim_bench_open(struct sim_bench *bench)
{
    *bench = (struct sim_bench){.result = NULL};
    diagnostics_init(&bench->diag);
}

static void drop_run(struct sim_bench *bench)
{
    result_free(&bench->result);
    scenario_free(&bench->scenario);
    policy_set_unref(&bench->policies);
}

void sim_bench_close(struct sim_bench *bench)
{
    drop_run(bench);
    diagnostics_fini(&bench->diag);
}

enum err sim_bench_scenario(struct sim_bench *bench, const char *spec)
{
    char text[8192];
    scenario_free(&bench->scenario);
    const int len = snprintf(text, sizeof text, "%s%s", SIM_SCENARIO, spec);
    return scenario_load_text("s.yaml", text, (size_t)len, &bench->scenario, &bench->diag);
}

const struct result *sim_bench_run(struct sim_bench *bench, const char *policy, const char *spec,
                                   uint64_t seed)
{
    char text[8192];
    drop_run(bench);
    const int len = snprintf(text, sizeof text, "%s%s", SIM_POLICY, policy);
    cr_assert_eq(policy_set_load_text("p.yaml", text, (size_t)len, &bench->policies, &bench->diag),
                 OK, "%s", sim_bench_complaints(bench));
    cr_assert_eq(sim_bench_scenario(bench, spec), OK, "%s", sim_bench_complaints(bench));
    const struct world_order order = {.scenario = bench->scenario,
                                      .policies = bench->policies,
                                      .policy_name = "p",
                                      .variant = VARIANT_NONE,
                                      .seed = seed};
    bench->result = world_run(&order);
    return bench->result;
}

const char *sim_bench_complaints(const struct sim_bench *bench)
{
    static char text[8192];
    size_t len = 0;
    text[0] = '\0';
    for (size_t i = 0; i < bench->diag.count && len < sizeof text; i++)
        len += (size_t)diagnostics_format(&bench->diag.items[i], text + len, sizeof text - len);
    return text;
}
