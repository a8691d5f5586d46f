/* h1_front_bare.c - connections that may not speak HTTP: what their first bytes say, and the tunnel
 * that one becomes which does not. See h1_front.h. */
#include "base/check.h"
#include "codec/h1_front_own.h"
#include "codec/h1_head.h"
#include "net/sniff.h"

#include <stdio.h>

#define BARE_HEAD_BYTES 1024 /* a target of 300 bytes, twice */

/* ---- what it speaks ---- */

/* It is HTTP: a head is awaited like any. */
static size_t feed_first_head(struct h1_front *front, struct span bytes)
{
    front->is_detecting = false;
    wheel_clear(front->codec->loop->wheel, &front->timer);
    if (front->state == H1_FRONT_HEAD)
        h1_front_await_head(front);
    return h1_front_feed_head(front, bytes);
}

/* Its bytes stay: they are the first ones of the tunnel. */
static void become_opaque(struct h1_front *front, struct span bytes)
{
    front->is_detecting = false;
    wheel_clear(front->codec->loop->wheel, &front->timer);
    front->handler->on_opaque(&front->base, bytes);
}

size_t h1_front_feed_unknown(struct h1_front *front, struct span bytes)
{
    struct client_hello hello;
    switch (sniff(bytes, &hello)) {
    case SNIFF_MORE: h1_front_head_is_partial(front); return 0;
    case SNIFF_HTTP1:
    case SNIFF_HTTP2: return feed_first_head(front, bytes);
    default: become_opaque(front, bytes); return 0;
    }
}

/* It has been waited for long enough. */
void h1_front_detect_now(struct h1_front *front)
{
    const struct span bytes = inbox_span(&front->in);
    if (sniff_in_doubt(bytes) != SNIFF_HTTP1) {
        become_opaque(front, bytes);
    } else {
        front->is_detecting = false;
        h1_front_await_head(front);
        h1_front_next(front);
    }
    codec_uncork(front->codec);
    h1_front_watch(front);
}

/* ---- life ---- */

void h1_front_detect(struct h1_front *front, dur_ns timeout)
{
    CHECK_OBJ(front, H1_FRONT_MAGIC);
    front->is_detecting = true;
    if (timeout > 0)
        wheel_set(front->codec->loop->wheel, &front->timer,
                  mono_add(front->codec->loop->now, timeout));
}

void h1_front_tunnel(struct h1_front *front, const char *to)
{
    char text[BARE_HEAD_BYTES];
    struct message msg;
    CHECK_OBJ(front, H1_FRONT_MAGIC);
    INVARIANT(front->requests == 0 &&
              (front->state == H1_FRONT_IDLE || front->state == H1_FRONT_HEAD));
    const int len = snprintf(text, sizeof text, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", to, to);
    INVARIANT(len > 0 && (size_t)len < sizeof text);
    const struct h1_result result = h1_parse_request(
        span_make(text, (size_t)len), &front->codec->request_limits, front->codec->scratch, &msg);
    list_remove(&front->idle_link);
    front->is_bare = true;
    if (result.step == H1_DONE)
        h1_front_head_arrived(front, &msg);
    else
        h1_front_head_refused(front, &result);
    h1_front_watch(front);
}
