/* link.h - one connection of the webhook, relayed between its socket and a socket pair, at whose
 * other end libh2o serves it as plain HTTP/1.1; TLS, where the port has it, is done here.
 *
 * libh2o has a timeout for requests, none for writes: a link that waits for its peer longer than
 * LINK_LIMIT is cut, whatever it waits for. What one side does not take the other side is not asked
 * for: 256 KiB may lie between. Owns itself; gone at the end of the turn in which its handles
 * close. */
#ifndef OUTRIGGER_WEBHOOK_LINK_H
#define OUTRIGGER_WEBHOOK_LINK_H

#include "webhook/webhook_own.h"

void link_accept(struct port *port);
/* Takes one connection from the port's backlog; harmless when there is none. Without memory the
 * port waits for the next sweep. */

void links_sweep(struct webhook *webhook, mono_ns now);
/* Cuts those whose time is up. */

void links_close_idle(struct webhook *webhook);
void links_cut(struct webhook *webhook);
/* Those that wait for a request; all. */

bool links_make_room(struct webhook *webhook, const struct port *port);
/* Closes the one of that port that idles longest; false: none does. */

#endif
