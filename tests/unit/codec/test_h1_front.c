#include "codec/h1_front.h"
#include "wire.h"

struct bench {
    struct wire wire;
    struct h1_front *front;
    int requests, bad, bodies, body_ends, bad_bodies, writable, hangups, gone;
    enum reason reason;
    char path[64];
    char body[256];
    size_t body_len;
    char trailers[64];
    bool answers_at_once, is_last, closes_at_request, closes_at_body, reads_at_once;
    size_t answer_size;
};

static struct bench bench;

#define WRITE_TIMEOUT (30 * NS_PER_S)

static void answer(const char *text)
{
    front_send_raw(&bench.front->base, span_of(text));
    front_flush(&bench.front->base);
}

static void on_request(struct front *front, struct message *msg)
{
    static char large[1024 * 1024];
    bench.requests++;
    cr_assert_lt(msg->path.len, sizeof bench.path);
    memset(bench.path, 0, sizeof bench.path);
    if (msg->path.len > 0) /* CONNECT has none */
        memcpy(bench.path, msg->path.data, msg->path.len);
    if (bench.closes_at_request)
        front_close(front, STREAM_END_ORDERLY);
    if (bench.reads_at_once)
        front_read_body(front, true);
    if (!bench.answers_at_once)
        return;
    answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    if (bench.answer_size > 0)
        front_send_raw(front, span_make(large, bench.answer_size));
    front_finish(front, bench.is_last);
}

static void on_bad_request(struct front *front, enum reason reason, const char *detail)
{
    (void)detail;
    bench.bad++;
    bench.reason = reason;
    answer("HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n");
    front_finish(front, true);
}

static void on_body(struct front *front, struct span bytes)
{
    bench.bodies++;
    cr_assert_lt(bench.body_len + bytes.len, sizeof bench.body);
    memcpy(bench.body + bench.body_len, bytes.data, bytes.len);
    bench.body_len += bytes.len;
    if (bench.closes_at_body)
        front_close(front, STREAM_END_RESET);
}

static void on_body_end(struct front *front, struct span trailers)
{
    (void)front;
    bench.body_ends++;
    if (trailers.len > 0)
        memcpy(bench.trailers, trailers.data, trailers.len);
}

static void on_bad_body(struct front *front, enum reason reason, const char *detail)
{
    (void)detail;
    bench.bad_bodies++;
    bench.reason = reason;
    answer("HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n");
    front_finish(front, false);
}

static void on_writable(struct front *front)
{
    (void)front;
    bench.writable++;
}

static void on_hangup(struct front *front)
{
    bench.hangups++;
    front_close(front, STREAM_END_ORDERLY);
}

static void on_gone(struct front *front)
{
    (void)front;
    bench.gone++;
}

static const struct front_handler handler = {
    .on_request = on_request,
    .on_bad_request = on_bad_request,
    .on_body = on_body,
    .on_body_end = on_body_end,
    .on_bad_body = on_bad_body,
    .on_writable = on_writable,
    .on_hangup = on_hangup,
    .on_gone = on_gone,
};

static void open_bench(void)
{
    memset(&bench, 0, sizeof bench);
    wire_open(&bench.wire);
    bench.wire.codec.write_timeout = WRITE_TIMEOUT;
    bench.front = h1_front_open(&bench.wire.codec, wire_pair(&bench.wire), &handler, &bench);
    cr_assert_not_null(bench.front);
}

static void close_bench(void)
{
    if (bench.gone == 0)
        front_close(&bench.front->base, STREAM_END_ORDERLY);
    TURN_UNTIL(bench.wire.loop, bench.gone == 1);
    cr_assert(list_is_empty(&bench.wire.codec.idle_fronts));
    wire_close(&bench.wire);
}

TestSuite(h1_front, .init = open_bench, .fini = close_bench);

#define GET "GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n"
#define CHUNKED "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
#define DONE "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

static void caller_sends(const char *text)
{
    wire_write(&bench.wire, text);
}

#define UNTIL(condition) TURN_UNTIL(bench.wire.loop, condition)

static void finish(bool is_last)
{
    answer(DONE);
    front_finish(&bench.front->base, is_last);
}

/* ---- refusals */

