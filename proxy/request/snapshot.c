/* snapshot.c - see snapshot.h. */
#include "request/snapshot.h"

#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

#define SNAPSHOT_MAGIC 0x54a95407u

/* Documents are told apart by namespace and name. */
static char *name_of(const struct document *document)
{
    const bool has_namespace = document->namespace[0] != '\0';
    char *name;
    if (asprintf(&name, "%s%s%s", document->namespace, has_namespace ? "/" : "", document->name) <
        0)
        return NULL;
    return name;
}

static void fill_plan(struct snapshot *snapshot, size_t index, struct plan_rule *rules)
{
    const struct document *document = &snapshot->set->documents[index];
    for (size_t i = 0; i < document->rule_count; i++)
        rules[i] = (struct plan_rule){document->rules[i].name, &document->rules[i].policy};
    snapshot->plans[index] = (struct plan){.policy_name = snapshot->names[index],
                                           .policy = &document->policy,
                                           .rules = rules,
                                           .rule_count = document->rule_count,
                                           .snapshot = snapshot};
}

static bool make_names(struct snapshot *snapshot, const struct policy_set *set)
{
    snapshot->names = calloc(set->document_count + 1, sizeof(char *)); /* ends with a NULL */
    for (size_t i = 0; snapshot->names != NULL && i < set->document_count; i++)
        if ((snapshot->names[i] = name_of(&set->documents[i])) == NULL)
            return false;
    return snapshot->names != NULL;
}

static void fill_plans(struct snapshot *snapshot)
{
    const struct policy_set *set = snapshot->set;
    struct plan_rule *rules = snapshot->rules;
    for (size_t i = 0; i < set->document_count; i++) {
        fill_plan(snapshot, i, rules);
        rules += set->documents[i].rule_count;
    }
    snapshot->plans[set->document_count] =
        (struct plan){.policy_name = "", .policy = &set->no_policy, .snapshot = snapshot};
}

struct snapshot *snapshot_new(struct policy_set **set, struct tls_clients **tls)
{
    struct snapshot *snapshot = calloc(1, sizeof *snapshot);
    if (snapshot == NULL)
        return NULL;
    snapshot->magic = SNAPSHOT_MAGIC;
    snapshot->refs = 1;
    snapshot->plans = calloc((*set)->document_count + 1, sizeof *snapshot->plans);
    snapshot->rules = calloc((*set)->rule_count + 1, sizeof *snapshot->rules);
    if (snapshot->plans == NULL || snapshot->rules == NULL || !make_names(snapshot, *set)) {
        snapshot_unref(&snapshot);
        return NULL;
    }
    snapshot->set = *set;
    *set = NULL;
    snapshot->tls = *tls;
    *tls = NULL;
    fill_plans(snapshot);
    return snapshot;
}

struct snapshot *snapshot_ref(struct snapshot *snapshot)
{
    CHECK_OBJ(snapshot, SNAPSHOT_MAGIC);
    snapshot->refs++;
    return snapshot;
}

void snapshot_unref(struct snapshot **taken)
{
    struct snapshot *snapshot = *taken;
    *taken = NULL;
    if (snapshot == NULL)
        return;
    CHECK_OBJ(snapshot, SNAPSHOT_MAGIC);
    if (--snapshot->refs > 0)
        return;
    policy_set_unref(&snapshot->set);
    tls_clients_free(&snapshot->tls);
    free(snapshot->plans);
    free(snapshot->rules);
    for (char **name = snapshot->names; name != NULL && *name != NULL; name++)
        free(*name);
    free(snapshot->names);
    snapshot->magic = 0;
    free(snapshot);
}

const struct plan *snapshot_plan(const struct snapshot *snapshot, const struct document *document)
{
    return &snapshot->plans[document ? document->index : snapshot->set->document_count];
}
