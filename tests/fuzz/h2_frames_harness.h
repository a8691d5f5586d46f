/* h2_frames_harness.h - a session of HTTP/2 on a socket pair, fed with frames as they come from the
 * input: the other end takes what we say, or not, as the input's first byte wills. */
#ifndef OUTRIGGER_TESTS_FUZZ_H2_FRAMES_HARNESS_H
#define OUTRIGGER_TESTS_FUZZ_H2_FRAMES_HARNESS_H

#include "base/check.h"
#include "base/log.h"
#include "codec/codec.h"
#include "codec/h2_session.h"
#include "net/loop.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HARNESS_MAX_INPUT 16384
#define HARNESS_PIECES 64 /* of one input, at most: each is a turn of the loop */
#define HARNESS_TURNS 200 /* to close in; more would be a leak */

enum harness_will {
    HARNESS_PEER_READS = 1 << 0,
    HARNESS_IN_PIECES = 1 << 1, /* and not in one */
    HARNESS_SWEEPS = 1 << 2,    /* an hour passes in between */
};

static struct {
    struct loop *loop;
    struct codec codec;
    int peer;
    unsigned will;
} harness;

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void harness_take_peer(void)
{
    static char bytes[65536];
    if (harness.will & HARNESS_PEER_READS)
        while (recv(harness.peer, bytes, sizeof bytes, MSG_DONTWAIT) > 0)
            continue;
}

static void harness_turn(void)
{
    loop_turn(harness.loop, false);
    harness_take_peer();
}

/* Our end of a fresh pair. */
static int harness_open(unsigned will)
{
    const struct h1_limits limits = {
        .max_line_bytes = 1024, .max_header_bytes = 4096, .max_headers = 32};
    int ends[2];
    if (harness.loop == NULL) {
        log_set_level(LOG_ERROR);
        harness.loop = loop_new(&(struct loop_options){.seed = 1});
        codec_init(&harness.codec, harness.loop);
        harness.codec.request_limits = harness.codec.response_limits = limits;
        harness.codec.header_timeout = harness.codec.write_timeout = 10 * NS_PER_S;
        harness.codec.h2_limits = (struct h2_limits){
            .max_streams = 8, .keep_alive_interval = NS_PER_S, .keep_alive_timeout = NS_PER_S};
    }
    harness.will = will;
    require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    harness.peer = ends[1];
    return ends[0];
}

/* `feed` is told the session by its role; it may be gone after any piece. */
static void harness_feed(const bool *is_gone, struct h2_session *session, struct span bytes)
{
    const size_t piece = harness.will & HARNESS_IN_PIECES ? bytes.len / HARNESS_PIECES + 1 : 65536;
    while (bytes.len > 0 && !*is_gone) {
        const size_t len = bytes.len < piece ? bytes.len : piece;
        char *exact = malloc(len); /* so that a look beyond it is seen */
        require(exact != NULL);
        memcpy(exact, bytes.data, len);
        h2_session_feed(session, span_make(exact, len));
        free(exact);
        codec_uncork(&harness.codec);
        harness_turn();
        if (!*is_gone && (harness.will & HARNESS_SWEEPS))
            h2_sessions_sweep(&harness.codec, mono_add(harness.loop->now, 3600 * NS_PER_S));
        bytes = span_make(bytes.data + len, bytes.len - len);
    }
}

static void harness_lose(const bool *is_gone, struct h2_session *session)
{
    harness_turn();
    if (!*is_gone)
        h2_session_lose(session, REASON_SHUTDOWN, NULL);
}

static void harness_close(const bool *is_gone)
{
    for (int i = 0; i < HARNESS_TURNS && !*is_gone; i++)
        harness_turn();
    require(*is_gone);
    close(harness.peer);
}

#endif
