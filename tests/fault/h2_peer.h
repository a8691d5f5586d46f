/* h2_peer.h - one end of a connection of HTTP/2, written by hand: frames go out as a test says, and
 * what comes is counted. Either side of the proxy has one: a caller with prior knowledge, and the
 * upstream's. It allocates nothing, and keeps the rules: windows both ways, acks.
 *
 * Example: h2_peer_open(&peer, fd, false);
 *          struct h2_peer_stream *call = h2_peer_begin(&peer);
 *          h2_peer_head(&peer, call, &block, false);
 *          h2_peer_body(call, 1000, &trailers);   // goes out as the windows allow
 *          do { h2_peer_turn(&peer); turn(); } while (!h2_peer_is_over(&peer, call));
 * Header blocks are literals without indexing (RFC 7541 section 6.2.2); of those that come, only
 * the first byte (200 is in the static table) and the last two are looked at. */
#ifndef OUTRIGGER_TESTS_FAULT_H2_PEER_H
#define OUTRIGGER_TESTS_FAULT_H2_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define H2_PEER_STREAMS 8
#define H2_PEER_FRAME 16384
#define H2_PEER_HEAD 9
#define H2_PEER_PREFACE 24

struct h2_block {
    uint8_t bytes[512];
    size_t len;
};

struct h2_peer_stream {
    uint32_t id;    /* 0: free */
    int64_t window; /* what the other side takes */
    size_t left;    /* of the body, still to be sent */
    struct h2_block trailers;
    bool is_sending;
    bool is_answered; /* for an upstream to note */
    uint64_t got_bytes;
    uint32_t owed; /* of the window, not given back */
    unsigned heads;
    bool is_ok;      /* the first head says 200 */
    bool is_grpc_ok; /* the last one ends with the value "0" */
    bool has_ended;  /* END_STREAM came */
    bool is_reset;   /* RST_STREAM of either side, or the GOAWAY leaves it out */
};

struct h2_peer {
    int fd; /* -1 when closed */
    bool is_server;
    bool is_holding; /* gives no window back */
    bool is_going_away;
    bool has_ended; /* the socket */
    unsigned pongs;
    uint32_t next_id;
    int64_t window;
    int64_t first_window; /* of a stream, as the other side's SETTINGS say */
    uint32_t owed;
    size_t skip; /* of the preface */
    uint8_t in[H2_PEER_HEAD + H2_PEER_FRAME];
    size_t in_len;
    uint8_t out[4 * (H2_PEER_HEAD + H2_PEER_FRAME)];
    size_t out_len;
    struct h2_peer_stream streams[H2_PEER_STREAMS];
};

void h2_block_status(struct h2_block *block, unsigned status);
void h2_block_add(struct h2_block *block, const char *name, const char *value);

void h2_peer_open(struct h2_peer *peer, int fd, bool is_server);
/* Takes the descriptor. A client's preface is queued, and SETTINGS. */

void h2_peer_close(struct h2_peer *peer);

struct h2_peer_stream *h2_peer_begin(struct h2_peer *peer);
/* A client's next stream. */

void h2_peer_head(struct h2_peer *peer, struct h2_peer_stream *stream, const struct h2_block *block,
                  bool is_end);

void h2_peer_body(struct h2_peer_stream *stream, size_t bytes, const struct h2_block *trailers);
/* Sent by h2_peer_write; without trailers the last DATA is the end. */

void h2_peer_reset(struct h2_peer *peer, struct h2_peer_stream *stream);
void h2_peer_ping(struct h2_peer *peer);

void h2_peer_read(struct h2_peer *peer);
void h2_peer_write(struct h2_peer *peer);

void h2_peer_turn(struct h2_peer *peer);
/* Both. */

bool h2_peer_is_over(const struct h2_peer *peer, const struct h2_peer_stream *stream);
/* It was answered whole, or will not be. */

#endif
