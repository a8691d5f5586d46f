/* dns_relay.c - see dns_relay.h. An exchange is one query and the socket that it left by; it is in
 * `exchanges` until it is closed, and freed by the callback of that. */
#include "net/dns_relay.h"

#include "base/check.h"
#include "net/dns_packet.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define RELAY_MAGIC 0x444e5352U
#define BATCH 64 /* packets of a turn: a flood must not starve others */

struct whence { /* who asked, and whom: how an answer finds back */
    struct sockaddr_storage peer;
    socklen_t peer_len;
    struct address asked;
};

struct exchange {
    struct list link;
    struct dns_relay *relay;
    struct whence whence;
    struct timer timer;
    uv_poll_t poll;
    int fd;
    size_t key_len;
    char key[DNS_KEY_BYTES];
};

struct dns_relay {
    uint32_t magic;
    int fd;
    struct loop *loop;
    struct address server; /* len 0: whom they asked */
    struct list exchanges;
    size_t count;
    uv_poll_t poll;
};

union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

/* ---- the side of the one who asks ---- */

/* False: we are not told. */
static bool read_asked(struct msghdr *message, struct address *asked)
{
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
        struct sockaddr_in to4 = {.sin_family = AF_INET, .sin_port = htons(DNS_PORT)};
        struct sockaddr_in6 to6 = {.sin6_family = AF_INET6, .sin6_port = htons(DNS_PORT)};
        if (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(part), sizeof info);
            to4.sin_addr = info.ipi_addr;
            return address_from_sockaddr((struct sockaddr *)&to4, sizeof to4, asked) == OK;
        }
        if (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(part), sizeof info);
            to6.sin6_addr = info.ipi6_addr;
            return address_from_sockaddr((struct sockaddr *)&to6, sizeof to6, asked) == OK;
        }
    }
    return false;
}

