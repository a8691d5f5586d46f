/* What a response head may be (RFC 9112), and how long its body is (section 6.3). */
#include "h1_feed.h"

#include <criterion/criterion.h>

#define REFUSED 99 /* in the place of a framing */

struct row {
    const char *bytes;
    size_t len;
    enum method method; /* of the request */
    bool has_asked_upgrade;
    int framing; /* enum body_framing, or REFUSED */
    bool is_keep_alive;
};

#define ROW(text, asked_method, asked_upgrade, body, keep_alive)                                   \
    {                                                                                              \
        .bytes = text, .len = sizeof(text) - 1, .method = METHOD_##asked_method,                   \
        .has_asked_upgrade = asked_upgrade, .framing = body, .is_keep_alive = keep_alive           \
    }
#define TO_GET(text, body, keep_alive) ROW(text, GET, false, body, keep_alive)
#define BAD(text) ROW(text, GET, false, REFUSED, false)

#define OK_LINE "HTTP/1.1 200 OK\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n"
#define FIVE "Content-Length: 5\r\n"
#define UPGRADE "Connection: upgrade\r\nUpgrade: websocket\r\n"

static const struct row rows[] = {
    /* Status line, section 4. */
    TO_GET(OK_LINE FIVE "\r\n", BODY_LENGTH, true),
    TO_GET("HTTP/1.1 200 \r\n" FIVE "\r\n", BODY_LENGTH, true),
    TO_GET("HTTP/1.1 200\r\n" FIVE "\r\n", BODY_LENGTH, true),
    TO_GET("HTTP/1.1 200 Two words, \xe4\t.\r\n" FIVE "\r\n", BODY_LENGTH, true),
    TO_GET("HTTP/1.1 599 X\r\n" FIVE "\r\n", BODY_LENGTH, true),
    TO_GET("HTTP/1.0 200 OK\r\n" FIVE "\r\n", BODY_LENGTH, false),
    BAD("HTTP/1.1 099 X\r\n\r\n"),
    BAD("HTTP/1.1 600 X\r\n\r\n"),
    BAD("HTTP/1.1 20 OK\r\n\r\n"),
    BAD("HTTP/1.1 2000 OK\r\n\r\n"),
    BAD("HTTP/1.1 2x0 OK\r\n\r\n"),
    BAD("HTTP/1.1 -20 OK\r\n\r\n"),
    BAD("HTTP/1.1  200 OK\r\n\r\n"),
    BAD("HTTP/1.1 200\tOK\r\n\r\n"),
    BAD("HTTP/1.1\r\n\r\n"),
    BAD("HTTP/1.2 200 OK\r\n\r\n"),
    BAD("HTTP/2 200\r\n\r\n"),
    BAD("http/1.1 200 OK\r\n\r\n"),
    BAD("ICY 200 OK\r\n\r\n"),
    BAD(" HTTP/1.1 200 OK\r\n\r\n"),
    BAD("\r\nHTTP/1.1 200 OK\r\n\r\n"),
    BAD("HTTP/1.1 200 OK\n\r\n"),
    BAD("HTTP/1.1 200 OK\r\r\n\r\n"),
    BAD("HTTP/1.1 200 O\0K\r\n\r\n"),
    BAD("<html>\r\n\r\n"),
    BAD("SSH-2.0-OpenSSH_9.2\r\n\r\n"),

    /* Fields: the same rules as for requests. */
    BAD(OK_LINE "A : b\r\n\r\n"),
    BAD(OK_LINE "A: b\r\n c\r\n\r\n"),
    BAD(OK_LINE "A: b\rc\r\n\r\n"),
    BAD(OK_LINE "A: b\nc\r\n\r\n"),
    BAD(OK_LINE ": b\r\n\r\n"),
    BAD(OK_LINE "A\r\n\r\n"),
    BAD(OK_LINE "Connection: a b\r\n\r\n"),
    TO_GET(OK_LINE "Host: a\r\nFoo: \xff\r\n\r\n", BODY_UNTIL_CLOSE, false),

    /* Framing, section 6.3. */
    TO_GET(OK_LINE "\r\n", BODY_UNTIL_CLOSE, false),
    TO_GET(OK_LINE "Connection: keep-alive\r\n\r\n", BODY_UNTIL_CLOSE, false),
    TO_GET(OK_LINE CHUNKED "\r\n", BODY_CHUNKED, true),
    TO_GET(OK_LINE CHUNKED "Connection: close\r\n\r\n", BODY_CHUNKED, false),
    TO_GET(OK_LINE "Content-Length: 0\r\n\r\n", BODY_LENGTH, true),
    TO_GET(OK_LINE FIVE FIVE "\r\n", BODY_LENGTH, true),
    TO_GET("HTTP/1.0 200 OK\r\n" FIVE "Connection: keep-alive\r\n\r\n", BODY_LENGTH, true),
    BAD(OK_LINE FIVE CHUNKED "\r\n"),
    BAD(OK_LINE CHUNKED FIVE "\r\n"),
    BAD(OK_LINE FIVE "Content-Length: 6\r\n\r\n"),
    BAD(OK_LINE "Content-Length: 5, 5\r\n\r\n"),
    BAD(OK_LINE "Content-Length: +5\r\n\r\n"),
    BAD(OK_LINE "Content-Length: \r\n\r\n"),
    BAD(OK_LINE "Content-Length: 18446744073709551616\r\n\r\n"),
    BAD(OK_LINE "Transfer-Encoding: gzip, chunked\r\n\r\n"),
    BAD(OK_LINE "Transfer-Encoding: identity\r\n\r\n"),
    BAD(OK_LINE CHUNKED CHUNKED "\r\n"),
    BAD("HTTP/1.0 200 OK\r\n" CHUNKED "\r\n"),

    /* Answers without a body. */
    ROW(OK_LINE FIVE "\r\n", HEAD, false, BODY_NONE, true),
    ROW(OK_LINE CHUNKED "\r\n", HEAD, false, BODY_NONE, true),
    ROW(OK_LINE "\r\n", HEAD, false, BODY_NONE, true),
    ROW(OK_LINE FIVE CHUNKED "\r\n", HEAD, false, REFUSED, false),
    ROW(OK_LINE "\r\n", CONNECT, false, BODY_NONE, true),
    ROW(OK_LINE FIVE "\r\n", CONNECT, false, BODY_NONE, true),
    ROW("HTTP/1.1 403 No\r\n" FIVE "\r\n", CONNECT, false, BODY_LENGTH, true),
    TO_GET("HTTP/1.1 304 Not Modified\r\n" FIVE "\r\n", BODY_NONE, true),
    TO_GET("HTTP/1.1 304 Not Modified\r\n\r\n", BODY_NONE, true),
    TO_GET("HTTP/1.1 204 No Content\r\n\r\n", BODY_NONE, true),
    TO_GET("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", BODY_NONE, true),
    BAD("HTTP/1.1 204 No Content\r\n" FIVE "\r\n"),
    BAD("HTTP/1.1 204 No Content\r\n" CHUNKED "\r\n"),
    TO_GET("HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", BODY_LENGTH, true),
    TO_GET("HTTP/1.1 100 Continue\r\n\r\n", BODY_NONE, true),
    TO_GET("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", BODY_NONE, true),
    BAD("HTTP/1.1 100 Continue\r\n" FIVE "\r\n"),
    BAD("HTTP/1.1 100 Continue\r\n" CHUNKED "\r\n"),

    /* 101, RFC 9110 section 15.2.2. */
    ROW("HTTP/1.1 101 Switching\r\n" UPGRADE "\r\n", GET, true, BODY_NONE, true),
    ROW("HTTP/1.1 101 Switching\r\n" UPGRADE "\r\n", GET, false, REFUSED, false),
    ROW("HTTP/1.1 101 Switching\r\n\r\n", GET, true, REFUSED, false),
    ROW("HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n", GET, true, REFUSED, false),
    ROW("HTTP/1.0 101 Switching\r\n" UPGRADE "\r\n", GET, true, REFUSED, false),
    ROW("HTTP/1.1 101 Switching\r\n" UPGRADE FIVE "\r\n", GET, true, REFUSED, false),
    ROW("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", GET, true, REFUSED,
        false),
    ROW(OK_LINE UPGRADE FIVE "\r\n", GET, true, BODY_LENGTH, true),
};

