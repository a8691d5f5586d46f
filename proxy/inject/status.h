/* status.h - the annotation outrigger.dev/status: what an injection added to a pod, so that it can
 * be taken away again, and what it was made from, so that it is not made twice.
 *
 * JSON: version, settings (a hash of what was added), the names in initContainers, containers and
 * volumes, env (container -> variables), annotations; and of what was not there before: created,
 * or null. Collections are named "metadata", "annotations", "initContainers", "volumes" and
 * "env/CONTAINER". Single-threaded, jansson's rules of memory. */
#ifndef OUTRIGGER_INJECT_STATUS_H
#define OUTRIGGER_INJECT_STATUS_H

#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>

#define STATUS_ANNOTATION "outrigger.dev/status"

json_t *status_new(void);
/* With this version, and empty lists. NULL without memory. */

bool status_name(json_t *status, const char *list, const char *name);
/* Adds to one of the lists. */

bool status_found(json_t *status, const char *collection, const json_t *before);
/* Notes that `before` (NULL: it was absent) was no collection yet; nothing where it was one. */

json_t *status_of(const json_t *meta, bool *is_there);
/* That of a pod's metadata, for json_decref; NULL where it is absent or not ours. */

enum err status_undo(const json_t *status, const json_t *meta, const json_t *spec,
                     const char *prefix, json_t *patch) MUST_CHECK;
/* Adds what takes everything away that `status` names, as inject_undo says. */

#endif
