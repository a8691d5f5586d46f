/* wire.h - what tests of connections need: a loop with its codec, TCP pairs on loopback, and a
 * peer's side that reads and writes bytes without ever blocking. */
#ifndef OUTRIGGER_TESTS_WIRE_H
#define OUTRIGGER_TESTS_WIRE_H

#include "../net/loop_driver.h"
#include "codec/codec.h"
#include "net/address.h"
#include "net/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WIRE_TEXT 4096

struct wire {
    struct loop *loop;
    struct codec codec;
    int listener;
    struct address address; /* of the listener */
    int peer;               /* the other side's descriptor, -1 */
    char got[WIRE_TEXT];    /* what the peer read; a zero behind it */
    size_t got_len;
    uint64_t got_bytes; /* all that came, also what `got` has no room for */
    bool has_ended;     /* it read a FIN */
    bool is_reset;      /* it read an RST */
};

static inline void wire_open(struct wire *wire)
{
    const struct h1_limits limits = {
        .max_line_bytes = 16384, .max_header_bytes = 65536, .max_headers = 100};
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    memset(wire, 0, sizeof *wire);
    wire->loop = driver_loop();
    codec_init(&wire->codec, wire->loop);
    wire->codec.request_limits = wire->codec.response_limits = limits;
    wire->codec.header_timeout = 10 * NS_PER_S;
    wire->peer = -1;
    wire->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(wire->listener, (struct sockaddr *)&at, sizeof at), 0);
    cr_assert_eq(listen(wire->listener, 16), 0);
    wire->address.len = sizeof wire->address.in;
    cr_assert_eq(getsockname(wire->listener, &wire->address.any, &wire->address.len), 0);
}

static inline void wire_hang_up(struct wire *wire)
{
    if (wire->peer >= 0)
        close(wire->peer);
    wire->peer = -1;
}

static inline void wire_reset(struct wire *wire)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    cr_assert_eq(setsockopt(wire->peer, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    wire_hang_up(wire);
}

/* Everything of ours must have been closed before. */
static inline void wire_close(struct wire *wire)
{
    wire_hang_up(wire);
    if (wire->listener >= 0)
        close(wire->listener);
    driver_settle(wire->loop);
    codec_fini(&wire->codec);
    loop_free(&wire->loop);
}

/* Our end of a fresh connection; the peer's is wire->peer. */
static inline int wire_pair(struct wire *wire)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(connect(fd, &wire->address.any, wire->address.len), 0);
    wire->peer = fd;
    cr_assert_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    const int ours = accept4(wire->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    cr_assert_geq(ours, 0);
    return ours;
}

/* The peer takes a connection that we make. */
static inline bool wire_accept(struct wire *wire)
{
    if (wire->peer < 0)
        wire->peer = accept4(wire->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    return wire->peer >= 0;
}

static inline void wire_write(struct wire *wire, const char *text)
{
    const size_t len = strlen(text);
    cr_assert_eq(send(wire->peer, text, len, MSG_NOSIGNAL), (ssize_t)len);
}

/* Reads what there is, at most `most` bytes; true once `text` has come (NULL: once the connection
 * has ended). */
static inline bool wire_reads(struct wire *wire, size_t most, const char *text)
{
    char buf[65536];
    const ssize_t got = recv(wire->peer, buf, most < sizeof buf ? most : sizeof buf, 0);
    wire->has_ended = wire->has_ended || got == 0;
    wire->is_reset = wire->is_reset || (got < 0 && errno == ECONNRESET);
    if (got > 0) {
        const size_t room = sizeof wire->got - 1 - wire->got_len;
        const size_t kept = (size_t)got < room ? (size_t)got : room;
        memcpy(wire->got + wire->got_len, buf, kept);
        wire->got_len += kept;
        wire->got_bytes += (uint64_t)got;
    }
    return text ? strstr(wire->got, text) != NULL : wire->has_ended || wire->is_reset;
}

static inline bool wire_got(struct wire *wire, const char *text)
{
    return wire_reads(wire, SIZE_MAX, text);
}

static inline bool wire_ended(struct wire *wire)
{
    return wire_got(wire, NULL);
}

static inline void wire_forget(struct wire *wire)
{
    memset(wire->got, 0, sizeof wire->got);
    wire->got_len = 0;
}

/* Lets `time` pass for the timers, without waiting for it. */
static inline void wire_pass(struct wire *wire, dur_ns time)
{
    wheel_advance(wire->loop->wheel, mono_add(wire->loop->now, time));
}

#endif
