/* kernel.h - may we program nf_tables here? Asked before libnftables is, which ends the process
 * where there is no netlink, and tells a missing capability from a missing module by prose only.
 * Example: int code; if (kernel_ask(&code) == KERNEL_LACKS_NFTABLES) .... Blocks for a system call;
 * any thread.
 */
#ifndef OUTRIGGER_INIT_KERNEL_H
#define OUTRIGGER_INIT_KERNEL_H

enum kernel_answer {
    KERNEL_READY = 0,
    KERNEL_LACKS_NFTABLES, /* not built in, module not to be had, or a sandbox without it */
    KERNEL_REFUSES,        /* CAP_NET_ADMIN is missing */
    KERNEL_FAILS,          /* anything else */
};

enum kernel_answer kernel_ask(int *code);
/* Asks for the generation of the rules, which changes nothing. `code` is the errno behind the
 * answer, 0 for KERNEL_READY. */

enum kernel_answer kernel_answer_from_errno(int code);
/* What an errno of that question means. Pure. */

#endif
