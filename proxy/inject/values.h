/* values.h - the words that annotations and --set take, checked and put into one spelling.
 *
 * Each reader takes the text as a person wrote it, adds the spelling that goes into the pod to
 * `out`, and returns NULL; or it returns false with what is wrong in `why`, and `out` is not to be
 * used. Lists are separated by commas, blanks around an entry do not matter, and the empty text is
 * the empty list. Example: value_read_ports(SPAN("22, 9000-9010"), &out, why) gives
 * "22,9000-9010". Pure; any thread. */
#ifndef OUTRIGGER_INJECT_VALUES_H
#define OUTRIGGER_INJECT_VALUES_H

#include "base/span.h"
#include "telemetry/text.h"

#include <stdbool.h>
#include <stdint.h>

#define VALUE_WHY_MAX 256

typedef bool value_read_fn(struct span value, struct text *out, char why[VALUE_WHY_MAX]);

bool value_read_port_ranges(struct span value, struct text *out, char why[VALUE_WHY_MAX]);
bool value_read_ports(struct span value, struct text *out, char why[VALUE_WHY_MAX]);
bool value_read_cidrs(struct span value, struct text *out, char why[VALUE_WHY_MAX]);
bool value_read_config_maps(struct span value, struct text *out, char why[VALUE_WHY_MAX]);
/* Names as Kubernetes wants them (RFC 1123 subdomains), each once, at most VALUE_LIST_MAX. */

bool value_read_image(struct span value, struct text *out, char why[VALUE_WHY_MAX]);
bool value_read_cpu(struct span value, struct text *out, char why[VALUE_WHY_MAX]);
bool value_read_memory(struct span value, struct text *out, char why[VALUE_WHY_MAX]);
/* A quantity, or "none", of which the spelling is "". */

#define VALUE_LIST_MAX 64

uint64_t value_quantity(struct span quantity);
/* What value_read_cpu or value_read_memory gave, in thousandths (of a core, of a byte), for
 * comparison; saturates. */

struct span value_list(const char *list);
bool value_next(struct span *list, struct span *entry);
/* struct span left = value_list("22,80"), entry; while (value_next(&left, &entry)) ...: each entry,
 * blanks cut off. */

#endif
