#include "init/kernel.h"

#include <criterion/criterion.h>
#include <errno.h>

Test(kernel, that_has_no_nf_tables_is_told_from_one_that_refuses)
{
    cr_expect_eq(kernel_answer_from_errno(0), KERNEL_READY);
    cr_expect_eq(kernel_answer_from_errno(EPROTONOSUPPORT), KERNEL_LACKS_NFTABLES);
    cr_expect_eq(kernel_answer_from_errno(EAFNOSUPPORT), KERNEL_LACKS_NFTABLES);
    cr_expect_eq(kernel_answer_from_errno(EINVAL), KERNEL_LACKS_NFTABLES);
    cr_expect_eq(kernel_answer_from_errno(EOPNOTSUPP), KERNEL_LACKS_NFTABLES);
    cr_expect_eq(kernel_answer_from_errno(EPERM), KERNEL_REFUSES);
    cr_expect_eq(kernel_answer_from_errno(ENOBUFS), KERNEL_FAILS);
}
