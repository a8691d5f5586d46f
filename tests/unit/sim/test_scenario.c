#include "sim_bench.h"

static struct sim_bench bench;

static void open_bench(void)
{
    sim_bench_open(&bench);
}

static void close_bench(void)
{
    sim_bench_close(&bench);
}

TestSuite(scenario, .init = open_bench, .fini = close_bench);

#define UPSTREAM "  upstreams: [{name: a, host: \"a:80\"}]\n"

static void refused(const char *spec, const char *complaint)
{
    cr_assert_eq(sim_bench_scenario(&bench, spec), ERR_INVALID, "%s", spec);
    cr_assert(strstr(sim_bench_complaints(&bench), complaint), "%s", sim_bench_complaints(&bench));
}

Test(scenario, names_what_is_missing)
{
    refused("  duration: 10s\n", "\"callers\" is required");
    refused("  duration: 10s\n  callers: [{rate: 1}]\n", "\"upstreams\" is required");
    refused("  callers: [{rate: 1}]\n" UPSTREAM, "\"duration\" is required");
    refused("  duration: 10s\n  callers: [{replicas: 1}]\n" UPSTREAM,
            "either \"rate\" or \"load\"");
}

Test(scenario, refuses_names_that_lead_nowhere)
{
    refused("  duration: 10s\n  callers: [{rate: 1, upstream: b}]\n" UPSTREAM,
            "there is no upstream \"b\" (allowed: a)");
    refused("  duration: 10s\n  callers: [{rate: 1}]\n" UPSTREAM
            "  faults: [{kind: crash, upstream: b, at: 1s, lasts: 1s}]\n",
            "there is no upstream \"b\"");
    refused("  duration: 10s\n  callers: [{rate: 1}]\n" UPSTREAM
            "  faults: [{kind: crash, endpoint: 2, at: 1s, lasts: 1s}]\n",
            "\"a\" has 1 endpoints");
}

Test(scenario, refuses_services_that_call_in_a_circle)
{
    refused("  duration: 10s\n  callers: [{rate: 1, upstream: a}]\n  upstreams:\n"
            "    - {name: a, host: \"a:80\", calls: [{upstream: b}]}\n"
            "    - {name: b, host: \"b:80\", calls: [{upstream: a}]}\n",
            "calls itself");
}

Test(scenario, refuses_distributions_that_do_not_exist)
{
    refused("  duration: 10s\n  callers: [{rate: 1}]\n  upstreams: [{name: a, host: \"a:80\", "
            "serviceTime: {distribution: lognormal, mean: 10ms, p99: 1s}}]\n",
            "14 times the mean");
    refused("  duration: 10s\n  callers: [{rate: 1}]\n  upstreams: [{name: a, host: \"a:80\", "
            "serviceTime: {distribution: histogram}}]\n",
            "`steps`");
}

Test(scenario, says_where_a_sentence_says_nothing)
{
    refused("  duration: 10s\n  callers: [{rate: 1}]\n" UPSTREAM
            "  expect:\n    - \"goodput > 95%\"\n    - \"godput > 95%\"\n",
            "s.yaml:10:7: spec: allowed are goodput");
}

Test(scenario, refuses_an_expectation_that_is_no_sentence)
{
    refused("  duration: 10s\n  callers: [{rate: 1}]\n" UPSTREAM "  expect: [goodput: 3]\n",
            "a sentence such as");
    refused("  duration: 10s\n  callers: [{rate: 1}]\n" UPSTREAM "  expect: [\"\"]\n",
            "a sentence such as");
}

Test(scenario, offers_the_nearest_word)
{
    refused("  duration: 10s\n  callers: [{rate: 1}]\n" UPSTREAM
            "  faults: [{kind: brownout, at: 1s, lasts: 1s}]\n",
            "did you mean \"brownOut\"?");
}

Test(scenario, takes_a_load_that_rises_and_falls)
{
    cr_assert_eq(sim_bench_scenario(&bench,
                                    "  duration: 10s\n  callers: [{load: [{at: 2s, rate: 10}, {at: "
                                    "4s, rate: 30}, {at: 5s, rate: 0}]}]\n" UPSTREAM),
                 OK, "%s", sim_bench_complaints(&bench));
    const struct scenario_caller *caller = &bench.scenario->callers[0];
    cr_assert_float_eq(scenario_rate(caller, 0), 10, 1e-9);
    cr_assert_float_eq(scenario_rate(caller, 3 * NS_PER_S), 20, 1e-9);
    cr_assert_float_eq(scenario_rate(caller, 4500 * NS_PER_MS), 15, 1e-9);
    cr_assert_float_eq(scenario_rate(caller, 9 * NS_PER_S), 0, 1e-9);
}
