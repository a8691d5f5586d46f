/* h1_feed.h - feeds a head to scan and parser the way a socket would: whole, or in pieces, each
 * time in memory of exactly the size that has come, so that AddressSanitizer sees a look beyond it.
 */
#ifndef OUTRIGGER_TESTS_UNIT_CODEC_H1_FEED_H
#define OUTRIGGER_TESTS_UNIT_CODEC_H1_FEED_H

#include "codec/h1_head.h"

#include <stdlib.h>
#include <string.h>

#define FEED_MAX_HEADERS 16

struct feed {
    enum message_kind kind;
    enum method method;     /* of the request that a response answers */
    bool has_asked_upgrade; /* so did that request */
    struct h1_limits limits;
    struct header scratch[FEED_MAX_HEADERS];
    struct message msg; /* its spans point into `kept` */
    char *kept;         /* the last piece fed; freed by feed_fini */
    size_t consumed;    /* length of the head, when H1_DONE */
};

static const struct h1_limits feed_limits = {
    .max_line_bytes = 200, .max_header_bytes = 1000, .max_headers = FEED_MAX_HEADERS};

static inline struct h1_result feed_piece(struct feed *feed, struct h1_scan *scan,
                                          const char *bytes, size_t len)
{
    free(feed->kept);
    feed->kept = malloc(len > 0 ? len : 1);
    if (!feed->kept)
        abort();
    memcpy(feed->kept, bytes, len);
    struct h1_result r = h1_scan_head(scan, feed->kept, len, &feed->limits);
    if (r.step != H1_DONE)
        return r;
    feed->consumed = scan->at;
    struct span head = h1_scan_span(scan, feed->kept);
    return feed->kind == MESSAGE_REQUEST
               ? h1_parse_request(head, &feed->limits, feed->scratch, &feed->msg)
               : h1_parse_response(head, &feed->limits, feed->method, feed->has_asked_upgrade,
                                   feed->scratch, &feed->msg);
}

/* Everything at once. */
static inline struct h1_result feed_whole(struct feed *feed, const char *bytes, size_t len)
{
    struct h1_scan scan;
    h1_scan_init(&scan, feed->kind);
    return feed_piece(feed, &scan, bytes, len);
}

/* First `cut` bytes, then all: as recv does it. */
static inline struct h1_result feed_cut(struct feed *feed, const char *bytes, size_t len,
                                        size_t cut)
{
    struct h1_scan scan;
    h1_scan_init(&scan, feed->kind);
    struct h1_result r = feed_piece(feed, &scan, bytes, cut);
    return r.step == H1_NEED_MORE ? feed_piece(feed, &scan, bytes, len) : r;
}

/* One byte more each time. */
static inline struct h1_result feed_bytes(struct feed *feed, const char *bytes, size_t len)
{
    struct h1_scan scan;
    struct h1_result r = {.step = H1_NEED_MORE};
    h1_scan_init(&scan, feed->kind);
    for (size_t i = 1; i <= len && r.step == H1_NEED_MORE; i++)
        r = feed_piece(feed, &scan, bytes, i);
    return r;
}

static inline void feed_fini(struct feed *feed)
{
    free(feed->kept);
    feed->kept = NULL;
}

#endif
