/* demo_stage.h - the folder and the ports that a demo needs, and the proxy that runs in them.
 *
 * Example: struct demo_stage stage; if (demo_stage_init(&stage, upstream_port) != OK) ...;
 *          demo_stage_spawn(&stage, loop, on_exit, context); ... demo_stage_fini(&stage);
 * Ownership: the folder is ours and goes in fini, with the files that we wrote into it. */
#ifndef OUTRIGGER_CLI_DEMO_STAGE_H
#define OUTRIGGER_CLI_DEMO_STAGE_H

#include "base/err.h"
#include "cli/run_folder.h"

#include <stdint.h>
#include <uv.h>

struct demo_stage {
    struct run_folder folder;
    uint16_t listen; /* where the app would call */
    uint16_t outbound;
    uint16_t admin;
    uv_process_t child;
};

enum err demo_stage_init(struct demo_stage *stage, uint16_t upstream) MUST_CHECK;
/* Picks ports, the usual ones where they are free, and writes the configuration. */

enum err demo_stage_spawn(struct demo_stage *stage, uv_loop_t *loop, uv_exit_cb on_exit,
                          void *context) MUST_CHECK;
/* Runs this very program as `proxy -c FOLDER`, its log in FOLDER/log. `context` is in child.data.
 */

void demo_stage_show_log(const struct demo_stage *stage);
/* What the proxy said, to stderr: for when it ended by itself. */

void demo_stage_fini(struct demo_stage *stage);
/* Removes the folder; the child must have ended. */

#endif
