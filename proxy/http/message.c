/* message.c - look-ups in a head, and moving it to memory of its own. */
#include "http/message.h"

#include "base/arena.h"
#include "base/check.h"

static struct span move(const struct message *from, const char *to, struct span slice);

const struct header *message_find(const struct message *msg, enum header_id id)
{
    if (id == HEADER_OTHER || !message_has(msg, id))
        return NULL;
    const struct header *header = msg->headers;
    while (header->id != id)
        header++;
    return header;
}

const struct header *message_find_name(const struct message *msg, struct span name)
{
    for (size_t i = 0; i < msg->header_count; i++) {
        if (span_is_nocase(msg->headers[i].name, name))
            return &msg->headers[i];
    }
    return NULL;
}

struct span message_version(const struct message *msg)
{
    if (msg->version_major == 2)
        return SPAN("2");
    return msg->version_minor > 0 ? SPAN("1.1") : SPAN("1.0");
}

struct span message_value(const struct message *msg, enum header_id id)
{
    const struct header *header = message_find(msg, id);
    return header ? header->value : SPAN_NONE;
}

enum err message_copy(const struct message *msg, struct arena *arena, struct message *copy)
{
    INVARIANT(msg->raw.len > 0);
    const size_t list = (msg->header_count + 1u) * sizeof(struct header);
    struct header *headers = arena_alloc(arena, list + msg->raw.len);
    if (!headers)
        return ERR_NO_MEMORY;
    char *bytes = (char *)headers + list;
    memcpy(bytes, msg->raw.data, msg->raw.len);
    for (size_t i = 0; i < msg->header_count; i++) {
        headers[i] = msg->headers[i];
        headers[i].name = move(msg, bytes, msg->headers[i].name);
        headers[i].value = move(msg, bytes, msg->headers[i].value);
    }
    *copy = *msg;
    copy->raw.data = bytes;
    copy->headers = headers;
    copy->upgrade = move(msg, bytes, msg->upgrade);
    copy->method_name = move(msg, bytes, msg->method_name);
    copy->target = move(msg, bytes, msg->target);
    copy->path = move(msg, bytes, msg->path);
    copy->query = move(msg, bytes, msg->query);
    copy->authority = move(msg, bytes, msg->authority);
    copy->host = move(msg, bytes, msg->host);
    copy->status_text = move(msg, bytes, msg->status_text);
    return OK;
}

/* Slices of the raw head move along; constants and what is absent stay. */
static struct span move(const struct message *from, const char *to, struct span slice)
{
    uintptr_t at = (uintptr_t)slice.data;
    uintptr_t start = (uintptr_t)from->raw.data;
    if (at < start || at > start + from->raw.len)
        return slice;
    return span_make(to + (at - start), slice.len);
}
