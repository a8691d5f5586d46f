/* tls_stream.c - an open TLS stream as a stream_class (stream.h, tls.h).
 *
 * Reading: as many sealed bytes as fit the owner's buffer come with one recv into the engine's
 * scratch and are opened straight into that buffer; the beginning of a record that is left is kept
 * on the heap until the rest has come. No more is read than the buffer takes, so an opened byte
 * waits in here in two cases only: a record larger than the buffer (`plain`), and records that came
 * with the end of the handshake (`sealed`). Epoll knows of neither, so while one of them or an
 * ending is untold, the stream delivers READABLE by a task of its own.
 * Writing is tls_send.c, what a peer says besides data tls_hear.c. */
#include "base/check.h"
#include "net/tls_own.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READS_MAX 4 /* records without data, before others get their turn */

_Static_assert(TLS_SCRATCH_IN >= LOOP_READ_BYTES + TLS_WIRE_MAX,
               "a read behind a part of a record");

/* ---- bytes that wait ---- */

void tls_bytes_clear(struct tls_bytes *bytes)
{
    free(bytes->bytes);
    *bytes = (struct tls_bytes){0};
}

bool tls_bytes_keep(struct tls_bytes *bytes, const uint8_t *from, size_t len)
{
    uint8_t *copy = len > 0 ? malloc(len) : NULL;
    if (copy != NULL) {
        memcpy(copy, from, len);
    }
    tls_bytes_clear(bytes);
    bytes->bytes = copy;
    bytes->len = copy != NULL ? (uint32_t)len : 0;
    return copy != NULL || len == 0;
}

/* ---- what epoll does not know of ---- */

static bool has_something_to_say(const struct tls *tls)
{
    if (tls_bytes_waiting(&tls->plain) > 0) {
        return true;
    }
    if (tls->ending != TLS_GOES_ON) {
        return !tls->has_said_ending;
    }
    return tls->sealed.len >= TLS_HEAD_BYTES &&
           tls_wire_bytes(tls->sealed.bytes) <= tls->sealed.len; /* 0: it is none; that, too */
}

static void on_pending(struct loop_task *task)
{
    struct stream *stream = CONTAINER_OF(task, struct stream, task);
    if (stream->state == STREAM_OPEN && (stream->wanted & STREAM_READABLE) != 0 &&
        has_something_to_say(stream->tls)) {
        loop_defer(stream->loop, task); /* level-triggered: again, unless the owner reads */
        stream->on_event(stream, STREAM_READABLE);
    }
}

static void tls_on_want(struct stream *stream)
{
    if (stream->state == STREAM_OPEN && (stream->wanted & STREAM_READABLE) != 0 &&
        has_something_to_say(stream->tls)) {
        stream->task.run = on_pending;
        loop_defer(stream->loop, &stream->task);
    }
}

/* ---- reading ---- */

static ssize_t say_ending(struct stream *stream)
{
    struct tls *tls = stream->tls;
    tls->has_said_ending = true;
    if (tls->ending == TLS_ENDED) {
        return 0;
    }
    stream->error = tls->error;
    return STREAM_FAILED;
}

static ssize_t take_plain(struct tls *tls, uint8_t *buffer, size_t len)
{
    const size_t some = tls_bytes_waiting(&tls->plain) < len ? tls_bytes_waiting(&tls->plain) : len;
    memcpy(buffer, tls->plain.bytes + tls->plain.at, some);
    tls->plain.at += (uint32_t)some;
    if (tls_bytes_waiting(&tls->plain) == 0) {
        tls_bytes_clear(&tls->plain);
    }
    return (ssize_t)some;
}

/* Opens one record into the buffer, or aside where it may not fit. Its data bytes. */
static size_t open_record(struct stream *stream, const uint8_t *wire, size_t wire_len,
                          uint8_t *buffer, size_t room)
{
    struct tls *tls = stream->tls;
    uint8_t *aside = wire_len > room ? malloc(wire_len) : NULL;
    uint8_t *plain = wire_len > room ? aside : buffer;
    enum tls_type type;
    size_t len = 0;
    if (plain == NULL) {
        tls_break(tls, ENOMEM);
        return 0;
    }
    if (!tls_open(&tls->keys->read, wire, wire_len, &type, plain, &len)) {
        tls_break(tls, EPROTO);
        len = 0;
    } else if (type != TLS_TYPE_DATA) {
        tls_hear(stream, type, plain, len);
        len = 0;
    } else if (aside != NULL && len > 0) {
        tls->plain = (struct tls_bytes){.bytes = aside, .len = (uint32_t)len};
        return (size_t)take_plain(tls, buffer, room);
    }
    free(aside);
    return len;
}

