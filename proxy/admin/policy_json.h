/* policy_json.h - effective fields as members of a JSON object: numbers and booleans as such, lists
 * as arrays, what is not named as null, all else as the text that a user would write. For /policies
 * and for the commands that print the same. */
#ifndef OUTRIGGER_ADMIN_POLICY_JSON_H
#define OUTRIGGER_ADMIN_POLICY_JSON_H

#include "config/effective.h"
#include "telemetry/text.h"

void policy_json_value(struct text *out, const struct effective_field *field);

void policy_json_member(const struct effective_field *field, void *text);
/* An effective_visitor: "path":value, with a comma before it unless it is the first of an object
 * (after a '{'). `text` is a struct text. */

void policy_put_match(struct text *out, const struct match *match);
/* What a call must be like, in words: "path under /v1/charge, method POST"; not escaped. */

void policy_put_grpc(struct text *out, const struct match *match);
/* "shop.Quotes/Get"; a part that may be anything is a *. */

#endif
