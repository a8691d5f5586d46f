#include "codec/h1_back.h"
#include "codec/h1_head.h"
#include "wire.h"

struct bench {
    struct wire wire;
    struct h1_back *back;
    struct header headers[16];
    struct message msg; /* the request */
    int connected, interims, heads, ends, failures, writable, gone;
    int status;
    enum reason reason;
    char body[4096];
    size_t body_len;
    uint64_t body_bytes;
    char trailers[64];
    bool closes_at_head, closes_at_body, closes_at_end;
    bool pauses_at_head;
    bool tunnels_at_head;
};

static struct bench bench;

static void maybe_close(bool is_wanted)
{
    if (is_wanted)
        h1_back_close(&bench.back);
}

static void on_connected(struct back *back)
{
    (void)back;
    bench.connected++;
}

static void on_interim(struct back *back, struct message *msg)
{
    (void)back;
    cr_assert_lt(msg->status, 200);
    bench.interims++;
}

static void on_head(struct back *back, struct message *msg)
{
    bench.heads++;
    bench.status = msg->status;
    if (bench.pauses_at_head)
        back_pause(back);
    if (bench.tunnels_at_head)
        back_start_tunnel(back);
    maybe_close(bench.closes_at_head);
}

static void on_body(struct back *back, struct span bytes)
{
    (void)back;
    const size_t room = sizeof bench.body - 1 - bench.body_len;
    const size_t kept = bytes.len < room ? bytes.len : room;
    memcpy(bench.body + bench.body_len, bytes.data, kept);
    bench.body_len += kept;
    bench.body_bytes += bytes.len;
    maybe_close(bench.closes_at_body);
}

static void on_end(struct back *back, struct span trailers)
{
    (void)back;
    bench.ends++;
    cr_assert_lt(trailers.len, sizeof bench.trailers);
    if (trailers.len > 0)
        memcpy(bench.trailers, trailers.data, trailers.len);
    maybe_close(bench.closes_at_end);
}

static void on_failed(struct back *back, enum reason reason, const char *detail)
{
    (void)back;
    (void)detail;
    bench.failures++;
    bench.reason = reason;
    h1_back_close(&bench.back);
}

static void on_writable(struct back *back)
{
    (void)back;
    bench.writable++;
}

static void on_gone(struct h1_back *back)
{
    (void)back;
    bench.gone++;
}

static const struct back_handler handler = {
    .on_connected = on_connected,
    .on_interim = on_interim,
    .on_head = on_head,
    .on_body = on_body,
    .on_end = on_end,
    .on_failed = on_failed,
    .on_writable = on_writable,
};

static void dial(void)
{
    cr_assert_eq(h1_back_connect(&bench.wire.codec, &bench.wire.address, NULL, &handler, &bench,
                                 &bench.back),
                 OK);
    bench.back->on_gone = on_gone;
}

static void open_bench(void)
{
    memset(&bench, 0, sizeof bench);
    wire_open(&bench.wire);
    dial();
}

static void close_bench(void)
{
    h1_back_close(&bench.back);
    TURN_UNTIL(bench.wire.loop, bench.gone == 1);
    wire_close(&bench.wire);
}

TestSuite(h1_back, .init = open_bench, .fini = close_bench);

static void connect_it(void)
{
    TURN_UNTIL(bench.wire.loop, bench.connected == 1);
    cr_assert(wire_accept(&bench.wire));
}

static void send_request(const char *text)
{
    struct h1_scan scan;
    const struct request_edit edit = {.attempt = 1, .is_upgrade_passed = true};
    h1_scan_init(&scan, MESSAGE_REQUEST);
    cr_assert_eq(h1_scan_head(&scan, text, strlen(text), &bench.wire.codec.request_limits).step,
                 H1_DONE);
    cr_assert_eq(h1_parse_request(h1_scan_span(&scan, text), &bench.wire.codec.request_limits,
                                  bench.headers, &bench.msg)
                     .step,
                 H1_DONE);
    back_send_request(&bench.back->base, &bench.msg, &edit);
    back_flush(&bench.back->base);
}

