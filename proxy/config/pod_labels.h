/* pod_labels.h - the labels of the pod that the proxy stands in, as Kubernetes writes them into a
 * file of a downwardAPI volume: one `key="value"` a line. What spec.selector of a policy is asked
 * of. Read-only once parsed; the texts live in the arena. */
#ifndef OUTRIGGER_CONFIG_POD_LABELS_H
#define OUTRIGGER_CONFIG_POD_LABELS_H

#include "base/arena.h"
#include "base/err.h"
#include "base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POD_LABELS_MAX 1024 /* Kubernetes itself allows no more than fit into 256 KiB */

struct pod_label {
    struct span key;
    struct span value;
};

struct pod_labels {
    bool is_known; /* false: the proxy was not told of any file, so no selector holds */
    const struct pod_label *items;
    size_t count;
};

enum err pod_labels_parse(struct arena *arena, struct span text, struct pod_labels *out,
                          uint32_t *bad_line) MUST_CHECK;
/* ERR_INVALID: `bad_line` (from 1) is no `key="value"`, or one too many. ERR_NO_MEMORY. */

const struct pod_label *pod_labels_find(const struct pod_labels *labels, struct span key);
/* NULL where there is none. */

#endif
