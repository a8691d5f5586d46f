/* What a peer may say besides data, with both ends in our hands: a stream on a socket pair whose
 * keys we made, so that TLS 1.3 is tested where mbedTLS has none. */
#include "tls_fixture.h"

#include "base/check.h"
#include "net/tls_own.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(tls_hear, .init = fixture_open, .fini = fixture_close);

struct line {
    struct stream stream;
    struct tls_keys peer; /* the other way round */
    int fd;               /* the peer's */
    bool has_closed;
};

static void on_event(struct stream *stream, unsigned flags)
{
    (void)stream;
    (void)flags;
}

static void on_closed(struct stream *stream)
{
    CONTAINER_OF(stream, struct line, stream)->has_closed = true;
}

static void init_key(struct tls_key *key, bool is_1_3, uint8_t seed)
{
    uint8_t secret[48];
    memset(secret, seed, sizeof(secret));
    cr_assert_eq(is_1_3 ? tls_key_init_1_3(key, TLS_AES_128_GCM, secret)
                        : tls_key_init(key, TLS_AES_128_GCM, secret, secret, 1),
                 OK);
}

static void line_open(struct line *line, bool is_1_3)
{
    int fds[2];
    struct tls *tls = calloc(1, sizeof(*tls));
    memset(line, 0, sizeof(*line));
    cr_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
    cr_assert_eq(stream_open(&line->stream, world.loop, fds[0], on_event, on_closed), OK);
    tls->magic = TLS_MAGIC;
    tls->engine = world.engine;
    tls->client = tls_client_ref(client);
    tls->keys = calloc(1, sizeof(*tls->keys));
    init_key(&tls->keys->read, is_1_3, 1);
    init_key(&tls->keys->write, is_1_3, 2);
    init_key(&line->peer.write, is_1_3, 1);
    init_key(&line->peer.read, is_1_3, 2);
    line->stream.class = &tls_class;
    line->stream.tls = tls;
    line->fd = fds[1];
}

static void line_close(struct line *line)
{
    stream_close(&line->stream);
    TURN_UNTIL(world.loop, line->has_closed);
    tls_key_fini(&line->peer.read);
    tls_key_fini(&line->peer.write);
    close(line->fd);
}

static void peer_say(struct line *line, enum tls_type type, const void *bytes, size_t len)
{
    uint8_t wire[2048];
    const size_t wire_len = tls_seal(&line->peer.write, type, bytes, len, wire);
    cr_assert(send(line->fd, wire, wire_len, MSG_NOSIGNAL) == (ssize_t)wire_len);
}

static ssize_t hear(struct line *line)
{
    uint8_t bytes[100];
    return stream_recv(&line->stream, bytes, sizeof(bytes));
}

/* What the stream has sent, as the peer opens it. */
static size_t peer_hear(struct line *line, enum tls_type *type, uint8_t *plain)
{
    uint8_t wire[2048];
    size_t len = 0;
    cr_assert(recv(line->fd, wire, TLS_HEAD_BYTES, 0) == TLS_HEAD_BYTES);
    const size_t wire_len = tls_wire_bytes(wire);
    const ssize_t rest = (ssize_t)(wire_len - TLS_HEAD_BYTES);
    cr_assert(recv(line->fd, wire + TLS_HEAD_BYTES, (size_t)rest, 0) == rest);
    cr_assert(tls_open(&line->peer.read, wire, wire_len, type, plain, &len));
    return len;
}

static void expect_failure(struct line *line, int error)
{
    cr_assert_eq(hear(line), STREAM_FAILED);
    cr_assert_eq(line->stream.error, error);
    cr_assert_eq(hear(line), STREAM_FAILED, "and it stays so");
    cr_assert(stream_has_ended(&line->stream) && stream_peek_dead(&line->stream));
    line_close(line);
}

/* Says one record and expects the connection to be over. */
static void expect_fatal(bool is_1_3, enum tls_type type, const void *bytes, size_t len, int error)
{
    struct line line;
    line_open(&line, is_1_3);
    peer_say(&line, type, bytes, len);
    expect_failure(&line, error);
}

