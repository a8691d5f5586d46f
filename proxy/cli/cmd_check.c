/* cmd_check.c - see cmd_check.h. Findings for people go to stderr, the one line of success and what
 * machines read to stdout. */
#include "cli/cmd_check.h"

#include "cli/admin_client.h"
#include "cli/plan.h"
#include "cli/policy_files.h"
#include "cli/report.h"
#include "cli/terminal.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_GOOD = 0, EXIT_FINDINGS = 1, EXIT_USAGE = 2 };

struct options {
    const char **paths;
    size_t path_count;
    enum report_format format;
    const char *against; /* URL of an admin port; NULL: files only */
    bool is_strict;
};

static const char help[] =
    "Usage: outrigger check FILE|DIR... [--strict] [--format FORMAT] [--against URL]\n"
    "\n"
    "Says what is wrong with policy files, all of it at once, each with its line and how to\n"
    "mend it; and warns of policies that load, but cannot work or will hurt.\n"
    "A folder means every *.yaml in it.\n"
    "\n"
    "  --strict          warnings fail, too\n"
    "  --format FORMAT   pretty (default), json, github (workflow commands) or sarif (2.1.0)\n"
    "  --against URL     also the plan of a reload: what would change in the proxy whose admin\n"
    "                    port is at URL (http://127.0.0.1:15020), and which state it keeps\n"
    "  --help            this text\n"
    "\n"
    "Exit code: 0 no errors, 1 errors (with --strict: or warnings), 2 bad usage, a path\n"
    "that cannot be read, or no answer from URL. `outrigger explain OUT0203` tells more about a "
    "code.\n"
    "\n"
    "Example:\n"
    "  $ outrigger check policies/\n"
    "  error[OUT0201]: unknown key\n"
    "   --> policies/pay.yaml:9:5\n"
    "    |\n"
    "  9 |     atempts: 2\n"
    "    |     ^^^^^^^\n";

static int usage(const char *problem, const char *what)
{
    fprintf(
        stderr,
        "outrigger check: %s%s\nTry: outrigger check policies/   (or: outrigger check --help)\n",
        problem, what);
    return EXIT_USAGE;
}

static const char *plural(size_t n)
{
    return n == 1 ? "" : "s";
}

static void say_counts(const struct report *report, int code, bool is_strict)
{
    const struct diagnostics *diag = report->diag;
    if (code == EXIT_GOOD)
        printf("ok: %zu %s, %zu rule%s, %zu warning%s\n", report->policies,
               report->policies == 1 ? "policy" : "policies", report->rules, plural(report->rules),
               diag->warnings, plural(diag->warnings));
    else if (diag->errors > 0)
        fprintf(stderr, "failed: %zu error%s, %zu warning%s\n", diag->errors, plural(diag->errors),
                diag->warnings, plural(diag->warnings));
    else if (is_strict)
        fprintf(stderr, "failed: %zu warning%s, which count as errors with --strict\n",
                diag->warnings, plural(diag->warnings));
}

static void write_report(const struct options *options, struct report *report, int code)
{
    switch (options->format) {
    case REPORT_JSON: report_json(report, stdout); break;
    case REPORT_GITHUB: report_github(report, stdout); break;
    case REPORT_SARIF: report_sarif(report, stdout); break;
    default:
        report->has_colour = terminal_has_colour(stderr);
        report_pretty(report, stderr);
        say_counts(report, code, options->is_strict);
        break;
    }
}

static int exit_code(enum err e, const struct diagnostics *diag, bool is_strict)
{
    if (e == ERR_INVALID)
        return EXIT_FINDINGS;
    if (e)
        return EXIT_USAGE;
    return is_strict && diag->warnings > 0 ? EXIT_FINDINGS : EXIT_GOOD;
}

/* NULL when the proxy cannot be asked: said. */
static json_t *plan_against(const struct options *options, const struct policy_set *set)
{
    char why[ADMIN_CLIENT_WHY_MAX] = "out of memory";
    struct admin_address address;
    json_t *running = NULL, *instances = NULL, *plan = NULL;
    if (admin_address_parse(options->against, &address, why))
        running = admin_get(&address, "/policies", why);
    if (running)
        instances = admin_get(&address, "/instances", why);
    if (instances)
        plan = plan_new(running, instances, set);
    if (plan == NULL)
        fprintf(stderr, "outrigger check: %s\n", why);
    json_decref(running);
    json_decref(instances);
    return plan;
}

static int report_all(const struct options *options, struct report *report,
                      const struct policy_set *set, int code)
{
    json_t *plan = set && options->against ? plan_against(options, set) : NULL;
    report->plan = plan;
    if (set && options->against && plan == NULL)
        code = EXIT_USAGE;
    write_report(options, report, code);
    if (plan && options->format == REPORT_PRETTY)
        plan_print(plan, options->against, stdout);
    json_decref(plan);
    return code;
}

static int check(const struct options *options)
{
    struct diagnostics diag;
    struct policy_set *set = NULL;
    struct sources sources = {NULL};
    diagnostics_init(&diag);
    const enum err e = policy_files_load(options->paths, options->path_count, &set, &diag);
    struct report report = {.diag = &diag,
                            .sources = &sources,
                            .policies = set ? set->document_count : 0,
                            .rules = set ? set->rule_count : 0};
    int code = exit_code(e, &diag, options->is_strict);
    if (e == OK && set->file_count == 0)
        code = usage("there is no *.yaml file in ", options->paths[0]);
    else if (e == ERR_NO_MEMORY)
        code = usage(err_text(e), "");
    else
        code = report_all(options, &report, set, code);
    policy_set_unref(&set);
    sources_fini(&sources);
    diagnostics_fini(&diag);
    if (fflush(stdout) == 0)
        return code;
    perror("outrigger check: cannot write");
    return EXIT_USAGE;
}

/* -1: go on; else the exit code. */
static int read_option(struct options *options, int argc, char **argv, int *i)
{
    const char *option = argv[*i], *format = NULL;
    if (strcmp(option, "--strict") == 0) {
        options->is_strict = true;
    } else if (strcmp(option, "--help") == 0 || strcmp(option, "-h") == 0) {
        fputs(help, stdout);
        return EXIT_GOOD;
    } else if (strcmp(option, "--format") == 0) {
        format = *i + 1 < argc ? argv[++*i] : "";
    } else if (strncmp(option, "--format=", 9) == 0) {
        format = option + 9;
    } else if (strcmp(option, "--against") == 0) {
        if (*i + 1 == argc)
            return usage("--against needs a URL, such as http://127.0.0.1:15020", "");
        options->against = argv[++*i];
    } else {
        return usage("unknown option ", option);
    }
    if (format && !report_format_from(format, &options->format))
        return usage("--format is one of pretty, json, github, sarif; not ", format);
    return -1;
}

int cmd_check(int argc, char **argv)
{
    struct options options = {.paths = calloc((size_t)argc + 1, sizeof *options.paths)};
    bool may_be_option = true;
    int code = -1;
    if (options.paths == NULL)
        return usage("out of memory", "");
    for (int i = 1; i < argc && code < 0; i++) {
        if (!may_be_option || argv[i][0] != '-')
            options.paths[options.path_count++] = argv[i];
        else if (strcmp(argv[i], "--") == 0)
            may_be_option = false;
        else
            code = read_option(&options, argc, argv, &i);
    }
    if (code < 0 && options.against && options.format != REPORT_PRETTY &&
        options.format != REPORT_JSON)
        code = usage("--against goes with --format pretty or json", "");
    if (code < 0)
        code = options.path_count ? check(&options) : usage("no file or folder is named", "");
    free(options.paths);
    return code;
}
