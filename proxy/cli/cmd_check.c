/* cmd_check.c - see cmd_check.h. Findings go to stderr, the one line of success to stdout. */
#include "cli/cmd_check.h"

#include "config/load.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_GOOD = 0, EXIT_FINDINGS = 1, EXIT_USAGE = 2 };

struct options {
    const char **paths;
    size_t path_count;
    bool is_strict;
};

static const char help[] =
    "Usage: outrigger check FILE|DIR... [--strict]\n"
    "\n"
    "Says what is wrong with policy files, all of it at once, each with file, line and\n"
    "column; and warns of policies that load, but cannot work or will hurt.\n"
    "A folder means every *.yaml in it.\n"
    "\n"
    "  --strict   warnings fail, too\n"
    "  --help     this text\n"
    "\n"
    "Exit code: 0 no errors, 1 errors (with --strict: or warnings), 2 bad usage or a path\n"
    "that cannot be read.\n"
    "\n"
    "Example:\n"
    "  $ outrigger check policies/\n"
    "  policies/pay.yaml:9:5: spec.retry.atempts: unknown key (did you mean \"attempts\"?) "
    "[OUT0201]\n";

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

static void report(const struct policy_set *set, const struct diagnostics *diag)
{
    const char *policies = set->document_count == 1 ? "policy" : "policies";
    printf("ok: %zu %s, %zu rule%s, %zu warning%s\n", set->document_count, policies,
           set->rule_count, plural(set->rule_count), diag->warnings, plural(diag->warnings));
}

static int check(const struct options *options)
{
    struct diagnostics diag;
    struct policy_set *set = NULL;
    diagnostics_init(&diag);
    enum err e = policy_set_load(options->paths, options->path_count, &set, &diag);
    bool is_empty = e == OK && set->file_count == 0;
    diagnostics_print(&diag, stderr);

    int code = EXIT_GOOD;
    if (is_empty)
        code = usage("there is no *.yaml file in ", options->paths[0]);
    else if (e == ERR_INVALID)
        code = EXIT_FINDINGS;
    else if (e == ERR_NO_MEMORY)
        code = usage(err_text(e), "");
    else if (e)
        code = EXIT_USAGE;
    else if (options->is_strict && diag.warnings > 0)
        code = EXIT_FINDINGS;
    else
        report(set, &diag);
    policy_set_unref(&set);
    diagnostics_fini(&diag);
    return code;
}

int cmd_check(int argc, char **argv)
{
    struct options options = {.paths = calloc((size_t)argc + 1, sizeof *options.paths)};
    bool may_be_option = true;
    int code = -1;
    if (options.paths == NULL)
        return usage("out of memory", "");
    for (int i = 1; i < argc && code < 0; i++) {
        if (!may_be_option || argv[i][0] != '-') {
            options.paths[options.path_count++] = argv[i];
        } else if (strcmp(argv[i], "--") == 0) {
            may_be_option = false;
        } else if (strcmp(argv[i], "--strict") == 0) {
            options.is_strict = true;
        } else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(help, stdout);
            code = EXIT_GOOD;
        } else {
            code = usage("unknown option ", argv[i]);
        }
    }
    if (code < 0)
        code = options.path_count ? check(&options) : usage("no file or folder is named", "");
    free(options.paths);
    return code;
}