static const uint8_t close_notify[] = {1, 0};
static const uint8_t fatal_alert[] = {2, 80};
static const uint8_t no_renegotiation[] = {1, 100};
static const uint8_t user_canceled[] = {1, 90};
static const uint8_t hello_request[] = {0, 0, 0, 0};
static const uint8_t update[] = {24, 0, 0, 1, 0};
static const uint8_t update_and_answer[] = {24, 0, 0, 1, 1};

Test(tls_hear, ends_with_a_close_notify_in_either_version)
{
    for (int is_1_3 = 0; is_1_3 < 2; is_1_3++) {
        struct line line;
        line_open(&line, is_1_3 != 0);
        peer_say(&line, TLS_TYPE_DATA, "x", 1);
        peer_say(&line, TLS_TYPE_ALERT, close_notify, 2);
        cr_assert_eq(hear(&line), 1);
        cr_assert_eq(hear(&line), 0);
        cr_assert_not(stream_was_truncated(&line.stream));
        line_close(&line);
    }
}

Test(tls_hear, takes_a_fatal_alert_for_a_reset)
{
    expect_fatal(false, TLS_TYPE_ALERT, fatal_alert, 2, ECONNRESET);
    expect_fatal(true, TLS_TYPE_ALERT, fatal_alert, 2, ECONNRESET);
    expect_fatal(true, TLS_TYPE_ALERT, no_renegotiation, 2, ECONNRESET); /* 1.3 has no warnings */
    struct line line;
    line_open(&line, true);
    peer_say(&line, TLS_TYPE_ALERT, "\2\164", 2);
    cr_assert_eq(hear(&line), STREAM_FAILED);
    cr_assert(strstr(stream_detail(&line.stream), "certificate_required, 116") != NULL);
    expect_failure(&line, ECONNRESET);
    expect_fatal(false, TLS_TYPE_ALERT, fatal_alert, 1, EPROTO);
    expect_fatal(false, TLS_TYPE_ALERT, "\1\0\1\0", 4, EPROTO);
}

Test(tls_hear, passes_over_warnings)
{
    struct line line;
    line_open(&line, false);
    peer_say(&line, TLS_TYPE_ALERT, no_renegotiation, 2);
    cr_assert_eq(hear(&line), STREAM_AGAIN);
    line_close(&line);
    line_open(&line, true);
    peer_say(&line, TLS_TYPE_ALERT, user_canceled, 2);
    cr_assert_eq(hear(&line), STREAM_AGAIN);
    line_close(&line);
}

Test(tls_hear, refuses_what_has_no_place_on_an_open_connection)
{
    expect_fatal(false, TLS_TYPE_CCS, "\1", 1, EPROTO);
    expect_fatal(true, TLS_TYPE_CCS, "\1", 1, EPROTO);
    expect_fatal(false, TLS_TYPE_HANDSHAKE, "\1\0\0\0", 4, EPROTO);
    expect_fatal(false, TLS_TYPE_HANDSHAKE, "\0\0\0\1x", 5, EPROTO);
    expect_fatal(true, TLS_TYPE_HANDSHAKE, hello_request, 4, EPROTO);
    expect_fatal(true, TLS_TYPE_HANDSHAKE, "\15\0\0\0", 4, EPROTO); /* CertificateRequest */
    expect_fatal(true, TLS_TYPE_HANDSHAKE, "\4\0", 2, EPROTO);
}

Test(tls_hear, passes_over_tickets_in_one_record_and_in_several)
{
    struct line line;
    uint8_t tickets[204 + 104] = {4, 0, 0, 200};
    tickets[204] = 4;
    tickets[207] = 100;
    line_open(&line, true);
    peer_say(&line, TLS_TYPE_HANDSHAKE, tickets, sizeof(tickets));
    cr_assert_eq(hear(&line), STREAM_AGAIN);
    peer_say(&line, TLS_TYPE_HANDSHAKE, tickets, 150);
    peer_say(&line, TLS_TYPE_HANDSHAKE, tickets + 150, sizeof(tickets) - 150);
    cr_assert_not(stream_peek_dead(&line.stream), "a ticket is no sign of death");
    peer_say(&line, TLS_TYPE_DATA, "data", 4);
    cr_assert_eq(hear(&line), 4);
    line_close(&line);
}