/* Opens what is whole of in[0..total) while there is room, and keeps the rest. */
static size_t open_records(struct stream *stream, const uint8_t *in, size_t total, uint8_t *buffer,
                           size_t room)
{
    struct tls *tls = stream->tls;
    size_t at = 0;
    size_t opened = 0;
    while (tls->ending == TLS_GOES_ON && total - at >= TLS_HEAD_BYTES && opened < room) {
        const size_t wire_len = tls_wire_bytes(in + at);
        if (wire_len == 0) {
            tls_break(tls, EPROTO);
            break;
        }
        if (total - at < wire_len) {
            break;
        }
        opened += open_record(stream, in + at, wire_len, buffer + opened, room - opened);
        at += wire_len;
    }
    if (!tls_bytes_keep(&tls->sealed, in + at, total - at)) {
        tls_break(tls, ENOMEM);
    }
    return opened;
}

/* How many bytes to ask the socket for: what the buffer takes, but at least the record that has
 * begun; 0 when a whole one is there. */
static size_t bytes_to_read(const struct tls *tls, size_t room)
{
    const size_t have = tls->sealed.len;
    size_t needed = TLS_HEAD_BYTES;
    if (have >= TLS_HEAD_BYTES) {
        needed = tls_wire_bytes(tls->sealed.bytes);
    }
    if (needed <= have) {
        return 0;
    }
    needed = room > needed ? room : needed;
    return (needed < TLS_SCRATCH_IN ? needed : TLS_SCRATCH_IN) - have;
}

/* Appends what the socket has to in[0..*total). */
static ssize_t read_socket(struct stream *stream, uint8_t *in, size_t *total, size_t room)
{
    struct tls *tls = stream->tls;
    const size_t wanted = bytes_to_read(tls, room);
    ssize_t got = 1;
    *total = tls->sealed.len;
    if (*total > 0) {
        memcpy(in, tls->sealed.bytes, *total);
    }
    if (wanted > 0) {
        got = tcp_recv(stream, in + *total, wanted);
        *total += got > 0 ? (size_t)got : 0;
    }
    if (got == 0) {
        tls->ending = TLS_ENDED;
        tls->is_truncated = true; /* with a close_notify we would not have read on */
    } else if (got == STREAM_FAILED) {
        tls_break(tls, stream->error);
    }
    return got;
}

static ssize_t tls_recv(struct stream *stream, void *buffer, size_t len)
{
    struct tls *tls = stream->tls;
    uint8_t *in = tls_engine_in(tls->engine);
    size_t opened = 0;
    if (tls_bytes_waiting(&tls->plain) > 0) {
        opened = (size_t)take_plain(tls, buffer, len);
    }
    for (int reads = 0; reads < READS_MAX && opened == 0; reads++) {
        size_t total;
        if (tls->ending != TLS_GOES_ON) {
            return say_ending(stream);
        }
        const ssize_t got = read_socket(stream, in, &total, len);
        if (got == STREAM_AGAIN) {
            return STREAM_AGAIN;
        }
        if (got > 0) {
            opened = open_records(stream, in, total, buffer, len);
        }
    }
    tls_on_want(stream);
    return opened > 0 ? (ssize_t)opened : STREAM_AGAIN;
}

static unsigned tls_on_poll(struct stream *stream, unsigned flags)
{
    if ((flags & STREAM_WRITABLE) == 0) {
        return flags;
    }
    if (tls_flush(stream) == ERR_FULL) {
        return flags & ~(unsigned)STREAM_WRITABLE;
    }
    stream_demand(stream, 0); /* after a failure, too: the owner's next send meets it */
    return flags;
}

/* ---- endings ---- */

/* Looks at what has come without taking it from the owner: true when data waits. What is no data
 * (tickets of TLS 1.3, wishes to renegotiate, an ending) is taken in. */
