/* http_date.h - dates of HTTP (RFC 9110 section 5.6.7), without the C library's locale and zones.
 * Pure. */
#ifndef OUTRIGGER_HTTP_HTTP_DATE_H
#define OUTRIGGER_HTTP_HTTP_DATE_H

#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

#define HTTP_DATE_LEN 29 /* "Sun, 06 Nov 1994 08:49:37 GMT" */

void http_date_write(int64_t wall_s, char buf[HTTP_DATE_LEN]);
/* IMF-fixdate, no NUL. Times outside the years 1970..9999 are written as the nearest of these. */

bool http_date_is_valid(struct span text, int64_t wall_s, int64_t *parsed_s);
/* Is `text` a date in one of the three forms (IMF-fixdate, RFC 850, asctime)? Then `*parsed_s` is
 * it. `wall_s` (now) says which century a two-digit year is in: a date more than 50 years ahead is
 * of the past. */

#endif
