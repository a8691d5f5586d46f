/* capability.c - see capability.h. Two system calls do not need libcap. */
#include "init/capability.h"

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

void capability_raise(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];
    if (syscall(SYS_capget, &header, sets) != 0)
        return;
    sets[CAP_TO_INDEX(CAP_NET_ADMIN)].effective |=
        sets[CAP_TO_INDEX(CAP_NET_ADMIN)].permitted & CAP_TO_MASK(CAP_NET_ADMIN);
    (void)syscall(SYS_capset, &header, sets);
}