static void begin(const char *text)
{
    connect_it();
    send_request(text);
    TURN_UNTIL(bench.wire.loop, wire_got(&bench.wire, "\r\n\r\n"));
    wire_forget(&bench.wire);
}

#define GET "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define PUT_CHUNKED "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
#define OK_EMPTY "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

static void answer(const char *text)
{
    wire_write(&bench.wire, text);
}

/* ---- refusals */

Test(h1_back, is_refused_where_nobody_listens)
{
    h1_back_close(&bench.back);
    TURN_UNTIL(bench.wire.loop, bench.gone == 1);
    close(bench.wire.listener);
    bench.wire.listener = -1;
    bench.gone = 0;
    dial();
    TURN_UNTIL(bench.wire.loop, bench.failures == 1);
    cr_assert_eq(bench.reason, REASON_CONNECT_REFUSED);
}

Test(h1_back, never_calls_back_from_inside_connect)
{
    cr_assert_eq(bench.connected + bench.failures, 0);
}

Test(h1_back, refuses_a_head_that_is_no_head)
{
    begin(GET);
    answer("SMTP ready\r\n\r\n");
    TURN_UNTIL(bench.wire.loop, bench.failures == 1);
    cr_assert_eq(bench.reason, REASON_PROTOCOL_ERROR);
}

Test(h1_back, refuses_a_101_that_nobody_asked_for)
{
    begin(GET);
    answer("HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n");
    TURN_UNTIL(bench.wire.loop, bench.failures == 1);
    cr_assert_eq(bench.heads, 0);
}

Test(h1_back, refuses_interim_heads_without_end)
{
    begin(GET);
    for (int i = 0; i < H1_BACK_INTERIM_LIMIT; i++)
        answer("HTTP/1.1 103 Early\r\n\r\n");
    TURN_UNTIL(bench.wire.loop, bench.interims == H1_BACK_INTERIM_LIMIT);
    cr_assert_eq(bench.failures, 0);
    answer("HTTP/1.1 103 Early\r\n\r\n");
    TURN_UNTIL(bench.wire.loop, bench.failures == 1);
    cr_assert_eq(bench.reason, REASON_PROTOCOL_ERROR);
}

Test(h1_back, refuses_bytes_without_a_request)
{
    connect_it();
    answer(OK_EMPTY);
    TURN_UNTIL(bench.wire.loop, bench.failures == 1);
    cr_assert_eq(bench.heads, 0);
}

Test(h1_back, fails_on_a_bad_chunk_after_the_head)
{
    begin(GET);
    answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
    TURN_UNTIL(bench.wire.loop, bench.failures == 1);
    cr_assert_eq(bench.heads, 1);
    cr_assert_eq(bench.ends, 0);
}

Test(h1_back, fails_when_the_peer_ends_before_the_head)
{
    begin(GET);
    answer("HTTP/1.1 200");
    wire_hang_up(&bench.wire);
    TURN_UNTIL(bench.wire.loop, bench.failures == 1);
    cr_assert_eq(bench.reason, REASON_CONNECTION_RESET);
}

Test(h1_back, fails_when_a_length_is_cut_short)
{
    begin(GET);
    answer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfour");
    wire_hang_up(&bench.wire);
    TURN_UNTIL(bench.wire.loop, bench.failures == 1);
    cr_assert_eq(bench.ends, 0);
}

Test(h1_back, fails_when_a_body_until_close_ends_in_a_reset)
{
    begin(GET);
    answer("HTTP/1.1 200 OK\r\n\r\npart");
    TURN_UNTIL(bench.wire.loop, bench.body_len == 4);
    wire_reset(&bench.wire);
    TURN_UNTIL(bench.wire.loop, bench.failures == 1);
    cr_assert_eq(bench.ends, 0);
}

