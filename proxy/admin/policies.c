/* policies.c - see policies.h. */
#include "admin/policies.h"

#include "admin/policy_json.h"

#define PARTS_PER_CHUNK 64 /* hosts and ports that take as long as the fields of a rule */
#define MATCH_WORDS_MAX ((size_t)256 << 10) /* 32 values of 4 KiB, a path, names */

static void put_targets(struct text *out, const struct document *document)
{
    text_put(out, ",\"targets\":[");
    for (size_t i = 0; i < document->target_count; i++) {
        const struct document_target *target = &document->targets[i];
        text_put(out, i > 0 ? ",{\"host\":" : "{\"host\":");
        text_json(out, target->host);
        text_put(out, ",\"ports\":[");
        for (size_t k = 0; k < target->ports.count; k++)
            text_printf(out, k > 0 ? ",%u" : "%u", target->ports.items[k]);
        text_put(out, "]}");
    }
    text_char(out, ']');
}

static void put_blocks(struct text *out, const struct policy *policy)
{
    bool has_block = false;
    text_put(out, ",\"blocks\":{");
    for (int family = 0; family < POLICY_FAMILY_COUNT; family++) {
        const char *at = policy->at[family];
        if (at == NULL || at[0] == '\0')
            continue;
        text_printf(out, has_block ? ",\"%s\":" : "\"%s\":",
                    policy_family_word((enum policy_family)family));
        text_json(out, at);
        has_block = true;
    }
    text_char(out, '}');
}

static void put_document(struct text *out, const struct document *document)
{
    text_put(out, "{\"name\":");
    text_json(out, document->name);
    text_put(out, ",\"namespace\":");
    text_json(out, document->namespace);
    text_put(out, ",\"at\":");
    text_json(out, document->at);
    put_targets(out, document);
    put_blocks(out, &document->policy);
    text_put(out, ",\"fields\":{");
    effective_document(document, policy_json_member, out);
    text_put(out, "},\"rules\":[");
}

static void put_rule(struct text *out, const struct rule *rule)
{
    text_put(out, rule->index > 0 ? ",\n{\"name\":" : "\n{\"name\":");
    text_json(out, rule->name);
    text_put(out, ",\"at\":");
    text_json(out, rule->at);
    text_put(out, ",\"matches\":[");
    for (size_t i = 0; i < rule->match_count; i++) {
        struct text words;
        text_init(&words, MATCH_WORDS_MAX);
        policy_put_match(&words, &rule->matches[i]);
        text_put(out, i > 0 ? "," : "");
        text_json_span(out, text_span(&words));
        text_fini(&words);
    }
    text_put(out, "],\"fields\":{");
    for (int family = 0; family < POLICY_FAMILY_COUNT; family++)
        if (rule->policy.own >> family & 1)
            effective_family(&rule->policy, (enum policy_family)family, policy_json_member, out);
    text_put(out, "}}");
}

static void put_head(struct text *out, const struct policy_set *set)
{
    text_put(out, "{\"hash\":");
    text_json(out, set->hash);
    text_put(out, ",\"files\":[");
    for (size_t i = 0; i < set->file_count; i++) {
        text_put(out, i > 0 ? "," : "");
        text_json(out, set->files[i]);
    }
    text_put(out, "],\n\"proxy\":{\"at\":");
    text_json(out, set->proxy.at);
    text_put(out, ",\"fields\":{");
    effective_proxy(&set->proxy, policy_json_member, out);
    text_put(out, "}},\n\"policies\":[");
}

/* A document of many ports is as much to write as several rules. */
static unsigned cost_of(const struct document *document)
{
    size_t parts = document->target_count;
    for (size_t i = 0; i < document->target_count; i++)
        parts += document->targets[i].ports.count;
    return 1 + (unsigned)(parts / PARTS_PER_CHUNK);
}

bool policies_write(struct policies_walk *walk, struct text *out, unsigned chunks)
{
    const struct policy_set *set = walk->set;
    if (!walk->has_begun)
        put_head(out, set);
    walk->has_begun = true;
    while (walk->document < set->document_count && chunks > 0) {
        const struct document *document = &set->documents[walk->document];
        const unsigned cost = walk->rule == 0 ? cost_of(document) : 1;
        chunks -= cost < chunks ? cost : chunks;
        if (walk->rule == 0) {
            text_put(out, walk->document > 0 ? ",\n" : "\n");
            put_document(out, document);
        } else {
            put_rule(out, &document->rules[walk->rule - 1]);
        }
        if (walk->rule++ < document->rule_count)
            continue;
        text_put(out, "]}");
        walk->document++;
        walk->rule = 0;
    }
    if (walk->document < set->document_count)
        return false;
    text_put(out, "]}\n");
    return true;
}
