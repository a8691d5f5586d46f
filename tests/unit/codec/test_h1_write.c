/* What we send, byte for byte, for what we got. */
#include "h1_feed.h"

#include "base/arena.h"
#include "codec/h1_write.h"

#include <criterion/criterion.h>

#define HOST "Host: a.example\r\n"
#define OK_LINE "HTTP/1.1 200 OK\r\n"

static void read_head(struct feed *feed, enum message_kind kind, const char *text)
{
    *feed = (struct feed){.kind = kind, .limits = feed_limits, .has_asked_upgrade = true};
    struct h1_result r = feed_whole(feed, text, strlen(text));
    cr_assert_eq(r.step, H1_DONE, "%s: %s", text, r.detail ? r.detail : "unfinished");
}

static void expect_request(const char *in, struct request_edit edit, const char *out)
{
    struct feed feed;
    char buf[1024];
    size_t len = 0;
    size_t wanted = strlen(out);
    read_head(&feed, MESSAGE_REQUEST, in);
    cr_expect_eq(h1_write_request(&feed.msg, &edit, buf, sizeof(buf), &len), OK);
    cr_expect(len == wanted && memcmp(buf, out, len) == 0, "%s became\n%.*s, not\n%s", in, (int)len,
              buf, out);
    for (size_t cap = 0; cap < wanted; cap++)
        cr_expect_eq(h1_write_request(&feed.msg, &edit, buf, cap, &len), ERR_TOO_LARGE);
    cr_expect_eq(len, wanted, "an out-parameter is untouched on error");
    feed_fini(&feed);
}

static void expect_response(const char *in, struct response_edit edit, const char *out)
{
    struct feed feed;
    char buf[1024];
    size_t len = 0;
    size_t wanted = strlen(out);
    read_head(&feed, MESSAGE_RESPONSE, in);
    cr_expect_eq(h1_write_response(&feed.msg, &edit, buf, sizeof(buf), &len), OK);
    cr_expect(len == wanted && memcmp(buf, out, len) == 0, "%s became\n%.*s, not\n%s", in, (int)len,
              buf, out);
    for (size_t cap = 0; cap < wanted; cap++)
        cr_expect_eq(h1_write_response(&feed.msg, &edit, buf, cap, &len), ERR_TOO_LARGE);
    cr_expect_eq(len, wanted, "an out-parameter is untouched on error");
    feed_fini(&feed);
}

Test(h1_write, plain_request_passes_as_it_came)
{
    expect_request("GET /a?b HTTP/1.1\r\n" HOST "Accept:  x \r\nFOO: bar\r\n\r\n",
                   (struct request_edit){.attempt = 0},
                   "GET /a?b HTTP/1.1\r\n" HOST "Accept:  x \r\nFOO: bar\r\n\r\n");
}

Test(h1_write, our_fields_come_last)
{
    expect_request(
        "GET / HTTP/1.1\r\n" HOST "Via: 1.0 fred\r\n\r\n",
        (struct request_edit){.via = SPAN("outrigger-1"), .request_id = SPAN("abc"), .attempt = 12},
        "GET / HTTP/1.1\r\n" HOST "Via: 1.0 fred\r\nvia: 1.1 outrigger-1\r\n"
        "x-request-id: abc\r\nx-outrigger-attempt: 12\r\n\r\n");
}

Test(h1_write, request_id_of_the_caller_stays)
{
    expect_request("GET / HTTP/1.1\r\n" HOST "X-Request-ID: mine\r\n\r\n",
                   (struct request_edit){.request_id = SPAN("abc")},
                   "GET / HTTP/1.1\r\n" HOST "X-Request-ID: mine\r\n\r\n");
}

