/* mailbox.c - see mailbox.h. Writers append to `posted` under the lock and wake the loop when the
 * list was empty; the loop takes the whole list under the lock and runs it without. Invariant:
 * count == posted + taken. */
#include "net/mailbox.h"

#include "base/check.h"

#define MAILBOX_MAGIC 0x4d41494cU
#define BUDGET_PER_TURN (1 * NS_PER_MS)

static void take_posted(struct mailbox *box)
{
    INVARIANT(pthread_mutex_lock(&box->lock) == 0);
    while (!list_is_empty(&box->posted)) {
        struct list *link = list_first(&box->posted);
        list_remove(link);
        list_append(&box->taken, link);
    }
    INVARIANT(pthread_mutex_unlock(&box->lock) == 0);
}

static void run_first(struct mailbox *box)
{
    struct mail *mail = CONTAINER_OF(list_first(&box->taken), struct mail, link);
    list_remove(&mail->link);
    INVARIANT(pthread_mutex_lock(&box->lock) == 0);
    box->count--;
    INVARIANT(pthread_mutex_unlock(&box->lock) == 0);
    mail->run(mail);
}

static void on_wake_up(uv_async_t *async)
{
    struct mailbox *box = CONTAINER_OF(async, struct mailbox, wake_up);
    uint64_t until = uv_hrtime() + (uint64_t)BUDGET_PER_TURN;
    take_posted(box);
    while (!list_is_empty(&box->taken)) {
        run_first(box);
        if (!box->is_open) {
            return; /* a mail closed the box; mailbox_close has run the rest */
        }
        if (uv_hrtime() >= until && !list_is_empty(&box->taken)) {
            uv_async_send(&box->wake_up); /* the rest in the next turn */
            return;
        }
    }
}

void mailbox_init(struct mailbox *box, struct loop *loop, uint32_t capacity)
{
    *box = (struct mailbox){
        .magic = MAILBOX_MAGIC, .loop = loop, .capacity = capacity, .is_open = true};
    list_init(&box->posted);
    list_init(&box->taken);
    INVARIANT(pthread_mutex_init(&box->lock, NULL) == 0);
    INVARIANT(uv_async_init(&loop->uv, &box->wake_up, on_wake_up) == 0);
}

enum err mailbox_post(struct mailbox *box, struct mail *mail)
{
    enum err result = ERR_FULL;
    CHECK_OBJ(box, MAILBOX_MAGIC);
    INVARIANT(pthread_mutex_lock(&box->lock) == 0);
    if (box->is_open && box->count < box->capacity) {
        bool was_empty = list_is_empty(&box->posted);
        list_append(&box->posted, &mail->link);
        box->count++;
        if (was_empty) { /* under the lock: after mailbox_close the handle must not be touched */
            uv_async_send(&box->wake_up);
        }
        result = OK;
    }
    INVARIANT(pthread_mutex_unlock(&box->lock) == 0);
    return result;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct mailbox *box = CONTAINER_OF(handle, struct mailbox, wake_up);
    if (box->on_closed != NULL) {
        box->on_closed(box);
    }
}

void mailbox_close(struct mailbox *box, void (*on_closed)(struct mailbox *box))
{
    CHECK_OBJ(box, MAILBOX_MAGIC);
    INVARIANT(pthread_mutex_lock(&box->lock) == 0);
    bool was_open = box->is_open;
    box->is_open = false;
    INVARIANT(pthread_mutex_unlock(&box->lock) == 0);
    INVARIANT(was_open);
    box->on_closed = on_closed;
    take_posted(box);
    while (!list_is_empty(&box->taken)) {
        run_first(box);
    }
    uv_close((uv_handle_t *)&box->wake_up, on_handle_closed);
}
