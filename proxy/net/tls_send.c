/* tls_send.c - the writing half of a TLS stream (tls_stream.c). Up to 16 KiB of the owner's pieces
 * become one record; what the socket does not take of it is the backlog, and while there is one,
 * nothing more is taken. So a stream holds one record at most, and what we say ourselves: a
 * close_notify, and answers to key updates. */
#include "net/tls_own.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SMALL_RECORD 64 /* an alert or a key update, with nonce and tag */
#define ALERT_WARNING 1
#define ALERT_CLOSE_NOTIFY 0
#define MESSAGE_KEY_UPDATE 24
#define RECORDS_A_KEY (UINT64_C(1) << 24) /* RFC 8446 section 5.5: below 2^24.5 for AES-GCM */

_Static_assert(TLS_SCRATCH_OUT >= TLS_WIRE_MAX, "one record");

static enum err tcp_end(struct stream *stream)
{
    return tcp_class.shutdown_write(stream);
}

/* Sends the backlog. OK: it is gone; ERR_FULL: the socket is; ERR_SYSTEM: stream->error. */
enum err tls_flush(struct stream *stream)
{
    struct tls *tls = stream->tls;
    while (tls_bytes_waiting(&tls->backlog) > 0) {
        const struct iovec part = {.iov_base = tls->backlog.bytes + tls->backlog.at,
                                   .iov_len = tls_bytes_waiting(&tls->backlog)};
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
    stream_demand(stream, tls_bytes_waiting(&tls->backlog) > 0 ? STREAM_WRITABLE : 0);
    return OK;
}

/* Something of our own, behind what waits. */
static enum err say(struct stream *stream, enum tls_type type, const uint8_t *bytes, size_t len)
{
    struct tls *tls = stream->tls;
    struct tls_bytes *backlog = &tls->backlog;
    uint8_t wire[SMALL_RECORD];
    const size_t wire_len = tls_seal(&tls->keys->write, type, bytes, len, wire);
    uint8_t *both;
    if (tls_bytes_waiting(backlog) == 0) {
        return send_record(stream, wire, wire_len);
    }
    both = realloc(backlog->bytes, backlog->len + wire_len);
    if (both == NULL) {
        return ERR_NO_MEMORY;
    }
    memcpy(both + backlog->len, wire, wire_len);
    backlog->bytes = both;
    backlog->len += (uint32_t)wire_len;
    return OK;
}

enum err tls_say_close(struct stream *stream)
{
    static const uint8_t close_notify[] = {ALERT_WARNING, ALERT_CLOSE_NOTIFY};
    stream->tls->has_shut = true;
    return say(stream, TLS_TYPE_ALERT, close_notify, sizeof(close_notify));
}

enum err tls_say_key_update(struct stream *stream)
{
    static const uint8_t update[] = {MESSAGE_KEY_UPDATE, 0, 0, 1, 0}; /* and need not answer */
    struct tls *tls = stream->tls;
    enum err result = say(stream, TLS_TYPE_HANDSHAKE, update, sizeof(update));
    if (result == OK) {
        result = tls_key_update(&tls->keys->write);
    }
    if (result != OK && !tls->has_failed_to_send) {
        tls->has_failed_to_send = true;
        tls->error = ENOMEM;
    }
    return result;
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

ssize_t tls_sendv(struct stream *stream, const struct iovec *parts, int count)
{
    struct tls *tls = stream->tls;
    struct cursor cursor = {.part = parts, .left = count};
    uint8_t *out = tls_engine_out(tls->engine);
    uint8_t *plain = out + tls_plain_offset(&tls->keys->write);
    size_t taken = 0;
    if (tls->has_failed_to_send || tls->has_shut) {
        return write_failed(stream);
    }
    if (tls_bytes_waiting(&tls->backlog) > 0) {
        return STREAM_AGAIN; /* on_poll flushes it */
    }
    while (tls_bytes_waiting(&tls->backlog) == 0) {
        const size_t len = gather(&cursor, plain, TLS_PLAIN_MAX);
        if (len == 0) {
            break;
        }
        const size_t wire_len = tls_seal(&tls->keys->write, TLS_TYPE_DATA, plain, len, out);
        if (send_record(stream, out, wire_len) != OK) {
            return write_failed(stream);
        }
        taken += len;
        if (tls->keys->write.traffic != NULL && tls->keys->write.count >= RECORDS_A_KEY &&
            tls_say_key_update(stream) != OK) {
            return write_failed(stream);
        }
    }
    return (ssize_t)taken;
}

enum err tls_shutdown_write(struct stream *stream)
{
    struct tls *tls = stream->tls;
    enum err result = OK;
    if (tls->has_failed_to_send) {
        (void)write_failed(stream);
        return ERR_SYSTEM;
    }
    if (!tls->has_shut) {
        result = tls_say_close(stream);
        if (result == OK && tls_bytes_waiting(&tls->backlog) == 0) {
            result = tcp_end(stream);
        }
    }
    return result;
}
