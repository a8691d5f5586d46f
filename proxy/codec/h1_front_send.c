/* h1_front_send.c - see h1_front_send.h. */
#include "codec/h1_front_send.h"

#include <stdlib.h>

#define HEAD_EXTRA_BYTES 2048

void h1_front_write_head(struct h1_front *front, const struct message *msg,
                         const struct response_edit *edit)
{
    size_t len;
    size_t cap = msg->raw.len + HEAD_EXTRA_BYTES + edit->via.len;
    for (size_t i = 0; i < edit->line_count; i++)
        cap += edit->lines[i].name.len + edit->lines[i].value.len + 4;
    char *room = cap <= LOOP_WRITE_BYTES / 2 ? outbox_reserve(&front->out, cap) : NULL;
    if (room != NULL && h1_write_response(msg, edit, room, cap, &len) == OK) {
        outbox_commit(&front->out, len);
        return;
    }
    char *buf = malloc(cap);
    if (buf != NULL && h1_write_response(msg, edit, buf, cap, &len) == OK)
        outbox_put(&front->out, span_make(buf, len));
    else
        outbox_fail(&front->out);
    free(buf);
}

static enum h1_connection connection_word(const struct h1_front *front,
                                          const struct response_edit *edit)
{
    if (edit->connection == H1_CONNECTION_CLOSE || edit->framing == BODY_UNTIL_CLOSE ||
        !front->may_persist)
        return H1_CONNECTION_CLOSE;
    return front->version_minor == 0 ? H1_CONNECTION_KEEP_ALIVE : H1_CONNECTION_DEFAULT;
}

void h1_front_send_interim(struct front *base, const struct message *msg)
{
    struct h1_front *front = h1_front_of(base);
    const struct response_edit edit = {.framing = BODY_NONE};
    h1_front_write_head(front, msg, &edit);
}

void h1_front_send_head(struct front *base, const struct message *msg,
                        const struct response_edit *edit)
{
    struct h1_front *front = h1_front_of(base);
    struct response_edit framed = *edit;
    framed.framing = h1_response_framing(msg, front->version_minor);
    framed.connection = connection_word(front, &framed);
    front->out_framing = framed.framing;
    if (framed.connection == H1_CONNECTION_CLOSE)
        front->is_last = true;
    h1_front_write_head(front, msg, &framed);
}

void h1_front_send_body(struct front *base, struct span bytes)
{
    struct h1_front *front = h1_front_of(base);
    if (bytes.len == 0)
        return;
    char head[H1_CHUNK_HEAD_MAX];
    const bool is_chunked = front->out_framing == BODY_CHUNKED;
    if (is_chunked)
        outbox_put(&front->out, span_make(head, h1_write_chunk_head(head, bytes.len)));
    outbox_put(&front->out, bytes);
    if (is_chunked)
        outbox_put(&front->out, SPAN(H1_CHUNK_TAIL));
}

void h1_front_send_end(struct front *base, struct span trailers)
{
    struct h1_front *front = h1_front_of(base);
    if (front->out_framing != BODY_CHUNKED)
        return;
    outbox_put(&front->out, SPAN(H1_LAST_CHUNK));
    outbox_put(&front->out, trailers);
    outbox_put(&front->out, SPAN(H1_CHUNK_TAIL));
}

void h1_front_send_raw(struct front *base, struct span bytes)
{
    struct h1_front *front = h1_front_of(base);
    outbox_put(&front->out, bytes);
}