/* From the address that was asked, as the one who asked expects it. */
static void reply(const struct dns_relay *relay, const struct whence *whence, const char *packet,
                  size_t len)
{
    union control control;
    struct iovec part = {(void *)(uintptr_t)packet, len};
    struct msghdr message = {.msg_name = (void *)(uintptr_t)&whence->peer,
                             .msg_namelen = whence->peer_len,
                             .msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    const bool is_ipv4 = whence->asked.any.sa_family == AF_INET;
    const struct in_pktinfo from4 = {.ipi_spec_dst = whence->asked.in.sin_addr};
    const struct in6_pktinfo from6 = {.ipi6_addr = whence->asked.in6.sin6_addr};
    memset(&control, 0, sizeof control);
    header->cmsg_level = is_ipv4 ? IPPROTO_IP : IPPROTO_IPV6;
    header->cmsg_type = is_ipv4 ? IP_PKTINFO : IPV6_PKTINFO;
    header->cmsg_len = is_ipv4 ? CMSG_LEN(sizeof from4) : CMSG_LEN(sizeof from6);
    message.msg_controllen = is_ipv4 ? CMSG_SPACE(sizeof from4) : CMSG_SPACE(sizeof from6);
    if (is_ipv4)
        memcpy(CMSG_DATA(header), &from4, sizeof from4);
    else
        memcpy(CMSG_DATA(header), &from6, sizeof from6);
    (void)sendmsg(relay->fd, &message, MSG_DONTWAIT); /* a full socket loses it, as a network may */
}

static void reply_failure(const struct dns_relay *relay, const struct whence *whence,
                          struct span key)
{
    char packet[DNS_KEY_BYTES];
    reply(relay, whence, packet, dns_failure(key, packet));
}

/* ---- an exchange ---- */

static void on_exchange_closed(uv_handle_t *handle)
{
    free(CONTAINER_OF(handle, struct exchange, poll));
}

static void exchange_end(struct exchange *exchange)
{
    list_remove(&exchange->link);
    exchange->relay->count--;
    wheel_clear(exchange->relay->loop->wheel, &exchange->timer);
    uv_close((uv_handle_t *)&exchange->poll, on_exchange_closed);
    close(exchange->fd);
}

static void on_exchange_late(struct timer *timer, mono_ns now)
{
    (void)now;
    exchange_end(CONTAINER_OF(timer, struct exchange, timer));
}

static void on_answer(uv_poll_t *poll, int status, int events)
{
    struct exchange *exchange = CONTAINER_OF(poll, struct exchange, poll);
    struct dns_relay *relay = exchange->relay;
    struct loop *loop = relay->loop;
    const struct span key = span_make(exchange->key, exchange->key_len);
    (void)status;
    (void)events;
    for (int left = BATCH; left > 0; left--) {
        const ssize_t got = recv(exchange->fd, loop->read_buffer, sizeof loop->read_buffer, 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        const bool is_answer =
            got >= 0 && dns_answers(span_make(loop->read_buffer, (size_t)got), key);
        if (is_answer)
            reply(relay, &exchange->whence, loop->read_buffer, (size_t)got);
        else if (got < 0) /* nobody listens there */
            reply_failure(relay, &exchange->whence, key);
        if (is_answer || got < 0) {
            exchange_end(exchange);
            return;
        }
    }
}

static int open_towards(const struct address *server)
{
    const int fd = socket(server->any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, &server->any, server->len) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

/* False: it could not be asked. */
static bool begin(struct dns_relay *relay, const struct whence *whence, struct span packet,
                  struct span key)
{
    struct exchange *exchange = relay->count < DNS_RELAY_MAX ? calloc(1, sizeof *exchange) : NULL;
    if (exchange == NULL)
        return false;
    exchange->fd = open_towards(relay->server.len > 0 ? &relay->server : &whence->asked);
    if (exchange->fd < 0 || send(exchange->fd, packet.data, packet.len, 0) < 0 ||
        uv_poll_init(&relay->loop->uv, &exchange->poll, exchange->fd) != 0) {
        if (exchange->fd >= 0)
            close(exchange->fd);
        free(exchange);
        return false;
    }
    exchange->relay = relay;
    exchange->whence = *whence;
    exchange->key_len = key.len;
    memcpy(exchange->key, key.data, key.len);
    list_append(&relay->exchanges, &exchange->link);
    relay->count++;
    timer_init(&exchange->timer, on_exchange_late);
    wheel_set(relay->loop->wheel, &exchange->timer, mono_add(relay->loop->now, DNS_RELAY_LIMIT));
    INVARIANT(uv_poll_start(&exchange->poll, UV_READABLE, on_answer) == 0);
    return true;
}

static void on_query(uv_poll_t *poll, int status, int events)
{
    struct dns_relay *relay = CONTAINER_OF(poll, struct dns_relay, poll);
    struct loop *loop = relay->loop;
    (void)status;
    (void)events;
    for (int left = BATCH; left > 0; left--) {
        union control control;
        struct whence whence;
        struct span key;
        struct iovec part = {loop->read_buffer, sizeof loop->read_buffer};
        struct msghdr message = {.msg_name = &whence.peer,
                                 .msg_namelen = sizeof whence.peer,
                                 .msg_iov = &part,
                                 .msg_iovlen = 1,
                                 .msg_control = &control,
                                 .msg_controllen = sizeof control};
        const ssize_t got = recvmsg(relay->fd, &message, MSG_DONTWAIT);
        if (got < 0)
            return;
        const struct span packet = span_make(loop->read_buffer, (size_t)got);
        whence.peer_len = message.msg_namelen;
        if (dns_query_parse(packet, &key) && read_asked(&message, &whence.asked) &&
            !begin(relay, &whence, packet, key))
            reply_failure(relay, &whence, key);
    }
}

/* ---- life ---- */

static int prepare_socket(int fd)
{
    const int on = 1;
    int type = 0, family = 0;
    socklen_t len = sizeof type, family_len = sizeof family;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &family_len) != 0)
        return errno;
    const bool is_ipv4 = family == AF_INET;
    if (type != SOCK_DGRAM || (!is_ipv4 && family != AF_INET6))
        return EINVAL;
    /* IPv6 wants leave to send from an address that lo does not have. */
    const int set = is_ipv4 ? setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on)
                            : setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on) |
                                  setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof on);
    return set == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 ? 0 : errno;
}

static void on_relay_closed(uv_handle_t *handle)
{
    free(CONTAINER_OF(handle, struct dns_relay, poll));
}

enum err dns_relay_new(struct loop *loop, int fd, const struct address *server,
                       struct dns_relay **out)
{
    const int problem = prepare_socket(fd);
    if (problem != 0)
        return problem == EBADF ? ERR_NOT_FOUND : ERR_INVALID;
    struct dns_relay *relay = calloc(1, sizeof *relay);
    if (relay == NULL || uv_poll_init(&loop->uv, &relay->poll, fd) != 0) {
        free(relay);
        return ERR_NO_MEMORY;
    }
    relay->magic = RELAY_MAGIC;
    relay->fd = fd;
    relay->loop = loop;
    if (server != NULL)
        relay->server = *server;
    list_init(&relay->exchanges);
    INVARIANT(uv_poll_start(&relay->poll, UV_READABLE, on_query) == 0);
    *out = relay;
    return OK;
}

void dns_relay_free(struct dns_relay **taken)
{
    struct dns_relay *relay = *taken;
    *taken = NULL;
    CHECK_OBJ(relay, RELAY_MAGIC);
    LIST_FOREACH_SAFE (link, following, &relay->exchanges)
        exchange_end(CONTAINER_OF(link, struct exchange, link));
    relay->magic = 0;
    uv_close((uv_handle_t *)&relay->poll, on_relay_closed);
    close(relay->fd);
}
