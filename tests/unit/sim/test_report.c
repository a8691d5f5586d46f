#include "sim/report.h"
#include "sim/tell.h"
#include "sim_bench.h"

#include <stdlib.h>

static struct sim_bench bench;
static struct study *study;
static char *page;
static size_t page_len;

static void open_bench(void)
{
    sim_bench_open(&bench);
}

static void close_bench(void)
{
    study_free(&study);
    free(page);
    sim_bench_close(&bench);
}

TestSuite(report, .init = open_bench, .fini = close_bench);
TestSuite(tell, .init = open_bench, .fini = close_bench);

#define SPEC                                                                                       \
    "  description: \"<script>alert(1)</script>\"\n  duration: 60s\n  callers: [{rate: 50}]\n  "   \
    "upstreams: [{name: server, host: \"server:8080\"}]\n  faults: [{kind: errors, at: 20s, "      \
    "lasts: 10s}]\n  expect: [\"goodput > 50%\", \"never trips\"]\n"

static void make(size_t seeds, bool has_plots, void (*write)(const struct study *, FILE *))
{
    study_free(&study);
    sim_bench_run(&bench,
                  "  circuitBreaker: {openFor: 1s, maxOpenFor: 4s}\n  retry: {attempts: 4}\n", SPEC,
                  1);
    const struct study_order order = {.scenario = bench.scenario,
                                      .policy = bench.policies,
                                      .policy_name = "dir/<mine>.yaml",
                                      .seed_count = seeds,
                                      .has_plots = has_plots};
    free(page);
    cr_assert_eq(study_run(&order, &study), OK);
    FILE *out = open_memstream(&page, &page_len);
    write(study, out);
    fclose(out);
}

static const char *after(const char *from, const char *what)
{
    const char *found = strstr(from, what);
    cr_assert_not_null(found, "%s is missing", what);
    return found;
}

static size_t count_of(const char *what)
{
    size_t count = 0;
    for (const char *at = page; (at = strstr(at, what)) != NULL; at++)
        count++;
    return count;
}

Test(report, shows_its_sections_in_order)
{
    make(2, true, report_write);
    const char *at = after(page, "class=\"verdict\"");
    static const char *const titles[] = {
        "Load against goodput", "What happened when", "Amplification", "Time to recover",
        "Load and retries",     "With equal luck",    "Figures",       "Transitions"};
    for (size_t i = 0; i < sizeof titles / sizeof *titles; i++)
        at = after(at, titles[i]);
    cr_assert_eq(count_of("<svg"), 5);
    cr_assert_eq(count_of("</svg>"), 5);
    cr_assert_eq(count_of("class=\"met\""), 1);
    cr_assert_eq(count_of("class=\"unmet\""), 1);
}

Test(report, escapes_what_the_files_say)
{
    make(1, true, report_write);
    cr_assert_null(strstr(page, "<script"));
    cr_assert_null(strstr(page, "<mine>"));
    after(page, "&lt;script&gt;");
}

Test(report, asks_for_nothing_from_elsewhere_and_writes_numbers_only)
{
    static const char *const never[] = {"http:", "https:", "url(", "src=", "@import",
                                        " nan",  "\"nan",  ">nan", "inf ", "-nan"};
    make(1, true, report_write);
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        cr_assert_null(strstr(page, never[i]), "%s", never[i]);
}

Test(report, rings_the_users_setting)
{
    make(1, true, report_write);
    cr_assert(study->has_heat);
    cr_assert_eq(study->heat.attempts[study->heat.user_row], 4);
    cr_assert_float_eq(study->heat.loads[study->heat.user_column], 50, 1e-9);
    cr_assert_eq(count_of(" ring\""), 1);
}

Test(report, leaves_out_what_was_not_studied)
{
    make(1, false, report_write);
    cr_assert_null(strstr(page, "Load against goodput"));
    cr_assert_null(strstr(page, "With equal luck"));
}

Test(tell, counts_what_is_not_met)
{
    make(1, false, tell_table);
    after(page, "met    s.yaml:10: goodput > 50%");
    after(page, "UNMET  s.yaml:10: never trips");
    cr_assert_eq(tell_unmet(study), 1);
}

Test(tell, writes_the_same_json_for_the_same_study)
{
    make(2, false, tell_json);
    char *before = strdup(page);
    make(2, false, tell_json);
    cr_assert_str_eq(before, page);
    after(page, "\"expectations\":[{\"text\":\"goodput > 50%\",\"line\":10,\"met\":true");
    free(before);
}
