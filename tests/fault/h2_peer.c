/* h2_peer.c - see h2_peer.h. */
#include "h2_peer.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIRST_WINDOW 65535 /* RFC 9113 section 6.9.2 */
#define ERROR_CANCEL 8
#define INDEXED_200 0x88 /* ":status: 200" of the static table */
#define VALUE_0 0x0130   /* a string of one byte, "0" */
#define SETTING_WINDOW 4
#define SETTING_BYTES 6

enum frame_type {
    FRAME_DATA = 0,
    FRAME_HEADERS = 1,
    FRAME_RST_STREAM = 3,
    FRAME_SETTINGS = 4,
    FRAME_PING = 6,
    FRAME_GOAWAY = 7,
    FRAME_WINDOW_UPDATE = 8,
};

enum { FLAG_END_STREAM = 1, FLAG_ACK = 1, FLAG_END_HEADERS = 4 };

struct frame {
    uint8_t type;
    uint8_t flags;
    uint32_t id;
    const uint8_t *bytes;
    size_t len;
};

static uint32_t number_at(const uint8_t *bytes, size_t len)
{
    uint32_t number = 0;
    for (size_t i = 0; i < len; i++)
        number = number << 8 | bytes[i];
    return number;
}

static void number_to(uint8_t *bytes, size_t len, size_t number)
{
    for (size_t i = 0; i < len; i++)
        bytes[len - 1 - i] = (uint8_t)(number >> (8 * i));
}

/* ---- header blocks ---- */

static void block_put(struct h2_block *block, const char *text)
{
    const size_t len = strlen(text);
    cr_assert(len < 127 && block->len + 1 + len < sizeof block->bytes);
    block->bytes[block->len++] = (uint8_t)len;
    memcpy(block->bytes + block->len, text, len);
    block->len += len;
}

void h2_block_add(struct h2_block *block, const char *name, const char *value)
{
    block->bytes[block->len++] = 0; /* a literal that nobody indexes, with its name */
    block_put(block, name);
    block_put(block, value);
}

void h2_block_status(struct h2_block *block, unsigned status)
{
    char text[8];
    snprintf(text, sizeof text, "%u", status);
    h2_block_add(block, ":status", text);
}

/* ---- sending ---- */

static bool has_room(const struct h2_peer *peer, size_t bytes)
{
    return sizeof peer->out - peer->out_len >= H2_PEER_HEAD + bytes;
}

static uint8_t *put_frame(struct h2_peer *peer, enum frame_type type, uint8_t flags, uint32_t id,
                          size_t len)
{
    uint8_t *head = peer->out + peer->out_len;
    cr_assert(has_room(peer, len), "the other side does not read");
    number_to(head, 3, len);
    head[3] = (uint8_t)type;
    head[4] = flags;
    number_to(head + 5, 4, id);
    memset(head + H2_PEER_HEAD, 'd', len);
    peer->out_len += H2_PEER_HEAD + len;
    return head + H2_PEER_HEAD;
}

static struct h2_peer_stream *stream_find(struct h2_peer *peer, uint32_t id)
{
    for (int i = 0; i < H2_PEER_STREAMS; i++)
        if (peer->streams[i].id == id)
            return &peer->streams[i];
    return NULL;
}

static struct h2_peer_stream *stream_new(struct h2_peer *peer, uint32_t id)
{
    for (int i = 0; i < H2_PEER_STREAMS; i++) {
        struct h2_peer_stream *stream = &peer->streams[i];
        const bool is_done = stream->has_ended && stream->is_answered && !stream->is_sending;
        if (stream->id != 0 && !stream->is_reset && !is_done)
            continue;
        *stream = (struct h2_peer_stream){.id = id, .window = peer->first_window};
        return stream;
    }
    cr_assert(false, "more than %d streams", H2_PEER_STREAMS);
    return NULL;
}

struct h2_peer_stream *h2_peer_begin(struct h2_peer *peer)
{
    const uint32_t id = peer->next_id;
    peer->next_id += 2;
    return stream_new(peer, id);
}

void h2_peer_head(struct h2_peer *peer, struct h2_peer_stream *stream, const struct h2_block *block,
                  bool is_end)
{
    const uint8_t flags = is_end ? FLAG_END_HEADERS | FLAG_END_STREAM : FLAG_END_HEADERS;
    memcpy(put_frame(peer, FRAME_HEADERS, flags, stream->id, block->len), block->bytes, block->len);
}

