/* inject_driver.h - pods written as JSON with single quotes, for tests of an injection. */
#ifndef INJECT_DRIVER_H
#define INJECT_DRIVER_H

#include "inject/inject.h"

#include <jansson.h>

json_t *json_of(const char *text);
/* 'a' stands for "a". For json_decref. */

struct inject_result inject_of(const char *pod, const char *const *settings);
/* `pod` has metadata and spec; `settings` are "key=value", ending with NULL, or NULL. For
 * inject_result_fini. */

json_t *patched(const char *pod, const struct inject_result *result);
/* The pod with the patch applied. */

#endif
