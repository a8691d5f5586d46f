/* cmd_run.c - see cmd_run.h. */
#include "cli/cmd_run.h"

#include "cli/default_policy.h"
#include "cli/demo.h"
#include "cli/policy_files.h"
#include "cli/report.h"
#include "cli/run_child.h"
#include "cli/run_enclosure.h"
#include "cli/run_environment.h"
#include "cli/run_options.h"
#include "cli/run_proxy.h"
#include "cli/run_publish.h"
#include "cli/run_signals.h"
#include "cli/run_targets.h"
#include "cli/terminal.h"
#include "config/load.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHOWN_TARGETS 6

enum { EXIT_NOT_STARTED = 2 };

struct run {
    struct run_options options;
    struct run_targets targets;
    struct run_signals signals;
    struct run_proxy proxy;
    struct run_enclosure enclosure; /* of --transparent */
    struct run_publish publish;
    struct run_child child;
    size_t policies;
    size_t warnings;
};

/* ---- the files ---- */

static int fail(enum err e)
{
    fprintf(stderr, "outrigger run: the proxy could not be set up: %s\n", err_text(e));
    return EXIT_NOT_STARTED;
}

static int tell_findings(const struct diagnostics *diag)
{
    struct sources sources = {NULL};
    const struct report report = {
        .diag = diag, .sources = &sources, .has_colour = terminal_has_colour(stderr)};
    report_pretty(&report, stderr);
    sources_fini(&sources);
    fprintf(stderr, "outrigger run: nothing was started: mend the files named above\n");
    return EXIT_NOT_STARTED;
}

/* What we need of the files, before anything is started; an exit code, or 0. */
static int read_files(struct run *run)
{
    struct policy_set *set = NULL;
    struct diagnostics diag;
    int code = 0;
    diagnostics_init(&diag);
    const enum err e =
        run->options.path_count > 0
            ? policy_files_load(run->options.paths, run->options.path_count, &set, &diag)
            : policy_set_load_text("default.yaml", default_policy, sizeof default_policy - 1, &set,
                                   &diag);
    if (e == OK && run->options.path_count > 0 && set->file_count == 0) {
        fprintf(stderr, "outrigger run: there is no *.yaml file in %s\n", run->options.paths[0]);
        code = EXIT_NOT_STARTED;
    } else if (e == OK) {
        run_targets_init(&run->targets, set);
        run->policies = set->document_count;
        run->warnings = diag.warnings;
    } else {
        code = diag.count > 0 ? tell_findings(&diag) : fail(e);
    }
    policy_set_unref(&set);
    diagnostics_fini(&diag);
    return code;
}

/* ---- life ---- */

static const char *plural(size_t n)
{
    return n == 1 ? "" : "s";
}

static void say_enclosure(const struct run_options *options)
{
    fprintf(stderr, "outrigger run: all that %s calls by TCP comes to it", options->command[0]);
    for (size_t i = 0; i < options->published_count; i++)
        fprintf(stderr, "%s127.0.0.1:%u", i ? ", " : "; published: ", options->published[i]);
    fprintf(stderr, "%s\n",
            options->published_count ? "" : "; no port is published (--publish PORT)");
}

static void say_what_is_set_up(const struct run *run)
{
    const struct run_targets *targets = &run->targets;
    if (run->options.is_quiet)
        return;
    fprintf(stderr, "outrigger run: ");
    if (run->options.path_count == 0)
        fprintf(stderr, "the default policy");
    else
        fprintf(stderr, "%zu %s", run->policies, run->policies == 1 ? "policy" : "policies");
    fprintf(stderr, "; proxy http://%s:%u, admin http://%s:%u, log %s\n", targets->host,
            run->proxy.outbound, targets->host, run->proxy.admin, run->proxy.log);
    for (size_t i = 0; i < targets->count && i < SHOWN_TARGETS; i++)
        fprintf(stderr, "%s%s=%s -> %s", i ? ", " : "outrigger run: ", targets->items[i].variable,
                targets->items[i].url, targets->items[i].upstream);
    if (targets->count > SHOWN_TARGETS)
        fprintf(stderr, " and %zu more (env | grep OUTRIGGER_)", targets->count - SHOWN_TARGETS);
    if (targets->count > 0)
        fprintf(stderr, "\n");
    if (run->options.is_transparent)
        say_enclosure(&run->options);
    if (targets->left_out > 0)
        fprintf(stderr, "outrigger run: %zu more targets have no port and no variable\n",
                targets->left_out);
    if (run->warnings > 0)
        fprintf(stderr, "outrigger run: %zu warning%s; `outrigger check` with the files tells\n",
                run->warnings, plural(run->warnings));
}

