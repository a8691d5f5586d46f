/* run_targets.h - which upstreams get a port, and a variable, of their own under `outrigger run`.
 *
 * Those that a policy names by an exact host: one for each port, or port 80 (443 with `tls`, none
 * with `protocol: tcp`) where it lists none; and those of the listeners of a ProxyConfig. Variables
 * are called after the document, or the upstream's host where no policy names it:
 * "shop.payments-v2" is OUTRIGGER_SHOP_PAYMENTS_V2_URL; further ones of a name end with _2, _3, in
 * the order of the files, so that what is added behind changes no name.
 *
 * Example: struct run_targets targets; run_targets_init(&targets, set);
 *
 * Calls to our ports must not go through the proxy, that would be a loop; calls to a target must.
 * So our ports are at an address of which no policy speaks: 127.0.0.1, or else 127.0.0.2; a
 * listener that the files have elsewhere stays there, but its upstream gets a port of ours as well.
 * Plain memory of the caller's: nothing points into the set. */
#ifndef OUTRIGGER_CLI_RUN_TARGETS_H
#define OUTRIGGER_CLI_RUN_TARGETS_H

#include "base/span.h"
#include "config/address.h"
#include "config/policy_set.h"

#include <stddef.h>

#define RUN_VARIABLE_MAX 320 /* a host or a name has at most 253 characters */
#define RUN_TARGETS_MAX 200  /* a ProxyConfig may have 256 listeners */

struct run_target {
    char variable[RUN_VARIABLE_MAX]; /* "OUTRIGGER_PAYMENTS_URL" */
    char upstream[ADDRESS_TEXT_MAX]; /* "payments:8080" */
    char url[ADDRESS_TEXT_MAX];      /* of the port that leads there; "": it needs one */
    const char *scheme;              /* of the url: "http", or "tcp" where no HTTP is spoken */
    const char *base;                /* what it is called after; NULL once it has a name */
};

struct run_targets {
    const char *host; /* where our ports are: a loopback address, which NO_PROXY names */
    struct run_target items[RUN_TARGETS_MAX];
    size_t count;
    size_t left_out; /* beyond RUN_TARGETS_MAX */
};

void run_targets_init(struct run_targets *targets, const struct policy_set *set);

void run_variable_name(const char *base, unsigned number, char out[RUN_VARIABLE_MAX]);
/* Letters become upper case, whatever is no letter or digit becomes "_"; from number 2 on it is
 * part of the name. */

#endif
