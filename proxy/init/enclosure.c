/* enclosure.c - see enclosure.h. The default route is of the kind `local`: every address in the
 * world is one of ours, so a packet to it is delivered rather than forwarded. */
#include "init/enclosure.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOOPBACK "lo"
#define THE_SAME_AGAIN (NLM_F_CREATE | NLM_F_REPLACE) /* is no error */

struct wish { /* of the kernel: one message of rtnetlink */
    struct nlmsghdr head;
    union {
        struct ifinfomsg link;
        struct ifaddrmsg address;
        struct rtmsg route;
    };
    char attributes[128];
};

union answer {
    struct nlmsghdr head;
    char bytes[1024];
};

struct family {
    int number;
    unsigned char bits;
    const char *address;
};

static const struct family ipv4 = {AF_INET, 32, ENCLOSURE_IPV4};
static const struct family ipv6 = {AF_INET6, 128, ENCLOSURE_IPV6};

static struct wish wish_for(unsigned short type, size_t body, unsigned short flags)
{
    return (struct wish){
        .head = {.nlmsg_len = (unsigned)NLMSG_LENGTH(body),
                 .nlmsg_type = type,
                 .nlmsg_flags = (unsigned short)(NLM_F_REQUEST | NLM_F_ACK | flags)},
    };
}

static void add_attribute(struct wish *wish, unsigned short type, const void *bytes, size_t len)
{
    struct rtattr *attribute =
        (struct rtattr *)(void *)((char *)wish + NLMSG_ALIGN(wish->head.nlmsg_len));
    attribute->rta_type = type;
    attribute->rta_len = (unsigned short)RTA_LENGTH(len);
    memcpy(RTA_DATA(attribute), bytes, len);
    wish->head.nlmsg_len =
        (unsigned)(NLMSG_ALIGN(wish->head.nlmsg_len) + RTA_ALIGN(attribute->rta_len));
}

/* 0, or an errno. */
static int ask(int fd, const struct wish *wish)
{
    union answer answer;
    if (send(fd, wish, wish->head.nlmsg_len, 0) < 0)
        return errno;
    const ssize_t got = recv(fd, &answer, sizeof answer, 0);
    if (got < 0)
        return errno;
    if (!NLMSG_OK(&answer.head, (size_t)got) || answer.head.nlmsg_type != NLMSG_ERROR ||
        answer.head.nlmsg_len < NLMSG_LENGTH(sizeof(struct nlmsgerr)))
        return EBADMSG;
    struct nlmsgerr error;
    memcpy(&error, NLMSG_DATA(&answer.head), sizeof error);
    return -error.error;
}

static int bring_up(int fd, unsigned loopback)
{
    struct wish wish = wish_for(RTM_NEWLINK, sizeof wish.link, 0);
    wish.link =
        (struct ifinfomsg){.ifi_index = (int)loopback, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    return ask(fd, &wish);
}

static int add_address(int fd, unsigned loopback, const struct family *family)
{
    struct wish wish = wish_for(RTM_NEWADDR, sizeof wish.address, THE_SAME_AGAIN);
    unsigned char bytes[16];
    inet_pton(family->number, family->address, bytes);
    wish.address = (struct ifaddrmsg){.ifa_family = (unsigned char)family->number,
                                      .ifa_prefixlen = family->bits,
                                      .ifa_flags = IFA_F_NODAD,
                                      .ifa_index = loopback};
    add_attribute(&wish, IFA_LOCAL, bytes, family->bits / 8);
    add_attribute(&wish, IFA_ADDRESS, bytes, family->bits / 8);
    return ask(fd, &wish);
}

static int route_all(int fd, unsigned loopback, const struct family *family)
{
    struct wish wish = wish_for(RTM_NEWROUTE, sizeof wish.route, THE_SAME_AGAIN);
    unsigned char bytes[16];
    inet_pton(family->number, family->address, bytes);
    wish.route = (struct rtmsg){.rtm_family = (unsigned char)family->number,
                                .rtm_table = RT_TABLE_MAIN,
                                .rtm_protocol = RTPROT_STATIC,
                                .rtm_scope = RT_SCOPE_HOST,
                                .rtm_type = RTN_LOCAL};
    add_attribute(&wish, RTA_OIF, &loopback, sizeof loopback);
    add_attribute(&wish, RTA_PREFSRC, bytes, family->bits / 8);
    return ask(fd, &wish);
}

static int make(int fd, bool has_ipv6, const char **what)
{
    const unsigned loopback = if_nametoindex(LOOPBACK);
    *what = "loopback cannot be brought up";
    int code = loopback == 0 ? errno : bring_up(fd, loopback);
    if (code == 0) {
        *what = "loopback takes no address or route of IPv4";
        code = add_address(fd, loopback, &ipv4);
    }
    if (code == 0)
        code = route_all(fd, loopback, &ipv4);
    if (code == 0 && has_ipv6) {
        *what = "loopback takes no address or route of IPv6";
        code = add_address(fd, loopback, &ipv6);
        if (code == 0)
            code = route_all(fd, loopback, &ipv6);
    }
    return code;
}

enum err enclosure_make(bool has_ipv6, const char **what, int *code)
{
    const char *problem = "there is no rtnetlink";
    const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    const int result = fd < 0 ? errno : make(fd, has_ipv6, &problem);
    if (fd >= 0)
        close(fd);
    if (result == 0)
        return OK;
    *what = problem;
    *code = result;
    return ERR_SYSTEM;
}
