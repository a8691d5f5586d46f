/* tls_stream.c - an open TLS stream as a stream_class (stream.h, tls.h).
 *
 * Reading: as many sealed bytes as fit the owner's buffer come with one recv into the engine's
 * scratch and are opened straight into that buffer; the beginning of a record that is left is kept
 * on the heap until the rest has come. No more is read than the buffer takes, so an opened byte
 * waits in here in two cases only: a record larger than the buffer (`plain`), and records that came
 * with the end of the handshake (`sealed`). Epoll knows of neither, so while one of them or an
 * ending is untold, the stream delivers READABLE by a task of its own.
 *
 * Writing: up to 16 KiB of the owner's pieces become one record; what the socket does not take of
 * it is the backlog, and while there is one, nothing more is taken. So a stream holds one record at
 * most, and close_notify. */
#include "base/check.h"
#include "net/tls_own.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READS_MAX 4          /* records without data, before others get their turn */
#define HELLO_REQUESTS_MAX 3 /* a server may ask; it may not go on asking */
#define SMALL_RECORD 64      /* an alert or a HelloRequest, with nonce and tag */
#define ALERT_WARNING 1
#define ALERT_CLOSE_NOTIFY 0

_Static_assert(TLS_SCRATCH_IN >= LOOP_READ_BYTES + TLS_WIRE_MAX,
               "a read behind a part of a record");
_Static_assert(TLS_SCRATCH_OUT >= TLS_WIRE_MAX, "one record");

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

static size_t waiting(const struct tls_bytes *bytes)
{
    return bytes->len - bytes->at;
}

/* ---- what epoll does not know of ---- */

static bool has_something_to_say(const struct tls *tls)
{
    if (waiting(&tls->plain) > 0) {
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

static void break_off(struct tls *tls, int error)
{
    tls->ending = TLS_BROKEN;
    tls->error = error;
}

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
    const size_t some = waiting(&tls->plain) < len ? waiting(&tls->plain) : len;
    memcpy(buffer, tls->plain.bytes + tls->plain.at, some);
    tls->plain.at += (uint32_t)some;
    if (waiting(&tls->plain) == 0) {
        tls_bytes_clear(&tls->plain);
    }
    return (ssize_t)some;
}

/* Not data: an alert, or a HelloRequest, which RFC 5246 section 7.4.1.1 lets us ignore. */
static void open_other(struct tls *tls, const uint8_t *wire, size_t wire_len)
{
    uint8_t plain[SMALL_RECORD];
    size_t len;
    if (wire[0] == TLS_TYPE_CCS || wire_len > SMALL_RECORD ||
        !tls_open(&tls->keys->read, wire, wire_len, plain, &len)) {
        break_off(tls, EPROTO);
    } else if (wire[0] == TLS_TYPE_ALERT) {
        if (len != 2) {
            break_off(tls, EPROTO);
        } else if (plain[1] == ALERT_CLOSE_NOTIFY) {
            tls->ending = TLS_ENDED;
        } else if (plain[0] != ALERT_WARNING) {
            break_off(tls, ECONNRESET); /* the peer gives up: as a RST */
        }
    } else if (len != 4 || plain[0] != 0 || ++tls->hello_requests > HELLO_REQUESTS_MAX) {
        break_off(tls, EPROTO);
    }
}

/* A record that may not fit: the rest of it waits in `plain`. */
static size_t open_aside(struct tls *tls, const uint8_t *wire, size_t wire_len, uint8_t *buffer,
                         size_t room)
{
    size_t len = 0;
    uint8_t *plain = malloc(wire_len);
    if (plain == NULL || !tls_open(&tls->keys->read, wire, wire_len, plain, &len)) {
        break_off(tls, plain == NULL ? ENOMEM : EPROTO);
        free(plain);
        return 0;
    }
    tls->plain = (struct tls_bytes){.bytes = plain, .len = (uint32_t)len};
    if (len == 0) {
        tls_bytes_clear(&tls->plain);
        return 0;
    }
    return (size_t)take_plain(tls, buffer, room);
}

/* Opens one record into the buffer. Its data bytes. */
static size_t open_record(struct tls *tls, const uint8_t *wire, size_t wire_len, uint8_t *buffer,
                          size_t room)
{
    size_t len = 0;
    if (wire[0] != TLS_TYPE_DATA) {
        open_other(tls, wire, wire_len);
        return 0;
    }
    if (wire_len > room) {
        return open_aside(tls, wire, wire_len, buffer, room);
    }
    if (!tls_open(&tls->keys->read, wire, wire_len, buffer, &len)) {
        break_off(tls, EPROTO);
        return 0;
    }
    return len;
}

/* Opens what is whole of in[0..total) while there is room, and keeps the rest. */
static size_t open_records(struct tls *tls, const uint8_t *in, size_t total, uint8_t *buffer,
                           size_t room)
{
    size_t at = 0;
    size_t opened = 0;
    while (tls->ending == TLS_GOES_ON && total - at >= TLS_HEAD_BYTES && opened < room) {
        const size_t wire_len = tls_wire_bytes(in + at);
        if (wire_len == 0) {
            break_off(tls, EPROTO);
            break;
        }
        if (total - at < wire_len) {
            break;
        }
        opened += open_record(tls, in + at, wire_len, buffer + opened, room - opened);
        at += wire_len;
    }
    if (!tls_bytes_keep(&tls->sealed, in + at, total - at)) {
        break_off(tls, ENOMEM);
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
        break_off(tls, stream->error);
    }
    return got;
}

static ssize_t tls_recv(struct stream *stream, void *buffer, size_t len)
{
    struct tls *tls = stream->tls;
    uint8_t *in = tls_engine_in(tls->engine);
    size_t opened = 0;
    if (waiting(&tls->plain) > 0) {
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
            opened = open_records(tls, in, total, buffer, len);
        }
    }
    tls_on_want(stream);
    return opened > 0 ? (ssize_t)opened : STREAM_AGAIN;
}