Test(h1_back, does_not_take_a_reset_met_by_a_write_for_the_end_of_a_body)
{
    begin(PUT_CHUNKED);
    answer("HTTP/1.1 200 OK\r\n\r\npart");
    TURN_UNTIL(bench.wire.loop, bench.body_len == 4);
    wire_reset(&bench.wire);
    back_send_body(&bench.back->base, SPAN("more")); /* this write takes the socket's error */
    back_flush(&bench.back->base);
    TURN_UNTIL(bench.wire.loop, bench.failures == 1);
    cr_assert_eq(bench.ends, 0);
}

/* ---- what goes well */

Test(h1_back, delivers_a_response_that_comes_byte_by_byte)
{
    const char *text =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx: y\r\n\r\n";
    begin(GET);
    for (const char *at = text; *at != '\0'; at++) {
        const char byte[2] = {*at, '\0'};
        answer(byte);
        driver_settle(bench.wire.loop);
    }
    TURN_UNTIL(bench.wire.loop, bench.ends == 1);
    cr_assert_str_eq(bench.body, "abc");
    cr_assert_str_eq(bench.trailers, "x: y\r\n");
    cr_assert(h1_back_may_persist(bench.back));
}

Test(h1_back, may_persist_after_a_head_in_two_pieces)
{
    begin(GET);
    answer("HTTP/1.1 200 OK\r\nContent-Le");
    TURN_UNTIL(bench.wire.loop, bench.back->has_answered);
    answer("ngth: 2\r\n\r\nok");
    TURN_UNTIL(bench.wire.loop, bench.ends == 1);
    cr_assert(h1_back_may_persist(bench.back));
    send_request(GET);
    answer(OK_EMPTY);
    TURN_UNTIL(bench.wire.loop, bench.ends == 2);
    cr_assert(h1_back_may_persist(bench.back));
}

Test(h1_back, may_not_persist_with_bytes_left_over)
{
    begin(GET);
    answer(OK_EMPTY "HTTP/1.1 200 OK\r\n");
    TURN_UNTIL(bench.wire.loop, bench.ends == 1);
    cr_assert_not(h1_back_may_persist(bench.back));
}

Test(h1_back, may_not_persist_with_bytes_left_over_behind_a_head_in_two_pieces)
{
    begin(GET);
    answer("HTTP/1.1 204 No");
    TURN_UNTIL(bench.wire.loop, bench.back->has_answered);
    answer(" Content\r\n\r\nX");
    TURN_UNTIL(bench.wire.loop, bench.ends == 1);
    cr_assert_not(h1_back_may_persist(bench.back));
}

Test(h1_back, may_not_persist_before_its_request_is_complete)
{
    begin(PUT_CHUNKED);
    answer(OK_EMPTY);
    TURN_UNTIL(bench.wire.loop, bench.ends == 1);
    cr_assert_not(h1_back_may_persist(bench.back));
    back_send_end(&bench.back->base, SPAN_NONE);
    back_flush(&bench.back->base);
    cr_assert(h1_back_may_persist(bench.back));
}