static bool look(struct stream *stream)
{
    struct tls *tls = stream->tls;
    uint8_t byte;
    if (tls_bytes_waiting(&tls->plain) > 0) {
        return true;
    }
    const ssize_t got = tls_recv(stream, &byte, 1);
    if (got == 1 && tls_bytes_waiting(&tls->plain) > 0) {
        tls->plain.at--;
    } else if (got == 1 && !tls_bytes_keep(&tls->plain, &byte, 1)) {
        tls_break(tls, ENOMEM);
    }
    tls->has_said_ending = false;
    tls_on_want(stream);
    return got == 1;
}

static bool tls_is_dead(struct stream *stream)
{
    const struct tls *tls = stream->tls;
    return look(stream) || tls->ending != TLS_GOES_ON || tls->has_failed_to_send;
}

static bool tls_has_ended(struct stream *stream)
{
    const struct tls *tls = stream->tls;
    (void)look(stream);
    return tls->ending != TLS_GOES_ON || tls->has_failed_to_send;
}

static void tls_close(struct stream *stream, enum stream_ending ending)
{
    struct tls *tls = stream->tls;
    if (ending == STREAM_END_ORDERLY && tls->keys != NULL && !tls->has_shut &&
        !stream->has_hung_up && tls->ending != TLS_BROKEN && !tls->has_failed_to_send &&
        (tls_bytes_waiting(&tls->backlog) == 0 || tls_flush(stream) == OK)) {
        (void)tls_say_close(stream); /* or the peer sees an end without */
    }
    tls_let_go(stream);
    tcp_class.close(stream, ending);
}

/* ---- opening ---- */

void tls_open_stream(struct stream *stream, struct tls_handshake *handshake, size_t sent)
{
    struct tls *tls = stream->tls;
    const size_t left = handshake->in_len - handshake->in_at;
    tls->keys = handshake->keys;
    handshake->keys = NULL;
    tls->was_resumed = handshake->was_resumed;
    tls->alpn = handshake->alpn;
    if (!tls_bytes_keep(&tls->sealed, handshake->in + handshake->in_at, left)) {
        tls_break(tls, ENOMEM);
    }
    if (!tls_bytes_keep(&tls->backlog, handshake->out + sent, handshake->out_len - sent)) {
        tls->has_failed_to_send = true;
        tls->error = ENOMEM;
    }
    stream_demand(stream, tls_bytes_waiting(&tls->backlog) > 0 ? STREAM_WRITABLE : 0);
}

const struct stream_class tls_class = {.name = "tls",
                                       .recv = tls_recv,
                                       .sendv = tls_sendv,
                                       .shutdown_write = tls_shutdown_write,
                                       .is_dead = tls_is_dead,
                                       .has_ended = tls_has_ended,
                                       .close = tls_close,
                                       .greet = tls_greet,
                                       .on_poll = tls_on_poll,
                                       .on_want = tls_on_want};

/* ---- what it is ---- */

const char *stream_detail(const struct stream *stream)
{
    return stream->tls != NULL && stream->tls->detail != NULL ? stream->tls->detail
                                                              : strerror(stream->error);
}

const char *stream_alpn(const struct stream *stream)
{
    return stream->tls != NULL && stream->tls->alpn != NULL ? stream->tls->alpn : "";
}

void stream_tls_info(const struct stream *stream, struct stream_tls_info *info)
{
    static const char *const names[] = {[TLS_CHACHA20_POLY1305] = "CHACHA20-POLY1305",
                                        [TLS_AES_128_GCM] = "AES-128-GCM",
                                        [TLS_AES_256_GCM] = "AES-256-GCM"};
    const struct tls *tls = stream->tls;
    const bool is_open = tls != NULL && tls->keys != NULL;
    *info = (struct stream_tls_info){.version = !is_open                          ? ""
                                                : tls->keys->read.traffic != NULL ? "TLSv1.3"
                                                                                  : "TLSv1.2",
                                     .cipher = is_open ? names[tls->keys->write.cipher] : "",
                                     .was_resumed = is_open && tls->was_resumed};
}

bool stream_was_truncated(const struct stream *stream)
{
    return stream->tls != NULL && stream->tls->is_truncated;
}