/* ---- writing ---- */

static enum err tcp_end(struct stream *stream)
{
    return tcp_class.shutdown_write(stream);
}

/* Sends the backlog. OK: it is gone; ERR_FULL: the socket is; ERR_SYSTEM: stream->error. */
static enum err flush(struct stream *stream)
{
    struct tls *tls = stream->tls;
    while (waiting(&tls->backlog) > 0) {
        const struct iovec part = {.iov_base = tls->backlog.bytes + tls->backlog.at,
                                   .iov_len = waiting(&tls->backlog)};
        const ssize_t sent = tcp_sendv(stream, &part, 1);
        if (sent == STREAM_AGAIN) {
            return ERR_FULL;
        }
        if (sent < 0) {
            tls->has_failed_to_send = true;
            tls->error = stream->error;
            return ERR_SYSTEM;
        }
        tls->backlog.at += (uint32_t)sent;
    }
    tls_bytes_clear(&tls->backlog);
    return tls->has_shut ? tcp_end(stream) : OK;
}

/* Sends a sealed record, or keeps what the socket does not take. */
static enum err send_record(struct stream *stream, const uint8_t *wire, size_t wire_len)
{
    struct tls *tls = stream->tls;
    const struct iovec part = {.iov_base = (void *)(uintptr_t)wire, .iov_len = wire_len};
    ssize_t sent = wire_len > 0 ? tcp_sendv(stream, &part, 1) : STREAM_FAILED;
    size_t gone = 0;
    if (sent == STREAM_FAILED) {
        tls->has_failed_to_send = true;
        tls->error = wire_len > 0 ? stream->error : EPROTO;
        return ERR_SYSTEM;
    }
    gone = sent > 0 ? (size_t)sent : 0;
    if (gone < wire_len && !tls_bytes_keep(&tls->backlog, wire + gone, wire_len - gone)) {
        tls->has_failed_to_send = true; /* half a record has gone: there is no way on */
        tls->error = ENOMEM;
        return ERR_NO_MEMORY;
    }
    stream_demand(stream, waiting(&tls->backlog) > 0 ? STREAM_WRITABLE : 0);
    return OK;
}

/* Where the next byte of the owner's pieces is. */
struct cursor {
    const struct iovec *part;
    int left; /* parts, this one included */
    size_t at;
};

static size_t gather(struct cursor *cursor, uint8_t *into, size_t room)
{
    size_t len = 0;
    while (cursor->left > 0 && len < room) {
        const size_t rest = cursor->part->iov_len - cursor->at;
        const size_t some = rest < room - len ? rest : room - len;
        if (some > 0) {
            memcpy(into + len, (const char *)cursor->part->iov_base + cursor->at, some);
        }
        len += some;
        cursor->at += some;
        if (cursor->at == cursor->part->iov_len) {
            cursor->part++;
            cursor->left--;
            cursor->at = 0;
        }
    }
    return len;
}

static ssize_t write_failed(struct stream *stream)
{
    stream->error = stream->tls->has_failed_to_send ? stream->tls->error : EPIPE;
    return STREAM_FAILED;
}

