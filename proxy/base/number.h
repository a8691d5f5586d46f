/* number.h - whole numbers as arguments write them. Example: if (!number_parse(SPAN("15001"), 1,
 * 65535, &port)) refuse(). Pure, any thread. */
#ifndef OUTRIGGER_BASE_NUMBER_H
#define OUTRIGGER_BASE_NUMBER_H

#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

bool number_parse(struct span text, uint32_t lowest, uint32_t highest, uint32_t *out);
/* Decimal digits only, no leading zero (which some read as octal). False when it is none or out of
 * bounds. */

bool number_parse_hex(struct span text, uint32_t lowest, uint32_t highest, uint32_t *out);
/* "0x539"; or decimal, as above. */

#endif
