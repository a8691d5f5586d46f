#include "tls_fixture.h"

#include "base/check.h"
#include "net/tls_own.h"

#include <errno.h>
#include <semaphore.h>
#include <string.h>
#include <unistd.h>

TestSuite(tls_stream, .init = fixture_open, .fini = fixture_close);

static void call(struct caller *caller, void (*serve)(struct peer *, mbedtls_ssl_context *, int))
{
    world_serve(&world, &(struct peer_options){.identity = &world.server, .serve = serve});
    world_call(&world, caller, client, "api.test");
    cr_assert_eq(caller->reason, REASON_NONE, "%s", stream_detail(&caller->stream));
}

/* ---- a caller that reads all there is ---- */

struct reader {
    size_t room; /* of one recv */
    size_t got;
    size_t wrong; /* bytes that are not what they should be */
    ssize_t last;
};

static uint8_t byte_at(size_t place)
{
    return (uint8_t)(place * 7 + place / 251);
}

static void read_some(struct caller *caller, unsigned flags)
{
    static uint8_t bytes[LOOP_READ_BYTES];
    struct reader *reader = caller->context;
    if ((flags & STREAM_READABLE) == 0) {
        return;
    }
    reader->last = stream_recv(&caller->stream, bytes, reader->room);
    for (ssize_t i = 0; i < reader->last; i++) {
        reader->wrong += bytes[i] != byte_at(reader->got + (size_t)i) ? 1 : 0;
    }
    reader->got += reader->last > 0 ? (size_t)reader->last : 0;
    if (reader->last == 0 || reader->last == STREAM_FAILED) {
        stream_want(&caller->stream, false, false);
    }
}

static void start_reading(struct caller *caller, struct reader *reader, size_t room)
{
    *reader = (struct reader){.room = room, .last = STREAM_AGAIN};
    caller->context = reader;
    caller->on_event = read_some;
    stream_want(&caller->stream, true, false);
}

/* ---- both ways ---- */

#define MANY (1U << 20)

static uint8_t many[MANY];

static void fill_many(void)
{
    for (size_t i = 0; i < MANY; i++) {
        many[i] = byte_at(i);
    }
}

/* Sends with pieces of all sizes, three at a time, while what comes back is read. */
static void send_many(struct caller *caller, size_t total)
{
    size_t sent = 0;
    for (unsigned turn = 1; sent < total; turn++) {
        struct iovec parts[3];
        size_t offered = 0;
        for (size_t i = 0; i < 3; i++) {
            const size_t piece = (turn * 7919 + i * 104729) % 40000;
            const size_t rest = total - sent - offered;
            parts[i] = (struct iovec){many + sent + offered, piece < rest ? piece : rest};
            offered += parts[i].iov_len;
        }
        const ssize_t taken = stream_sendv(&caller->stream, parts, 3);
        cr_assert(taken >= 0 || taken == STREAM_AGAIN);
        sent += taken > 0 ? (size_t)taken : 0;
        if (taken < (ssize_t)offered) {
            stream_want(&caller->stream, true, true);
            caller->flags = 0;
            TURN_UNTIL(world.loop, caller->flags & STREAM_WRITABLE);
            stream_want(&caller->stream, true, false);
        }
        loop_turn(world.loop, false);
    }
}

static void echo_through_buffer_of(size_t room, size_t total)
{
    struct caller caller;
    struct reader reader;
    fill_many();
    call(&caller, peer_echo);
    start_reading(&caller, &reader, room);
    send_many(&caller, total);
    TURN_UNTIL(world.loop, reader.got == total);
    cr_assert_eq(reader.wrong, 0);
    world_end_call(&world, &caller);
}

Test(tls_stream, carries_a_mebibyte_both_ways)
{
    echo_through_buffer_of(LOOP_READ_BYTES, MANY);
}

Test(tls_stream, carries_a_mebibyte_through_a_buffer_smaller_than_a_record)
{
    echo_through_buffer_of(1000, MANY);
}

Test(tls_stream, carries_bytes_through_a_buffer_of_one_byte)
{
    echo_through_buffer_of(1, 3000);
}

Test(tls_stream, carries_bytes_through_a_buffer_as_large_as_a_record)
{
    echo_through_buffer_of(TLS_PLAIN_MAX, MANY);
}

/* ---- a slow reader ---- */

static sem_t may_read;

static void read_late(struct peer *peer, mbedtls_ssl_context *ssl, int fd)
{
    while (sem_wait(&may_read) != 0) {
    }
    peer_echo(peer, ssl, fd);
}

