/* tls_own.h - the inside of a TLS stream, for tls_connect.c (until it is open) and tls_stream.c,
 * tls_send.c, tls_hear.c (then). Example: stream->tls->greeting is NULL once the handshake is over.
 * The loop's thread. */
#ifndef OUTRIGGER_NET_TLS_OWN_H
#define OUTRIGGER_NET_TLS_OWN_H

#include "net/tls.h"
#include "net/tls_handshake.h"
#include "net/tls_record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLS_MAGIC 0x544c5353U

/* A handshake and its step. It outlives the stream that closes while a worker has it. */
struct tls_greeting {
    struct tls_job job;
    struct stream *stream;     /* NULL: closed meanwhile */
    struct tls_client *client; /* held */
    struct tls_handshake *handshake;
    size_t sent; /* of handshake->out */
    bool is_admitted;
};

enum tls_ending {
    TLS_GOES_ON = 0,
    TLS_ENDED,  /* close_notify, or the socket's end */
    TLS_BROKEN, /* the peer broke the rules, or the socket failed: `error` */
};

/* Bytes that wait, on the heap only while there are some. */
struct tls_bytes {
    uint8_t *bytes;
    uint32_t at; /* the first that still waits */
    uint32_t len;
};

struct tls {
    uint32_t magic;
    int error; /* errno of TLS_BROKEN, or of a send that failed */
    struct tls_engine *engine;
    struct tls_client *client;     /* held */
    struct tls_greeting *greeting; /* until the stream is open */
    const char *alpn;              /* the client's; NULL: none */
    char *detail;                  /* why the handshake failed; NULL */
    uint8_t ending;                /* enum tls_ending, of what we read */
    uint8_t hello_requests;        /* that we ignored */
    uint8_t key_updates;           /* that we followed */
    uint32_t passed_over;          /* bytes of a ticket that are still to come */
    bool has_said_ending;          /* stream_recv has told the owner */
    bool is_truncated;
    bool has_shut; /* close_notify is sent or in the backlog */
    bool has_failed_to_send;
    bool was_resumed;
    struct tls_keys *keys;    /* NULL: not open yet */
    struct tls_bytes sealed;  /* the beginning of a record, rarely whole ones */
    struct tls_bytes plain;   /* the rest of a record that was larger than the owner's buffer */
    struct tls_bytes backlog; /* sealed, for the socket */
};

extern const struct stream_class tls_class;

void tls_open_stream(struct stream *stream, struct tls_handshake *handshake, size_t sent);
/* The handshake is done: takes its keys, what is left of its input, and what the socket has not
 * taken of its output. */

void tls_greet(struct stream *stream, unsigned flags);
void tls_let_go(struct stream *stream);
/* Of a stream that closes: frees stream->tls, or what of it can be freed now. */

ssize_t tls_sendv(struct stream *stream, const struct iovec *parts, int count);
enum err tls_shutdown_write(struct stream *stream);
/* Of the class. */

enum err tls_flush(struct stream *stream);
/* Sends the backlog. OK: it is gone; ERR_FULL: the socket is; ERR_SYSTEM: stream->error. */

enum err tls_say_close(struct stream *stream);
enum err tls_say_key_update(struct stream *stream);

void tls_hear(struct stream *stream, enum tls_type type, const uint8_t *bytes, size_t len);
/* An opened record that is not data. */

void tls_break(struct tls *tls, int error);
/* Nothing more is read; stream_recv says `error`. */

static inline size_t tls_bytes_waiting(const struct tls_bytes *bytes)
{
    return bytes->len - bytes->at;
}

bool tls_bytes_keep(struct tls_bytes *bytes, const uint8_t *from, size_t len);
/* Replaces them (`from` may lie inside of them); false without memory: none are left. */

void tls_bytes_clear(struct tls_bytes *bytes);

#endif
