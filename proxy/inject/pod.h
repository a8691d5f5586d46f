/* pod.h - a pod as it is handed to an injection: may it be done, and with which settings?
 * Everything that is found wrong is told to `warnings`, in words that name the field. Pure but for
 * memory; any thread. */
#ifndef OUTRIGGER_INJECT_POD_H
#define OUTRIGGER_INJECT_POD_H

#include "inject/settings.h"
#include "inject/warnings.h"

#include <jansson.h>
#include <stdbool.h>

struct pod {
    const json_t *meta; /* NULL: left out; also where it is null */
    const json_t *spec;
};

bool pod_is_whole(const struct pod *pod, struct inject_warnings *warnings);
/* Has it the shape of a pod, as far as an injection looks at it? */

bool pod_is_opted_out(const struct pod *pod);
/* By label or annotation outrigger.dev/inject: "false". */

enum err pod_settings(const struct pod *pod, struct inject_settings *settings,
                      struct inject_warnings *warnings) MUST_CHECK;
/* Lays its annotations over `settings`. ERR_INVALID: one of them is refused, said. */

bool pod_may_be_injected(const struct pod *pod, const struct inject_settings *settings,
                         struct inject_warnings *warnings);
/* Is there anything in it that our containers cannot live beside? */

bool pod_is_injected_by_hand(const struct pod *pod, struct inject_warnings *warnings);
/* Are there names of ours in it? To be asked of a pod without a status annotation. */

const char *pod_item_name(const json_t *item);
/* Of a container or volume; "" without one. */

#endif
