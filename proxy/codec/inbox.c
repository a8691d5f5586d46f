/* inbox.c - see inbox.h. */
#include "codec/inbox.h"

#define INBOX_FIRST_BYTES 1024 /* a small message fits, and malloc keeps such blocks at hand */

enum err inbox_add(struct inbox *in, struct span bytes)
{
    const size_t held = inbox_length(in);
    if (in->capacity - in->end < bytes.len) {
        size_t capacity = INBOX_FIRST_BYTES;
        while (capacity < held + bytes.len)
            capacity *= 2;
        char *bigger = malloc(capacity);
        if (bigger == NULL)
            return ERR_NO_MEMORY;
        if (held > 0)
            memcpy(bigger, in->bytes + in->start, held);
        free(in->bytes);
        *in = (struct inbox){bigger, 0, held, capacity};
    }
    if (bytes.len > 0)
        memcpy(in->bytes + in->end, bytes.data, bytes.len);
    in->end += bytes.len;
    return OK;
}