Test(h1_write, hop_by_hop_fields_of_a_request_are_cut)
{
    expect_request("GET / HTTP/1.1\r\nConnection: x-a, keep-alive\r\n" HOST
                   "X-A: 1\r\nKeep-Alive: 5\r\nX-B: 2\r\nProxy-Connection: keep-alive\r\n"
                   "Proxy-Authorization: Basic x\r\nTE: gzip\r\nUpgrade: websocket\r\n"
                   "HTTP2-Settings: AAA\r\nX-C: 3\r\nx-outrigger-attempt: 9\r\n"
                   "x-outrigger-reason: shutdown\r\n\r\n",
                   (struct request_edit){.attempt = 1},
                   "GET / HTTP/1.1\r\n" HOST "X-B: 2\r\nX-C: 3\r\nx-outrigger-attempt: 1\r\n\r\n");
}

Test(h1_write, nominating_host_or_via_does_not_cut_them)
{
    expect_request("GET / HTTP/1.1\r\n" HOST "Via: 1.1 a\r\nConnection: host, via\r\n\r\n",
                   (struct request_edit){.attempt = 0},
                   "GET / HTTP/1.1\r\n" HOST "Via: 1.1 a\r\n\r\n");
}

Test(h1_write, framing_is_written_anew)
{
    expect_request("POST / HTTP/1.1\r\n" HOST
                   "Content-Length: 0012\r\nA: b\r\nContent-Length: 12\r\nTrailer: c\r\n\r\n",
                   (struct request_edit){.attempt = 0},
                   "POST / HTTP/1.1\r\n" HOST "A: b\r\ncontent-length: 12\r\n\r\n");
    expect_request("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding:\tCHUNKED\r\nTrailer: c\r\n\r\n",
                   (struct request_edit){.attempt = 0},
                   "POST / HTTP/1.1\r\n" HOST "Trailer: c\r\ntransfer-encoding: chunked\r\n\r\n");
    expect_request("POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n",
                   (struct request_edit){.attempt = 0},
                   "POST / HTTP/1.1\r\n" HOST "content-length: 0\r\n\r\n");
    expect_request("POST / HTTP/1.1\r\n" HOST "Content-Length: 9223372036854775807\r\n\r\n",
                   (struct request_edit){.attempt = 0},
                   "POST / HTTP/1.1\r\n" HOST "content-length: 9223372036854775807\r\n\r\n");
}

Test(h1_write, absolute_form_becomes_origin_form_with_its_own_host)
{
    const struct request_edit edit = {.host = SPAN("never.example")};
    expect_request("GET http://b.example:81/x?y HTTP/1.1\r\n" HOST "A: b\r\n\r\n", edit,
                   "GET /x?y HTTP/1.1\r\nhost: b.example:81\r\nA: b\r\n\r\n");
    expect_request("GET http://b.example?y HTTP/1.1\r\n" HOST "\r\n", edit,
                   "GET /?y HTTP/1.1\r\nhost: b.example\r\n\r\n");
    expect_request("OPTIONS http://b.example HTTP/1.1\r\n" HOST "\r\n", edit,
                   "OPTIONS * HTTP/1.1\r\nhost: b.example\r\n\r\n");
    expect_request("OPTIONS * HTTP/1.1\r\n" HOST "\r\n", edit,
                   "OPTIONS * HTTP/1.1\r\n" HOST "\r\n");
}

Test(h1_write, http_1_0_becomes_1_1_with_a_host_and_without_expect)
{
    expect_request("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
                   (struct request_edit){.host = SPAN("up:80"), .via = SPAN("p")},
                   "POST / HTTP/1.1\r\nhost: up:80\r\ncontent-length: 1\r\nvia: 1.0 p\r\n\r\n");
    expect_request("GET / HTTP/1.0\r\n" HOST "\r\n", (struct request_edit){.host = SPAN("up")},
                   "GET / HTTP/1.1\r\n" HOST "\r\n");
}

Test(h1_write, expect_passes_in_http_1_1)
{
    expect_request("POST / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 1\r\n\r\n",
                   (struct request_edit){.attempt = 0},
                   "POST / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\ncontent-length: 1\r\n\r\n");
}

