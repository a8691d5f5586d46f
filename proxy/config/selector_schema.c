/* selector_schema.c - the fields of the `selector` block, one row each (see schema.h for the
 * columns), and what they mean. */
#include "config/policy_checks.h"
#include "config/policy_schema.h"
#include "config/selector_config.h"

#define MAX_KEY_BYTES 317 /* prefix/name: 253 + 1 + 63 */
#define MAX_VALUE_BYTES 63
#define MAX_EXPRESSIONS 64
#define MAX_VALUES 64

static const struct word operator_words[] = {{"In", SELECTOR_IN},
                                             {"NotIn", SELECTOR_NOT_IN},
                                             {"Exists", SELECTOR_EXISTS},
                                             {"DoesNotExist", SELECTOR_DOES_NOT_EXIST},
                                             {NULL, 0}};

static const struct field expression_fields[] = {
    {.name = "key",
     .type = FIELD_STRING,
     FIELD_AT(struct selector_expression, key),
     .is_required = true,
     .min = 1,
     .max = MAX_KEY_BYTES,
     .doc = "name of a label"},
    {.name = "operator",
     .type = FIELD_ENUM,
     FIELD_AT(struct selector_expression, operator),
     .is_required = true,
     .words = operator_words,
     .doc = "what must hold for it"},
    {.name = "values",
     .type = FIELD_TEXTS,
     FIELD_AT(struct selector_expression, values),
     .max = MAX_VALUES,
     .doc = "of In and NotIn"},
};

static void expression_finish(struct decoder *decoder, const struct node *node, void *out,
                              bool is_good)
{
    const struct selector_expression *expression = out;
    const bool wants_values =
        expression->operator== SELECTOR_IN || expression->operator== SELECTOR_NOT_IN;
    const bool has_values = expression->values != NULL && expression->values[0] != NULL;
    if (is_good && wants_values && !has_values)
        decode_refuse(decoder, DIAG_MISSING, node, "values", "such as values: [web, batch]",
                      "In and NotIn compare with values");
    if (is_good && !wants_values && has_values)
        decode_refuse(decoder, DIAG_CONTRADICTION, node, "values",
                      "remove them, or use In or NotIn", "Exists and DoesNotExist take no values");
}

static const struct block expression_block = {.name = "matchExpressions",
                                              BLOCK_FIELDS(expression_fields),
                                              .finish = expression_finish,
                                              .item_size = sizeof(struct selector_expression),
                                              .doc = "What labels of the pod must hold."};

static const struct field selector_fields[] = {
    {.name = "matchLabels",
     .type = FIELD_LABELS,
     .doc = "labels that the pod has, all of them, with these values"},
    {.name = "matchExpressions",
     .type = FIELD_BLOCKS,
     .offset = offsetof(struct selector_config, expressions),
     .aux = offsetof(struct selector_config, expression_count),
     .block = &expression_block,
     .max = MAX_EXPRESSIONS,
     .doc = "conditions, all of which hold"},
};
const struct block selector_block = {
    .name = "selector",
    BLOCK_FIELDS(selector_fields),
    .finish = selector_finish,
    .doc = "For which pods the document is, by their labels (`outrigger proxy --pod-labels`; in an "
           "injected pod they are known); left out: for all. Where no labels are known, a document "
           "with a selector is left out. For the same host and port it wins over one without."};

static bool keep_label(struct decoder *decoder, const struct node *node, struct pod_label *label)
{
    if (node->text.len > MAX_VALUE_BYTES) {
        decode_error(decoder, DIAG_OUT_OF_RANGE, node, "63 characters at most",
                     "no label has a value that long");
        return false;
    }
    label->key = arena_copy(decoder->arena, node->key);
    label->value = arena_copy(decoder->arena, node->text);
    if (label->key.data == NULL || label->value.data == NULL)
        decoder->err = ERR_NO_MEMORY;
    return decoder->err == OK;
}

void selector_finish(struct decoder *decoder, const struct node *node, void *out, bool is_good)
{
    struct selector_config *cfg = out;
    const struct node *list = node_get(node, "matchLabels");
    cfg->is_present = node != NULL;
    if (!is_good || list == NULL)
        return;
    struct pod_label *labels = arena_alloc(decoder->arena, (list->count + 1) * sizeof *labels);
    if (labels == NULL) {
        decoder->err = ERR_NO_MEMORY;
        return;
    }
    const size_t mark = path_push(decoder, "matchLabels");
    for (const struct node *item = list->first; item && decoder->err == OK; item = item->next)
        cfg->label_count += keep_label(decoder, item, &labels[cfg->label_count]);
    path_pop(decoder, mark);
    cfg->labels = labels;
}

/* ---- asking ---- */

static bool is_among(const char *const *values, struct span value)
{
    for (; values != NULL && *values != NULL; values++)
        if (span_is(value, span_of(*values)))
            return true;
    return false;
}

static bool expression_holds(const struct selector_expression *expression,
                             const struct pod_labels *labels)
{
    const struct pod_label *label = pod_labels_find(labels, span_of(expression->key));
    switch ((enum selector_operator)expression->operator) {
    case SELECTOR_IN: return label && is_among(expression->values, label->value);
    case SELECTOR_NOT_IN: return !(label && is_among(expression->values, label->value));
    case SELECTOR_EXISTS: return label != NULL;
    case SELECTOR_DOES_NOT_EXIST: return label == NULL;
    }
    return false;
}

bool selector_holds(const struct selector_config *cfg, const struct pod_labels *labels)
{
    if (cfg->label_count + cfg->expression_count == 0)
        return true;
    if (!labels->is_known)
        return false;
    for (size_t i = 0; i < cfg->label_count; i++) {
        const struct pod_label *label = pod_labels_find(labels, cfg->labels[i].key);
        if (label == NULL || !span_is(label->value, cfg->labels[i].value))
            return false;
    }
    for (size_t i = 0; i < cfg->expression_count; i++)
        if (!expression_holds(&cfg->expressions[i], labels))
            return false;
    return true;
}
