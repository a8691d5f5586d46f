/* manifest_scalar.h - what a scalar of YAML is: null, a bool, a number or a text.
 *
 * As Kubernetes' own reader has it (YAML 1.1: yes and on are true), but for numbers that nobody
 * writes where we look: octal, hexadecimal, 1_000 and infinity stay texts. Pure. */
#ifndef OUTRIGGER_INJECT_MANIFEST_SCALAR_H
#define OUTRIGGER_INJECT_MANIFEST_SCALAR_H

#include "base/span.h"

#include <jansson.h>

json_t *manifest_scalar(struct span text, bool is_plain, const char *tag);
/* `tag` is NULL for none. A new value; NULL without memory. */

bool manifest_scalar_is_word(struct span text);
/* Would it, written plainly, be something else than a text? */

#endif
