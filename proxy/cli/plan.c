/* plan.c - the values of a plan; see plan.h. What becomes of live state: plan_state.c. */
#include "cli/plan.h"

#include "admin/policies.h"
#include "cli/terminal.h"

#include <stdlib.h>
#include <string.h>

#define POLICIES_MAX ((size_t)64 << 20)
#define LABEL_MAX 160

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

void plan_label(const json_t *document, char *out, size_t size)
{
    const char *namespace = text_of(document, "namespace");
    snprintf(out, size, "%s%s%s", namespace, *namespace ? "/" : "", text_of(document, "name"));
}

json_t *plan_document(const json_t *policies, const char *label)
{
    size_t i;
    json_t *document;
    json_array_foreach(json_object_get(policies, "policies"), i, document)
    {
        char found[LABEL_MAX];
        plan_label(document, found, sizeof found);
        if (strcmp(found, label) == 0)
            return document;
    }
    return NULL;
}

json_t *plan_rule(const json_t *document, const char *name)
{
    size_t i;
    json_t *rule;
    json_array_foreach(json_object_get(document, "rules"), i,
                       rule) if (strcmp(text_of(rule, "name"), name) == 0) return rule;
    return NULL;
}

const json_t *plan_field(const json_t *document, const json_t *rule, const char *path)
{
    const json_t *own = json_object_get(json_object_get(rule, "fields"), path);
    return own ? own : json_object_get(json_object_get(document, "fields"), path);
}

/* ---- what changes ---- */

struct sides {
    const json_t *before; /* documents, NULL where there is none */
    const json_t *after;
    const json_t *rule_before;
    const json_t *rule_after;
    const char *label;
    const char *rule_name; /* NULL: of the document itself */
    json_t *changes;
};

static bool is_same(const json_t *a, const json_t *b)
{
    return a == b || (a && b && json_equal(a, b));
}

static void add_change(const struct sides *sides, const char *path, const json_t *before,
                       const json_t *after)
{
    const bool is_proxy = sides->label == NULL;
    json_t *change = json_pack("{s:s?, s:s?, s:s, s:O?, s:O?, s:b}", "document", sides->label,
                               "rule", sides->rule_name, "field", path, "before", before, "after",
                               after, "needsRestart", is_proxy && strncmp(path, "log.", 4) != 0);
    json_array_append_new(sides->changes, change);
}

/* A rule that has the block itself repeats what its document says: a change of that is said once.
 */
static bool is_inherited(const struct sides *sides, const char *path, const json_t *before,
                         const json_t *after)
{
    return sides->rule_name && is_same(before, plan_field(sides->before, NULL, path)) &&
           is_same(after, plan_field(sides->after, NULL, path));
}

static void compare_field(const struct sides *sides, const char *path)
{
    const json_t *before = plan_field(sides->before, sides->rule_before, path);
    const json_t *after = plan_field(sides->after, sides->rule_after, path);
    if (!is_same(before, after) && !is_inherited(sides, path, before, after))
        add_change(sides, path, before, after);
}

static void compare_fields(const struct sides *sides, const json_t *old_owner,
                           const json_t *new_owner)
{
    json_t *old_fields = json_object_get(old_owner, "fields");
    json_t *new_fields = json_object_get(new_owner, "fields");
    const char *path;
    json_t *value;
    json_object_foreach(new_fields, path, value) compare_field(sides, path);
    json_object_foreach(old_fields, path, value)
    {
        if (json_object_get(new_fields, path) == NULL)
            compare_field(sides, path);
    }
}

/* [{"host": "a", "ports": [1, 2]}] -> ["a:1", "a:2"]. */
static json_t *targets_of(const json_t *document)
{
    json_t *names = json_array(), *target, *port;
    size_t i, k;
    json_array_foreach(json_object_get(document, "targets"), i, target)
    {
        const json_t *ports = json_object_get(target, "ports");
        const char *host = text_of(target, "host");
        const char *format = strchr(host, ':') ? "[%s]:%lld" : "%s:%lld";
        json_array_foreach(ports, k, port) json_array_append_new(
            names, json_sprintf(format, host, (long long)json_integer_value(port)));
        if (json_array_size(ports) == 0)
            json_array_append(names, json_object_get(target, "host"));
    }
    return names;
}