#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

static void expect_verdict(const struct row *row, const struct feed *feed, struct h1_result r,
                           size_t cut)
{
    size_t number = (size_t)(row - rows);
    if (row->framing == REFUSED) {
        cr_expect_eq(r.step, H1_ERROR, "row %zu, cut %zu: not refused: %s", number, cut,
                     row->bytes);
        cr_expect_eq(r.reason, REASON_PROTOCOL_ERROR, "row %zu: %s", number, row->bytes);
        cr_expect_not_null(r.detail);
        return;
    }
    cr_expect_eq(r.step, H1_DONE, "row %zu, cut %zu: %s: %s", number, cut, row->bytes,
                 r.detail ? r.detail : "");
    cr_expect_eq((int)feed->msg.framing, row->framing, "row %zu: %s", number, row->bytes);
    cr_expect_eq(feed->msg.is_keep_alive, row->is_keep_alive, "row %zu: %s", number, row->bytes);
}

Test(h1_response, is_judged_as_the_table_says_however_it_is_cut)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        const struct row *row = &rows[i];
        struct feed feed = {.kind = MESSAGE_RESPONSE,
                            .limits = feed_limits,
                            .method = row->method,
                            .has_asked_upgrade = row->has_asked_upgrade};
        expect_verdict(row, &feed, feed_whole(&feed, row->bytes, row->len), 0);
        for (size_t cut = 0; cut < row->len; cut++)
            expect_verdict(row, &feed, feed_cut(&feed, row->bytes, row->len, cut), cut);
        expect_verdict(row, &feed, feed_bytes(&feed, row->bytes, row->len), 1);
        feed_fini(&feed);
    }
}

