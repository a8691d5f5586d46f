/* interest.h - what a descriptor is watched for, in the epoll set of its loop (epoll(7): interest
 * list), embedded in its owner.
 *
 * Level-triggered. What epoll looks for (`armed`) trails behind what is asked (`events`): the loop
 * brings it up to date right before it waits, so to change one's mind within a turn costs no system
 * call. From open to close the kernel knows the descriptor: a change cannot fail. A failure of the
 * descriptor (EPOLLERR, EPOLLHUP) is always told, but where nothing is asked only once.
 *
 * Example: interest_open(&conn->interest, loop, fd, EPOLLIN, on_ready);
 *          interest_change(&conn->interest, EPOLLIN | EPOLLOUT);
 *          interest_close(&conn->interest), close(fd);
 *
 * on_ready may change and close any interest, its own, too. Loop thread only. */
#ifndef OUTRIGGER_NET_INTEREST_H
#define OUTRIGGER_NET_INTEREST_H

#include "base/err.h"
#include "base/list.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

struct loop;
struct interest;

typedef void (*interest_callback)(struct interest *interest, uint32_t events);

struct interest {
    int fd;           /* -1: it is not open */
    uint32_t serial;  /* tells it from others that had this descriptor number before */
    uint32_t events;  /* EPOLLIN, EPOLLOUT, EPOLLRDHUP: what is asked */
    uint32_t armed;   /* what epoll looks for by now */
    struct list link; /* in interest_set.changed while these two differ */
    struct loop *loop;
    interest_callback on_ready;
};

enum err MUST_CHECK interest_open(struct interest *interest, struct loop *loop, int fd,
                                  uint32_t events, interest_callback on_ready);
/* ERR_NO_MEMORY, or ERR_SYSTEM for a descriptor that cannot be watched; errno says more. */

void interest_change(struct interest *interest, uint32_t events);
/* Takes effect before the next wait. */

void interest_close(struct interest *interest);
/* Its owner closes the descriptor next, which nobody else holds: so the kernel forgets it by
 * itself. Closing twice is closing once. */

void interest_withdraw(struct interest *interest);
/* As interest_close, for a descriptor that lives on. */

void interest_move(struct interest *to, struct interest *from);
/* The descriptor gets another owner of the same kind, without a system call; `from` is closed. */

/* ---- for the loop ---- */

#define INTEREST_BATCH                                                                             \
    512 /* events that one wait tells at most; then timers and tasks have their turn, however many \
           connections are flooded, and epoll tells the others first the next time */

struct interest_set {
    int epoll;
    uint32_t serials;
    uint32_t count; /* of open ones */
    bool is_whole;  /* the last wait told all that there was */
    struct list changed;
    struct interest **by_fd;
    uint32_t room; /* in by_fd */
    struct epoll_event batch[INTEREST_BATCH];
};

void interest_set_init(struct interest_set *set);
/* Aborts when the system gives no descriptor (start of the process). */

void interest_set_fini(struct interest_set *set);
/* Aborts when one is still open: that would be our leak. */

int interest_wait(struct interest_set *set, int limit_ms);
/* Brings epoll up to date and waits, for ever where the limit is negative. How many events there
 * are for interest_deliver. */

void interest_deliver(struct interest_set *set, int count);

#endif
