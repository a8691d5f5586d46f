/* control.h - the data loop's answers to the admin server: gauges, readiness, what is loaded, every
 * circuit.
 *
 * Runs in the data loop, a slice of targets per turn (about a millisecond at most), so that reading
 * can never stall what it shows. Example: struct control control; control_init(&control, proxy,
 * &mailbox); options.post = control_post. */
#ifndef OUTRIGGER_ADMIN_CONTROL_H
#define OUTRIGGER_ADMIN_CONTROL_H

#include "admin/admin.h"
#include "net/mailbox.h"
#include "request/proxy.h"

#define CONTROL_CHUNKS 16 /* documents and rules written per turn: some 60 fields each */
#define CONTROL_SLICE 256 /* chains of the target table, targets and rooms looked at per turn */

struct control {
    struct proxy *proxy;
    struct mailbox *mailbox;
    struct list work; /* control_work.link: commands that go on next turn */
    struct loop_task task;
};

void control_init(struct control *control, struct proxy *proxy, struct mailbox *mailbox);

void control_fini(struct control *control);
/* Completes what is unfinished with a 503. */

struct admin_backend control_backend(struct control *control);

#endif
