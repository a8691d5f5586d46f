/* retry_after.h - how long an upstream asks us to wait (RFC 9110 section 10.2.3), seconds or a
 * date. Pure. */
#ifndef OUTRIGGER_HTTP_RETRY_AFTER_H
#define OUTRIGGER_HTTP_RETRY_AFTER_H

#include "base/mono.h"
#include "base/span.h"

#include <stdint.h>

dur_ns retry_after_from(struct span value, int64_t wall_s);
/* The wait from `wall_s` (seconds since 1970) on. 0 when absent, malformed, or a date that has
 * passed. Saturates. */

#endif
