/* selector_config.h - the `selector` block of a policy: which pods it is for, as a LabelSelector of
 * Kubernetes says it. Plain values of the policy set's arena. */
#ifndef OUTRIGGER_CONFIG_SELECTOR_CONFIG_H
#define OUTRIGGER_CONFIG_SELECTOR_CONFIG_H

#include "config/pod_labels.h"

#include <stdbool.h>
#include <stddef.h>

enum selector_operator {
    SELECTOR_IN = 0, /* the label is there, with one of the values */
    SELECTOR_NOT_IN, /* it is not there, or with another value */
    SELECTOR_EXISTS,
    SELECTOR_DOES_NOT_EXIST,
};

struct selector_expression {
    const char *key;
    int operator;              /* enum selector_operator */
    const char *const *values; /* ends with NULL; NULL: none */
};

struct selector_config { /* all that is named must hold */
    bool is_present;
    const struct pod_label *labels;
    size_t label_count;
    const struct selector_expression *expressions;
    size_t expression_count;
};

bool selector_holds(const struct selector_config *cfg, const struct pod_labels *labels);
/* True for every pod where the block is absent or empty; false where it names something and no
 * labels are known. */

#endif
