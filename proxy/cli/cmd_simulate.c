/* cmd_simulate.c - see cmd_simulate.h. */
#include "cli/cmd_simulate.h"

#include "config/load.h"
#include "sim/report.h"
#include "sim/tell.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_MET = 0, EXIT_UNMET = 1, EXIT_USAGE = 2 };

#define REPORT_SEEDS 10
#define SEEDS_MAX 1000
#define USUAL_TRANSITIONS 20

struct options {
    const char **policies; /* -c */
    size_t policy_count;
    const char *compared[2]; /* --compare A B */
    const char *scenario;
    const char *report;
    uint64_t seeds; /* 0: not said */
    uint64_t seed;
    bool has_seed;
    bool is_json;
    bool wants_transitions;
};

static const char help[] =
    "Usage: outrigger simulate -c POLICY.yaml SCENARIO.yaml [OPTIONS]\n"
    "       outrigger simulate --compare A.yaml B.yaml SCENARIO.yaml [OPTIONS]\n"
    "\n"
    "Plays a scenario in virtual time, with the very policy engine that runs in the proxy,\n"
    "and says what callers and upstreams would have seen. Same seed, same bytes.\n"
    "\n"
    "  -c FILE|DIR          policies; may be given several times\n"
    "  --compare A B        two of them side by side, with equal luck\n"
    "  --report OUT.html    a page with plots, over 10 seeds\n"
    "  --json               everything, for programs\n"
    "  --transitions        all moves of breakers, not the first 20\n"
    "  --seed N, --seeds N  another seed than the scenario's; so many of them\n"
    "\n"
    "Exit code: 0 all that the scenario expects was met, 1 something was not, 2 bad usage\n"
    "or files.\n"
    "\n"
    "Example:\n"
    "  $ outrigger simulate -c policies/default.yaml policies/scenarios/retry-storm-93.yaml\n";

static int usage(const char *problem, const char *what)
{
    fprintf(stderr, "outrigger simulate: %s%s\nTry: outrigger simulate --help\n", problem, what);
    return EXIT_USAGE;
}

/* ---- options -------------------------------------------------------------------------------- */

static bool number_from(const char *text, uint64_t most, uint64_t *out)
{
    char *end;
    errno = 0;
    const unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || *text == '-' || value > most)
        return false;
    *out = value;
    return true;
}

/* An option that wants a value; how many arguments it took, 0 when it is not one, -1 when wrong. */
static int value_option(struct options *options, int left, char **argv)
{
    const char *name = argv[0];
    const bool is_compare = strcmp(name, "--compare") == 0;
    static const char *const known[] = {"-c", "--compare", "--report", "--seed", "--seeds"};
    bool is_known = false;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        is_known |= strcmp(name, known[i]) == 0;
    if (!is_known)
        return 0;
    if (left < (is_compare ? 3 : 2)) {
        usage("a value is missing after ", name);
        return -1;
    }
    if (is_compare) {
        options->compared[0] = argv[1];
        options->compared[1] = argv[2];
        return 3;
    }
    bool is_good = true;
    if (strcmp(name, "-c") == 0)
        options->policies[options->policy_count++] = argv[1];
    else if (strcmp(name, "--report") == 0)
        options->report = argv[1];
    else if (strcmp(name, "--seeds") == 0)
        is_good = number_from(argv[1], SEEDS_MAX, &options->seeds) && options->seeds > 0;
    else
        is_good = options->has_seed = number_from(argv[1], INT64_MAX, &options->seed);
    if (!is_good)
        usage("not a number that can be used here: ", argv[1]);
    return is_good ? 2 : -1;
}

/* -1: go on; else the exit code. */
static int read_options(struct options *options, int argc, char **argv)
{
    for (int i = 1; i < argc;) {
        const int taken = value_option(options, argc - i, argv + i);
        if (taken < 0)
            return EXIT_USAGE;
        i += taken > 0 ? taken : 1;
        if (taken > 0)
            continue;
        const char *word = argv[i - 1];
        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            fputs(help, stdout);
            return EXIT_MET;
        }
        if (strcmp(word, "--json") == 0)
            options->is_json = true;
        else if (strcmp(word, "--transitions") == 0)
            options->wants_transitions = true;
        else if (word[0] == '-' && word[1] != '\0')
            return usage("unknown option ", word);
        else if (options->scenario != NULL)
            return usage("one scenario at a time; a second one is ", word);
        else
            options->scenario = word;
    }
    if (options->scenario == NULL)
        return usage("no scenario is named", "");
    if ((options->policy_count > 0) == (options->compared[0] != NULL))
        return usage("name the policies by -c, or two of them by --compare", "");
    return -1;
}