Test(h1_write, connection_of_a_request_names_what_is_for_this_hop)
{
    const char *plain = "GET / HTTP/1.1\r\n" HOST "\r\n";
    const char *full = "GET / HTTP/1.1\r\n" HOST "TE: deflate, Trailers\r\nUpgrade: websocket\r\n"
                       "Connection: upgrade, te\r\n\r\n";
    expect_request(plain, (struct request_edit){.is_last = true},
                   "GET / HTTP/1.1\r\n" HOST "connection: close\r\n\r\n");
    expect_request(plain, (struct request_edit){.is_upgrade_passed = true}, plain);
    expect_request(full, (struct request_edit){.is_upgrade_passed = true, .is_last = true},
                   "GET / HTTP/1.1\r\n" HOST "upgrade: websocket\r\nte: trailers\r\n"
                   "connection: upgrade, te, close\r\n\r\n");
    expect_request(full, (struct request_edit){.is_upgrade_passed = true},
                   "GET / HTTP/1.1\r\n" HOST "upgrade: websocket\r\nte: trailers\r\n"
                   "connection: upgrade, te\r\n\r\n");
    expect_request(full, (struct request_edit){.is_last = true},
                   "GET / HTTP/1.1\r\n" HOST "te: trailers\r\nconnection: te, close\r\n\r\n");
    expect_request(full, (struct request_edit){.attempt = 0},
                   "GET / HTTP/1.1\r\n" HOST "te: trailers\r\nconnection: te\r\n\r\n");
}

Test(h1_write, websocket_handshake_passes_when_told)
{
    expect_request("GET /ws HTTP/1.1\r\n" HOST "Connection: Upgrade\r\nUpgrade: websocket\r\n"
                   "Sec-WebSocket-Key: x\r\n\r\n",
                   (struct request_edit){.is_upgrade_passed = true},
                   "GET /ws HTTP/1.1\r\n" HOST "Sec-WebSocket-Key: x\r\nupgrade: websocket\r\n"
                   "connection: upgrade\r\n\r\n");
}

Test(h1_write, lines_are_added_and_may_replace)
{
    const struct header_line lines[] = {{SPAN("grpc-timeout"), SPAN("5m"), true},
                                        {SPAN("x-deadline"), SPAN("70"), true},
                                        {SPAN("x-more"), SPAN("1"), false}};
    expect_request("GET / HTTP/1.1\r\nGrpc-Timeout: 1H\r\n" HOST
                   "X-DEADLINE: 99\r\nX-More: 0\r\n\r\n",
                   (struct request_edit){.lines = lines, .line_count = 3},
                   "GET / HTTP/1.1\r\n" HOST "X-More: 0\r\ngrpc-timeout: 5m\r\nx-deadline: 70\r\n"
                   "x-more: 1\r\n\r\n");
}

Test(h1_write, request_without_any_field_passes)
{
    expect_request("GET / HTTP/1.0\r\n\r\n", (struct request_edit){.attempt = 0},
                   "GET / HTTP/1.1\r\n\r\n");
}

Test(h1_write, plain_response_passes_with_its_length_said_anew)
{
    expect_response(OK_LINE "Server: x\r\nContent-Length: 005\r\nA: b\r\n\r\n",
                    (struct response_edit){.framing = BODY_LENGTH, .via = SPAN("p")},
                    OK_LINE "Server: x\r\nA: b\r\ncontent-length: 5\r\nvia: 1.1 p\r\n\r\n");
    expect_response("HTTP/1.0 200\r\nContent-Length: 5\r\n\r\n",
                    (struct response_edit){.framing = BODY_LENGTH, .via = SPAN("p")},
                    "HTTP/1.1 200 \r\ncontent-length: 5\r\nvia: 1.0 p\r\n\r\n");
}

