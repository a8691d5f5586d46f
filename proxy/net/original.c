/* original.c - see original.h. */
#include "net/original.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#define ORIGINAL_DST 80 /* SO_ORIGINAL_DST and IP6T_SO_ORIGINAL_DST (linux/netfilter_ipv4.h) */

static bool ask(int fd, int level, struct address *out)
{
    struct sockaddr_storage from;
    socklen_t len = sizeof from;
    memset(&from, 0, sizeof from);
    return getsockopt(fd, level, ORIGINAL_DST, &from, &len) == 0 &&
           address_from_sockaddr((const struct sockaddr *)&from, len, out) == OK;
}

/* Who connects to a listener without tproxy finds its port, at its address if it has only one. */
static bool is_elsewhere(const struct address *here, const struct address *door)
{
    return address_port(here) != address_port(door) ||
           (!address_is_any(door) && !address_equal(here, door));
}

enum original original_destination(int fd, const struct address *door, struct address *out)
{
    struct sockaddr_storage at;
    socklen_t len = sizeof at;
    struct address here;
    if (getsockname(fd, (struct sockaddr *)&at, &len) != 0 ||
        address_from_sockaddr((const struct sockaddr *)&at, len, &here) != OK)
        return ORIGINAL_NONE;
    const int family = here.any.sa_family;
    if (family != AF_INET && family != AF_INET6)
        return ORIGINAL_NONE;
    if (is_elsewhere(&here, door)) {
        *out = here;
        return ORIGINAL_TPROXY;
    }
    if (!ask(fd, family == AF_INET ? SOL_IP : SOL_IPV6, out) || address_equal(out, &here))
        return ORIGINAL_NONE;
    return ORIGINAL_NAT;
}
