/* run_enclosure.c - see run_enclosure.h. */
#include "cli/run_enclosure.h"

#include "cli/run_inside.h"
#include "cli/run_namespace.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EXIT_NOT_STARTED = 2 };

#define HANDED_MAX (2 * ENCLOSURE_FAMILIES + 2)

/* ---- the line ---- */

union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(HANDED_MAX * sizeof(int))];
};

static bool hand_out(int line, const int *fds, size_t count)
{
    union control control;
    char word = 'S';
    struct iovec part = {&word, 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = CMSG_SPACE(count * sizeof *fds)};
    memset(&control, 0, sizeof control);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(count * sizeof *fds);
    memcpy(CMSG_DATA(header), fds, count * sizeof *fds);
    return sendmsg(line, &message, MSG_NOSIGNAL) == 1;
}

/* How many came; 0: the other end has closed. */
static size_t take_in(int line, int fds[HANDED_MAX])
{
    union control control;
    char word;
    struct iovec part = {&word, 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    ssize_t got;
    do
        got = recvmsg(line, &message, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    const struct cmsghdr *header = got == 1 ? CMSG_FIRSTHDR(&message) : NULL;
    if (header == NULL || header->cmsg_type != SCM_RIGHTS)
        return 0;
    const size_t bytes = header->cmsg_len - CMSG_LEN(0);
    memcpy(fds, CMSG_DATA(header), bytes);
    return bytes / sizeof *fds;
}

/* ---- outside ---- */

static bool has_ipv6(void)
{
    const int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/* Would a call to an address of the Internet leave this machine? Nothing is sent. */
static bool is_ipv6_routed(void)
{
    static const struct sockaddr_in6 anywhere = {
        .sin6_family = AF_INET6,
        .sin6_port = 1,
        .sin6_addr = {{{0x20, [15] = 1}}} /* 2000::1, which will not be given to anybody */
    };
    const int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const bool is =
        fd >= 0 && connect(fd, (const struct sockaddr *)&anywhere, sizeof anywhere) == 0;
    if (fd >= 0)
        close(fd);
    return is;
}

int run_enclosure_init(struct run_enclosure *enclosure, const struct run_options *options)
{
    int line[2];
    *enclosure = (struct run_enclosure){.options = options,
                                        .families = has_ipv6() ? 2 : 1,
                                        .is_ipv6_routed = is_ipv6_routed(),
                                        .ours = -1,
                                        .theirs = -1,
                                        .outbound = {-1, -1},
                                        .dns = {-1, -1},
                                        .network = -1,
                                        .user = -1};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, line) != 0) {
        fprintf(stderr, "outrigger run: no socket pair: %s\n", strerror(errno));
        return EXIT_NOT_STARTED;
    }
    enclosure->ours = line[0];
    enclosure->theirs = line[1];
    return 0;
}

static void shut(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

int run_enclosure_take(struct run_enclosure *enclosure)
{
    int fds[HANDED_MAX];
    const size_t families = enclosure->families;
    shut(&enclosure->theirs);
    const size_t count = take_in(enclosure->ours, fds);
    if (count == 0)
        return EXIT_NOT_STARTED;
    memcpy(enclosure->outbound, fds, families * sizeof *fds);
    memcpy(enclosure->dns, fds + families, families * sizeof *fds);
    enclosure->network = fds[2 * families];
    enclosure->user = count > 2 * families + 1 ? fds[2 * families + 1] : -1;
    return 0;
}

void run_enclosure_open(struct run_enclosure *enclosure)
{
    (void)send(enclosure->ours, "G", 1, MSG_NOSIGNAL); /* it may have been killed meanwhile */
    run_enclosure_fini(enclosure);
}

void run_enclosure_fini(struct run_enclosure *enclosure)
{
    shut(&enclosure->ours);
    shut(&enclosure->theirs);
    shut(&enclosure->network);
    shut(&enclosure->user);
    for (size_t i = 0; i < ENCLOSURE_FAMILIES; i++) {
        shut(&enclosure->outbound[i]);
        shut(&enclosure->dns[i]);
    }
}

/* ---- inside ---- */

int run_enclosure_enter(const struct run_enclosure *enclosure)
{
    int fds[HANDED_MAX];
    uint16_t port;
    const size_t families = enclosure->families;
    close(enclosure->ours);
    const int code = run_namespace_make(fds + 2 * families);
    if (code != 0)
        return code;
    const size_t count = 2 * families + (fds[2 * families + 1] >= 0 ? 2 : 1);
    if (!run_inside_listen(families, fds, fds + families, &port) ||
        !run_inside_route(port, enclosure->is_ipv6_routed, enclosure->options))
        return EXIT_NOT_STARTED;
    if (!hand_out(enclosure->theirs, fds, count)) {
        fprintf(stderr, "outrigger run: the sockets could not be handed out: %s\n",
                strerror(errno));
        return EXIT_NOT_STARTED;
    }
    for (size_t i = 0; i < count; i++)
        close(fds[i]);
    char word;
    return recv(enclosure->theirs, &word, 1, 0) == 1 ? 0 : EXIT_NOT_STARTED;
}
