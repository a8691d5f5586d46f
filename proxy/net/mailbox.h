/* mailbox.h - how other threads ask the loop for something: a bounded queue of commands, many
 * writers, one reader.
 *
 * The lock is held only to append to or to take the whole list. The loop runs about a millisecond
 * of mails a turn, in the order of posting, so that a flood from the admin port cannot stall the
 * data path.
 *
 * Example (admin thread): mail_init(&query->mail, run_in_loop);
 *                         if (mailbox_post(box, &query->mail) != OK) -> 503
 *
 * Ownership: a mail belongs to the mailbox from post until its run is called, then to run. */
#ifndef OUTRIGGER_NET_MAILBOX_H
#define OUTRIGGER_NET_MAILBOX_H

#include "base/err.h"
#include "base/list.h"
#include "net/loop.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct mail {
    struct list link;
    void (*run)(struct mail *mail);
};

struct mailbox {
    uint32_t magic;
    struct loop *loop;
    uv_async_t wake_up;
    pthread_mutex_t lock; /* guards posted, count, is_open */
    struct list posted;   /* struct mail, not yet seen by the loop */
    uint32_t count;       /* posted and not yet run */
    uint32_t capacity;    /* a flood of admin requests ends here */
    bool is_open;
    struct list taken; /* struct mail, the loop's own */
    void (*on_closed)(struct mailbox *box);
};

static inline void mail_init(struct mail *mail, void (*run)(struct mail *mail))
{
    list_init(&mail->link);
    mail->run = run;
}

void mailbox_init(struct mailbox *box, struct loop *loop, uint32_t capacity);
/* Opens it; aborts when the system gives no descriptor (start of the process). */

enum err MUST_CHECK mailbox_post(struct mailbox *box, struct mail *mail);
/* From any thread, never blocks on the loop. ERR_FULL when `capacity` mails wait or the box is
 * closed: the mail stays the caller's. */

void mailbox_close(struct mailbox *box, void (*on_closed)(struct mailbox *box));
/* From the loop. Refuses further mails, runs those that were accepted (their senders may be waiting
 * for an answer); on_closed (may be NULL) says when the memory is the caller's again. */

#endif
