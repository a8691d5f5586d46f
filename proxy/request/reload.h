/* reload.h - new policies while calls go on: watch, parse on a thread of its own, swap at a turn's
 * start.
 *
 * Told by a change of the files (also the symlink swap of a ConfigMap) or by SIGHUP. A set that
 * does not load changes nothing: the running one stays, the log says why, and a metric. Loop thread
 * only, but for the parse. */
#ifndef OUTRIGGER_REQUEST_RELOAD_H
#define OUTRIGGER_REQUEST_RELOAD_H

#include "config/load.h"
#include "net/mailbox.h"
#include "net/watch.h"
#include "request/proxy.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct reload {
    struct proxy *proxy;
    struct mailbox *mailbox;
    struct watch watch;
    struct watch
        *side_files; /* that policies name: certificates, addresses; NULL: there are none */
    bool is_recheck; /* the files of a new watch are read once more: a change may have come before
                        it */
    const struct load_sources *sources; /* borrowed */
    pthread_t thread;
    bool is_running;      /* a parse is on its way */
    bool is_wanted_again; /* something changed meanwhile */
    bool is_stopped;
    bool is_lost; /* atomic: its parse ended, but the mailbox did not take the letter */
    struct mail done;
    struct policy_set *set;  /* of the parse; NULL when it failed */
    struct tls_clients *tls; /* the same */
    struct diagnostics *diagnostics;
};

enum err reload_start(struct reload *reload, struct proxy *proxy, struct mailbox *mailbox,
                      const struct load_sources *sources) MUST_CHECK;
/* Watches the paths of `sources`, which stay the caller's and outlive this. */

void reload_now(struct reload *reload);
/* SIGHUP. */

void reload_stop(struct reload *reload, void (*on_closed)(struct watch *watch));
/* Waits for a parse that is under way (bounded by the limits of a file). */

#endif
