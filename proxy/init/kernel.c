/* kernel.c - see kernel.h. nfnetlink checks the capability before it looks for the subsystem
 * (EPERM), and answers EINVAL for a subsystem that is neither there nor to be loaded. */
#include "init/kernel.h"

#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct question {
    struct nlmsghdr head;
    struct nfgenmsg body;
};

union answer {
    struct nlmsghdr head;
    char bytes[1024]; /* the answers are of some 50 */
};

enum kernel_answer kernel_answer_from_errno(int code)
{
    switch (code) {
    case 0: return KERNEL_READY;
    case EPERM:
    case EACCES: return KERNEL_REFUSES;
    case EAFNOSUPPORT:    /* no netlink */
    case EPROTONOSUPPORT: /* no nfnetlink */
    case EINVAL:          /* no nf_tables in it */
    case EOPNOTSUPP: return KERNEL_LACKS_NFTABLES;
    default: return KERNEL_FAILS;
    }
}

/* The errno that the kernel answers with. */
static int ask(int fd)
{
    const struct question question = {
        .head = {.nlmsg_len = sizeof question,
                 .nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN,
                 .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
        .body = {.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0},
    };
    union answer answer;
    if (send(fd, &question, sizeof question, 0) < 0)
        return errno;
    /* The kernel has answered when send() returns. */
    const ssize_t got = recv(fd, &answer, sizeof answer, MSG_DONTWAIT);
    if (got < 0)
        return errno;
    if (!NLMSG_OK(&answer.head, (size_t)got))
        return EBADMSG;
    if (answer.head.nlmsg_type != NLMSG_ERROR)
        return 0;
    if (answer.head.nlmsg_len < NLMSG_LENGTH(sizeof(struct nlmsgerr)))
        return EBADMSG;
    struct nlmsgerr error;
    memcpy(&error, NLMSG_DATA(&answer.head), sizeof error);
    return -error.error;
}

enum kernel_answer kernel_ask(int *code)
{
    const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
    *code = fd < 0 ? errno : ask(fd);
    if (fd >= 0)
        close(fd);
    return kernel_answer_from_errno(*code);
}
