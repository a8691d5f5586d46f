/* outlier.h - one bad endpoint of many: how it is judged, and how many may be left out at a time.
 *
 * Each endpoint has a breaker of its own: OPEN is ejected (the balancer passes it by), HALF_OPEN
 * lets one probe through, so an ejection ends by a good answer and never by time alone. Who would
 * trip while as many are ejected as may be stays (breaker_hold): a fault that all endpoints share
 * is no outlier, and is the circuit breaker's to answer.
 * Example: most = outlier_most(&cfg, 10);  // maxEjectionPercent: 50 -> 5
 * Plain values, pure. After Envoy's outlier detection, with probes in place of its timer. */
#ifndef OUTRIGGER_POLICY_OUTLIER_H
#define OUTRIGGER_POLICY_OUTLIER_H

#include "policy/breaker.h"

#include <stdint.h>

enum outlier_panic {                            /* when every endpoint is ejected */
                     OUTLIER_PANIC_USE_ALL = 0, /* ejections are ignored: any may be tried */
                     OUTLIER_PANIC_REFUSE,      /* the call is refused, as by an open circuit */
};

struct outlier_config {
    struct breaker_config breaker; /* of one endpoint; first, and its mode is the block's */
    uint32_t max_ejection_permille;
    enum outlier_panic panic;
};

uint32_t outlier_most(const struct outlier_config *cfg, uint32_t endpoints);
/* How many of them may be ejected at the same time: the share, rounded down, but one of two or
 * more; none of a single one, for then there is nobody else; none when the share is 0. */

#endif
