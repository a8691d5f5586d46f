/* ip.h - IP literals as text, without a socket header: is it one, is it loopback, and one spelling
 * for each. IPv6 may be written in many ways (RFC 4291 section 2.2); hosts are compared in the form
 * of RFC 5952. */
#ifndef OUTRIGGER_CONFIG_IP_H
#define OUTRIGGER_CONFIG_IP_H

#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

#define IP_TEXT_MAX 48

bool ipv4_parse(struct span text, uint8_t out[4]);
/* Four decimal numbers, without leading zeros (which some read as octal). */

bool ipv6_parse(struct span text, uint8_t out[16]);
/* Without brackets and without a zone. */

struct span ipv6_format(const uint8_t ip[16], char out[IP_TEXT_MAX]);
/* RFC 5952: lower case, no leading zeros, the longest run of zeros as "::". */

#endif
