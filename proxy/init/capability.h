/* capability.h - CAP_NET_ADMIN, and nothing else. Example: capability_raise(); then ask the kernel.
 * For the thread that calls. */
#ifndef OUTRIGGER_INIT_CAPABILITY_H
#define OUTRIGGER_INIT_CAPABILITY_H

void capability_raise(void);
/* Makes CAP_NET_ADMIN effective where it is only permitted, which is so after `setcap
 * cap_net_admin+p`. With +ep it is effective at once, but a container that lacks the capability
 * then cannot even start the program, and its user reads "operation not permitted" instead of our
 * words. Without the capability nothing happens: the kernel will refuse what needs it. */

#endif
