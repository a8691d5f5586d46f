/* Chunked bodies (RFC 9112 section 7.1): a table of bodies with payload, trailers and verdict, fed
 * in every cut. */
#include "base/arena.h"
#include "codec/h1_chunked.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define ARENA_BYTES (64 * 1024)
#define MAX_PAYLOAD 4096

#define COMPLETE ""
#define UNFINISHED "(needs more)"

struct row {
    const char *bytes;
    size_t len;
    const char *payload; /* what has been handed out by the end */
    const char *verdict; /* COMPLETE, UNFINISHED or the detail of the refusal */
    const char *trailers;
    size_t left; /* bytes behind the end */
};

#define ROW(text, body, end)                                                                       \
    {                                                                                              \
        text, sizeof(text) - 1, body, end, "", 0                                                   \
    }
#define TRAILERS(text, lines)                                                                      \
    {                                                                                              \
        "0\r\n" text, sizeof("0\r\n" text) - 1, "", COMPLETE, lines, 0                             \
    }
#define BAD_TRAILER(text, fault) ROW("0\r\n" text, "", fault)

#define NOT_HEX "a chunk size is not in hexadecimal"
#define NO_SIZE "a chunk does not start with a size in hexadecimal"
#define SIZE_CR "a chunk size line has a CR without LF"
#define TOO_LONG "a chunk is longer than its size"
#define DATA_CR "a chunk ends in a CR without LF"
#define BAD_EXTENSION "a chunk extension has a character that is not allowed"
#define NO_NAME "a trailer does not start with a name"
#define BAD_LINE "a trailer is not a name, a colon and a value"
#define BAD_BYTE "a trailer has a character that is not allowed"

