/* resolver_channel.c - see resolver_channel.h. */
#include "net/resolver_channel.h"

#include "base/check.h"

#include <stdlib.h>
#include <sys/time.h>

struct channel_socket {
    struct list link;
    struct resolver_channel *channel;
    ares_socket_t fd;
    uv_poll_t poll;
};

static void process(struct resolver_channel *channel, ares_socket_t readable,
                    ares_socket_t writable)
{
    ares_process_fd(channel->dns, readable, writable);
    resolver_channel_arm(channel);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct channel_socket *socket = CONTAINER_OF(poll, struct channel_socket, poll);
    bool has_failed = status < 0; /* c-ares meets the error when it reads */
    process(socket->channel,
            has_failed || (events & UV_READABLE) != 0 ? socket->fd : ARES_SOCKET_BAD,
            has_failed || (events & UV_WRITABLE) != 0 ? socket->fd : ARES_SOCKET_BAD);
}

static void on_timeout(struct timer *timer, mono_ns now)
{
    (void)now;
    process(CONTAINER_OF(timer, struct resolver_channel, timer), ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

/* ---- sockets ---- */

static void on_socket_closed(uv_handle_t *handle)
{
    free(CONTAINER_OF(handle, struct channel_socket, poll));
}

static void socket_free(struct channel_socket *socket)
{
    list_remove(&socket->link);
    uv_close((uv_handle_t *)&socket->poll, on_socket_closed);
}

/* NULL when it cannot be watched: its queries then end by timeout. */
static struct channel_socket *socket_new(struct resolver_channel *channel, ares_socket_t fd)
{
    struct channel_socket *socket = calloc(1, sizeof(*socket));
    if (socket == NULL || uv_poll_init(&channel->loop->uv, &socket->poll, fd) != 0) {
        free(socket);
        return NULL;
    }
    socket->channel = channel;
    socket->fd = fd;
    list_append(&channel->sockets, &socket->link);
    return socket;
}

static struct channel_socket *socket_find(const struct resolver_channel *channel, ares_socket_t fd)
{
    LIST_FOREACH (link, &channel->sockets) {
        struct channel_socket *socket = CONTAINER_OF(link, struct channel_socket, link);
        if (socket->fd == fd) {
            return socket;
        }
    }
    return NULL;
}

static void on_socket_state(void *data, ares_socket_t fd, int is_readable, int is_writable)
{
    struct resolver_channel *channel = data;
    struct channel_socket *socket = socket_find(channel, fd);
    int events = (is_readable ? UV_READABLE : 0) | (is_writable ? UV_WRITABLE : 0);
    if (events == 0) { /* c-ares closes it next */
        if (socket != NULL) {
            socket_free(socket);
        }
        return;
    }
    if (socket == NULL) {
        socket = socket_new(channel, fd);
    }
    if (socket != NULL) {
        INVARIANT(uv_poll_start(&socket->poll, events, on_poll) == 0);
    }
}

/* ---- life ---- */

static enum err from_ares(int status)
{
    return status == ARES_SUCCESS ? OK : status == ARES_ENOMEM ? ERR_NO_MEMORY : ERR_SYSTEM;
}

static enum err open_hosts(struct resolver_channel *channel)
{
    struct ares_options options = {.lookups = "f"};
    return from_ares(ares_init_options(&channel->hosts, &options, ARES_OPT_LOOKUPS));
}

static enum err open_dns(struct resolver_channel *channel, const struct resolver_options *from)
{
    struct ares_options options = {.lookups = "b",
                                   .timeout = (int)(from->query_timeout / NS_PER_MS),
                                   .tries = from->tries,
                                   .sock_state_cb = on_socket_state,
                                   .sock_state_cb_data = channel};
    int mask = ARES_OPT_LOOKUPS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
    if (from->resolv_conf != NULL) {
        options.resolvconf_path = (char *)(uintptr_t)from->resolv_conf; /* only copied */
        mask |= ARES_OPT_RESOLVCONF;
    }
    int status = ares_init_options(&channel->dns, &options, mask);
    if (status != ARES_SUCCESS || from->servers == NULL) {
        return from_ares(status);
    }
    status = ares_set_servers_ports_csv(channel->dns, from->servers);
    return status == ARES_SUCCESS || status == ARES_ENOMEM ? from_ares(status) : ERR_INVALID;
}

static void on_end(struct loop_task *task)
{
    struct resolver_channel *channel = CONTAINER_OF(task, struct resolver_channel, end);
    resolver_channel_destroy(&channel);
}

enum err resolver_channel_new(struct loop *loop, const struct resolver_options *options,
                              struct resolver_channel **out)
{
    struct resolver_channel *channel = calloc(1, sizeof(*channel));
    if (channel == NULL) {
        return ERR_NO_MEMORY;
    }
    channel->refs = 1;
    channel->loop = loop;
    list_init(&channel->sockets);
    timer_init(&channel->timer, on_timeout);
    loop_task_init(&channel->end, on_end);
    enum err result = open_hosts(channel);
    if (result == OK) {
        result = open_dns(channel, options);
    }
    if (result != OK) {
        resolver_channel_destroy(&channel);
        return result;
    }
    *out = channel;
    return OK;
}

void resolver_channel_ref(struct resolver_channel *channel)
{
    INVARIANT(channel->refs > 0);
    channel->refs++;
}

void resolver_channel_unref(struct resolver_channel **channel_ref)
{
    struct resolver_channel *channel = *channel_ref;
    *channel_ref = NULL;
    INVARIANT(channel->refs > 0);
    if (--channel->refs == 0) {
        loop_defer(channel->loop, &channel->end);
    }
}

void resolver_channel_destroy(struct resolver_channel **channel_ref)
{
    struct resolver_channel *channel = *channel_ref;
    *channel_ref = NULL;
    channel->refs++; /* those that end in here must not end it again */
    if (channel->hosts != NULL) {
        ares_destroy(channel->hosts);
    }
    if (channel->dns != NULL) {
        ares_destroy(channel->dns);
    }
    INVARIANT(list_is_empty(&channel->sockets));
    wheel_clear(channel->loop->wheel, &channel->timer);
    loop_task_cancel(&channel->end);
    free(channel);
}

void resolver_channel_arm(struct resolver_channel *channel)
{
    struct timeval left;
    if (ares_timeout(channel->dns, NULL, &left) == NULL) {
        wheel_clear(channel->loop->wheel, &channel->timer);
        return;
    }
    dur_ns wait = (dur_ns)left.tv_sec * NS_PER_S + (dur_ns)left.tv_usec * NS_PER_US;
    wheel_set(channel->loop->wheel, &channel->timer, mono_add(channel->loop->now, wait));
}