/* ---- files ----------------------------------------------------------------------------------- */

static bool load_policies(const char *const *paths, size_t count, struct policy_set **out)
{
    struct diagnostics diag;
    diagnostics_init(&diag);
    const enum err e =
        policy_set_load(&(struct load_sources){.paths = paths, .path_count = count}, out, &diag);
    if (e != OK)
        diagnostics_print(&diag, stderr);
    if (e == ERR_NO_MEMORY)
        usage(err_text(e), "");
    diagnostics_fini(&diag);
    return e == OK;
}

static bool load_scenario(const char *path, struct scenario **out)
{
    struct diagnostics diag;
    diagnostics_init(&diag);
    const enum err e = scenario_load(path, out, &diag);
    diagnostics_print(&diag, stderr);
    if (e == ERR_NO_MEMORY)
        usage(err_text(e), "");
    diagnostics_fini(&diag);
    return e == OK;
}

static bool write_report(const struct study *study, const char *path)
{
    FILE *file = fopen(path, "w");
    bool is_good = file != NULL;
    if (is_good) {
        report_write(study, file);
        is_good = !ferror(file);
        is_good &= fclose(file) == 0;
    }
    if (!is_good)
        fprintf(stderr, "outrigger simulate: cannot write %s: %s\n", path, strerrordesc_np(errno));
    return is_good;
}

/* ---- the run --------------------------------------------------------------------------------- */

static int tell(const struct options *options, const struct study *study)
{
    if (options->is_json) {
        tell_json(study, stdout);
    } else {
        tell_table(study, stdout);
        for (size_t i = 0; i < study->contender_count; i++)
            if (!study->contenders[i].is_yardstick)
                tell_transitions(study->contenders[i].result,
                                 options->wants_transitions ? RESULT_TRANSITIONS_MAX
                                                            : USUAL_TRANSITIONS,
                                 stdout);
    }
    if (options->report != NULL && !write_report(study, options->report))
        return EXIT_USAGE;
    if (fflush(stdout) != 0) {
        perror("outrigger simulate: cannot write");
        return EXIT_USAGE;
    }
    return tell_unmet(study) > 0 ? EXIT_UNMET : EXIT_MET;
}

static int simulate(const struct options *options, const struct study_order *order)
{
    struct study *study = NULL;
    const enum err e = study_run(order, &study);
    if (e != OK)
        return usage(err_text(e), "");
    const int code = tell(options, study);
    study_free(&study);
    return code;
}

static int play(const struct options *options)
{
    const bool is_compare = options->compared[0] != NULL;
    struct policy_set *policy = NULL;
    struct policy_set *other = NULL;
    struct scenario *scenario = NULL;
    int code = EXIT_USAGE;
    const bool is_loaded = load_policies(is_compare ? options->compared : options->policies,
                                         is_compare ? 1 : options->policy_count, &policy) &&
                           (!is_compare || load_policies(&options->compared[1], 1, &other)) &&
                           load_scenario(options->scenario, &scenario);
    if (is_loaded) {
        if (options->has_seed)
            scenario->seed = options->seed;
        const struct study_order order = {.scenario = scenario,
                                          .policy = policy,
                                          .policy_name = is_compare ? options->compared[0]
                                                                    : options->policies[0],
                                          .other = other,
                                          .other_name = options->compared[1],
                                          .seed_count = options->seeds > 0 ? options->seeds
                                                        : options->report  ? REPORT_SEEDS
                                                                           : 1,
                                          .has_plots = options->report != NULL};
        code = simulate(options, &order);
    }
    scenario_free(&scenario);
    policy_set_unref(&policy);
    policy_set_unref(&other);
    return code;
}

int cmd_simulate(int argc, char **argv)
{
    struct options options = {.policies = calloc((size_t)argc + 1, sizeof *options.policies)};
    if (options.policies == NULL)
        return usage("out of memory", "");
    int code = read_options(&options, argc, argv);
    if (code < 0)
        code = play(&options);
    free(options.policies);
    return code;
}
