#include "codec/outbox.h"
#include "wire.h"

struct bench {
    struct wire wire;
    struct stream stream;
    struct stream other_stream;
    struct outbox out;
    struct outbox other;
    int failures;
    bool has_closed;
};

static struct bench bench;

static void on_event(struct stream *stream, unsigned flags)
{
    (void)stream;
    if (flags & STREAM_WRITABLE)
        outbox_resume(&bench.out);
}

static void on_closed(struct stream *stream)
{
    bench.has_closed = stream == &bench.stream;
}

static void on_failed(struct outbox *out)
{
    cr_assert(out->is_failed);
    bench.failures++;
}

static void open_bench(void)
{
    memset(&bench, 0, sizeof bench);
    wire_open(&bench.wire);
    const int fd = wire_pair(&bench.wire);
    cr_assert_eq(stream_open(&bench.stream, bench.wire.loop, fd, on_event, on_closed), OK);
    outbox_init(&bench.out, &bench.wire.codec, &bench.stream, on_failed);
}

static void close_bench(void)
{
    outbox_fini(&bench.out);
    stream_close(&bench.stream);
    TURN_UNTIL(bench.wire.loop, bench.has_closed);
    wire_close(&bench.wire);
}

TestSuite(outbox, .init = open_bench, .fini = close_bench);

static void fill(size_t piece)
{
    static char zeros[262144];
    cr_assert_leq(piece, sizeof zeros);
    while (!outbox_is_blocked(&bench.out))
        outbox_put(&bench.out, span_make(zeros, piece));
}

Test(outbox, sends_nothing_before_it_is_flushed)
{
    outbox_put(&bench.out, SPAN("ab"));
    outbox_put(&bench.out, SPAN("cd"));
    cr_assert_not(outbox_is_empty(&bench.out));
    cr_assert_not(wire_got(&bench.wire, "a"));
    outbox_flush(&bench.out);
    cr_assert(wire_got(&bench.wire, "abcd"));
    cr_assert(outbox_is_empty(&bench.out));
    cr_assert_eq(bench.out.sent_bytes, 4);
}

Test(outbox, sends_what_is_corked_when_another_one_corks)
{
    outbox_init(&bench.other, &bench.wire.codec, &bench.other_stream, on_failed);
    outbox_put(&bench.out, SPAN("first"));
    outbox_put(&bench.other, SPAN("second"));
    cr_assert(wire_got(&bench.wire, "first"));
    cr_assert_not(outbox_is_empty(&bench.other));
    outbox_fini(&bench.other);
    cr_assert_null(bench.wire.codec.corked);
}

Test(outbox, forgets_what_is_corked_when_it_ends)
{
    outbox_put(&bench.out, SPAN("never"));
    outbox_fini(&bench.out);
    codec_uncork(&bench.wire.codec);
    cr_assert_not(wire_got(&bench.wire, "never"));
}

Test(outbox, sends_a_large_piece_behind_what_is_corked)
{
    char large[OUTBOX_COPY_BYTES + 1];
    memset(large, 'x', sizeof large);
    outbox_put(&bench.out, SPAN("head"));
    outbox_put(&bench.out, span_make(large, sizeof large));
    TURN_UNTIL(bench.wire.loop,
               wire_got(&bench.wire, "headxxx") && bench.wire.got_bytes == 4 + sizeof large);
}

Test(outbox, reserves_room_that_nothing_else_uses_until_it_is_committed)
{
    char *room = outbox_reserve(&bench.out, 5);
    cr_assert_not_null(room);
    memcpy(room, "12345", 5);
    outbox_commit(&bench.out, 5);
    outbox_put(&bench.out, SPAN("6"));
    outbox_flush(&bench.out);
    cr_assert(wire_got(&bench.wire, "123456"));
}

Test(outbox, flushes_to_make_room)
{
    char piece[OUTBOX_COPY_BYTES];
    memset(piece, 'y', sizeof piece);
    for (size_t put = 0; put + sizeof piece <= LOOP_WRITE_BYTES; put += sizeof piece)
        outbox_put(&bench.out, span_make(piece, sizeof piece));
    cr_assert_not_null(outbox_reserve(&bench.out, 1));
    cr_assert_eq(bench.out.sent_bytes, LOOP_WRITE_BYTES);
}

Test(outbox, keeps_in_order_what_the_socket_does_not_take)
{
    fill(65536);
    const size_t pending = bench.out.end - bench.out.start;
    cr_assert_leq(pending, 65536);
    cr_assert_null(outbox_reserve(&bench.out, 1));
    outbox_put(&bench.out, SPAN("tail"));
    cr_assert_eq(bench.out.end - bench.out.start, pending + 4);
    const uint64_t all = bench.out.sent_bytes + pending + 4;
    TURN_UNTIL(bench.wire.loop, (wire_reads(&bench.wire, SIZE_MAX, "t"), wire_forget(&bench.wire),
                                 bench.wire.got_bytes == all));
    cr_assert(outbox_is_empty(&bench.out));
    cr_assert_null(bench.out.backlog);
    cr_assert_eq(bench.failures, 0);
}

Test(outbox, fails_rather_than_grow_past_its_bound)
{
    fill(65536);
    static char zeros[65536];
    while (bench.failures == 0) {
        cr_assert_leq(bench.out.end - bench.out.start, OUTBOX_BACKLOG_BYTES);
        outbox_put(&bench.out, span_make(zeros, sizeof zeros));
    }
    cr_assert(bench.out.is_failed);
    cr_assert_null(bench.out.backlog);
    outbox_put(&bench.out, SPAN("dropped"));
    outbox_flush(&bench.out);
    cr_assert_null(outbox_reserve(&bench.out, 1));
    cr_assert_not(outbox_resume(&bench.out));
    cr_assert_eq(bench.failures, 1);
}

Test(outbox, tells_a_reset_once)
{
    wire_reset(&bench.wire);
    driver_settle(bench.wire.loop);
    outbox_put(&bench.out, SPAN("into the void"));
    outbox_flush(&bench.out);
    outbox_put(&bench.out, SPAN("more"));
    outbox_flush(&bench.out);
    cr_assert(bench.out.is_failed);
    cr_assert_eq(bench.failures, 1);
}

Test(outbox, tells_a_failure_of_bytes_that_somebody_else_flushes)
{
    wire_reset(&bench.wire);
    driver_settle(bench.wire.loop);
    outbox_put(&bench.out, SPAN("into the void"));
    cr_assert_eq(bench.failures, 0);
    codec_uncork(&bench.wire.codec);
    cr_assert_eq(bench.failures, 1);
}
