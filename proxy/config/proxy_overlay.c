/* proxy_overlay.c - see proxy_overlay.h. */
#include "config/proxy_overlay.h"

#include <string.h>

bool proxy_document_is_overlay(const struct node *root)
{
    const struct node *annotations = node_get(node_get(root, "metadata"), "annotations");
    const struct node *mark = node_get(annotations, OVERLAY_ANNOTATION);
    return mark && mark->kind == NODE_SCALAR && span_is(mark->text, SPAN("true"));
}

/* `more` behind `list`, in a copy; NULL without memory. */
static void *join(struct arena *arena, const void *list, size_t count, const void *more,
                  size_t more_count, size_t size)
{
    char *joined = arena_alloc(arena, (count + more_count + 1) * size);
    if (joined && count > 0)
        memcpy(joined, list, count * size);
    if (joined && more_count > 0)
        memcpy(joined + count * size, more, more_count * size);
    return joined;
}

static enum err add_addresses(struct address_list *list, bool is_default,
                              const struct address_list *more, struct arena *arena)
{
    const size_t kept = is_default ? 0 : list->count;
    const struct address_config *joined =
        join(arena, list->items, kept, more->items, more->count, sizeof *joined);
    if (joined == NULL)
        return ERR_NO_MEMORY;
    *list = (struct address_list){.items = joined, .count = kept + more->count};
    return OK;
}

enum err proxy_config_overlay(struct proxy_config *proxy, const struct proxy_config *overlay,
                              struct arena *arena)
{
    const struct listener_config *listeners =
        join(arena, proxy->listeners, proxy->listener_count, overlay->listeners,
             overlay->listener_count, sizeof *listeners);
    enum err e = listeners ? OK : ERR_NO_MEMORY;
    if (e == OK)
        e = add_addresses(&proxy->outbound.listen, proxy->outbound.is_default,
                          &overlay->outbound.listen, arena);
    if (e == OK)
        e = add_addresses(&proxy->admin.listen, proxy->admin.is_default, &overlay->admin.listen,
                          arena);
    if (e != OK)
        return e;
    proxy->listeners = listeners;
    proxy->listener_count += overlay->listener_count;
    proxy->outbound.is_default = proxy->admin.is_default = false;
    proxy->drain = overlay->drain;
    if (proxy->at[0] == '\0') { /* there is no other */
        proxy->name = overlay->name;
        proxy->at = overlay->at;
        proxy->log = overlay->log;
    }
    return OK;
}