void h2_peer_body(struct h2_peer_stream *stream, size_t bytes, const struct h2_block *trailers)
{
    stream->left = bytes;
    stream->trailers = trailers ? *trailers : (struct h2_block){.len = 0};
    stream->is_sending = true;
}

void h2_peer_reset(struct h2_peer *peer, struct h2_peer_stream *stream)
{
    number_to(put_frame(peer, FRAME_RST_STREAM, 0, stream->id, 4), 4, ERROR_CANCEL);
    stream->is_reset = true;
    stream->is_sending = false;
}

void h2_peer_ping(struct h2_peer *peer)
{
    put_frame(peer, FRAME_PING, 0, 0, 8);
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void send_body(struct h2_peer *peer, struct h2_peer_stream *stream)
{
    while (stream->left > 0) {
        const int64_t open = least(peer->window, stream->window);
        const int64_t len = least(least((int64_t)stream->left, H2_PEER_FRAME), open);
        if (len <= 0 || !has_room(peer, (size_t)len))
            return;
        stream->left -= (size_t)len;
        const bool is_end = stream->left == 0 && stream->trailers.len == 0;
        put_frame(peer, FRAME_DATA, is_end ? FLAG_END_STREAM : 0, stream->id, (size_t)len);
        peer->window -= len;
        stream->window -= len;
    }
    if (stream->trailers.len > 0 && !has_room(peer, stream->trailers.len))
        return;
    if (stream->trailers.len > 0)
        h2_peer_head(peer, stream, &stream->trailers, true);
    stream->is_sending = false;
}

static void give_back(struct h2_peer *peer, uint32_t id, uint32_t *owed)
{
    if (*owed == 0 || peer->is_holding || !has_room(peer, 4))
        return;
    number_to(put_frame(peer, FRAME_WINDOW_UPDATE, 0, id, 4), 4, *owed);
    *owed = 0;
}

void h2_peer_write(struct h2_peer *peer)
{
    give_back(peer, 0, &peer->owed);
    for (int i = 0; i < H2_PEER_STREAMS; i++) {
        struct h2_peer_stream *stream = &peer->streams[i];
        if (stream->id != 0 && !stream->has_ended && !stream->is_reset)
            give_back(peer, stream->id, &stream->owed);
        if (stream->is_sending)
            send_body(peer, stream);
    }
    if (peer->out_len == 0)
        return;
    const ssize_t sent = send(peer->fd, peer->out, peer->out_len, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN)
        peer->out_len = 0; /* it was cut off: reading will tell */
    if (sent <= 0)
        return;
    peer->out_len -= (size_t)sent;
    memmove(peer->out, peer->out + sent, peer->out_len);
}

/* ---- receiving ---- */

static void settings_came(struct h2_peer *peer, const struct frame *frame)
{
    if ((frame->flags & FLAG_ACK) != 0)
        return;
    for (size_t at = 0; at + SETTING_BYTES <= frame->len; at += SETTING_BYTES) {
        if (number_at(frame->bytes + at, 2) != SETTING_WINDOW)
            continue;
        const int64_t window = number_at(frame->bytes + at + 2, 4);
        for (int i = 0; i < H2_PEER_STREAMS; i++)
            peer->streams[i].window += window - peer->first_window;
        peer->first_window = window;
    }
    put_frame(peer, FRAME_SETTINGS, FLAG_ACK, 0, 0);
}

static void head_came(struct h2_peer *peer, const struct frame *frame)
{
    struct h2_peer_stream *stream = stream_find(peer, frame->id);
    if (stream == NULL && peer->is_server)
        stream = stream_new(peer, frame->id);
    if (stream == NULL)
        return;
    if (stream->heads++ == 0)
        stream->is_ok = frame->len > 0 && frame->bytes[0] == INDEXED_200;
    stream->is_grpc_ok = frame->len > 2 && number_at(frame->bytes + frame->len - 2, 2) == VALUE_0;
    stream->has_ended = (frame->flags & FLAG_END_STREAM) != 0;
}

static void data_came(struct h2_peer *peer, const struct frame *frame)
{
    struct h2_peer_stream *stream = stream_find(peer, frame->id);
    peer->owed += (uint32_t)frame->len;
    if (stream == NULL)
        return;
    stream->got_bytes += frame->len;
    stream->owed += (uint32_t)frame->len;
    stream->has_ended = (frame->flags & FLAG_END_STREAM) != 0;
}

static void goaway_came(struct h2_peer *peer, const struct frame *frame)
{
    const uint32_t last = number_at(frame->bytes, 4);
    peer->is_going_away = true;
    for (int i = 0; i < H2_PEER_STREAMS && !peer->is_server; i++)
        if (peer->streams[i].id > last)
            peer->streams[i].is_reset = true;
}

static void frame_came(struct h2_peer *peer, const struct frame *frame)
{
    struct h2_peer_stream *stream = frame->id != 0 ? stream_find(peer, frame->id) : NULL;
    switch (frame->type) {
    case FRAME_DATA: data_came(peer, frame); break;
    case FRAME_HEADERS: head_came(peer, frame); break;
    case FRAME_SETTINGS: settings_came(peer, frame); break;
    case FRAME_GOAWAY: goaway_came(peer, frame); break;
    case FRAME_PING:
        peer->pongs += (frame->flags & FLAG_ACK) != 0;
        if ((frame->flags & FLAG_ACK) == 0)
            memcpy(put_frame(peer, FRAME_PING, FLAG_ACK, 0, 8), frame->bytes, 8);
        break;
    case FRAME_WINDOW_UPDATE:
        if (frame->id == 0)
            peer->window += number_at(frame->bytes, 4);
        else if (stream != NULL)
            stream->window += number_at(frame->bytes, 4);
        break;
    case FRAME_RST_STREAM:
        if (stream != NULL) {
            stream->is_reset = true;
            stream->is_sending = false;
        }
        break;
    default: break;
    }
}

/* The length of what was used of the buffer: a preface, a frame, or nothing yet. */
static size_t take_one(struct h2_peer *peer)
{
    const uint8_t *head = peer->in;
    if (peer->skip > 0) {
        const size_t skipped = peer->in_len < peer->skip ? peer->in_len : peer->skip;
        peer->skip -= skipped;
        return skipped;
    }
    if (peer->in_len < H2_PEER_HEAD)
        return 0;
    const struct frame frame = {.type = head[3],
                                .flags = head[4],
                                .id = number_at(head + 5, 4) & 0x7fffffff,
                                .bytes = head + H2_PEER_HEAD,
                                .len = number_at(head, 3)};
    cr_assert_leq(frame.len, H2_PEER_FRAME, "a frame that nobody allowed");
    if (peer->in_len < H2_PEER_HEAD + frame.len)
        return 0;
    frame_came(peer, &frame);
    return H2_PEER_HEAD + frame.len;
}

void h2_peer_read(struct h2_peer *peer)
{
    ssize_t got;
    while ((got = recv(peer->fd, peer->in + peer->in_len, sizeof peer->in - peer->in_len, 0)) > 0) {
        size_t used;
        peer->in_len += (size_t)got;
        while ((used = take_one(peer)) > 0) {
            peer->in_len -= used;
            memmove(peer->in, peer->in + used, peer->in_len);
        }
    }
    peer->has_ended = peer->has_ended || got == 0 || errno != EAGAIN;
}

void h2_peer_turn(struct h2_peer *peer)
{
    h2_peer_read(peer);
    h2_peer_write(peer);
}

bool h2_peer_is_over(const struct h2_peer *peer, const struct h2_peer_stream *stream)
{
    return stream->has_ended || stream->is_reset || peer->has_ended;
}

/* ---- life ---- */

void h2_peer_open(struct h2_peer *peer, int fd, bool is_server)
{
    memset(peer, 0, sizeof *peer);
    peer->fd = fd;
    peer->is_server = is_server;
    peer->next_id = 1;
    peer->window = peer->first_window = FIRST_WINDOW;
    if (is_server) {
        peer->skip = H2_PEER_PREFACE;
    } else {
        memcpy(peer->out, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", H2_PEER_PREFACE);
        peer->out_len = H2_PEER_PREFACE;
    }
    put_frame(peer, FRAME_SETTINGS, 0, 0, 0);
}

void h2_peer_close(struct h2_peer *peer)
{
    close(peer->fd);
    peer->fd = -1;
}
