#include "codec/h2_head.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct h1_limits limits = {
    .max_line_bytes = 1024, .max_header_bytes = 1024, .max_headers = 8};
static struct h2_head *head;
static struct message msg;

static void start(void)
{
    head = h2_head_new(&limits);
    cr_assert_not_null(head);
    h2_head_begin(head, MESSAGE_REQUEST);
}

static void end(void)
{
    h2_head_free(&head);
}

TestSuite(h2_head, .init = start, .fini = end);

static void add(const char *name, const char *value)
{
    h2_head_add(head, span_of(name), span_of(value), false);
}

static void request(const char *method, const char *path)
{
    add(":method", method);
    add(":scheme", "http");
    add(":authority", "a.example:81");
    add(":path", path);
}

static const char *fault_of_request(bool is_end)
{
    const struct h1_result result = h2_head_request(head, is_end, &msg);
    return result.step == H1_DONE ? NULL : result.detail;
}

static void expect_bad(const char *part)
{
    const char *fault = fault_of_request(true);
    cr_assert_not_null(fault);
    cr_expect_not_null(strstr(fault, part), "%s", fault);
}

/* ---- limits ---- */

Test(h2_head, refuses_a_list_beyond_its_bytes_and_keeps_none_of_it)
{
    request("GET", "/");
    for (int i = 0; i < 10000; i++)
        add("x", "0123456789012345678901234567890123456789");
    const struct h1_result result = h2_head_request(head, true, &msg);
    cr_assert_eq(result.step, H1_ERROR);
    cr_assert_eq(result.reason, REASON_HEADER_TOO_LARGE);
    cr_assert_leq(head->length, limits.max_header_bytes);
}

Test(h2_head, refuses_a_list_of_too_many_fields)
{
    request("GET", "/");
    for (uint32_t i = 0; i < limits.max_headers; i++)
        add("x", "");
    cr_assert_null(fault_of_request(true));
    h2_head_begin(head, MESSAGE_REQUEST);
    request("GET", "/");
    for (uint32_t i = 0; i <= limits.max_headers; i++)
        add("x", "");
    cr_assert_eq(h2_head_request(head, true, &msg).reason, REASON_HEADER_TOO_LARGE);
}

/* ---- what HTTP/1.1 could not carry ---- */