static ssize_t tls_sendv(struct stream *stream, const struct iovec *parts, int count)
{
    struct tls *tls = stream->tls;
    struct cursor cursor = {.part = parts, .left = count};
    uint8_t *out = tls_engine_out(tls->engine);
    uint8_t *plain = out + tls_plain_offset(&tls->keys->write);
    size_t taken = 0;
    if (tls->has_failed_to_send || tls->has_shut) {
        return write_failed(stream);
    }
    if (waiting(&tls->backlog) > 0) {
        return STREAM_AGAIN; /* on_poll flushes it */
    }
    while (waiting(&tls->backlog) == 0) {
        const size_t len = gather(&cursor, plain, TLS_PLAIN_MAX);
        if (len == 0) {
            break;
        }
        const size_t wire_len = tls_seal(&tls->keys->write, TLS_TYPE_DATA, plain, len, out);
        if (send_record(stream, out, wire_len) != OK) {
            return write_failed(stream);
        }
        taken += len;
    }
    return (ssize_t)taken;
}

static unsigned tls_on_poll(struct stream *stream, unsigned flags)
{
    enum err result;
    if ((flags & STREAM_WRITABLE) == 0) {
        return flags;
    }
    result = flush(stream);
    if (result == ERR_FULL) {
        return flags & ~(unsigned)STREAM_WRITABLE;
    }
    stream_demand(stream, 0); /* after a failure, too: the owner's next send meets it */
    return flags;
}

/* ---- ending ---- */

static enum err say_close(struct stream *stream)
{
    static const uint8_t close_notify[] = {ALERT_WARNING, ALERT_CLOSE_NOTIFY};
    struct tls *tls = stream->tls;
    uint8_t wire[SMALL_RECORD];
    const size_t len =
        tls_seal(&tls->keys->write, TLS_TYPE_ALERT, close_notify, sizeof(close_notify), wire);
    const size_t before = waiting(&tls->backlog);
    tls->has_shut = true;
    if (before == 0) {
        return send_record(stream, wire, len);
    }
    uint8_t *both = realloc(tls->backlog.bytes, tls->backlog.len + len);
    if (both == NULL) {
        return ERR_NO_MEMORY;
    }
    memcpy(both + tls->backlog.len, wire, len);
    tls->backlog.bytes = both;
    tls->backlog.len += (uint32_t)len;
    return OK;
}

static enum err tls_shutdown_write(struct stream *stream)
{
    struct tls *tls = stream->tls;
    enum err result = OK;
    if (tls->has_failed_to_send) {
        (void)write_failed(stream);
        return ERR_SYSTEM;
    }
    if (!tls->has_shut) {
        result = say_close(stream);
        if (result == OK && waiting(&tls->backlog) == 0) {
            result = tcp_end(stream);
        }
    }
    return result;
}

static bool tls_is_dead(struct stream *stream)
{
    const struct tls *tls = stream->tls;
    return tls->ending != TLS_GOES_ON || tls->has_failed_to_send || tls->sealed.len > 0 ||
           tls->plain.len > 0 || tcp_class.is_dead(stream);
}

static bool tls_has_ended(struct stream *stream)
{
    const struct tls *tls = stream->tls;
    uint8_t type;
    if (tls->ending != TLS_GOES_ON || tls->has_failed_to_send) {
        return true;
    }
    if (tls->sealed.len > 0) { /* in the middle of a record: more than an ending waits */
        return tcp_class.has_ended(stream);
    }
    /* In TLS 1.2 the type of a record is in clear, and an alert ends an idle connection. */
    const ssize_t got = recv(stream->fd, &type, 1, MSG_PEEK | MSG_DONTWAIT);
    return got == 1 ? type == TLS_TYPE_ALERT : tcp_class.has_ended(stream);
}

static void tls_close(struct stream *stream, enum stream_ending ending)
{
    struct tls *tls = stream->tls;
    if (ending == STREAM_END_ORDERLY && tls->keys != NULL && !tls->has_shut &&
        !stream->has_hung_up && tls->ending != TLS_BROKEN && !tls->has_failed_to_send &&
        (waiting(&tls->backlog) == 0 || flush(stream) == OK)) {
        (void)say_close(stream); /* or the peer sees an end without */
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
        break_off(tls, ENOMEM);
    }
    if (!tls_bytes_keep(&tls->backlog, handshake->out + sent, handshake->out_len - sent)) {
        tls->has_failed_to_send = true;
        tls->error = ENOMEM;
    }
    stream_demand(stream, waiting(&tls->backlog) > 0 ? STREAM_WRITABLE : 0);
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
    *info = (struct stream_tls_info){.version = is_open ? "TLSv1.2" : "",
                                     .cipher = is_open ? names[tls->keys->write.cipher] : "",
                                     .was_resumed = is_open && tls->was_resumed};
}

bool stream_was_truncated(const struct stream *stream)
{
    return stream->tls != NULL && stream->tls->is_truncated;
}