static void compare_targets(const struct sides *sides)
{
    json_t *before = targets_of(sides->before), *after = targets_of(sides->after);
    if (!is_same(before, after))
        add_change(sides, "targets", before, after);
    json_decref(before);
    json_decref(after);
}

static void compare_matches(const struct sides *sides)
{
    const json_t *before = json_object_get(sides->rule_before, "matches");
    const json_t *after = json_object_get(sides->rule_after, "matches");
    if (!is_same(before, after))
        add_change(sides, "matches", before, after);
}

static json_t *rule_names(const json_t *document, const json_t *other)
{
    json_t *names = json_array(), *rule;
    size_t i;
    json_array_foreach(json_object_get(document, "rules"), i, rule)
    {
        if (plan_rule(other, text_of(rule, "name")))
            json_array_append(names, json_object_get(rule, "name"));
    }
    return names;
}

/* The first rule that matches wins: their order is a value, too. */
static void compare_order(const struct sides *sides)
{
    json_t *before = rule_names(sides->before, sides->after);
    json_t *after = rule_names(sides->after, sides->before);
    if (!is_same(before, after))
        add_change(sides, "order of rules", before, after);
    json_decref(before);
    json_decref(after);
}

static void note(json_t *list, const char *label, const char *rule, const char *change,
                 const json_t *owner)
{
    json_array_append_new(list, json_pack("{s:s, s:s?, s:s, s:s}", "document", label, "rule", rule,
                                          "change", change, "at", text_of(owner, "at")));
}

static void compare_rules(struct sides sides, json_t *rules)
{
    size_t i;
    json_t *rule;
    json_array_foreach(json_object_get(sides.after, "rules"), i, rule)
    {
        sides.rule_name = text_of(rule, "name");
        sides.rule_after = rule;
        sides.rule_before = plan_rule(sides.before, sides.rule_name);
        if (sides.rule_before)
            compare_matches(&sides);
        else
            note(rules, sides.label, sides.rule_name, "added", rule);
        compare_fields(&sides, sides.rule_before, rule);
    }
    json_array_foreach(json_object_get(sides.before, "rules"), i, rule)
    {
        if (plan_rule(sides.after, text_of(rule, "name")) == NULL)
            note(rules, sides.label, text_of(rule, "name"), "removed", rule);
    }
    sides.rule_name = NULL;
    compare_order(&sides);
}

static void compare_documents(const json_t *running, const json_t *wanted, json_t *plan)
{
    json_t *documents = json_object_get(plan, "documents");
    json_t *rules = json_object_get(plan, "rules");
    char label[LABEL_MAX];
    size_t i;
    json_t *document;
    json_array_foreach(json_object_get(wanted, "policies"), i, document)
    {
        plan_label(document, label, sizeof label);
        struct sides sides = {.before = plan_document(running, label),
                              .after = document,
                              .label = label,
                              .changes = json_object_get(plan, "changes")};
        if (sides.before == NULL) {
            note(documents, label, NULL, "added", document);
            continue;
        }
        compare_targets(&sides);
        compare_fields(&sides, sides.before, document);
        compare_rules(sides, rules);
    }
    json_array_foreach(json_object_get(running, "policies"), i, document)
    {
        plan_label(document, label, sizeof label);
        if (plan_document(wanted, label) == NULL)
            note(documents, label, NULL, "removed", document);
    }
}

static void compare_proxies(const json_t *running, const json_t *wanted, json_t *plan)
{
    struct sides sides = {.before = json_object_get(running, "proxy"),
                          .after = json_object_get(wanted, "proxy"),
                          .changes = json_object_get(plan, "changes")};
    compare_fields(&sides, sides.before, sides.after);
}

/* The wanted side says it with the words of the running one. */
static json_t *describe(const struct policy_set *set)
{
    struct policies_walk walk = {.set = set};
    struct text text;
    text_init(&text, POLICIES_MAX);
    while (!policies_write(&walk, &text, UINT32_MAX))
        ;
    json_t *described = text.is_broken ? NULL : json_loadb(text.data, text.len, 0, NULL);
    text_fini(&text);
    return described;
}