Test(h2_head, refuses_what_would_end_a_line_or_a_name)
{
    const char *const bad[][2] = {{"x", "a\r\nb: c"}, {"x", "a\nb"}, {"x y", "a"},
                                  {"x:", "a"},        {"", "a"},     {"X", "a"},
                                  {"x", " a"},        {"x", "a\t"},  {"x\r", "a"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        h2_head_begin(head, MESSAGE_REQUEST);
        request("GET", "/");
        add(bad[i][0], bad[i][1]);
        cr_expect_not_null(fault_of_request(true), "%zu", i);
    }
    h2_head_begin(head, MESSAGE_REQUEST);
    request("GET", "/");
    h2_head_add(head, SPAN("x"), SPAN("a\0b"), false);
    cr_expect_not_null(fault_of_request(true));
}

Test(h2_head, refuses_bad_targets)
{
    const char *const bad[] = {"/a b", "/a#b", "a", "/\r\n", "http://x/", "*"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        h2_head_begin(head, MESSAGE_REQUEST);
        request("GET", bad[i]);
        cr_expect_not_null(fault_of_request(true), "%s", bad[i]);
    }
    h2_head_begin(head, MESSAGE_REQUEST);
    request("G T", "/");
    expect_bad(":method");
}

Test(h2_head, refuses_an_authority_that_is_none_or_differs_from_host)
{
    add(":method", "GET");
    add(":scheme", "http");
    add(":path", "/");
    add(":authority", "user@a");
    cr_assert_not_null(fault_of_request(true));
    h2_head_begin(head, MESSAGE_REQUEST);
    request("GET", "/");
    add("host", "b.example");
    expect_bad("differ");
}

Test(h2_head, refuses_a_pseudo_header_behind_a_field)
{
    add(":method", "GET");
    add(":scheme", "http");
    add("x", "y");
    add(":path", "/");
    expect_bad("behind a field");
}

Test(h2_head, refuses_a_connect_that_names_its_target_by_host_alone)
{
    add(":method", "CONNECT");
    add("host", "a:80");
    expect_bad(":authority");
}

Test(h2_head, refuses_fields_of_a_connection)
{
    const char *const bad[][2] = {{"connection", "close"},   {"keep-alive", "1"},
                                  {"proxy-connection", "x"}, {"transfer-encoding", "chunked"},
                                  {"upgrade", "h2c"},        {"te", "gzip"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        h2_head_begin(head, MESSAGE_REQUEST);
        request("GET", "/");
        add(bad[i][0], bad[i][1]);
        cr_expect_not_null(fault_of_request(true), "%s", bad[i][0]);
    }
}

Test(h2_head, refuses_lengths_that_lie)
{
    request("POST", "/");
    add("content-length", "5");
    expect_bad("no body");
    h2_head_begin(head, MESSAGE_REQUEST);
    request("POST", "/");
    add("content-length", "5");
    add("content-length", "6");
    expect_bad("differ");
    h2_head_begin(head, MESSAGE_REQUEST);
    request("POST", "/");
    add("content-length", "+5");
    expect_bad("not a number");
}

/* ---- what it makes ---- */

Test(h2_head, makes_the_message_that_http_1_would_have_brought)
{
    request("POST", "/a?b=c");
    add("x-first", "1");
    add("te", "trailers");
    cr_assert_null(fault_of_request(false));
    cr_assert(span_is(msg.path, SPAN("/a")));
    cr_assert(span_is(msg.query, SPAN("?b=c")));
    cr_assert(span_is(msg.host, SPAN("a.example")));
    cr_assert_eq(msg.port, 81);
    cr_assert_eq(msg.method, METHOD_POST);
    cr_assert_eq(msg.framing, BODY_CHUNKED);
    cr_assert(msg.accepts_trailers);
    cr_assert(span_is(message_version(&msg), SPAN("2")));
    cr_assert(span_ends_with(msg.raw, SPAN("x-first: 1\r\nte: trailers\r\n\r\n")));
}

Test(h2_head, says_a_length_where_http_1_must_be_told_that_there_is_no_body)
{
    request("POST", "/");
    cr_assert_null(fault_of_request(true));
    cr_assert_eq(msg.framing, BODY_LENGTH);
    cr_assert_eq(msg.content_length, 0u);
    h2_head_begin(head, MESSAGE_REQUEST);
    request("GET", "/");
    cr_assert_null(fault_of_request(true));
    cr_assert_eq(msg.framing, BODY_NONE);
}

Test(h2_head, joins_the_crumbs_of_a_cookie)
{
    request("GET", "/");
    add("cookie", "a=1");
    add("x", "y");
    add("cookie", "b=2");
    cr_assert_null(fault_of_request(true));
    const struct header *last = &msg.headers[msg.header_count - 1];
    cr_assert(span_is(last->value, SPAN("a=1; b=2")));
    cr_assert(msg.headers[0].is_nominated && msg.headers[2].is_nominated);
    cr_assert_not(last->is_nominated);
}

Test(h2_head, of_a_response_knows_when_there_is_no_body)
{
    h2_head_begin(head, MESSAGE_RESPONSE);
    add(":status", "304");
    add("content-length", "7");
    cr_assert_eq(h2_head_response(head, true, METHOD_GET, &msg).step, H1_DONE);
    cr_assert_eq(msg.framing, BODY_NONE);
    cr_assert(msg.has_content_length);
    h2_head_begin(head, MESSAGE_RESPONSE);
    add(":status", "200");
    cr_assert_eq(h2_head_response(head, true, METHOD_GET, &msg).step, H1_DONE);
    cr_assert_eq(msg.framing, BODY_LENGTH);
    cr_assert(msg.is_whole);
    h2_head_begin(head, MESSAGE_RESPONSE);
    add(":status", "99");
    cr_assert_eq(h2_head_response(head, true, METHOD_GET, &msg).reason, REASON_PROTOCOL_ERROR);
    h2_head_begin(head, MESSAGE_RESPONSE);
    add(":status", "101");
    cr_assert_eq(h2_head_response(head, true, METHOD_GET, &msg).reason, REASON_PROTOCOL_ERROR);
}

Test(h2_head, of_trailers_keeps_what_may_pass)
{
    struct span lines;
    add("grpc-status", "0");
    add("content-length", "5");
    add("x-outrigger-reason", "circuit_open");
    add("x-checksum", "abc");
    cr_assert_eq(h2_head_trailers(head, &lines).step, H1_DONE);
    cr_assert(span_is(lines, SPAN("grpc-status: 0\r\nx-checksum: abc\r\n")));
}
