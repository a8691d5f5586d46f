/* scalar.h - the words of a config file: durations, sizes, percentages, numbers, names. Pure. */
#ifndef OUTRIGGER_CONFIG_SCALAR_H
#define OUTRIGGER_CONFIG_SCALAR_H

#include "base/mono.h"
#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

bool duration_parse(struct span text, dur_ns *out);
/* GEP-2257: ([0-9]{1,5}(h|m|s|ms)){1,4}, nothing else: no fraction, no sign, no bare 0. */

void duration_format(dur_ns value, char *out, size_t size);
/* The shortest GEP-2257 text for whole milliseconds: 90 s is "1m30s"; 0 is "0s". */

bool size_parse(struct span text, uint64_t *out);
/* 65536, 64KiB, 8MiB, 1GiB. */

void size_format(uint64_t value, char *out, size_t size);

bool count_parse(struct span text, uint64_t *out);
/* Decimal digits only. */

bool percent_parse(struct span text, unsigned decimals, uint64_t *out);
/* A number with at most `decimals` digits after the point, scaled by 10^decimals: ("12.5", 1) is
 * 125. */

size_t word_distance(struct span a, struct span b);
/* Edits that turn one into the other, ignoring case (optimal string alignment: a swap of neighbours
 * is one). SIZE_MAX for words of more than 40 bytes: no key of ours is that long, and the work
 * stays bounded. */

bool word_is_near(struct span typed, struct span known, size_t *distance);
/* Near enough to ask "did you mean": at most a third of the longer one is different. */

bool token_is_valid(struct span text);
/* A token of RFC 9110 section 5.6.2: a method, the name of a field. */

#endif