Test(h1_write, hop_by_hop_fields_of_a_response_are_cut_and_nobody_speaks_for_us)
{
    expect_response(
        "HTTP/1.1 503 Busy\r\nConnection: close, x-a\r\nX-A: 1\r\nKeep-Alive: timeout=5\r\n"
        "x-outrigger-reason: circuit_open\r\nProxy-Authenticate: Basic\r\nB: 2\r\n"
        "Upgrade: h2c\r\nx-outrigger-attempt: 3\r\nContent-Length: 0\r\n\r\n",
        (struct response_edit){.framing = BODY_LENGTH},
        "HTTP/1.1 503 Busy\r\nB: 2\r\ncontent-length: 0\r\n\r\n");
}

Test(h1_write, mark_of_exhausted_retries_passes_goes_or_is_ours)
{
    const char *in =
        "HTTP/1.1 503 X\r\nX-Outrigger-Retries: exhausted\r\nContent-Length: 0\r\n\r\n";
    expect_response(
        in, (struct response_edit){.framing = BODY_LENGTH},
        "HTTP/1.1 503 X\r\nX-Outrigger-Retries: exhausted\r\ncontent-length: 0\r\n\r\n");
    expect_response(in, (struct response_edit){.framing = BODY_LENGTH, .retries = RETRIES_REMOVE},
                    "HTTP/1.1 503 X\r\ncontent-length: 0\r\n\r\n");
    expect_response(
        in, (struct response_edit){.framing = BODY_LENGTH, .retries = RETRIES_EXHAUSTED},
        "HTTP/1.1 503 X\r\ncontent-length: 0\r\nx-outrigger-retries: exhausted\r\n\r\n");
}

Test(h1_write, body_without_a_length_is_framed_for_the_client)
{
    const char *chunked = OK_LINE "Transfer-Encoding: chunked\r\nTrailer: a\r\n\r\n";
    const char *until_close = OK_LINE "A: b\r\n\r\n";
    expect_response(chunked, (struct response_edit){.framing = BODY_CHUNKED},
                    OK_LINE "Trailer: a\r\ntransfer-encoding: chunked\r\n\r\n");
    expect_response(until_close, (struct response_edit){.framing = BODY_CHUNKED},
                    OK_LINE "A: b\r\ntransfer-encoding: chunked\r\n\r\n");
    expect_response(
        chunked,
        (struct response_edit){.framing = BODY_UNTIL_CLOSE, .connection = H1_CONNECTION_CLOSE},
        OK_LINE "connection: close\r\n\r\n");
    expect_response(
        until_close,
        (struct response_edit){.framing = BODY_UNTIL_CLOSE, .connection = H1_CONNECTION_CLOSE},
        OK_LINE "A: b\r\nconnection: close\r\n\r\n");
}

