/* tls_hear.c - what a peer says on an open TLS stream besides data (tls_stream.c): alerts, and
 * messages of the handshake. Of the latter TLS 1.2 has one, HelloRequest, which RFC 5246 section
 * 7.4.1.1 lets us ignore; TLS 1.3 has tickets, which we cannot use once mbedTLS is gone and pass
 * over, and key updates (RFC 8446 section 4.6). */
#include "net/tls_own.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HELLO_REQUESTS_MAX 3 /* a server may ask; it may not go on asking */
#define KEY_UPDATES_MAX 250  /* 2^24 records each; more is an attack on our processor */
#define MESSAGE_HEAD 4
#define TLS_ALERT_WORDS 96
#define MESSAGE_HELLO_REQUEST 0
#define MESSAGE_TICKET 4
#define MESSAGE_KEY_UPDATE 24
#define ALERT_WARNING 1
#define ALERT_CLOSE_NOTIFY 0
#define ALERT_USER_CANCELED 90

void tls_break(struct tls *tls, int error)
{
    tls->ending = TLS_BROKEN;
    tls->error = error;
}

/* For stream_detail. In TLS 1.3 a server that does not like our certificate says so only here. */
static void keep_words(struct tls *tls, int alert)
{
    char words[TLS_ALERT_WORDS];
    (void)snprintf(words, sizeof(words), "the upstream ended the connection (alert %s, %d)",
                   tls_alert_name(alert), alert);
    free(tls->detail);
    tls->detail = strdup(words); /* NULL: the words for errno will do */
}

static void hear_alert(struct tls *tls, const uint8_t *bytes, size_t len)
{
    const bool is_1_3 = tls->keys->read.traffic != NULL;
    if (len != 2) {
        tls_break(tls, EPROTO);
    } else if (bytes[1] == ALERT_CLOSE_NOTIFY) {
        tls->ending = TLS_ENDED;
    } else if (is_1_3 ? bytes[1] != ALERT_USER_CANCELED : bytes[0] != ALERT_WARNING) {
        keep_words(tls, bytes[1]);
        tls_break(tls, ECONNRESET); /* the peer gives up: as a RST */
    }
}

static void hear_key_update(struct stream *stream, const uint8_t *body, size_t len)
{
    struct tls *tls = stream->tls;
    if (len != 1 || body[0] > 1 || ++tls->key_updates > KEY_UPDATES_MAX) {
        tls_break(tls, EPROTO);
    } else if (tls_key_update(&tls->keys->read) != OK) {
        tls_break(tls, ENOMEM);
    } else if (body[0] == 1 && !tls->has_shut && !tls->has_failed_to_send) {
        (void)tls_say_key_update(stream); /* a failure is told by the next send */
    }
}

/* Messages of TLS 1.3. A ticket may go on in the next record (`passed_over` is what is left of it);
 * a key update ends its record, and no other is ours to hear. */
static void hear_1_3(struct stream *stream, const uint8_t *bytes, size_t len)
{
    struct tls *tls = stream->tls;
    while (len > 0 && tls->ending == TLS_GOES_ON) {
        if (tls->passed_over > 0) {
            const size_t some = tls->passed_over < len ? tls->passed_over : len;
            tls->passed_over -= (uint32_t)some;
            bytes += some;
            len -= some;
        } else if (len >= MESSAGE_HEAD && bytes[0] == MESSAGE_TICKET) {
            tls->passed_over = (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
            bytes += MESSAGE_HEAD;
            len -= MESSAGE_HEAD;
        } else if (len == MESSAGE_HEAD + 1 && bytes[0] == MESSAGE_KEY_UPDATE) {
            hear_key_update(stream, bytes + MESSAGE_HEAD, bytes[3]);
            len = 0;
        } else {
            tls_break(tls, EPROTO);
        }
    }
}

static void hear_1_2(struct tls *tls, const uint8_t *bytes, size_t len)
{
    if (len != MESSAGE_HEAD || bytes[0] != MESSAGE_HELLO_REQUEST ||
        ++tls->hello_requests > HELLO_REQUESTS_MAX) {
        tls_break(tls, EPROTO);
    }
}

void tls_hear(struct stream *stream, enum tls_type type, const uint8_t *bytes, size_t len)
{
    struct tls *tls = stream->tls;
    if (type == TLS_TYPE_ALERT) {
        hear_alert(tls, bytes, len);
    } else if (type != TLS_TYPE_HANDSHAKE) {
        tls_break(tls, EPROTO);
    } else if (tls->keys->read.traffic != NULL) {
        hear_1_3(stream, bytes, len);
    } else {
        hear_1_2(tls, bytes, len);
    }
}