Test(h1_front, refuses_what_is_no_request_and_lingers)
{
    caller_sends("HELO there\r\n\r\n");
    UNTIL(wire_got(&bench.wire, "400 Bad"));
    cr_assert_eq(bench.bad, 1);
    caller_sends("MAIL FROM\r\n");
    UNTIL(wire_ended(&bench.wire));
    cr_assert_not(bench.wire.is_reset);
    cr_assert_eq(bench.gone, 0);
    wire_hang_up(&bench.wire);
    UNTIL(bench.gone == 1);
}

Test(h1_front, refuses_a_head_that_never_ends)
{
    static char line[40000];
    memset(line, 'x', sizeof line - 1);
    caller_sends("GET / HTTP/1.1\r\nX: ");
    caller_sends(line);
    UNTIL(bench.bad == 1);
    cr_assert_eq(bench.reason, REASON_HEADER_TOO_LARGE);
}

Test(h1_front, refuses_a_head_that_is_late)
{
    caller_sends("GET / HT");
    UNTIL(bench.front->state == H1_FRONT_HEAD);
    wire_pass(&bench.wire, 11 * NS_PER_S);
    cr_assert_eq(bench.bad, 1);
    cr_assert_eq(bench.reason, REASON_HEADER_TIMEOUT);
}

Test(h1_front, refuses_a_bad_body_and_lingers)
{
    bench.reads_at_once = true;
    caller_sends(CHUNKED "zz\r\n");
    UNTIL(bench.bad_bodies == 1);
    caller_sends("more of it");
    UNTIL(wire_ended(&bench.wire));
    cr_assert_not(bench.wire.is_reset);
    cr_assert_eq(bench.gone, 0);
}

Test(h1_front, ends_a_linger_in_time)
{
    caller_sends("HELO there\r\n\r\n");
    UNTIL(bench.front->state == H1_FRONT_LINGER);
    wire_pass(&bench.wire, H1_FRONT_LINGER_TIME + NS_PER_MS);
    cr_assert_eq(bench.front->state, H1_FRONT_CLOSED);
}

/* ---- requests in turn */

Test(h1_front, hands_over_one_request_at_a_time)
{
    caller_sends(GET "GET /b HTTP/1.1\r\nHost: a\r\n\r\n");
    UNTIL(bench.requests == 1);
    driver_settle(bench.wire.loop);
    cr_assert_eq(bench.requests, 1);
    cr_assert_str_eq(bench.path, "/a");
    finish(false);
    UNTIL(bench.requests == 2);
    cr_assert_str_eq(bench.path, "/b");
    finish(false);
    UNTIL(bench.front->state == H1_FRONT_IDLE);
    cr_assert_null(bench.front->in.block);
}

Test(h1_front, answers_a_pipeline_inside_its_callback)
{
    bench.answers_at_once = true;
    caller_sends(GET GET GET "GET /l");
    UNTIL(bench.requests == 3);
    caller_sends("ast HTTP/1.1\r\nHost: a\r\n\r\n");
    UNTIL(bench.requests == 4);
    cr_assert_str_eq(bench.path, "/last");
}

Test(h1_front, takes_no_request_behind_one_that_says_close)
{
    caller_sends("GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" GET);
    UNTIL(bench.requests == 1);
    finish(false);
    UNTIL(wire_ended(&bench.wire));
    cr_assert_eq(bench.requests, 1);
}

Test(h1_front, takes_no_request_behind_a_connect_that_is_refused)
{
    caller_sends("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n" GET);
    UNTIL(bench.requests == 1);
    finish(false);
    UNTIL(wire_ended(&bench.wire));
    cr_assert_eq(bench.requests, 1);
    cr_assert_not(bench.wire.is_reset);
}

Test(h1_front, takes_no_further_request_while_its_answers_are_not_read)
{
    bench.answers_at_once = true;
    bench.answer_size = 1024 * 1024;
    while (!front_is_blocked(&bench.front->base)) {
        const int before = bench.requests;
        caller_sends(GET);
        UNTIL(bench.requests > before);
    }
    const int before = bench.requests;
    bench.answer_size = 0;
    caller_sends(GET GET);
    driver_settle(bench.wire.loop);
    cr_assert_eq(bench.requests, before);
    UNTIL((wire_reads(&bench.wire, SIZE_MAX, "x"), wire_forget(&bench.wire),
           bench.requests == before + 2));
    cr_assert_eq(bench.front->state, H1_FRONT_IDLE);
    cr_assert_not(timer_is_set(&bench.front->timer));
}