json_t *plan_new(const json_t *running, const json_t *instances, const struct policy_set *wanted)
{
    json_t *described = describe(wanted);
    json_t *plan = json_pack("{s:s, s:s, s:[], s:[], s:[]}", "running", text_of(running, "hash"),
                             "files", wanted->hash, "documents", "rules", "changes");
    if (described && plan) {
        compare_proxies(running, described, plan);
        compare_documents(running, described, plan);
        json_object_set_new(plan, "instances",
                            plan_instances(running, described, instances, wanted));
    } else {
        json_decref(plan);
        plan = NULL;
    }
    json_decref(described);
    return plan;
}

/* ---- for people ---- */

static void print_value(const json_t *value, FILE *out)
{
    size_t i;
    json_t *item;
    if (value == NULL || json_is_null(value)) {
        fputs("nothing", out);
    } else if (json_is_string(value)) {
        fputs(json_string_value(value), out);
    } else if (json_is_array(value)) {
        fputc('[', out);
        json_array_foreach(value, i, item)
        {
            fputs(i > 0 ? ", " : "", out);
            print_value(item, out);
        }
        fputc(']', out);
    } else {
        json_dumpf(value, out, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
    }
}

static void print_heading(const char *heading, const json_t *list, FILE *out)
{
    if (json_array_size(list) > 0)
        fprintf(out, "\n%s\n", heading);
}

static void print_notes(const json_t *list, FILE *out)
{
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item)
    {
        const char *rule = text_of(item, "rule");
        fprintf(out, "  %c %s%s%s (%s)\n", *text_of(item, "change") == 'a' ? '+' : '-',
                text_of(item, "document"), *rule ? "." : "", rule, text_of(item, "at"));
    }
}

static void print_change(const json_t *change, FILE *out)
{
    const char *document = text_of(change, "document"), *rule = text_of(change, "rule");
    fprintf(out, "  %s%s%s: %s ", *document ? document : "ProxyConfig", *rule ? "." : "", rule,
            text_of(change, "field"));
    print_value(json_object_get(change, "before"), out);
    fputs(" \xe2\x86\x92 ", out); /* an arrow */
    print_value(json_object_get(change, "after"), out);
    fputs(json_is_true(json_object_get(change, "needsRestart")) ? " (needs a restart)\n" : "\n",
          out);
}

static void print_instance(const json_t *instance, FILE *out)
{
    size_t i;
    json_t *part;
    json_array_foreach(json_object_get(instance, "parts"), i, part)
    {
        const char *now = text_of(part, "now"), *why = text_of(part, "why");
        fprintf(out, "  %s %s: %s%s%s%s %s%s%s\n", text_of(instance, "target"),
                text_of(instance, "instance"), text_of(part, "part"), *now ? " (" : "", now,
                *now ? ")" : "", text_of(part, "outcome"), *why ? ": " : "", why);
    }
}

static void print_plan(const json_t *plan, const char *url, FILE *out)
{
    const json_t *documents = json_object_get(plan, "documents");
    const json_t *rules = json_object_get(plan, "rules");
    const json_t *changes = json_object_get(plan, "changes");
    const json_t *instances = json_object_get(plan, "instances");
    size_t i;
    json_t *item;
    fprintf(out, "plan of a reload of %s, which runs %s; the files are %s\n", url,
            text_of(plan, "running"), text_of(plan, "files"));
    if (strcmp(text_of(plan, "running"), text_of(plan, "files")) == 0) {
        fputs("the same bytes: a reload does nothing\n", out);
        return;
    }
    print_heading("documents", documents, out);
    print_notes(documents, out);
    print_heading("rules", rules, out);
    print_notes(rules, out);
    print_heading("values", changes, out);
    json_array_foreach(changes, i, item) print_change(item, out);
    if (json_array_size(documents) + json_array_size(rules) + json_array_size(changes) == 0)
        fputs("no value changes\n", out);
    print_heading("running state", instances, out);
    json_array_foreach(instances, i, item) print_instance(item, out);
}

/* What a proxy answers may come from anybody. */
void plan_print(const json_t *plan, const char *url, FILE *out)
{
    char *text = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&text, &size);
    if (memory == NULL)
        return;
    print_plan(plan, url, memory);
    if (fclose(memory) == 0) {
        terminal_clean(text);
        fputs(text, out);
    }
    free(text);
}