static int prepare(const void *context)
{
    const struct run *run = context;
    const bool is_transparent = run->options.is_transparent;
    run_environment_set(&run->proxy, &run->targets, !is_transparent);
    return is_transparent ? run_enclosure_enter(&run->enclosure) : 0;
}

static void on_other_child(void *context, pid_t pid, int status)
{
    struct run *run = context;
    run_proxy_note_end(&run->proxy, pid, status);
    run_publish_note_end(&run->publish, pid);
}

static int start_child(struct run *run)
{
    const int problem =
        run_child_start(&run->child, &run->signals, run->options.command, prepare, run);
    return problem == 0 ? 0 : fail(err_from_errno(problem));
}

static int run_command(struct run *run)
{
    int code = run_proxy_start(&run->proxy, &run->signals);
    if (code == 0) {
        say_what_is_set_up(run);
        code = start_child(run);
    }
    return code == 0 ? run_child_wait(&run->child, on_other_child, run) : code;
}

/* The child comes first: the proxy listens on sockets that it makes. */
static int run_enclosed(struct run *run)
{
    int code = start_child(run);
    if (code != 0)
        return code;
    code = run_enclosure_take(&run->enclosure);
    if (code == 0)
        code = run_proxy_start(&run->proxy, &run->signals);
    if (code == 0)
        code = run_publish_start(&run->publish, &run->enclosure, &run->proxy);
    if (code != 0) {
        run_child_give_up(&run->child);
        return code;
    }
    say_what_is_set_up(run);
    run_enclosure_open(&run->enclosure);
    return run_child_wait(&run->child, on_other_child, run);
}

static int set_up(struct run *run)
{
    const struct run_enclosure *enclosure = run->options.is_transparent ? &run->enclosure : NULL;
    int code = enclosure ? run_enclosure_init(&run->enclosure, &run->options) : 0;
    if (code == 0)
        code = run_publish_init(&run->publish, &run->options);
    if (code != 0)
        return code;
    const enum err e = run_proxy_init(&run->proxy, &run->options, enclosure, &run->targets);
    return e == OK ? 0 : fail(e);
}

static int run_with_proxy(struct run *run)
{
    int code = read_files(run);
    if (code != 0)
        return code;
    run_signals_take(&run->signals); /* from here on there is something to clean up */
    code = set_up(run);
    if (code == 0)
        code = run->options.is_transparent ? run_enclosed(run) : run_command(run);
    run_publish_stop(&run->publish);
    run_proxy_stop(&run->proxy);
    if (run->options.is_transparent)
        run_enclosure_fini(&run->enclosure);
    run_proxy_fini(&run->proxy);
    return code;
}

static int run_demo(const struct run_options *options)
{
    const bool is_terminal = isatty(STDOUT_FILENO) == 1;
    const char *no_color = getenv("NO_COLOR"), *terminal = getenv("TERM");
    return demo_run(&(struct demo_options){
        .stays = options->is_stay || (is_terminal && !options->is_once),
        .has_colour =
            is_terminal && !(no_color && *no_color) && terminal && strcmp(terminal, "dumb") != 0,
    });
}

int cmd_run(int argc, char **argv)
{
    struct run *run = calloc(1, sizeof *run);
    if (run == NULL)
        return fail(ERR_NO_MEMORY);
    int code = run_options_read(&run->options, argc, argv);
    if (code < 0)
        code = run->options.is_demo ? run_demo(&run->options) : run_with_proxy(run);
    free(run);
    return code;
}
