/* health.h - asks the endpoints of a target now and then whether they are well (healthCheck), and
 * keeps the balancer from those that are not.
 *
 * Checks go over the pool, with the target's TLS, but past its policies: no permit, no verdict, no
 * outlier count comes of them. They begin with the first call and end ten minutes after the last.
 * Owned by a destination. Loop thread only. */
#ifndef OUTRIGGER_REQUEST_HEALTH_H
#define OUTRIGGER_REQUEST_HEALTH_H

#include "call/target.h"
#include "config/policy_set.h"

#include <stdbool.h>

struct proxy;
struct health_checks;

void health_follow(struct health_checks **checks, struct proxy *proxy, struct target *target,
                   const struct document *document);
/* The document in force: checks begin, go on where nothing of them has changed, or end (*checks is
 * NULL then, as where there are none). `document` may be NULL. */

void health_sweep(struct health_checks *checks);
/* Now and then: endpoints that came get a check of their own, those that left lose it. NULL is
 * harmless. */

void health_end(struct health_checks **checks);
/* Every endpoint counts as healthy again. NULL inside is harmless. */

bool health_is_refusing(const struct health_checks *checks);
/* panic: refuse - calls go to no unhealthy endpoint, whatever happens. False for NULL. */

#endif
