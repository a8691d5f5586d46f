/* pod_labels.c - see pod_labels.h. Neither keys nor values of labels have characters that
 * Kubernetes would write as an escape. */
#include "config/pod_labels.h"

#include <string.h>

static bool label_parse(struct span line, struct pod_label *out)
{
    const char *equals = memchr(line.data, '=', line.len);
    if (equals == NULL || equals == line.data)
        return false;
    const struct span key = span_make(line.data, (size_t)(equals - line.data));
    const struct span quoted = span_make(equals + 1, line.len - key.len - 1);
    if (quoted.len < 2 || quoted.data[0] != '"' || quoted.data[quoted.len - 1] != '"')
        return false;
    *out = (struct pod_label){key, span_make(quoted.data + 1, quoted.len - 2)};
    return memchr(out->value.data, '"', out->value.len) == NULL &&
           memchr(out->value.data, '\\', out->value.len) == NULL;
}

enum err pod_labels_parse(struct arena *arena, struct span text, struct pod_labels *out,
                          uint32_t *bad_line)
{
    struct pod_label *items = arena_alloc(arena, POD_LABELS_MAX * sizeof *items);
    const struct span kept = arena_copy(arena, text);
    size_t count = 0, at = 0;
    if (items == NULL || kept.data == NULL)
        return ERR_NO_MEMORY;
    for (uint32_t line = 1; at < kept.len; line++) {
        const char *start = kept.data + at;
        const char *end = memchr(start, '\n', kept.len - at);
        const size_t len = end ? (size_t)(end - start) : kept.len - at;
        at += len + 1;
        if (len == 0)
            continue;
        *bad_line = line;
        if (count == POD_LABELS_MAX || !label_parse(span_make(start, len), &items[count]))
            return ERR_INVALID;
        count++;
    }
    *out = (struct pod_labels){.is_known = true, .items = items, .count = count};
    return OK;
}

const struct pod_label *pod_labels_find(const struct pod_labels *labels, struct span key)
{
    for (size_t i = 0; i < labels->count; i++)
        if (span_is(labels->items[i].key, key))
            return &labels->items[i];
    return NULL;
}