static const struct row rows[] = {
    ROW("0\r\n\r\n", "", COMPLETE),
    ROW("5\r\nhello\r\n0\r\n\r\n", "hello", COMPLETE),
    ROW("1\r\na\r\n2\r\nbc\r\n000\r\n\r\n", "abc", COMPLETE),
    ROW("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789", COMPLETE),
    ROW("0000000000000005\r\nhello\r\n0\r\n\r\n", "hello", COMPLETE),
    ROW("4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n", COMPLETE), /* payload may look like framing */
    ROW("5;a=b\r\nhello\r\n0;c\r\n\r\n", "hello", COMPLETE),
    ROW("5;a=\"b c;\t#\"\r\nhello\r\n0\r\n\r\n", "hello", COMPLETE),
    ROW("5;\r\nhello\r\n0\r\n\r\n", "hello", COMPLETE),
    {"0\r\n\r\nGET / ", 11, "", COMPLETE, "", 6},
    ROW("", "", UNFINISHED),
    ROW("5", "", UNFINISHED),
    ROW("5\r\nhel", "hel", UNFINISHED),
    ROW("5\r\nhello\r\n0\r\n", "hello", UNFINISHED),
    ROW("0\r\nA: b\r\n\r", "", UNFINISHED),

    /* Sizes. */
    ROW("7fffffffffffffff\r\nx", "x", UNFINISHED),
    ROW("8000000000000000\r\n", "", "a chunk size is too large"),
    ROW("ffffffffffffffff\r\n", "", "a chunk size is too large"),
    ROW("00000000000000005\r\nhello", "", "a chunk size has too many digits"),
    ROW("10000000000000005\r\nhello", "", "a chunk size has too many digits"),
    ROW("0x5\r\nhello", "", NOT_HEX),
    ROW("+5\r\nhello", "", NO_SIZE),
    ROW("-5\r\nhello", "", NO_SIZE),
    ROW(" 5\r\nhello", "", NO_SIZE),
    ROW("5 \r\nhello", "", NOT_HEX),
    ROW("5\t;a\r\nhello", "", NOT_HEX),
    ROW("5 ;a\r\nhello", "", NOT_HEX),
    ROW("5,5\r\nhello", "", NOT_HEX),
    ROW("5h\r\nhello", "", NOT_HEX),
    ROW("5_0\r\nhello", "", NOT_HEX),
    ROW("\r\nhello", "", NO_SIZE),
    ROW(";a\r\nhello", "", NO_SIZE),
    ROW("h\r\nhello", "", NO_SIZE),
    ROW("5\0\r\nhello", "", NOT_HEX),

    /* Ends of lines. */
    ROW("5\nhello", "", NOT_HEX),
    ROW("5\rhello", "", SIZE_CR),
    ROW("5\r\rhello", "", SIZE_CR),
    ROW("5\n\r\nhello", "", NOT_HEX),
    ROW("5\r\nhello\n0\r\n\r\n", "hello", TOO_LONG),
    ROW("5\r\nhello0\r\n\r\n", "hello", TOO_LONG),
    ROW("5\r\nhelloworld\r\n", "hello", TOO_LONG),
    ROW("5\r\nhello\r0\r\n", "hello", DATA_CR),
    ROW("5\r\nhello\r\n\r\n0\r\n", "hello", NO_SIZE),
    ROW("5\r\nhell\r\n0\r\n\r\n", "hell\r", TOO_LONG), /* a chunk shorter than its size */
    ROW("0\r\n\n", "", NO_NAME),
    ROW("0\r\n\r\r", "", "a chunked body ends in a CR without LF"),
    ROW("0\r\n\rX", "", "a chunked body ends in a CR without LF"),

    /* Extensions: a LF or a bare CR in one is where two parsers part. */
    ROW("5;a\nhello", "", BAD_EXTENSION),
    ROW("5;a\rb\r\nhello", "", SIZE_CR),
    ROW("5;a\0b\r\nhello", "", BAD_EXTENSION),
    ROW("5;a\x01\r\nhello", "", BAD_EXTENSION),
    ROW("5;a\x7f\r\nhello", "", BAD_EXTENSION),
    ROW("5;a\x80\r\nhello", "", BAD_EXTENSION),

    /* Trailers, section 7.1.2. */
    TRAILERS("A: b\r\n\r\n", "A: b\r\n"),
    TRAILERS("A:\r\nB:\t\xc3\xa9 \r\n\r\n", "A:\r\nB:\t\xc3\xa9 \r\n"),
    TRAILERS("grpc-status: 0\r\ngrpc-message:\r\n\r\n", "grpc-status: 0\r\ngrpc-message:\r\n"),
    TRAILERS("Content-Length: 5\r\nA: b\r\nHOST: x\r\n\r\n", "A: b\r\n"),
    TRAILERS("Transfer-Encoding: chunked\r\n\r\n", ""),
    TRAILERS("Trailer: a\r\nTE: x\r\nConnection: a\r\nUpgrade: b\r\nKeep-Alive: c\r\n\r\n", ""),
    TRAILERS("Authorization: a\r\nCookie: b\r\nSet-Cookie: c\r\nContent-Type: d\r\n\r\n", ""),
    TRAILERS("X-Outrigger-Reason: circuit_open\r\nx-outrigger-retries: exhausted\r\n\r\n", ""),
    BAD_TRAILER(" A: b\r\n\r\n", NO_NAME),
    BAD_TRAILER("A: b\r\n c\r\n\r\n", NO_NAME), /* obs-fold */
    BAD_TRAILER(": b\r\n\r\n", NO_NAME),
    BAD_TRAILER("A : b\r\n\r\n", BAD_LINE),
    BAD_TRAILER("A\r\n\r\n", BAD_LINE),
    BAD_TRAILER("A b\r\n\r\n", BAD_LINE),
    BAD_TRAILER("A(: b\r\n\r\n", BAD_LINE),
    BAD_TRAILER("A: b\n\r\n", BAD_BYTE),
    BAD_TRAILER("A: b\0\r\n\r\n", BAD_BYTE),
    BAD_TRAILER("A\0: b\r\n\r\n", BAD_BYTE),
    BAD_TRAILER("A: b\rc\r\n\r\n", "a trailer has a CR without LF"),
};

#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

struct sink {
    struct arena arena;
    struct h1_chunked chunked;
    struct h1_chunk_event last;
    char payload[MAX_PAYLOAD];
    size_t payload_len;
    size_t consumed;
};

static void sink_init(struct sink *sink)
{
    *sink = (struct sink){.payload_len = 0};
    arena_init(&sink->arena, NULL, ARENA_BYTES);
    h1_chunked_init(&sink->chunked, &sink->arena);
}

