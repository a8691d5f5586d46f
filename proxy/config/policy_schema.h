/* policy_schema.h - the tables of both kinds of document, and what turns a tree into a struct by
 * them. */
#ifndef OUTRIGGER_CONFIG_POLICY_SCHEMA_H
#define OUTRIGGER_CONFIG_POLICY_SCHEMA_H

#include "config/policy_set.h"
#include "config/schema.h"

#define API_VERSION "outrigger.dev/v1alpha1"
#define KIND_POLICY "ResiliencePolicy"
#define KIND_PROXY "ProxyConfig"

struct family { /* one of the six blocks that a document and its rules may have */
    const struct block *block;
    size_t offset; /* in struct policy */
};

extern const struct block timeouts_block; /* struct timeouts_config, and so on */
extern const struct block retry_block;
extern const struct block breaker_block;
extern const struct block bulkhead_block;
extern const struct block rate_limit_block;
extern const struct block outlier_block;
extern const struct block tls_block;             /* struct tls_config */
extern const struct block discovery_block;       /* struct discovery_config */
extern const struct block selector_block;        /* struct selector_config */
extern const struct block connection_pool_block; /* struct connection_pool_config */
extern const struct block health_check_block;    /* struct health_check_config */
extern const struct block load_balancer_block;   /* of a document alone */
extern const struct family policy_families[POLICY_FAMILY_COUNT];
extern const struct block policy_document_block; /* struct document */
extern const struct block proxy_document_block;  /* struct proxy_config */

void policy_defaults(struct decoder *decoder, struct policy *policy);
/* What holds where no block is present. */

bool policy_document_decode(struct decoder *decoder, const struct node *root,
                            struct document *document);
/* A ResiliencePolicy, with each rule's fields laid over the document's, and warnings for what
 * cannot work. False when something was wrong (said) or memory ran out (decoder->err). */

bool proxy_document_decode(struct decoder *decoder, const struct node *root,
                           struct proxy_config *proxy);
/* A ProxyConfig. */

bool proxy_spec_decode(struct decoder *decoder, const struct node *spec,
                       struct proxy_config *proxy);
/* One without a document around it; `spec` may be NULL: all defaults. */

#endif
