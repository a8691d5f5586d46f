/* lint_set.c - warnings about files together; see lint.h. */
#include "config/lint.h"
#include "config/policy_index.h"

#include <stdio.h>
#include <string.h>

/* The blocks that protect a caller; whether to retry or to limit a rate is a choice of its own. */
static const enum policy_family protecting[] = {
    POLICY_FAMILY_TIMEOUTS, POLICY_FAMILY_CIRCUIT_BREAKER, POLICY_FAMILY_BULKHEAD};

static bool is_on(const struct policy *policy, enum policy_family family)
{
    switch (family) {
    case POLICY_FAMILY_CIRCUIT_BREAKER: return policy->breaker.mode != POLICY_OFF;
    case POLICY_FAMILY_BULKHEAD: return policy->bulkhead.mode != POLICY_OFF;
    default: /* timeouts */ return policy->timeouts.request || policy->timeouts.backend_request;
    }
}

static struct place place_of(const struct document *document, const struct document_target *target)
{
    return (struct place){document->file, target->line, target->column, target->length};
}

/* Names the blocks that `wider` has and `document` says nothing about: "a, b and c". */
static void missing_blocks(const struct document *document, const struct document *wider, char *out,
                           size_t size)
{
    const char *names[sizeof protecting / sizeof *protecting];
    size_t count = 0, len = 0;
    for (size_t i = 0; i < sizeof protecting / sizeof *protecting; i++) {
        const char *at = document->policy.at[protecting[i]];
        if (is_on(&wider->policy, protecting[i]) && (at == NULL || *at == '\0'))
            names[count++] = policy_family_word(protecting[i]);
    }
    out[0] = '\0';
    for (size_t i = 0; i < count && len < size; i++) {
        const char *before = i == 0 ? "" : i + 1 == count ? " and " : ", ";
        len += (size_t)snprintf(out + len, size - len, "%s%s", before, names[i]);
    }
}

static void not_merged(const struct policy_set *set, const struct document *document,
                       struct diagnostics *diag)
{
    for (size_t i = 0; i < document->target_count; i++) {
        char blocks[96], path[64];
        const struct document_target *target = &document->targets[i];
        const struct document *wider = policy_set_find_wider(set, document, target);
        if (wider == NULL)
            continue;
        missing_blocks(document, wider, blocks, sizeof blocks);
        if (blocks[0] == '\0')
            continue;
        snprintf(path, sizeof path, "spec.targets[%zu]", i);
        diagnostics_add(diag, DIAG_NOT_MERGED, place_of(document, target), path,
                        "repeat them here; `mode: off` in a block says that it is meant so",
                        "documents are not merged: %s of \"%s\" do not hold for \"%s\"", blocks,
                        wider->name, target->host);
        diagnostics_relate(diag, place_of(wider, &wider->targets[0]),
                           "without this document, the wider one would hold");
        return; /* one for each document is enough */
    }
}

static bool has_port(const struct port_list *ports, uint16_t port)
{
    for (size_t i = 0; i < ports->count; i++)
        if (ports->items[i] == port)
            return true;
    return ports->count == 0;
}

/* A document that names the host of this upstream, though not its port. */
static void listener_misses(const struct policy_set *set, const struct listener_config *listener,
                            const struct document *document, struct diagnostics *diag)
{
    const struct address_config *upstream = &listener->upstream;
    for (size_t i = 0; i < document->target_count; i++) {
        const struct document_target *target = &document->targets[i];
        if (strcmp(target->host, upstream->host) != 0 || has_port(&target->ports, upstream->port))
            continue;
        const struct document *found =
            policy_set_find(set, span_of(upstream->host), upstream->port);
        if (found == document)
            continue;
        diagnostics_add(diag, DIAG_LISTENER_MISSES_POLICY, listener->upstream_place,
                        "spec.listeners", "add the port to the target, or leave its ports out",
                        "\"%s\" is for this host, but not for port %u: %s%s holds instead",
                        document->name, upstream->port, found ? "policy " : "no policy",
                        found ? found->name : "");
        diagnostics_relate(diag, place_of(document, target), "this target lists other ports");
        return;
    }
}

void lint_set(const struct policy_set *set, struct diagnostics *diag)
{
    for (size_t i = 0; i < set->document_count; i++)
        not_merged(set, &set->documents[i], diag);
    for (size_t i = 0; i < set->proxy.listener_count; i++)
        for (size_t j = 0; j < set->document_count; j++)
            listener_misses(set, &set->proxy.listeners[i], &set->documents[j], diag);
}
