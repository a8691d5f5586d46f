#include "base/arena.h"
#include "codec/h1_head.h"
#include "http/message.h"

#include <criterion/criterion.h>

#define MAX_HEADERS 8

static const struct h1_limits limits = {1000, 1000, MAX_HEADERS};

struct parsed {
    struct header scratch[MAX_HEADERS];
    struct message msg;
};

static void parse(struct parsed *parsed, struct span head)
{
    struct h1_result r = h1_parse_request(head, &limits, parsed->scratch, &parsed->msg);
    cr_assert_eq(r.step, H1_DONE, "%s", r.detail ? r.detail : "");
}

Test(message, find_gives_the_first_of_a_name_or_nothing)
{
    struct parsed parsed;
    parse(&parsed, SPAN("GET / HTTP/1.1\r\nHost: a\r\nVia: 1\r\nX-Foo: 2\r\nvia: 3\r\n\r\n"));
    const struct message *msg = &parsed.msg;
    cr_expect(message_has(msg, HEADER_VIA));
    cr_expect_eq(message_find(msg, HEADER_VIA), &msg->headers[1]);
    cr_expect(span_is(message_value(msg, HEADER_VIA), SPAN("1")));
    cr_expect_null(message_find(msg, HEADER_TE));
    cr_expect_null(message_value(msg, HEADER_TE).data);
    cr_expect_null(message_find(msg, HEADER_OTHER));
    cr_expect_eq(message_find_name(msg, SPAN("x-fOO")), &msg->headers[2]);
    cr_expect_eq(message_find_name(msg, SPAN("VIA")), &msg->headers[1]);
    cr_expect_null(message_find_name(msg, SPAN("x-fo")));
}

Test(message, copy_points_into_the_arena_alone)
{
    char head[] = "GET http://b:81?q HTTP/1.1\r\nHost: a\r\nConnection: upgrade, x-a\r\n"
                  "Upgrade: websocket\r\nX-A:\r\n\r\n";
    struct parsed parsed;
    struct arena arena;
    struct message copy;
    parse(&parsed, span_of(head));
    arena_init(&arena, NULL, 4096);
    cr_assert_eq(message_copy(&parsed.msg, &arena, &copy), OK);
    memset(head, '!', sizeof(head));
    memset(&parsed, 0, sizeof(parsed));
    cr_expect(span_is(copy.method_name, SPAN("GET")));
    cr_expect(span_is(copy.target, SPAN("http://b:81?q")));
    cr_expect(span_is(copy.path, SPAN("/")));
    cr_expect(span_is(copy.query, SPAN("?q")));
    cr_expect(span_is(copy.authority, SPAN("b:81")));
    cr_expect(span_is(copy.host, SPAN("b")));
    cr_expect(span_is(copy.upgrade, SPAN("websocket")));
    cr_expect(copy.is_upgrade);
    cr_assert_eq(copy.header_count, 4);
    cr_expect(span_is(message_value(&copy, HEADER_HOST), SPAN("a")));
    cr_expect(span_is(copy.headers[3].name, SPAN("X-A")));
    cr_expect_not_null(copy.headers[3].value.data, "an empty value is present");
    cr_expect_eq(copy.headers[3].value.len, 0);
    cr_expect(copy.headers[3].is_nominated);
    arena_fini(&arena);
}

Test(message, copy_says_so_when_the_arena_is_full)
{
    struct parsed parsed;
    struct message copy = {.status = 7};
    struct arena arena;
    struct span head = SPAN("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    parse(&parsed, head);
    for (size_t limit = 0; limit <= head.len; limit += head.len / 2) {
        arena_init(&arena, NULL, limit);
        cr_expect_eq(message_copy(&parsed.msg, &arena, &copy), ERR_NO_MEMORY, "limit %zu", limit);
        cr_expect_eq(copy.status, 7);
        arena_fini(&arena);
    }
}
