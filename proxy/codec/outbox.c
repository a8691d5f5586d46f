/* outbox.c - corked and gathered writes with a bounded backlog. See outbox.h. */
#include "codec/outbox.h"

#include "base/check.h"
#include "codec/codec.h"
#include "codec/h2_session.h"
#include "net/stream.h"

#include <stdlib.h>
#include <string.h>

void codec_init(struct codec *codec, struct loop *loop)
{
    memset(codec, 0, sizeof *codec);
    codec->loop = loop;
    list_init(&codec->idle_fronts);
    arena_pool_init(&codec->chunks, 256);
    pipe_pool_init(&codec->pipes);
}

void codec_fini(struct codec *codec)
{
    h2_codec_free(codec);
    arena_pool_fini(&codec->chunks);
    pipe_pool_fini(&codec->pipes);
}

void outbox_init(struct outbox *out, struct codec *codec, struct stream *stream,
                 void (*on_failed)(struct outbox *out))
{
    memset(out, 0, sizeof *out);
    out->on_failed = on_failed;
    out->codec = codec;
    out->stream = stream;
}

static void uncork(struct outbox *out)
{
    if (out->codec->corked == out) {
        out->codec->corked = NULL;
        out->codec->corked_bytes = 0;
    }
}

void outbox_fini(struct outbox *out)
{
    uncork(out);
    outbox_part(out);
    free(out->backlog);
    out->backlog = NULL;
    out->start = out->end = out->capacity = 0;
}

void outbox_fail(struct outbox *out)
{
    if (out->is_failed)
        return;
    out->is_failed = true;
    outbox_fini(out);
    out->on_failed(out);
}

static bool backlog_grow(struct outbox *out, size_t more)
{
    const size_t pending = out->end - out->start;
    if (out->capacity - out->end >= more)
        return true;
    if (pending + more > OUTBOX_BACKLOG_BYTES)
        return false;
    size_t capacity = 16384;
    while (capacity < pending + more)
        capacity *= 2;
    char *bigger = malloc(capacity);
    if (bigger == NULL)
        return false;
    if (pending > 0)
        memcpy(bigger, out->backlog + out->start, pending);
    free(out->backlog);
    out->backlog = bigger;
    out->capacity = capacity;
    out->start = 0;
    out->end = pending;
    return true;
}

static void backlog_add(struct outbox *out, struct span bytes)
{
    if (bytes.len == 0)
        return;
    if (!backlog_grow(out, bytes.len)) {
        outbox_fail(out);
        return;
    }
    memcpy(out->backlog + out->end, bytes.data, bytes.len);
    out->end += bytes.len;
    stream_want(out->stream, out->stream->wanted & STREAM_READABLE, true);
}

/* Sends first and second; what the socket does not take becomes the backlog. */
static void send_both(struct outbox *out, struct span first, struct span second)
{
    struct iovec parts[2] = {{(void *)(uintptr_t)first.data, first.len},
                             {(void *)(uintptr_t)second.data, second.len}};
    const int skip = first.len == 0;
    const ssize_t sent = stream_sendv(out->stream, parts + skip, second.len > 0 ? 2 - skip : 1);
    if (sent == STREAM_FAILED) {
        outbox_fail(out);
        return;
    }
    size_t taken = sent == STREAM_AGAIN ? 0 : (size_t)sent;
    out->sent_bytes += taken;
    const size_t of_first = taken < first.len ? taken : first.len;
    taken -= of_first;
    if (of_first == first.len && taken == second.len)
        return;
    backlog_add(out, span_make(first.data + of_first, first.len - of_first));
    if (!out->is_failed)
        backlog_add(out, span_make(second.data + taken, second.len - taken));
}

static struct span corked_span(const struct outbox *out)
{
    const struct codec *codec = out->codec;
    if (codec->corked != out)
        return SPAN_NONE;
    return span_make(codec->loop->write_buffer, codec->corked_bytes);
}

void outbox_flush(struct outbox *out)
{
    const struct span corked = corked_span(out);
    uncork(out);
    if (corked.len > 0 && !out->is_failed)
        send_both(out, corked, SPAN_NONE);
}

void codec_uncork(struct codec *codec)
{
    if (codec->corked != NULL)
        outbox_flush(codec->corked);
}

static void cork(struct outbox *out)
{
    struct codec *codec = out->codec;
    if (codec->corked == out)
        return;
    codec_uncork(codec);
    codec->corked = out;
    codec->corked_bytes = 0;
}

void outbox_put(struct outbox *out, struct span bytes)
{
    if (out->is_failed || bytes.len == 0)
        return;
    if (outbox_is_blocked(out)) {
        backlog_add(out, bytes);
        return;
    }
    if (bytes.len > OUTBOX_COPY_BYTES || corked_span(out).len + bytes.len > LOOP_WRITE_BYTES) {
        const struct span corked = corked_span(out);
        uncork(out);
        send_both(out, corked, bytes);
        return;
    }
    cork(out);
    memcpy(out->codec->loop->write_buffer + out->codec->corked_bytes, bytes.data, bytes.len);
    out->codec->corked_bytes += bytes.len;
}

char *outbox_reserve(struct outbox *out, size_t size)
{
    INVARIANT(size <= LOOP_WRITE_BYTES);
    if (out->is_failed || outbox_is_blocked(out))
        return NULL;
    cork(out);
    if (out->codec->corked_bytes + size > LOOP_WRITE_BYTES) {
        outbox_flush(out);
        if (out->is_failed || outbox_is_blocked(out))
            return NULL;
        cork(out);
    }
    return out->codec->loop->write_buffer + out->codec->corked_bytes;
}

void outbox_commit(struct outbox *out, size_t size)
{
    INVARIANT(out->codec->corked == out);
    out->codec->corked_bytes += size;
}

bool outbox_resume(struct outbox *out)
{
    if (out->is_failed || !outbox_is_blocked(out))
        return false;
    if (out->pipe != NULL && !outbox_drain(out))
        return false;
    if (out->start == out->end)
        return true;
    const ssize_t sent = stream_send(out->stream, out->backlog + out->start, out->end - out->start);
    if (sent == STREAM_FAILED) {
        outbox_fail(out);
        return false;
    }
    if (sent == STREAM_AGAIN)
        return false;
    out->sent_bytes += (size_t)sent;
    out->start += (size_t)sent;
    if (out->start < out->end)
        return false;
    free(out->backlog);
    out->backlog = NULL;
    out->start = out->end = out->capacity = 0;
    return true;
}

bool outbox_is_empty(const struct outbox *out)
{
    return !outbox_is_blocked(out) && corked_span(out).len == 0;
}
