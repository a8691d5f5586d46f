/* snapshot.h - one loaded configuration, as the loop uses it: the policy set and a plan for each
 * document.
 *
 * Immutable; a reload makes a new one and swaps it in at a turn's start. Lanes (and so calls) hold
 * references: a call ends under the policy that it began with. Loop thread only. */
#ifndef OUTRIGGER_REQUEST_SNAPSHOT_H
#define OUTRIGGER_REQUEST_SNAPSHOT_H

#include "call/target.h"
#include "config/policy_set.h"
#include "request/tls_clients.h"

#include <stdint.h>

struct snapshot {
    uint32_t magic;
    uint32_t refs;
    struct policy_set *set; /* a reference */
    struct plan *plans;     /* one per document, and a last one for hosts that no document names */
    struct plan_rule *rules;
    char **names;            /* of the plans: "shop/payments", or "payments" without a namespace */
    struct tls_clients *tls; /* owned; NULL: no document speaks TLS */
};

struct snapshot *snapshot_new(struct policy_set **set, struct tls_clients **tls);
/* Consumes the reference *set, and *tls (which may be NULL). NULL, and nothing consumed, without
 * memory. One reference. */

struct snapshot *snapshot_ref(struct snapshot *snapshot);
void snapshot_unref(struct snapshot **snapshot);

const struct plan *snapshot_plan(const struct snapshot *snapshot, const struct document *document);
/* The plan of a document of this snapshot; NULL: of no document. */

#endif
