/* patch.h - JSON Patch (RFC 6902) as far as an injection needs it: add, remove, replace; and the
 * pointers in it (RFC 6901).
 *
 * Example: patch_add(patch, "/spec/template", "/spec/volumes/-", volume). Values are taken over.
 * jansson's rules of memory. Pure; any thread. */
#ifndef OUTRIGGER_INJECT_PATCH_H
#define OUTRIGGER_INJECT_PATCH_H

#include "base/err.h"
#include "base/span.h"

#include <jansson.h>
#include <stdbool.h>

#define POINTER_TOKEN_MAX 512 /* bytes; a key of Kubernetes has at most 253 + 1 + 63 */

bool patch_add(json_t *patch, const char *prefix, const char *path, json_t *value);
bool patch_replace(json_t *patch, const char *prefix, const char *path, json_t *value);
bool patch_remove(json_t *patch, const char *prefix, const char *path);
/* One operation at prefix + path, behind the others. `value` is consumed, also on failure. False
 * without memory, or where `value` is NULL. */

void pointer_escape(const char *key, char *out, size_t size);
/* "a/b" is "a~1b"; cut to `size`. */

bool pointer_next(struct span *pointer, char token[POINTER_TOKEN_MAX]);
/* Takes the first token off, unescaped; false at the end, or at one that is too long. */

bool pointer_index(const char *token, size_t *index);
/* "0", "17"; nothing else. */

enum err patch_apply(json_t **document, const json_t *patch) MUST_CHECK;
/* Changes *document (which may become another value) in place; values are copied into it.
 * ERR_INVALID: an operation does not fit, and those before it are done. ERR_NO_MEMORY. */

#endif
