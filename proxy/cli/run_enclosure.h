/* run_enclosure.h - the network namespace in which `outrigger run --transparent` runs its command:
 * whatever the command calls comes to sockets of ours, made inside and handed out to the proxy,
 * which stays outside and dials the real destinations.
 *
 *   us                                    the process that will be the command
 *   run_enclosure_init
 *   fork                                  run_enclosure_enter: makes the namespace, its network
 *   run_enclosure_take      <- sockets       and the sockets, and waits
 *   ... start the proxy ...
 *   run_enclosure_open      -> go on      returns; then it becomes the command
 *   run_enclosure_fini
 *
 * Where we are root it is a network namespace alone; else one in a user namespace of its own, in
 * which we are who we are (the ids of others are nobody's there). It lasts as long as processes in
 * it. Rules and routes are made by outrigger-init, which stands beside our program. */
#ifndef OUTRIGGER_CLI_RUN_ENCLOSURE_H
#define OUTRIGGER_CLI_RUN_ENCLOSURE_H

#include "cli/run_options.h"

#include <stdbool.h>
#include <stddef.h>

#define ENCLOSURE_FAMILIES 2

struct run_enclosure {
    const struct run_options *options;
    size_t families; /* 2: IPv6, too */
    bool is_ipv6_routed;
    int ours, theirs; /* ends of the line between us; -1: closed */
    /* once taken: */
    int outbound[ENCLOSURE_FAMILIES]; /* TCP, listening: whatever is called */
    int dns[ENCLOSURE_FAMILIES];      /* UDP, port 53 */
    int network, user; /* namespaces, for setns(2); user -1: it has none of its own */
};

int run_enclosure_init(struct run_enclosure *enclosure, const struct run_options *options);
/* 0, or an exit code: said. Run_enclosure_fini is due in any case. */

int run_enclosure_enter(const struct run_enclosure *enclosure);
/* In the child. 0: we may be the command now. Else an exit code: said, with what to do about it. */

int run_enclosure_take(struct run_enclosure *enclosure);
/* 0: the sockets are there. An exit code: the child could not enter, and has said so. */

void run_enclosure_open(struct run_enclosure *enclosure);
/* The proxy is ready: the child goes on. */

void run_enclosure_fini(struct run_enclosure *enclosure);
/* Closes what is ours. A child that waits ends. */

#endif
