/* janitor.h - what has to be done now and then: idle connections, the memory watermark, the end of
 * a drain. One timer, once a second (ten times a second in a drain). Loop thread only. */
#ifndef OUTRIGGER_REQUEST_JANITOR_H
#define OUTRIGGER_REQUEST_JANITOR_H

#include "request/proxy.h"

#define DOWNSTREAM_IDLE                                                                            \
    (60 * 60 * NS_PER_S) /* callers keep pools: closing first would race with their next request   \
                          */
#define DRAIN_QUIET (2 * NS_PER_S) /* POLICY section 6: idle for this long ends `serve` */

void janitor_start(struct proxy *proxy);
void janitor_stop(struct proxy *proxy);

#endif
