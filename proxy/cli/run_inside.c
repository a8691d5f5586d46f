/* run_inside.c - see run_inside.h. */
#include "cli/run_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define INIT "outrigger-init"
#define DNS_PORT 53
#define LISTEN_BACKLOG 1024
#define PORTS_TEXT (RUN_PUBLISHED_MAX * 6) /* "65535," */

union place {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

/* ---- sockets ---- */

static union place loopback(int family, uint16_t port)
{
    if (family == AF_INET)
        return (union place){.in = {.sin_family = AF_INET,
                                    .sin_port = htons(port),
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
    return (union place){.in6 = {.sin6_family = AF_INET6,
                                 .sin6_port = htons(port),
                                 .sin6_addr = IN6ADDR_LOOPBACK_INIT}};
}

static union place everywhere(int family, uint16_t port)
{
    if (family == AF_INET)
        return (union place){.in = {.sin_family = AF_INET, .sin_port = htons(port)}};
    return (union place){.in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)}};
}

static socklen_t size_of(const union place *place)
{
    return place->any.sa_family == AF_INET ? sizeof place->in : sizeof place->in6;
}

/* -1 with errno. Transparent: bound before loopback is up, and, for TCP, what tproxy hands to it.
 */
static int open_socket(int type, const union place *place)
{
    const int on = 1;
    const bool is_ipv4 = place->any.sa_family == AF_INET;
    const int fd = socket(place->any.sa_family, type | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    const int options = is_ipv4
                            ? setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &on, sizeof on)
                            : setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) |
                                  setsockopt(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, &on, sizeof on);
    if (options == 0 && bind(fd, &place->any, size_of(place)) == 0)
        return fd;
    const int problem = errno;
    close(fd);
    errno = problem;
    return -1;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_in at = {.sin_port = 0};
    socklen_t len = sizeof at;
    (void)getsockname(fd, (struct sockaddr *)&at, &len);
    return ntohs(at.sin_port);
}

bool run_inside_listen(size_t families, int *outbound, int *dns, uint16_t *port)
{
    static const int numbers[] = {AF_INET, AF_INET6};
    *port = 0;
    for (size_t i = 0; i < families; i++) {
        const union place here = loopback(numbers[i], *port);
        const union place all = everywhere(numbers[i], DNS_PORT);
        outbound[i] = open_socket(SOCK_STREAM, &here);
        if (i == 0)
            *port = port_of(outbound[i]);
        dns[i] = open_socket(SOCK_DGRAM, &all);
        if (outbound[i] >= 0 && dns[i] >= 0 && listen(outbound[i], LISTEN_BACKLOG) == 0)
            continue;
        fprintf(stderr,
                "outrigger run: no sockets to be had in the namespace (%s); the kernel needs "
                "CONFIG_NETFILTER_TPROXY\n",
                strerror(errno));
        return false;
    }
    return true;
}

/* ---- routes and rules ---- */

/* A program that is executed keeps a capability only this way, unless it is root's. */
static void keep_net_admin(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];
    if (syscall(SYS_capget, &header, sets) != 0)
        return;
    sets[CAP_TO_INDEX(CAP_NET_ADMIN)].inheritable |= CAP_TO_MASK(CAP_NET_ADMIN);
    if (syscall(SYS_capset, &header, sets) == 0)
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_ADMIN, 0, 0);
}

static bool find_init(char path[PATH_MAX])
{
    const ssize_t len = readlink("/proc/self/exe", path, PATH_MAX - 1);
    path[len > 0 ? len : 0] = '\0';
    char *slash = strrchr(path, '/');
    const size_t room = slash ? (size_t)(path + PATH_MAX - slash - 1) : 0;
    if (room <= sizeof INIT)
        return false;
    memcpy(slash + 1, INIT, sizeof INIT);
    return access(path, X_OK) == 0;
}

_Noreturn static void be_init(const char *path, char *const *arguments)
{
    const int nothing = open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(nothing, STDOUT_FILENO); /* it is for the command */
    keep_net_admin();
    execv(path, arguments);
    fprintf(stderr, "outrigger run: %s: %s\n", path, strerror(errno));
    _exit(1);
}

static bool run_init(const char *path, char *const *arguments)
{
    int status = -1;
    const pid_t pid = fork();
    if (pid == 0)
        be_init(path, arguments);
    if (pid < 0)
        fprintf(stderr, "outrigger run: no process for %s: %s\n", path, strerror(errno));
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return pid > 0 && status == 0;
}

bool run_inside_route(uint16_t port, bool is_ipv6_routed, const struct run_options *options)
{
    char path[PATH_MAX], port_text[8], own[PORTS_TEXT] = "";
    size_t len = 0;
    if (!find_init(path)) {
        fprintf(stderr,
                "outrigger run: --transparent needs " INIT " beside this program, and %s is not "
                "there: install both\n",
                path);
        return false;
    }
    snprintf(port_text, sizeof port_text, "%u", port);
    for (size_t i = 0; i < options->published_count; i++)
        len += (size_t)snprintf(own + len, sizeof own - len, "%s%u", i ? "," : "",
                                options->published[i]);
    char *const arguments[] = {(char[]){INIT},
                               (char[]){"--enclose"},
                               (char[]){"--port"},
                               port_text,
                               (char[]){"--own-ports"},
                               own,
                               is_ipv6_routed ? NULL : (char[]){"--ipv4-only"},
                               NULL};
    return run_init(path, arguments);
}