Test(tls_stream, holds_at_most_a_record_for_a_slow_reader_and_then_goes_on)
{
    struct caller caller;
    struct reader reader;
    size_t sent = 0;
    ssize_t taken;
    const int small = 4096;
    cr_assert_eq(sem_init(&may_read, 0, 0), 0);
    fill_many();
    call(&caller, read_late);
    cr_assert_eq(setsockopt(caller.stream.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
    while ((taken = stream_send(&caller.stream, many + sent, MANY - sent)) > 0) {
        sent += (size_t)taken;
        cr_assert(sent < MANY, "nobody reads it");
    }
    cr_assert_eq(taken, STREAM_AGAIN);
    cr_assert(caller.stream.tls->backlog.len > 0 && caller.stream.tls->backlog.len <= TLS_WIRE_MAX);
    driver_settle(world.loop);
    cr_assert_eq(stream_send(&caller.stream, many, 1), STREAM_AGAIN);
    stream_want(&caller.stream, false, true);
    driver_settle(world.loop);
    cr_assert_eq(caller.flags & STREAM_WRITABLE, 0, "the backlog comes first");
    cr_assert_eq(sem_post(&may_read), 0);
    start_reading(&caller, &reader, LOOP_READ_BYTES);
    TURN_UNTIL(world.loop, reader.got == sent);
    cr_assert_eq(reader.wrong, 0);
    cr_assert_eq(caller.stream.tls->backlog.bytes, NULL, "flushed without the owner's help");
    world_end_call(&world, &caller);
}

/* ---- ends ---- */

static void say_nothing(struct peer *peer, mbedtls_ssl_context *ssl, int fd)
{
    (void)peer;
    (void)ssl;
    (void)fd;
}

static void say_bytes(struct peer *peer, mbedtls_ssl_context *ssl, int fd)
{
    (void)peer;
    (void)fd;
    (void)peer_write(ssl, many, 40000);
}

Test(tls_stream, tells_an_end_with_close_notify_from_one_without)
{
    for (int is_cut = 0; is_cut < 2; is_cut++) {
        struct caller caller;
        struct reader reader;
        fill_many();
        world_serve(&world, &(struct peer_options){.identity = &world.server,
                                                   .serve = say_bytes,
                                                   .ends_without_notify = is_cut != 0});
        world_call(&world, &caller, client, "api.test");
        start_reading(&caller, &reader, LOOP_READ_BYTES);
        TURN_UNTIL(world.loop, reader.last == 0);
        cr_assert_eq(reader.got, 40000);
        cr_assert_eq(reader.wrong, 0);
        cr_assert_eq(stream_was_truncated(&caller.stream), is_cut != 0);
        world_end_call(&world, &caller);
        peer_stop(&world.peer);
        world.has_peer = false;
    }
}

static void notify_and_wait(struct peer *peer, mbedtls_ssl_context *ssl, int fd)
{
    char byte;
    (void)peer;
    (void)peer_write(ssl, many, 10);
    (void)mbedtls_ssl_close_notify(ssl);
    while (recv(fd, &byte, 1, 0) > 0) {
    }
}

Test(tls_stream, tells_a_close_notify_that_no_end_of_the_socket_follows)
{
    struct caller caller;
    struct reader reader;
    fill_many();
    call(&caller, notify_and_wait);
    start_reading(&caller, &reader, LOOP_READ_BYTES);
    TURN_UNTIL(world.loop, reader.last == 0);
    cr_assert_eq(reader.got, 10);
    cr_assert_eq(caller.flags & STREAM_HANGUP, 0);
    cr_assert(stream_has_ended(&caller.stream) && stream_peek_dead(&caller.stream));
    world_end_call(&world, &caller);
}

Test(tls_stream, sees_that_an_idle_connection_has_been_closed)
{
    struct caller caller;
    call(&caller, say_nothing);
    TURN_UNTIL(world.loop, stream_has_ended(&caller.stream));
    cr_assert(stream_peek_dead(&caller.stream));
    world_end_call(&world, &caller);
}

static void wait_for_end(struct peer *peer, mbedtls_ssl_context *ssl, int fd)
{
    unsigned char byte;
    (void)peer;
    (void)fd;
    while (mbedtls_ssl_read(ssl, &byte, 1) > 0) {
    }
}

Test(tls_stream, looks_at_bytes_that_nobody_asked_for_without_losing_them)
{
    struct caller caller;
    struct reader reader;
    fill_many();
    call(&caller, say_bytes);
    TURN_UNTIL(world.loop, stream_peek_dead(&caller.stream));
    cr_assert(stream_peek_dead(&caller.stream));
    start_reading(&caller, &reader, LOOP_READ_BYTES);
    TURN_UNTIL(world.loop, reader.last == 0);
    cr_assert_eq(reader.got, 40000);
    cr_assert_eq(reader.wrong, 0);
    world_end_call(&world, &caller);
}

Test(tls_stream, sees_that_an_idle_connection_lives)
{
    struct caller caller;
    call(&caller, wait_for_end);
    driver_settle(world.loop);
    cr_assert_not(stream_has_ended(&caller.stream));
    cr_assert_not(stream_peek_dead(&caller.stream));
    world_end_call(&world, &caller);
}

static void read_to_the_end_then_answer(struct peer *peer, mbedtls_ssl_context *ssl, int fd)
{
    unsigned char bytes[1000];
    int got;
    int total = 0;
    (void)fd;
    while ((got = mbedtls_ssl_read(ssl, bytes, sizeof(bytes))) > 0) {
        total += got;
    }
    if (got == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY) {
        *(int *)peer->options.context = total;
    }
    (void)peer_write(ssl, many, 77);
}

Test(tls_stream, ends_its_own_side_with_close_notify_and_still_reads)
{
    struct caller caller;
    struct reader reader;
    int total = 0;
    fill_many();
    world_serve(&world, &(struct peer_options){.identity = &world.server,
                                               .serve = read_to_the_end_then_answer,
                                               .context = &total});
    world_call(&world, &caller, client, "api.test");
    start_reading(&caller, &reader, LOOP_READ_BYTES);
    cr_assert_eq(stream_send(&caller.stream, "hello", 5), 5);
    cr_assert_eq(stream_shutdown_write(&caller.stream), OK);
    cr_assert_eq(stream_shutdown_write(&caller.stream), OK, "twice is once");
    cr_assert_eq(stream_send(&caller.stream, "more", 4), STREAM_FAILED);
    cr_assert_eq(caller.stream.error, EPIPE);
    TURN_UNTIL(world.loop, reader.last == 0);
    cr_assert_eq(reader.got, 77);
    world_end_call(&world, &caller);
    peer_stop(&world.peer);
    world.has_peer = false;
    cr_assert_eq(total, 5, "the peer saw a whole message");
}

/* ---- what epoll does not know of ---- */

Test(tls_stream, delivers_bytes_that_came_with_the_end_of_the_handshake)
{
    for (int i = 0; i < 20; i++) { /* whether they do is a race */
        struct caller caller;
        struct reader reader;
        fill_many();
        call(&caller, notify_and_wait);
        start_reading(&caller, &reader, 3);
        TURN_UNTIL(world.loop, reader.last == 0);
        cr_assert_eq(reader.got, 10);
        world_end_call(&world, &caller);
        peer_stop(&world.peer);
        world.has_peer = false;
    }
}

Test(tls_stream, is_readable_as_long_as_opened_bytes_wait)
{
    struct caller caller;
    struct reader reader;
    uint8_t bytes[100];
    fill_many();
    call(&caller, say_bytes);
    stream_want(&caller.stream, true, false);
    TURN_UNTIL(world.loop, caller.flags & STREAM_READABLE);
    TURN_UNTIL(world.loop, stream_recv(&caller.stream, bytes, sizeof(bytes)) == sizeof(bytes));
    cr_assert(caller.stream.tls->plain.len > 0);
    cr_assert(stream_peek_dead(&caller.stream), "bytes that nobody asked for");
    stream_want(&caller.stream, false, false);
    driver_settle(world.loop);
    caller.events = 0;
    driver_settle(world.loop);
    cr_assert_eq(caller.flags & STREAM_HANGUP ? 0 : caller.events, 0, "not wanted, not told");
    start_reading(&caller, &reader, sizeof(bytes));
    reader.got = sizeof(bytes);
    TURN_UNTIL(world.loop, reader.last == 0);
    cr_assert_eq(reader.got, 40000);
    cr_assert_eq(reader.wrong, 0);
    world_end_call(&world, &caller);
}

/* ---- peers that break the rules ---- */

static void say_bytes_then_garbage(struct peer *peer, mbedtls_ssl_context *ssl, int fd)
{
    char byte;
    (void)peer;
    (void)peer_write(ssl, many, 100);
    (void)send(fd, "\x17\x03\x03\x00\x20 this is sealed by nobody, is it?", 37, MSG_NOSIGNAL);
    while (recv(fd, &byte, 1, 0) > 0) {
    }
}

static void say_bytes_then_text(struct peer *peer, mbedtls_ssl_context *ssl, int fd)
{
    char byte;
    (void)peer;
    (void)peer_write(ssl, many, 100);
    (void)send(fd, "HTTP/1.1 200 OK\r\n\r\n", 19, MSG_NOSIGNAL);
    while (recv(fd, &byte, 1, 0) > 0) {
    }
}

static void expect_broken(void (*serve)(struct peer *, mbedtls_ssl_context *, int), size_t good)
{
    struct caller caller;
    struct reader reader;
    fill_many();
    call(&caller, serve);
    start_reading(&caller, &reader, LOOP_READ_BYTES);
    TURN_UNTIL(world.loop, reader.last == STREAM_FAILED);
    cr_assert_eq(reader.got, good);
    cr_assert_eq(caller.stream.error, EPROTO);
    cr_assert(stream_has_ended(&caller.stream));
    world_end_call(&world, &caller);
}

Test(tls_stream, fails_on_a_record_that_the_peer_did_not_seal)
{
    expect_broken(say_bytes_then_garbage, 100);
}

Test(tls_stream, fails_on_bytes_in_clear)
{
    expect_broken(say_bytes_then_text, 100);
}

static void ask_for_hellos(mbedtls_ssl_context *ssl, int times)
{
    for (int i = 0; i < times; i++) {
        (void)mbedtls_ssl_renegotiate(ssl);
    }
    (void)peer_write(ssl, many, 100);
}

static void ask_twice(struct peer *peer, mbedtls_ssl_context *ssl, int fd)
{
    (void)fd;
    (void)peer;
    ask_for_hellos(ssl, 2);
}

static void ask_often(struct peer *peer, mbedtls_ssl_context *ssl, int fd)
{
    (void)fd;
    (void)peer;
    ask_for_hellos(ssl, 10);
}

Test(tls_stream, ignores_a_wish_to_renegotiate_but_not_for_ever)
{
    struct caller caller;
    struct reader reader;
    fill_many();
    call(&caller, ask_twice);
    start_reading(&caller, &reader, LOOP_READ_BYTES);
    TURN_UNTIL(world.loop, reader.last == 0);
    cr_assert_eq(reader.got, 100);
    world_end_call(&world, &caller);
    peer_stop(&world.peer);
    world.has_peer = false;
    expect_broken(ask_often, 0);
}

static void reset_when_asked(struct peer *peer, mbedtls_ssl_context *ssl, int fd)
{
    const struct linger at_once = {.l_onoff = 1};
    unsigned char byte;
    (void)mbedtls_ssl_read(ssl, &byte, 1); /* or it might cut the handshake short */
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    atomic_store(&peer->connection, -1);
    (void)dup2(peer->listener, fd); /* closes the connection; the number stays the thread's */
}

Test(tls_stream, fails_when_the_peer_resets)
{
    struct caller caller;
    struct reader reader;
    call(&caller, reset_when_asked);
    cr_assert_eq(stream_send(&caller.stream, "?", 1), 1);
    start_reading(&caller, &reader, LOOP_READ_BYTES);
    TURN_UNTIL(world.loop, reader.last == STREAM_FAILED);
    cr_assert_eq(caller.stream.error, ECONNRESET);
    cr_assert_eq(stream_send(&caller.stream, "x", 1), STREAM_FAILED);
    cr_assert_eq(stream_shutdown_write(&caller.stream), ERR_SYSTEM);
    world_end_call(&world, &caller);
}

/* ---- moving house ---- */

Test(tls_stream, moves_to_another_owner_with_its_keys)
{
    struct caller first;
    struct caller second;
    struct reader reader;
    fill_many();
    call(&first, peer_echo);
    memset(&second, 0, sizeof(second));
    stream_callback on_event = first.stream.on_event;
    cr_assert_eq(stream_send(&first.stream, many, 20000), 20000);
    stream_adopt(&second.stream, &first.stream, on_event, first.stream.on_closed);
    start_reading(&second, &reader, 500);
    TURN_UNTIL(world.loop, first.has_closed && reader.got == 20000);
    cr_assert_eq(reader.wrong, 0);
    world_end_call(&world, &second);
}