Test(h1_back, may_not_persist_when_the_peer_says_close)
{
    begin(GET);
    answer("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    TURN_UNTIL(bench.wire.loop, bench.ends == 1);
    cr_assert_not(h1_back_may_persist(bench.back));
}

static void on_end_stop(struct back *back, struct span trailers)
{
    on_end(back, trailers);
    back_pause(back);
}

static const struct back_handler stopping_handler = {
    .on_head = on_head, .on_body = on_body, .on_end = on_end_stop};

Test(h1_back, is_stale_when_the_last_read_filled_its_buffer_and_more_lies_behind)
{
    static char text[LOOP_READ_BYTES + 64];
    const int head = snprintf(text, 64, "HTTP/1.1 200 OK\r\nContent-Length: 65000\r\n\r\n");
    const int size = LOOP_READ_BYTES - head;
    snprintf(text, 64, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size);
    memset(text + head, 'x', (size_t)size);
    memcpy(text + LOOP_READ_BYTES, "HTTP/1.1 200", 13);
    begin(GET);
    for (size_t sent = 0;
         sent < LOOP_READ_BYTES + 12;) { /* all of it is in the socket before the loop turns */
        const ssize_t n =
            send(bench.wire.peer, text + sent, LOOP_READ_BYTES + 12 - sent, MSG_NOSIGNAL);
        cr_assert_gt(n, 0);
        sent += (size_t)n;
    }
    bench.back->base.handler = &stopping_handler; /* before the next event tells of the rest */
    TURN_UNTIL(bench.wire.loop, bench.ends == 1);
    cr_assert(h1_back_may_persist(bench.back));
    cr_assert(h1_back_is_stale(bench.back));
}

Test(h1_back, has_no_body_after_head_204_and_304)
{
    static const char *const answers[] = {"HTTP/1.1 204 N\r\n\r\n",
                                          "HTTP/1.1 304 N\r\nContent-Length: 10\r\n\r\n"};
    begin(GET);
    for (int i = 0; i < 2; i++) {
        answer(answers[i]);
        TURN_UNTIL(bench.wire.loop, bench.ends == i + 1);
        cr_assert(h1_back_may_persist(bench.back));
        send_request(i == 0 ? GET : "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    answer("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n");
    TURN_UNTIL(bench.wire.loop, bench.ends == 3);
    cr_assert_eq(bench.body_bytes, 0);
    cr_assert(h1_back_may_persist(bench.back));
}

Test(h1_back, passes_interim_heads_and_then_the_final_one)
{
    begin(GET);
    answer("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n" OK_EMPTY);
    TURN_UNTIL(bench.wire.loop, bench.ends == 1);
    cr_assert_eq(bench.interims, 2);
    cr_assert_eq(bench.status, 200);
}

Test(h1_back, ends_a_body_until_close_at_the_peers_fin)
{
    begin(GET);
    answer("HTTP/1.1 200 OK\r\n\r\nall of it");
    wire_hang_up(&bench.wire);
    TURN_UNTIL(bench.wire.loop, bench.ends == 1);
    cr_assert_str_eq(bench.body, "all of it");
    cr_assert_not(h1_back_may_persist(bench.back));
}

/* ---- closing inside callbacks */

Test(h1_back, may_be_closed_at_the_head)
{
    bench.closes_at_head = true;
    begin(GET);
    answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    TURN_UNTIL(bench.wire.loop, bench.gone == 1);
    cr_assert_eq(bench.body_len, 0);
    cr_assert_eq(bench.ends + bench.failures, 0);
}

Test(h1_back, may_be_closed_at_the_head_that_came_in_pieces)
{
    bench.closes_at_head = true;
    begin(GET);
    answer("HTTP/1.1 200 OK\r\nContent-Length: 2");
    TURN_UNTIL(bench.wire.loop, bench.back->has_answered);
    answer("\r\n\r\nok");
    TURN_UNTIL(bench.wire.loop, bench.gone == 1);
    cr_assert_eq(bench.body_len, 0);
}

Test(h1_back, may_be_closed_at_the_body)
{
    bench.closes_at_body = true;
    begin(GET);
    answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n");
    TURN_UNTIL(bench.wire.loop, bench.gone == 1);
    cr_assert_eq(bench.body_len, 1);
    cr_assert_eq(bench.ends, 0);
}

Test(h1_back, may_be_closed_at_the_end)
{
    bench.closes_at_end = true;
    begin(GET);
    answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\na: b\r\n\r\n");
    TURN_UNTIL(bench.wire.loop, bench.gone == 1);
    cr_assert_eq(bench.ends, 1);
}

Test(h1_back, resets_when_a_response_is_cut)
{
    begin(GET);
    h1_back_close(&bench.back);
    TURN_UNTIL(bench.wire.loop, wire_ended(&bench.wire));
    cr_assert(bench.wire.is_reset);
}

Test(h1_back, ends_orderly_when_nothing_is_cut)
{
    begin(GET);
    answer(OK_EMPTY);
    TURN_UNTIL(bench.wire.loop, bench.ends == 1);
    h1_back_close(&bench.back);
    TURN_UNTIL(bench.wire.loop, wire_ended(&bench.wire));
    cr_assert_not(bench.wire.is_reset);
}

/* ---- pausing, failing writes */

Test(h1_back, reads_nothing_while_it_is_paused)
{
    bench.pauses_at_head = true;
    begin(GET);
    answer("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
    TURN_UNTIL(bench.wire.loop, bench.heads == 1);
    answer("body");
    driver_settle(bench.wire.loop);
    cr_assert_eq(bench.body_len, 0);
    back_resume(&bench.back->base);
    TURN_UNTIL(bench.wire.loop, bench.ends == 1);
}

Test(h1_back, sees_after_a_pause_that_the_peer_has_gone)
{
    bench.pauses_at_head = true;
    begin(GET);
    answer("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
    TURN_UNTIL(bench.wire.loop, bench.heads == 1);
    wire_reset(&bench.wire);
    driver_settle(bench.wire.loop);
    cr_assert_eq(bench.failures, 0);
    back_resume(&bench.back->base);
    TURN_UNTIL(bench.wire.loop, bench.failures == 1);
}

Test(h1_back, says_when_the_backlog_of_an_upload_has_gone)
{
    static char zeros[65536];
    begin(PUT_CHUNKED);
    while (!back_is_blocked(&bench.back->base))
        back_send_body(&bench.back->base, span_make(zeros, sizeof zeros));
    cr_assert_eq(bench.writable, 0);
    TURN_UNTIL(bench.wire.loop, (wire_reads(&bench.wire, SIZE_MAX, "x"), wire_forget(&bench.wire),
                                 bench.writable == 1));
    cr_assert_not(back_is_blocked(&bench.back->base));
}

Test(h1_back, delivers_the_answer_that_came_before_a_reset_of_the_upload)
{
    static char zeros[65536];
    bench.closes_at_end = true;
    begin(PUT_CHUNKED);
    while (!back_is_blocked(&bench.back->base))
        back_send_body(&bench.back->base, span_make(zeros, sizeof zeros));
    answer("HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno");
    wire_hang_up(&bench.wire); /* with unread bytes: an RST */
    TURN_UNTIL(bench.wire.loop, bench.ends == 1);
    cr_assert_eq(bench.status, 413);
    cr_assert_eq(bench.failures, 0);
}

Test(h1_back, tells_a_failed_write_though_its_reading_is_over)
{
    bench.tunnels_at_head = true;
    begin("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    answer("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nhello");
    cr_assert_eq(shutdown(bench.wire.peer, SHUT_WR), 0);
    TURN_UNTIL(bench.wire.loop, bench.ends == 1);
    wire_reset(&bench.wire);
    driver_settle(bench.wire.loop);
    back_send_raw(&bench.back->base, SPAN("anybody there?"));
    back_flush(&bench.back->base);
    TURN_UNTIL(bench.wire.loop, bench.failures == 1);
}

/* ---- tunnels */

Test(h1_back, tells_the_end_of_a_tunnels_other_side_once)
{
    bench.tunnels_at_head = true;
    begin("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    answer("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nhello");
    cr_assert_eq(shutdown(bench.wire.peer, SHUT_WR), 0);
    TURN_UNTIL(bench.wire.loop, bench.ends == 1);
    cr_assert_str_eq(bench.body, "hello");
    driver_settle(bench.wire.loop);
    cr_assert_eq(bench.ends, 1);
    back_send_raw(&bench.back->base, SPAN("still open"));
    back_flush(&bench.back->base);
    TURN_UNTIL(bench.wire.loop, wire_got(&bench.wire, "still open"));
    back_send_fin(&bench.back->base);
    TURN_UNTIL(bench.wire.loop, wire_ended(&bench.wire));
    cr_assert_not(bench.wire.is_reset);
}
