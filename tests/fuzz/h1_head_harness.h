/* h1_head_harness.h - one head, fed whole, byte by byte and in pieces whose sizes come from the
 * input: the verdict, the message and what we would send must be the same each time, and what we
 * send must be accepted by our own parser. Every piece is in memory of its own size, so that
 * AddressSanitizer sees a look beyond it. */
#ifndef OUTRIGGER_TESTS_FUZZ_H1_HEAD_HARNESS_H
#define OUTRIGGER_TESTS_FUZZ_H1_HEAD_HARNESS_H

#include "codec/h1_head.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define HARNESS_MAX_HEADERS 24
#define HARNESS_MAX_INPUT 4096 /* beyond every limit below; more would only be slow */
#define HARNESS_OUT_BYTES 8192

static const struct h1_limits harness_limits = {
    .max_line_bytes = 512, .max_header_bytes = 2048, .max_headers = HARNESS_MAX_HEADERS};

struct harness {
    enum message_kind kind;
    enum method method;
    bool has_asked_upgrade;
    struct header scratch[HARNESS_MAX_HEADERS];
    struct message msg;
    char *kept; /* what the spans of msg point into */
    size_t consumed;
};

static void require(bool holds)
{
    if (!holds)
        abort();
}

static struct h1_result harness_feed(struct harness *h, struct h1_scan *scan, const uint8_t *data,
                                     size_t len)
{
    free(h->kept);
    h->kept = malloc(len > 0 ? len : 1);
    require(h->kept != NULL);
    memcpy(h->kept, data, len);
    struct h1_result r = h1_scan_head(scan, h->kept, len, &harness_limits);
    require(scan->at <= len);
    if (r.step != H1_DONE)
        return r;
    h->consumed = scan->at;
    struct span head = h1_scan_span(scan, h->kept);
    return h->kind == MESSAGE_REQUEST
               ? h1_parse_request(head, &harness_limits, h->scratch, &h->msg)
               : h1_parse_response(head, &harness_limits, h->method, h->has_asked_upgrade,
                                   h->scratch, &h->msg);
}

/* Feeds `len` bytes, each time up to `stride` more; a stride of 0 takes sizes from the bytes
 * themselves. */
static struct h1_result harness_run(struct harness *h, const uint8_t *data, size_t len,
                                    size_t stride)
{
    struct h1_scan scan;
    struct h1_result r = {.step = H1_NEED_MORE};
    size_t at = 0;
    h1_scan_init(&scan, h->kind);
    do {
        size_t more = stride > 0 ? stride : 1u + data[at] % 16u;
        at = more < len - at ? at + more : len;
        r = harness_feed(h, &scan, data, at);
    } while (r.step == H1_NEED_MORE && at < len);
    return r;
}

static void require_same_span(struct span x, struct span y)
{
    require(span_is(x, y) && (x.data == NULL) == (y.data == NULL));
}

static void require_same_message(const struct harness *a, const struct harness *b)
{
    const struct message *x = &a->msg;
    const struct message *y = &b->msg;
    require(x->header_count == y->header_count && x->present == y->present);
    require(x->framing == y->framing && x->content_length == y->content_length);
    require(x->is_keep_alive == y->is_keep_alive && x->is_upgrade == y->is_upgrade);
    require(x->status == y->status && x->port == y->port && a->consumed == b->consumed);
    require_same_span(x->target, y->target);
    require_same_span(x->host, y->host);
    for (size_t i = 0; i < x->header_count; i++) {
        require_same_span(x->headers[i].name, y->headers[i].name);
        require_same_span(x->headers[i].value, y->headers[i].value);
        require(x->headers[i].is_nominated == y->headers[i].is_nominated);
    }
}

static void require_same_run(const struct harness *h, struct h1_result whole, const uint8_t *data,
                             size_t len, size_t stride)
{
    struct harness again = {
        .kind = h->kind, .method = h->method, .has_asked_upgrade = h->has_asked_upgrade};
    struct h1_result r = harness_run(&again, data, len, stride);
    require(r.step == whole.step && r.reason == whole.reason && r.detail == whole.detail);
    require((r.step == H1_ERROR) == (r.detail != NULL));
    if (r.step == H1_DONE)
        require_same_message(h, &again);
    free(again.kept);
}

/* Whole, byte by byte, and in sizes of the input's choice. Leaves the message in `h`; true when it
 * was accepted. */
static inline bool harness_judge(struct harness *h, const uint8_t *data, size_t len)
{
    struct h1_result whole = harness_run(h, data, len, len);
    require_same_run(h, whole, data, len, 1);
    require_same_run(h, whole, data, len, 0);
    return whole.step == H1_DONE;
}

/* No field may be there that is for another hop; what the writer adds is checked by the caller. */
static void require_no_hop_fields(const struct message *sent)
{
    const enum header_id never[] = {HEADER_KEEP_ALIVE,          HEADER_PROXY_CONNECTION,
                                    HEADER_PROXY_AUTHORIZATION, HEADER_PROXY_AUTHENTICATE,
                                    HEADER_HTTP2_SETTINGS,      HEADER_X_OUTRIGGER_REASON};
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
        require(!message_has(sent, never[i]));
}

#endif