Test(h1_response, status_line_is_taken_apart)
{
    struct feed feed = {.kind = MESSAGE_RESPONSE, .limits = feed_limits};
    const char *text = "HTTP/1.1 503 Not now\r\nRetry-After: 3\r\n\r\n";
    cr_assert_eq(feed_whole(&feed, text, strlen(text)).step, H1_DONE);
    cr_expect_eq(feed.msg.status, 503);
    cr_expect(span_is(feed.msg.status_text, SPAN("Not now")));
    cr_expect(span_is(message_value(&feed.msg, HEADER_RETRY_AFTER), SPAN("3")));
    feed_fini(&feed);
}

Test(h1_response, head_answer_keeps_the_length_that_it_speaks_of)
{
    struct feed feed = {.kind = MESSAGE_RESPONSE, .limits = feed_limits, .method = METHOD_HEAD};
    const char *text = OK_LINE "Content-Length: 1234\r\n\r\n";
    cr_assert_eq(feed_whole(&feed, text, strlen(text)).step, H1_DONE);
    cr_expect(feed.msg.has_content_length);
    cr_expect_eq(feed.msg.content_length, 1234);
    feed_fini(&feed);
}

Test(h1_response, limits_are_the_upstreams_protocol_errors)
{
    struct feed feed = {.kind = MESSAGE_RESPONSE,
                        .limits = {.max_line_bytes = 20, .max_header_bytes = 40, .max_headers = 2}};
    const char *texts[] = {
        "HTTP/1.1 200 0123456789\r\n",
        "HTTP/1.1 200 OK\r\nabcdefgh: 01234567\r\nabc",
        "HTTP/1.1 200 OK\r\na:\r\nb:\r\nc:\r\n",
    };
    for (size_t i = 0; i < 3; i++) {
        struct h1_result r = feed_whole(&feed, texts[i], strlen(texts[i]));
        cr_expect_eq(r.step, H1_ERROR, "%s", texts[i]);
        cr_expect_eq(r.reason, REASON_PROTOCOL_ERROR);
    }
    feed_fini(&feed);
}
