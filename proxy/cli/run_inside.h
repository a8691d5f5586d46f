/* run_inside.h - what stands in the network namespace of `outrigger run --transparent`: the sockets
 * that calls come to, and the routes and rules that bring them there. Example: run_inside_listen(2,
 * outbound, dns, &port) && run_inside_route(port, true, options). In a process that is in it, with
 * CAP_NET_ADMIN and one thread. */
#ifndef OUTRIGGER_CLI_RUN_INSIDE_H
#define OUTRIGGER_CLI_RUN_INSIDE_H

#include "cli/run_options.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool run_inside_listen(size_t families, int *outbound, int *dns, uint16_t *port);
/* For IPv4, and with two families for IPv6: a listening TCP socket that may stand for any address
 * (IP_TRANSPARENT), all on one free port of loopback, and a UDP socket on port 53 of every address.
 * False: said. */

bool run_inside_route(uint16_t port, bool is_ipv6_routed, const struct run_options *options);
/* By outrigger-init, found beside this program. False: said. */

#endif
