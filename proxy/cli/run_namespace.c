/* run_namespace.c - see run_namespace.h. */
#include "cli/run_namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define INSTEAD "Or run it without --transparent: the proxy is then found by HTTP_PROXY.\n"

enum { EXIT_NOT_STARTED = 2 };

/* ---- why not ---- */

/* The number in a file of /proc/sys; -1 where there is none. */
static long setting(const char *name)
{
    char path[128];
    long value = -1;
    snprintf(path, sizeof path, "/proc/sys/%s", name);
    FILE *file = fopen(path, "re");
    if (file != NULL && fscanf(file, "%ld", &value) != 1)
        value = -1;
    if (file != NULL)
        fclose(file);
    return value;
}

static const char *advice(int code)
{
    if (setting("user/max_user_namespaces") == 0)
        return "user.max_user_namespaces is 0: sysctl -w user.max_user_namespaces=10000";
    if (setting("user/max_net_namespaces") == 0)
        return "user.max_net_namespaces is 0: sysctl -w user.max_net_namespaces=10000";
    if (code == ENOSPC || code == EUSERS)
        return "there are as many as may be (sysctl user.max_user_namespaces, "
               "user.max_net_namespaces), or too many in each other";
    if (setting("kernel/unprivileged_userns_clone") == 0)
        return "kernel.unprivileged_userns_clone is 0: sysctl -w "
               "kernel.unprivileged_userns_clone=1";
    if (setting("kernel/apparmor_restrict_unprivileged_userns") == 1)
        return "AppArmor keeps them from programs without a profile: sysctl -w "
               "kernel.apparmor_restrict_unprivileged_userns=0, or a profile with `userns,` for "
               "this program";
    if (code == EINVAL)
        return "this kernel has none (CONFIG_USER_NS, CONFIG_NET_NS)";
    return "something forbids it, such as a container's seccomp profile: start the container with "
           "--cap-add SYS_ADMIN or --security-opt seccomp=unconfined";
}

static int refuse(const char *what, int code)
{
    fprintf(stderr, "outrigger run: %s (%s), which --transparent needs:\n%s.\n" INSTEAD, what,
            strerror(code), advice(code));
    return EXIT_NOT_STARTED;
}

/* ---- making one ---- */

static bool write_file(const char *path, const char *text)
{
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    const size_t len = strlen(text);
    const bool is_written = fd >= 0 && write(fd, text, len) == (ssize_t)len;
    const int problem = errno;
    if (fd >= 0)
        close(fd);
    errno = problem;
    return is_written;
}

/* We are who we are; nobody else is anybody. Without the first line the kernel takes no map of
 * groups from who is not root (user_namespaces(7)). */
static bool keep_ids(uid_t uid, gid_t gid)
{
    char users[64], groups[64];
    snprintf(users, sizeof users, "%u %u 1", uid, uid);
    snprintf(groups, sizeof groups, "%u %u 1", gid, gid);
    return write_file("/proc/self/setgroups", "deny") && write_file("/proc/self/uid_map", users) &&
           write_file("/proc/self/gid_map", groups);
}

int run_namespace_make(int fds[2])
{
    const uid_t uid = geteuid();
    const gid_t gid = getegid();
    fds[0] = fds[1] = -1;
    const bool is_plain = unshare(CLONE_NEWNET) == 0;
    if (!is_plain && errno != EPERM)
        return refuse("there is no network namespace to be had", errno);
    if (!is_plain && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
        return refuse("there is no user and network namespace to be had", errno);
    if (!is_plain && !keep_ids(uid, gid))
        return refuse("the user namespace takes no map of ids", errno);
    fds[0] = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (!is_plain)
        fds[1] = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
    if (fds[0] < 0 || (!is_plain && fds[1] < 0))
        return refuse("the namespace cannot be opened in /proc", errno);
    return 0;
}

bool run_namespace_join(int network, int user)
{
    return (user < 0 || setns(user, CLONE_NEWUSER) == 0) && setns(network, CLONE_NEWNET) == 0;
}
