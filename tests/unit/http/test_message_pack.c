#include "base/arena.h"
#include "codec/h1_head.h"
#include "codec/h2_head.h"
#include "http/message_pack.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define MAX_HEADERS 8
#define LONG_BYTES 70000 /* places of two bytes do not reach behind it */

static const struct h1_limits limits = {2 * LONG_BYTES, 2 * LONG_BYTES, MAX_HEADERS};
static struct header scratch[MAX_HEADERS];
static struct header fields[MAX_HEADERS];
static struct arena arena;

static void begin(void)
{
    arena_init(&arena, NULL, 4 * LONG_BYTES);
}

static void end(void)
{
    arena_fini(&arena);
}

TestSuite(message_pack, .init = begin, .fini = end);

static struct message parse(struct span head)
{
    struct message msg;
    const struct h1_result r = h1_parse_request(head, &limits, scratch, &msg);
    cr_assert_eq(r.step, H1_DONE, "%s", r.detail ? r.detail : "");
    return msg;
}

static bool is_same(struct span a, struct span b)
{
    return span_is(a, b) && (a.data == NULL) == (b.data == NULL);
}

static void expect_same(const struct message *a, const struct message *b)
{
    cr_expect_eq(memcmp(a, b, offsetof(struct message, status)), 0);
    cr_expect_eq(a->present, b->present);
    cr_expect_eq(a->content_length, b->content_length);
    cr_expect(is_same(a->raw, b->raw));
    cr_expect(is_same(a->upgrade, b->upgrade));
    cr_expect(is_same(a->method_name, b->method_name));
    cr_expect(is_same(a->target, b->target));
    cr_expect(is_same(a->path, b->path));
    cr_expect(is_same(a->query, b->query));
    cr_expect(is_same(a->authority, b->authority));
    cr_expect(is_same(a->host, b->host));
    for (size_t i = 0; i < a->header_count; i++) {
        const struct header *one = &a->headers[i];
        const struct header *other = &b->headers[i];
        cr_expect(is_same(one->name, other->name));
        cr_expect(is_same(one->value, other->value));
        cr_expect_eq(one->id, other->id);
        cr_expect_eq(one->is_nominated, other->is_nominated);
        cr_expect_eq(one->is_sensitive, other->is_sensitive);
    }
}

static bool lies_in(struct span slice, struct span raw)
{
    return slice.data >= raw.data && slice.data + slice.len <= raw.data + raw.len;
}

static void pack_and_compare(const struct message *msg)
{
    struct message again;
    struct message_pack *pack = message_pack(msg, &arena);
    cr_assert_not_null(pack);
    memset(fields, 0xff, sizeof fields);
    message_unpack(pack, fields, &again);
    expect_same(msg, &again);
    cr_expect_neq(again.raw.data, msg->raw.data);
    cr_expect(lies_in(again.target, again.raw));
    for (size_t i = 0; i < again.header_count; i++)
        cr_expect(lies_in(again.headers[i].value, again.raw));
}

Test(message_pack, gives_back_what_was_packed)
{
    const struct message msg = parse(
        SPAN("POST /a/b?q=1 HTTP/1.1\r\nHost: a:81\r\nConnection: upgrade, x-a\r\n"
             "Content-Length: 12345678901\r\nUpgrade: websocket\r\nX-A:\r\nVia: 1.1 b\r\n\r\n"));
    cr_assert(msg.headers[4].is_nominated);
    pack_and_compare(&msg);
}

Test(message_pack, keeps_constants_that_lie_outside_of_the_head)
{
    const struct message msg = parse(SPAN("GET http://b:81?q HTTP/1.1\r\nHost: a\r\n\r\n"));
    cr_assert(span_is(msg.path, SPAN("/")));
    cr_assert_not(lies_in(msg.path, msg.raw));
    pack_and_compare(&msg);
}

Test(message_pack, tells_the_absent_from_the_empty)
{
    const struct message msg = parse(SPAN("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\nX-A:\r\n\r\n"));
    cr_assert_null(msg.path.data);
    cr_assert_not_null(msg.headers[1].value.data);
    pack_and_compare(&msg);
}

Test(message_pack, holds_heads_of_more_than_64_kib)
{
    static char head[LONG_BYTES + 200];
    const int len = snprintf(head, sizeof head,
                             "GET / HTTP/1.1\r\nHost: a\r\nX-Long: %0*d\r\nVia: 1.1 behind\r\n\r\n",
                             LONG_BYTES, 1);
    const struct message msg = parse(span_make(head, (size_t)len));
    pack_and_compare(&msg);
}

Test(message_pack, remembers_which_fields_are_sensitive)
{
    struct message msg;
    struct h2_head *head = h2_head_new(&limits);
    h2_head_begin(head, MESSAGE_REQUEST);
    h2_head_add(head, SPAN(":method"), SPAN("POST"), false);
    h2_head_add(head, SPAN(":scheme"), SPAN("http"), false);
    h2_head_add(head, SPAN(":path"), SPAN("/a"), false);
    h2_head_add(head, SPAN(":authority"), SPAN("a"), false);
    h2_head_add(head, SPAN("authorization"), SPAN("secret"), true);
    h2_head_add(head, SPAN("te"), SPAN("trailers"), false);
    cr_assert_eq(h2_head_request(head, false, &msg).step, H1_DONE);
    cr_assert(msg.headers[0].is_sensitive);
    pack_and_compare(&msg);
    h2_head_free(&head);
}

Test(message_pack, says_so_when_the_arena_is_full)
{
    const struct span head = SPAN("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    const struct message msg = parse(head);
    for (size_t limit = 0; limit <= head.len; limit += head.len / 2) {
        struct arena small;
        arena_init(&small, NULL, limit);
        cr_expect_null(message_pack(&msg, &small), "limit %zu", limit);
        arena_fini(&small);
    }
}