Test(h1_front, bounds_what_is_pipelined_behind_a_call)
{
    static char zeros[65536];
    caller_sends(GET);
    UNTIL(bench.requests == 1);
    for (int i = 0; i < 200; i++) {
        (void)!send(bench.wire.peer, zeros, sizeof zeros, MSG_NOSIGNAL);
        driver_settle(bench.wire.loop);
    }
    cr_assert_leq(inbox_length(&bench.front->in), H1_FRONT_INBOX_BYTES + LOOP_READ_BYTES);
}

/* ---- bodies */

Test(h1_front, delivers_a_body_only_when_it_is_wanted)
{
    caller_sends(POST "body");
    UNTIL(bench.requests == 1);
    driver_settle(bench.wire.loop);
    cr_assert_eq(bench.bodies, 0);
    front_read_body(&bench.front->base, true);
    cr_assert_eq(bench.bodies, 0);
    UNTIL(bench.body_ends == 1);
    cr_assert_str_eq(bench.body, "body");
}

Test(h1_front, delivers_trailers)
{
    bench.reads_at_once = true;
    caller_sends(CHUNKED "3\r\nabc\r\n0\r\nx: y\r\n\r\n" GET);
    UNTIL(bench.body_ends == 1);
    cr_assert_str_eq(bench.trailers, "x: y\r\n");
    cr_assert_eq(bench.requests, 1);
    finish(false);
    UNTIL(bench.requests == 2);
}

Test(h1_front, lingers_when_the_answer_comes_before_the_body)
{
    caller_sends(POST "bo");
    UNTIL(bench.requests == 1);
    finish(false);
    UNTIL(wire_ended(&bench.wire));
    cr_assert_not(bench.wire.is_reset);
    caller_sends("dy" GET);
    driver_settle(bench.wire.loop);
    cr_assert_eq(bench.requests, 1);
    cr_assert_eq(bench.gone, 0);
}

Test(h1_front, may_be_closed_inside_a_body)
{
    bench.reads_at_once = true;
    bench.closes_at_body = true;
    caller_sends(CHUNKED "1\r\na\r\n1\r\nb\r\n0\r\n\r\n");
    UNTIL(bench.gone == 1);
    cr_assert_eq(bench.body_len, 1);
    UNTIL(wire_ended(&bench.wire));
    cr_assert(bench.wire.is_reset);
}

Test(h1_front, may_be_closed_inside_a_body_that_was_kept)
{
    caller_sends(CHUNKED "1\r\na\r\n1\r\nb\r\n");
    UNTIL(bench.requests == 1);
    bench.closes_at_body = true;
    front_read_body(&bench.front->base, true);
    UNTIL(bench.gone == 1);
    cr_assert_eq(bench.body_len, 1);
}

Test(h1_front, may_be_closed_inside_a_request)
{
    bench.closes_at_request = true;
    caller_sends(GET GET);
    UNTIL(bench.gone == 1);
    cr_assert_eq(bench.requests, 1);
}

/* ---- callers that leave */

Test(h1_front, tells_at_once_that_the_caller_left_during_a_call)
{
    caller_sends(POST);
    UNTIL(bench.requests == 1);
    wire_hang_up(&bench.wire);
    UNTIL(bench.hangups == 1);
    UNTIL(bench.gone == 1);
}

Test(h1_front, tells_nobody_when_an_idle_caller_leaves)
{
    wire_hang_up(&bench.wire);
    UNTIL(bench.gone == 1);
    cr_assert_eq(bench.hangups, 0);
}

Test(h1_front, tells_a_failed_write_during_a_tunnel_whose_caller_has_ended)
{
    caller_sends("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n");
    UNTIL(bench.requests == 1);
    front_start_tunnel(&bench.front->base, NULL, NULL);
    front_read_body(&bench.front->base, true);
    cr_assert_eq(shutdown(bench.wire.peer, SHUT_WR), 0);
    UNTIL(bench.body_ends == 1);
    wire_reset(&bench.wire);
    driver_settle(bench.wire.loop);
    cr_assert_eq(bench.hangups, 0);
    answer("anybody there?");
    UNTIL(bench.hangups == 1);
    UNTIL(bench.gone == 1);
}

