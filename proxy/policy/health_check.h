/* health_check.h - is an endpoint healthy, by calls of our own to it: what a policy says of them,
 * and what their results prove. Consecutive results count, as in Kubernetes' and Envoy's checks;
 * the first one of all decides at once. Plain values, pure; request/health makes the calls.
 * Example: if (health_note(&check->state, cfg, is_good)) tell(check->state.health); */
#ifndef OUTRIGGER_POLICY_HEALTH_CHECK_H
#define OUTRIGGER_POLICY_HEALTH_CHECK_H

#include "base/codes.h"
#include "base/mono.h"
#include "policy/mode.h"

#include <stdbool.h>
#include <stdint.h>

enum health_check_type { HEALTH_CHECK_HTTP = 0, HEALTH_CHECK_GRPC, HEALTH_CHECK_TCP };

enum health_panic {                           /* when every endpoint is unhealthy */
                    HEALTH_PANIC_USE_ALL = 0, /* as if they were not */
                    HEALTH_PANIC_REFUSE,      /* the call is refused: no_endpoint */
};

struct health_check_config {
    enum policy_mode mode;
    enum health_check_type type;
    const char *path;      /* of HTTP */
    const char *host;      /* what is asked for; NULL: the target */
    const char *service;   /* of gRPC; "": the server as a whole */
    struct code_set codes; /* of HTTP: that are good */
    dur_ns interval;       /* from the end of one to the begin of the next, 10 % more or less */
    dur_ns timeout;
    uint32_t unhealthy_threshold;
    uint32_t healthy_threshold;
    enum health_panic panic;
};

enum health { HEALTH_UNKNOWN = 0, HEALTHY, UNHEALTHY };

struct health_state {
    enum health health;
    uint32_t against; /* results in a row that speak against it */
};

bool health_note(struct health_state *state, const struct health_check_config *cfg, bool is_good);
/* One more result. True: `state->health` is another than before. */

const char *health_word(enum health health);
/* "unknown", "healthy", "unhealthy" */

#endif
