/* policy_checks.h - what no single row of the tables can say: fields that depend on each other.
 * Each is the `finish` of a block (schema.h): called after its fields were read, with the struct
 * that they are in. */
#ifndef OUTRIGGER_CONFIG_POLICY_CHECKS_H
#define OUTRIGGER_CONFIG_POLICY_CHECKS_H

#include "config/schema.h"

#include <stdbool.h>

struct breaker_config;

void timeouts_finish(struct decoder *decoder, const struct node *node, void *out, bool is_good);
/* `mode: off` is as if the block were not there: the limits that hold by themselves come back. */

void retry_finish(struct decoder *decoder, const struct node *node, void *out, bool is_good);
void breaker_finish(struct decoder *decoder, const struct node *node, void *out, bool is_good);
void outlier_finish(struct decoder *decoder, const struct node *node, void *out, bool is_good);
/* A cap that is left out is at least what it caps; one that is named below it is an error. */

void selector_finish(struct decoder *decoder, const struct node *node, void *out, bool is_good);
/* Keeps matchLabels. */

void discovery_finish(struct decoder *decoder, const struct node *node, void *out, bool is_good);
/* Reads the file that it names. */

void connection_pool_finish(struct decoder *decoder, const struct node *node, void *out,
                            bool is_good);
void health_check_finish(struct decoder *decoder, const struct node *node, void *out, bool is_good);
void tls_finish(struct decoder *decoder, const struct node *node, void *out, bool is_good);
void rate_limit_finish(struct decoder *decoder, const struct node *node, void *out, bool is_good);
/* `burst` left out is `requests`; the arithmetic of the bucket must fit into 63 bits. */

void grpc_match_finish(struct decoder *decoder, const struct node *node, void *out, bool is_good);
void match_finish(struct decoder *decoder, const struct node *node, void *out, bool is_good);
void rule_finish(struct decoder *decoder, const struct node *node, void *out, bool is_good);
void target_finish(struct decoder *decoder, const struct node *node, void *out, bool is_good);
void metadata_finish(struct decoder *decoder, const struct node *node, void *out, bool is_good);

void breaker_window_check(struct decoder *decoder, const struct node *layer,
                          const struct breaker_config *cfg);
/* `layer` is the block as one place of the file has it: naming `window` there while the rates look
 * back over `calls` has no effect, so it is refused. */

#endif