/* Feeds a piece in memory of its own size, until it is used up or the body ends. */
static void sink_feed(struct sink *sink, const char *bytes, size_t len)
{
    char *piece = malloc(len > 0 ? len : 1);
    size_t at = 0;
    cr_assert_not_null(piece);
    memcpy(piece, bytes, len);
    do {
        sink->last = h1_chunked_next(&sink->chunked, piece + at, len - at);
        at += sink->last.consumed;
        if (sink->last.kind == H1_CHUNK_DATA) {
            cr_assert_gt(sink->last.data.len, 0);
            cr_assert_eq(sink->last.data.data + sink->last.data.len, piece + at);
            size_t room = MAX_PAYLOAD - sink->payload_len;
            size_t kept = sink->last.data.len < room ? sink->last.data.len : room;
            memcpy(sink->payload + sink->payload_len, sink->last.data.data, kept);
            sink->payload_len += kept;
        }
    } while (sink->last.kind == H1_CHUNK_DATA);
    sink->consumed += at;
    free(piece);
}

static bool is_open(const struct sink *sink)
{
    return sink->last.kind == H1_CHUNK_MORE;
}

static const char *verdict_of(const struct sink *sink)
{
    return sink->last.kind == H1_CHUNK_END     ? COMPLETE
           : sink->last.kind == H1_CHUNK_ERROR ? sink->last.detail
                                               : UNFINISHED;
}

static void expect_row(const struct row *row, const struct sink *sink, size_t cut)
{
    struct span payload = span_make(sink->payload, sink->payload_len);
    size_t number = (size_t)(row - rows);
    cr_expect_str_eq(verdict_of(sink), row->verdict, "row %zu (%s), cut %zu: %s", number,
                     row->bytes, cut, verdict_of(sink));
    cr_expect(span_is(payload, span_of(row->payload)), "row %zu, cut %zu: payload '%.*s'", number,
              cut, SPAN_ARGS(payload));
    if (sink->last.kind == H1_CHUNK_ERROR)
        cr_expect_eq(sink->last.reason, REASON_BAD_REQUEST);
    if (sink->last.kind == H1_CHUNK_END) {
        struct span trailers = h1_chunked_trailers(&sink->chunked);
        cr_expect(span_is(trailers, span_of(row->trailers)), "row %zu, cut %zu: trailers '%.*s'",
                  number, cut, SPAN_ARGS(trailers));
        cr_expect_eq(sink->consumed, row->len - row->left, "row %zu, cut %zu", number, cut);
    }
}

Test(h1_chunked, is_judged_as_the_table_says_however_it_is_cut)
{
    struct sink sink;
    for (size_t i = 0; i < ROW_COUNT; i++) {
        const struct row *row = &rows[i];
        for (size_t cut = 0; cut <= row->len; cut++) {
            sink_init(&sink);
            sink_feed(&sink, row->bytes, cut);
            if (is_open(&sink))
                sink_feed(&sink, row->bytes + cut, row->len - cut);
            expect_row(row, &sink, cut);
            arena_fini(&sink.arena);
        }
        sink_init(&sink);
        for (size_t at = 0; at < row->len && is_open(&sink); at++)
            sink_feed(&sink, row->bytes + at, 1);
        expect_row(row, &sink, SIZE_MAX);
        arena_fini(&sink.arena);
    }
}

/* Feeds `text` `times` times, or until the body is refused; returns how often it was taken. */
static size_t feed_often(struct sink *sink, const char *text, size_t times)
{
    size_t fed = 0;
    do {
        sink_feed(sink, text, strlen(text));
    } while (is_open(sink) && ++fed < times);
    return fed;
}

Test(h1_chunked, flood_of_one_byte_chunks_ends_at_the_slack)
{
    struct sink sink;
    sink_init(&sink);
    size_t fed = feed_often(&sink, "1\r\nx\r\n", 10 * H1_CHUNK_SLACK_BYTES);
    cr_expect_eq(sink.last.kind, H1_CHUNK_ERROR);
    cr_expect_eq(sink.last.reason, REASON_BAD_REQUEST);
    cr_expect_eq(fed, H1_CHUNK_SLACK_BYTES - 1); /* each costs 5 and pays 4, two before it pays */
    arena_fini(&sink.arena);
}

Test(h1_chunked, two_byte_chunks_go_on_for_ever)
{
    struct sink sink;
    sink_init(&sink);
    cr_expect_eq(feed_often(&sink, "2\r\nxy\r\n", 10000), 10000);
    cr_expect_eq(sink.chunked.excess, 0);
    arena_fini(&sink.arena);
}

Test(h1_chunked, flood_of_extensions_ends_at_the_slack_inside_one_line)
{
    struct sink sink;
    sink_init(&sink);
    sink_feed(&sink, "1;", 2);
    size_t fed = feed_often(&sink, "x", 10 * H1_CHUNK_SLACK_BYTES);
    cr_expect_eq(fed, H1_CHUNK_SLACK_BYTES - 2);
    cr_expect_str_eq(verdict_of(&sink), "chunk framing outweighs the payload");
    arena_fini(&sink.arena);
}