Test(tls_hear, follows_a_key_update)
{
    struct line line;
    line_open(&line, true);
    peer_say(&line, TLS_TYPE_HANDSHAKE, update, sizeof(update));
    cr_assert_eq(tls_key_update(&line.peer.write), OK);
    peer_say(&line, TLS_TYPE_DATA, "data", 4);
    cr_assert_eq(hear(&line), 4);
    line_close(&line);
}

Test(tls_hear, answers_a_key_update_that_asks_for_one)
{
    struct line line;
    enum tls_type type;
    uint8_t plain[100];
    line_open(&line, true);
    peer_say(&line, TLS_TYPE_HANDSHAKE, update_and_answer, sizeof(update_and_answer));
    cr_assert_eq(hear(&line), STREAM_AGAIN);
    cr_assert_eq(stream_send(&line.stream, "data", 4), 4);
    cr_assert_eq(peer_hear(&line, &type, plain), sizeof(update));
    cr_assert_eq(type, TLS_TYPE_HANDSHAKE);
    cr_assert_arr_eq(plain, update, sizeof(update));
    cr_assert_eq(tls_key_update(&line.peer.read), OK);
    cr_assert_eq(peer_hear(&line, &type, plain), 4);
    cr_assert(type == TLS_TYPE_DATA && memcmp(plain, "data", 4) == 0);
    line_close(&line);
}

Test(tls_hear, changes_its_own_key_before_it_has_sealed_too_much_with_it)
{
    struct line line;
    enum tls_type type;
    uint8_t plain[100];
    line_open(&line, true);
    line.stream.tls->keys->write.count = (1U << 24) - 1;
    line.peer.read.count = (1U << 24) - 1;
    cr_assert_eq(stream_send(&line.stream, "last", 4), 4);
    cr_assert_eq(stream_send(&line.stream, "next", 4), 4);
    cr_assert_eq(peer_hear(&line, &type, plain), 4);
    cr_assert_eq(peer_hear(&line, &type, plain), sizeof(update));
    cr_assert_eq(tls_key_update(&line.peer.read), OK);
    cr_assert_eq(peer_hear(&line, &type, plain), 4);
    cr_assert(memcmp(plain, "next", 4) == 0);
    line_close(&line);
}

Test(tls_hear, refuses_key_updates_without_end_or_out_of_shape)
{
    struct line line;
    expect_fatal(true, TLS_TYPE_HANDSHAKE, "\30\0\0\1\2", 5, EPROTO);
    expect_fatal(true, TLS_TYPE_HANDSHAKE, "\30\0\0\1\0\4\0\0\0", 9, EPROTO);
    expect_fatal(true, TLS_TYPE_HANDSHAKE, "\30\0\0\2\0", 5, EPROTO);
    line_open(&line, true);
    for (int i = 0; i < 250; i++) {
        peer_say(&line, TLS_TYPE_HANDSHAKE, update, sizeof(update));
        cr_assert_eq(tls_key_update(&line.peer.write), OK);
        cr_assert_eq(hear(&line), STREAM_AGAIN);
    }
    peer_say(&line, TLS_TYPE_HANDSHAKE, update, sizeof(update));
    expect_failure(&line, EPROTO);
}

Test(tls_hear, is_not_kept_busy_by_empty_records)
{
    struct line line;
    line_open(&line, true);
    for (int i = 0; i < 100; i++) { /* in 1.3 an empty record of data is a type and padding */
        const uint8_t empty[] = {TLS_TYPE_DATA, 0, 0};
        peer_say(&line, (enum tls_type)0, empty, sizeof(empty));
    }
    cr_assert_eq(hear(&line), STREAM_AGAIN);
    peer_say(&line, TLS_TYPE_DATA, "data", 4);
    ssize_t got = STREAM_AGAIN;
    for (int i = 0; i < 100 && got == STREAM_AGAIN; i++) {
        got = hear(&line);
    }
    cr_assert_eq(got, 4);
    line_close(&line);
}
