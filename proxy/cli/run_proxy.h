/* run_proxy.h - the proxy that `outrigger run` hosts: a process beside the command, with the user's
 * files and a ProxyConfig that adds our ports to theirs.
 *
 * Example: run_proxy_init(&proxy, options, &targets); run_proxy_start(&proxy,
 *          &signals); ... run_proxy_stop(&proxy); run_proxy_fini(&proxy);
 * It is in a session of its own: no signal of the terminal reaches it. When we are killed outright
 * it drains, ends, and removes the folder. Single-threaded. */
#ifndef OUTRIGGER_CLI_RUN_PROXY_H
#define OUTRIGGER_CLI_RUN_PROXY_H

#include "cli/run_enclosure.h"
#include "cli/run_folder.h"
#include "cli/run_options.h"
#include "cli/run_signals.h"
#include "cli/run_targets.h"

#include <stdint.h>
#include <sys/types.h>

#define RUN_FIRST_FD 3 /* of the sockets that a process of ours is given */

struct run_proxy {
    const struct run_options *options;
    const struct run_enclosure *enclosure; /* NULL: of a command that is not in one */
    const struct run_signals *signals;
    struct run_folder folder;
    char log[4096];
    const char *host; /* of our ports: a loopback address */
    uint16_t outbound;
    uint16_t admin;
    pid_t pid;                         /* 0: it does not run */
    int reserved[RUN_TARGETS_MAX + 2]; /* ports that are ours until it listens */
    size_t reserved_count;
};

enum err run_proxy_init(struct run_proxy *proxy, const struct run_options *options,
                        const struct run_enclosure *enclosure,
                        struct run_targets *targets) MUST_CHECK;
/* Makes the folder, picks ports (and the url of each target that needs one), writes the
 * configuration. On an error, too, run_proxy_fini is due. */

int run_proxy_start(struct run_proxy *proxy, const struct run_signals *signals);
/* Returns 0 when it is ready; an exit code when it did not get there, or we were asked to end:
 * said.
 */

void run_proxy_note_end(struct run_proxy *proxy, pid_t pid, int status);
/* A child of ours has ended: if it is the proxy, says so, and what it logged last. */

void run_proxy_stop(struct run_proxy *proxy);
/* Lets it drain for a moment, then kills it. */

void run_proxy_become(const char *name, const struct run_proxy *proxy, const int *sockets,
                      size_t count);
/* In a child: this process is in a session of its own, writes to the log, and has these sockets,
 * from descriptor RUN_FIRST_FD on, and no other descriptor of ours. */

void run_proxy_fini(struct run_proxy *proxy);

#endif