Test(h1_chunked, payload_pays_for_extensions_that_went_before)
{
    struct sink sink;
    sink_init(&sink);
    cr_expect_eq(feed_often(&sink, "8;0123456789\r\n01234567\r\n", 20000), 20000);
    cr_expect_eq(sink.last.kind, H1_CHUNK_MORE);
    arena_fini(&sink.arena);
}

Test(h1_chunked, promised_payload_pays_at_most_the_slack)
{
    struct sink sink;
    sink_init(&sink);
    sink_feed(&sink, "7fffffffffffffff\r\n", 18);
    cr_expect_eq(sink.chunked.excess, 0);
    cr_expect_eq(sink.chunked.left, INT64_MAX);
    arena_fini(&sink.arena);
}

Test(h1_chunked, trailers_end_at_their_limits)
{
    struct sink sink;
    sink_init(&sink);
    sink_feed(&sink, "0\r\nA: ", 6);
    size_t fed = feed_often(&sink, "x", H1_TRAILER_MAX_BYTES);
    cr_expect_eq(fed, H1_TRAILER_MAX_BYTES - 3 - 2); /* "A: " and CRLF */
    cr_expect_eq(sink.last.reason, REASON_HEADER_TOO_LARGE);
    arena_fini(&sink.arena);

    sink_init(&sink);
    sink_feed(&sink, "0\r\n", 3);
    fed = feed_often(&sink, "A: b\r\n", 2 * H1_TRAILER_MAX_FIELDS);
    cr_expect_eq(fed, H1_TRAILER_MAX_FIELDS);
    cr_expect_eq(sink.last.reason, REASON_HEADER_TOO_LARGE);
    arena_fini(&sink.arena);
}

Test(h1_chunked, dropped_trailers_count_too)
{
    struct sink sink;
    char line[200];
    sink_init(&sink);
    sink_feed(&sink, "0\r\n", 3);
    snprintf(line, sizeof(line), "Cookie: %0180d\r\n", 7);
    size_t fed = feed_often(&sink, line, H1_TRAILER_MAX_FIELDS);
    cr_expect_eq(fed, H1_TRAILER_MAX_BYTES / strlen(line));
    cr_expect_eq(sink.last.reason, REASON_HEADER_TOO_LARGE);
    cr_expect_eq(sink.chunked.kept, 0);
    arena_fini(&sink.arena);
}

Test(h1_chunked, trailer_that_fills_the_buffer_is_kept_whole)
{
    struct sink sink;
    sink_init(&sink);
    sink_feed(&sink, "0\r\nA:", 5);
    feed_often(&sink, "x", H1_TRAILER_MAX_BYTES - 4);
    cr_assert(is_open(&sink));
    sink_feed(&sink, "\r\n\r\n", 4);
    cr_expect_eq(sink.last.kind, H1_CHUNK_END);
    cr_expect_eq(h1_chunked_trailers(&sink.chunked).len, H1_TRAILER_MAX_BYTES);
    arena_fini(&sink.arena);
}

Test(h1_chunked, memory_is_asked_for_only_when_a_trailer_comes)
{
    struct sink sink;
    sink_init(&sink);
    arena_fini(&sink.arena);
    arena_init(&sink.arena, NULL, H1_TRAILER_MAX_BYTES - 1);
    sink_feed(&sink, "5\r\nhello\r\n0\r\n", 13);
    cr_expect_null(sink.chunked.trailers);
    sink_feed(&sink, "A", 1);
    cr_expect_eq(sink.last.kind, H1_CHUNK_ERROR);
    cr_expect_eq(sink.last.reason, REASON_OVERLOADED);
    arena_fini(&sink.arena);
}

Test(h1_chunked, nothing_is_taken_behind_the_end)
{
    struct sink sink;
    sink_init(&sink);
    sink_feed(&sink, "0\r\n\r\n", 5);
    cr_assert_eq(sink.last.kind, H1_CHUNK_END);
    sink_feed(&sink, "5", 1);
    cr_expect_eq(sink.last.kind, H1_CHUNK_ERROR);
    sink_feed(&sink, "5", 1);
    cr_expect_eq(sink.last.kind, H1_CHUNK_ERROR);
    arena_fini(&sink.arena);
}
