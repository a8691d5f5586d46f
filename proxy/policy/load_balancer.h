/* load_balancer.h - what a policy says of how an endpoint is chosen. The target's: rules have none,
 * for endpoints are not a rule's. Plain values; upstream/balancer.h does it. */
#ifndef OUTRIGGER_POLICY_LOAD_BALANCER_H
#define OUTRIGGER_POLICY_LOAD_BALANCER_H

#include "base/balance.h"
#include "base/mono.h"
#include "policy/token_bucket.h"

struct load_balancer_config {
    enum balance algorithm;
    struct key_config key; /* of ringHash, and then never KEY_NONE */
    dur_ns slow_start;     /* 0 = off; always 0 with ringHash */
};

#endif
