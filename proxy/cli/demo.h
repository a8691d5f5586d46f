/* demo.h - the demo's stage: the proxy as a child process, a flaky upstream, a load, and a
 * narrator.
 *
 * Example: return demo_run(&(struct demo_options){.stays = true, .has_colour = isatty(1)});
 * All of it listens on free ports of 127.0.0.1 and lives in a temporary folder that is removed at
 * the end; the child is ended with the demo. Runs its own libuv loop; single-threaded. */
#ifndef OUTRIGGER_CLI_DEMO_H
#define OUTRIGGER_CLI_DEMO_H

#include <stdbool.h>

struct demo_options {
    bool stays;      /* after the story: run on until Ctrl-C */
    bool has_colour; /* stdout understands colours */
};

int demo_run(const struct demo_options *options);
/* The exit code, see cmd_run.h. */

#endif
