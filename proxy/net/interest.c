/* interest.c - see interest.h. An event carries the descriptor's number and the serial of the
 * interest that it was asked for, never a pointer: one whose owner has gone within the batch, or
 * whose socket a child of ours holds open for a moment, finds nobody. */
#include "net/interest.h"

#include "base/check.h"
#include "net/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define ROOM_MIN 64

/* ---- the set ---- */

void interest_set_init(struct interest_set *set)
{
    set->epoll = epoll_create1(EPOLL_CLOEXEC);
    INVARIANT(set->epoll >= 0);
    set->serials = 0;
    set->count = 0;
    set->is_whole = false;
    list_init(&set->changed);
    set->by_fd = NULL;
    set->room = 0;
}

void interest_set_fini(struct interest_set *set)
{
    INVARIANT(set->count == 0);
    close(set->epoll);
    free(set->by_fd);
}

static bool make_room(struct interest_set *set, uint32_t fd)
{
    uint32_t room = set->room > 0 ? set->room : ROOM_MIN;
    if (fd < set->room)
        return true;
    while (room <= fd)
        room *= 2;
    struct interest **by_fd = realloc(set->by_fd, room * sizeof(struct interest *));
    if (by_fd == NULL)
        return false;
    for (uint32_t i = set->room; i < room; i++)
        by_fd[i] = NULL;
    set->by_fd = by_fd;
    set->room = room;
    return true;
}

/* Edge-triggered where nothing is asked: a failure that nobody takes must not wake us for ever. */
static int tell(const struct interest *interest, int operation)
{
    struct epoll_event event = {
        .events = interest->events != 0 ? interest->events : (uint32_t)EPOLLET,
        .data.u64 = (uint64_t)interest->serial << 32 | (uint32_t)interest->fd,
    };
    return epoll_ctl(interest->loop->interests.epoll, operation, interest->fd, &event);
}

int interest_wait(struct interest_set *set, int limit_ms)
{
    struct list *link;
    while ((link = list_first(&set->changed)) != NULL) {
        struct interest *interest = CONTAINER_OF(link, struct interest, link);
        list_remove(link);
        INVARIANT(tell(interest, EPOLL_CTL_MOD) == 0);
        interest->armed = interest->events;
    }
    const int count = epoll_wait(set->epoll, set->batch, INTEREST_BATCH, limit_ms);
    INVARIANT(count >= 0 || errno == EINTR);
    set->is_whole = count >= 0 && count < INTEREST_BATCH;
    return count > 0 ? count : 0;
}

void interest_deliver(struct interest_set *set, int count)
{
    for (int i = 0; i < count; i++) {
        const struct epoll_event *event = &set->batch[i];
        struct interest *interest = set->by_fd[(uint32_t)event->data.u64];
        if (interest != NULL && interest->serial == event->data.u64 >> 32)
            interest->on_ready(interest, event->events);
    }
}

/* ---- one of them ---- */

enum err interest_open(struct interest *interest, struct loop *loop, int fd, uint32_t events,
                       interest_callback on_ready)
{
    struct interest_set *set = &loop->interests;
    INVARIANT(fd >= 0);
    *interest = (struct interest){.fd = fd,
                                  .serial = set->serials++,
                                  .events = events,
                                  .armed = events,
                                  .loop = loop,
                                  .on_ready = on_ready};
    list_init(&interest->link);
    if (make_room(set, (uint32_t)fd) && tell(interest, EPOLL_CTL_ADD) == 0) {
        set->by_fd[fd] = interest;
        set->count++;
        return OK;
    }
    interest->fd = -1;
    return errno == ENOMEM || errno == ENOSPC ? ERR_NO_MEMORY : ERR_SYSTEM;
}

void interest_change(struct interest *interest, uint32_t events)
{
    if (interest->fd < 0)
        return;
    interest->events = events;
    if (events == interest->armed)
        list_remove(&interest->link);
    else if (!list_is_linked(&interest->link))
        list_append(&interest->loop->interests.changed, &interest->link);
}

static void forget(struct interest *interest)
{
    interest->loop->interests.by_fd[interest->fd] = NULL;
    interest->loop->interests.count--;
    list_remove(&interest->link);
    interest->fd = -1;
}

void interest_close(struct interest *interest)
{
    if (interest->fd >= 0)
        forget(interest);
}

void interest_withdraw(struct interest *interest)
{
    if (interest->fd < 0)
        return;
    INVARIANT(epoll_ctl(interest->loop->interests.epoll, EPOLL_CTL_DEL, interest->fd, NULL) == 0);
    forget(interest);
}

void interest_move(struct interest *to, struct interest *from)
{
    INVARIANT(from->fd >= 0);
    *to = *from;
    list_init(&to->link);
    forget(from);
    to->loop->interests.by_fd[to->fd] = to;
    to->loop->interests.count++;
    interest_change(to, to->events);
}