Test(h1_front, sends_the_rest_to_a_caller_that_has_ended_its_side)
{
    bench.answers_at_once = true;
    bench.answer_size = 1024 * 1024;
    while (!front_is_blocked(&bench.front->base)) {
        const int before = bench.requests;
        caller_sends(GET);
        UNTIL(bench.requests > before);
    }
    cr_assert_eq(shutdown(bench.wire.peer, SHUT_WR), 0);
    UNTIL((wire_reads(&bench.wire, SIZE_MAX, "x"), wire_forget(&bench.wire),
           bench.wire.has_ended || bench.wire.is_reset));
    cr_assert_not(bench.wire.is_reset);
    cr_assert_eq(bench.wire.got_bytes,
                 (uint64_t)bench.requests *
                     (1024 * 1024 + strlen("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")));
}

static void block_it(bool is_last)
{
    static char zeros[262144];
    caller_sends(GET);
    UNTIL(bench.requests == 1);
    while (!front_is_blocked(&bench.front->base))
        front_send_raw(&bench.front->base, span_make(zeros, sizeof zeros));
    front_finish(&bench.front->base, is_last);
}

Test(h1_front, does_not_wait_for_ever_for_a_caller_that_does_not_read_its_last_answer)
{
    block_it(true);
    cr_assert_eq(bench.front->state, H1_FRONT_FLUSH);
    wire_pass(&bench.wire, WRITE_TIMEOUT - NS_PER_S);
    cr_assert_eq(bench.front->state, H1_FRONT_FLUSH);
    wire_pass(&bench.wire, WRITE_TIMEOUT + NS_PER_S);
    cr_assert_eq(bench.front->state, H1_FRONT_CLOSED);
    loop_turn(bench.wire.loop, false);
    UNTIL((wire_reads(&bench.wire, SIZE_MAX, "x"), bench.wire.has_ended || bench.wire.is_reset));
    cr_assert(bench.wire.is_reset); /* what was cut short must not look whole */
}

Test(h1_front, does_not_wait_for_ever_for_a_caller_that_does_not_read_an_answer)
{
    block_it(false);
    cr_assert_eq(bench.front->state, H1_FRONT_IDLE);
    wire_pass(&bench.wire, WRITE_TIMEOUT + NS_PER_S);
    cr_assert_eq(bench.front->state, H1_FRONT_CLOSED);
}

/* ---- drain */

Test(h1_front, ends_an_idle_connection_in_a_drain)
{
    h1_front_drain(bench.front);
    UNTIL(wire_ended(&bench.wire));
}

Test(h1_front, ends_after_the_answer_in_a_drain)
{
    caller_sends(GET);
    UNTIL(bench.requests == 1);
    h1_front_drain(bench.front);
    finish(false);
    UNTIL(wire_got(&bench.wire, "200 OK"));
    UNTIL(wire_ended(&bench.wire));
    cr_assert_not(bench.wire.is_reset);
}

Test(h1_front, sends_the_rest_of_its_answers_in_a_drain)
{
    block_it(false);
    const uint64_t all =
        bench.front->out.sent_bytes + (bench.front->out.end - bench.front->out.start);
    h1_front_drain(bench.front);
    UNTIL((wire_reads(&bench.wire, SIZE_MAX, "x"), wire_forget(&bench.wire),
           bench.wire.has_ended || bench.wire.is_reset));
    cr_assert_not(bench.wire.is_reset);
    cr_assert_eq(bench.wire.got_bytes, all);
}

/* ---- tunnels */

Test(h1_front, passes_bytes_that_came_before_the_tunnel_did)
{
    caller_sends("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\nearly");
    UNTIL(bench.requests == 1);
    front_start_tunnel(&bench.front->base, NULL, NULL);
    front_read_body(&bench.front->base, true);
    UNTIL(bench.body_len == 5);
    front_read_body(&bench.front->base, false);
    caller_sends("later");
    driver_settle(bench.wire.loop);
    cr_assert_eq(bench.body_len, 5);
    front_read_body(&bench.front->base, true);
    UNTIL(bench.body_len == 10);
    front_send_fin(&bench.front->base);
    UNTIL(wire_ended(&bench.wire));
    caller_sends("!");
    UNTIL(bench.body_len == 11);
}

Test(h1_front, passes_bytes_that_came_before_the_tunnel_of_an_upgrade_with_a_body)
{
    bench.reads_at_once = true;
    caller_sends("POST /p HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: "
                 "x\r\nContent-Length: 4\r\n\r\nbodyearly");
    UNTIL(bench.body_ends == 1);
    driver_settle(bench.wire.loop);
    front_start_tunnel(&bench.front->base, NULL, NULL);
    front_read_body(&bench.front->base, true);
    UNTIL(bench.body_len == 9);
}