Test(h1_write, response_without_a_body_keeps_the_length_it_speaks_of)
{
    expect_response("HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n",
                    (struct response_edit){.framing = BODY_NONE},
                    "HTTP/1.1 304 Not Modified\r\ncontent-length: 99\r\n\r\n");
    expect_response("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
                    (struct response_edit){.framing = BODY_NONE},
                    "HTTP/1.1 204 No Content\r\n\r\n");
    expect_response("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
                    (struct response_edit){.framing = BODY_NONE},
                    "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
}

Test(h1_write, connection_of_a_response_says_what_the_client_must_know)
{
    const char *in = OK_LINE "Content-Length: 1\r\n\r\n";
    expect_response(
        in, (struct response_edit){.framing = BODY_LENGTH, .connection = H1_CONNECTION_KEEP_ALIVE},
        OK_LINE "content-length: 1\r\nconnection: keep-alive\r\n\r\n");
    expect_response(
        in, (struct response_edit){.framing = BODY_LENGTH, .connection = H1_CONNECTION_CLOSE},
        OK_LINE "content-length: 1\r\nconnection: close\r\n\r\n");
}

Test(h1_write, upgrade_of_a_response_passes_when_told)
{
    const char *in = "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
                     "Sec-WebSocket-Accept: x\r\n\r\n";
    const char *upgrade_required =
        "HTTP/1.1 426 X\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n";
    expect_response(in, (struct response_edit){.framing = BODY_NONE, .is_upgrade_passed = true},
                    "HTTP/1.1 101 Switching\r\nSec-WebSocket-Accept: x\r\nupgrade: websocket\r\n"
                    "connection: upgrade\r\n\r\n");
    expect_response(upgrade_required,
                    (struct response_edit){.framing = BODY_LENGTH,
                                           .is_upgrade_passed = true,
                                           .connection = H1_CONNECTION_CLOSE},
                    "HTTP/1.1 426 X\r\ncontent-length: 0\r\nupgrade: websocket\r\n"
                    "connection: upgrade, close\r\n\r\n");
}

Test(h1_write, rate_fields_are_added_to_a_response)
{
    const struct header_line lines[] = {{SPAN("ratelimit"), SPAN("\"default\";r=1;t=1"), true}};
    expect_response(OK_LINE "RateLimit: x\r\nContent-Length: 1\r\n\r\n",
                    (struct response_edit){.framing = BODY_LENGTH, .lines = lines, .line_count = 1},
                    OK_LINE "content-length: 1\r\nratelimit: \"default\";r=1;t=1\r\n\r\n");
}

Test(h1_write, framing_towards_the_client_depends_on_its_version)
{
    const struct {
        enum body_framing upstream;
        uint8_t client_minor;
        enum body_framing wanted;
    } cases[] = {
        {BODY_NONE, 1, BODY_NONE},           {BODY_NONE, 0, BODY_NONE},
        {BODY_LENGTH, 1, BODY_LENGTH},       {BODY_LENGTH, 0, BODY_LENGTH},
        {BODY_CHUNKED, 1, BODY_CHUNKED},     {BODY_CHUNKED, 0, BODY_UNTIL_CLOSE},
        {BODY_UNTIL_CLOSE, 1, BODY_CHUNKED}, {BODY_UNTIL_CLOSE, 0, BODY_UNTIL_CLOSE},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct message msg = {.framing = cases[i].upstream};
        cr_expect_eq(h1_response_framing(&msg, cases[i].client_minor), cases[i].wanted, "case %zu",
                     i);
    }
}

Test(h1_write, copied_message_is_written_alike)
{
    const char *text =
        "GET http://b.example:81?y HTTP/1.1\r\nConnection: x-a\r\n" HOST "X-A: 1\r\nB: 2\r\n\r\n";
    const struct request_edit edit = {.via = SPAN("p")};
    struct feed feed;
    struct arena arena;
    struct message copy;
    char before[512];
    char after[512];
    size_t before_len = 0;
    size_t after_len = 1;
    read_head(&feed, MESSAGE_REQUEST, text);
    cr_assert_eq(h1_write_request(&feed.msg, &edit, before, sizeof(before), &before_len), OK);
    arena_init(&arena, NULL, 4096);
    cr_assert_eq(message_copy(&feed.msg, &arena, &copy), OK);
    feed_fini(&feed);
    cr_assert_eq(h1_write_request(&copy, &edit, after, sizeof(after), &after_len), OK);
    cr_expect(span_is(span_make(before, before_len), span_make(after, after_len)));
    arena_fini(&arena);
}

Test(h1_write, chunk_heads_are_hexadecimal)
{
    const struct {
        uint64_t size;
        const char *head;
    } cases[] = {
        {1, "1\r\n"},         {15, "f\r\n"},        {16, "10\r\n"},
        {0x1a2b, "1a2b\r\n"}, {0xffff, "ffff\r\n"}, {UINT64_MAX, "ffffffffffffffff\r\n"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char buf[H1_CHUNK_HEAD_MAX];
        size_t len = h1_write_chunk_head(buf, cases[i].size);
        cr_expect(span_is(span_make(buf, len), span_of(cases[i].head)), "%s", cases[i].head);
    }
}
