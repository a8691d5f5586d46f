/* guard.h - may this request in? What the admin server asks beyond what libh2o does. Pure functions
 * over bytes. */
#ifndef OUTRIGGER_ADMIN_GUARD_H
#define OUTRIGGER_ADMIN_GUARD_H

#include "admin/admin.h"
#include "base/err.h"
#include "base/span.h"

#include <stdbool.h>

bool guard_framing_is_plain(struct span head);
/* Does the raw request head say in exactly one way where the body ends? Two Content-Lengths, or one
 * beside a Transfer-Encoding, are how requests are smuggled past whoever reads the other one;
 * libh2o takes the last. */

bool guard_host_is_local(struct span host);
/* "localhost", or an address: not a name that an attacker's DNS could point at us (DNS rebinding).
 */

bool guard_origin_is_own(struct span origin, struct span host);
/* Does a web page's Origin name this very host? Any page may POST a form anywhere (cross-site
 * request forgery). */

bool guard_token_matches(struct span authorization, const char *token);
/* "Bearer TOKEN"; takes the same time wherever they differ. */

enum err guard_read_action(struct span body, enum admin_action *action) MUST_CHECK;
/* {"action": "close"} or action=close; ERR_INVALID for anything else, further members included. */

enum err guard_decode_id(struct span raw, char id[ADMIN_ID_MAX + 1]) MUST_CHECK;
/* A circuit's id out of a URL's path; ERR_TOO_LARGE past ADMIN_ID_MAX, ERR_INVALID for a bad
 * escape, a NUL, or none. */

#endif
