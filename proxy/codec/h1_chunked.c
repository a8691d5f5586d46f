/* h1_chunked.c - framing bytes go one by one through a state machine, payload goes through as
 * slices.
 *
 * Since framing is judged byte by byte, the cut of the input cannot matter: every state holds all
 * that a byte's verdict depends on. Invariant: excess <= H1_CHUNK_SLACK_BYTES, seen <=
 * H1_TRAILER_MAX_BYTES. */
#include "codec/h1_chunked.h"

#include "base/arena.h"
#include "http/bytes.h"
#include "http/headers.h"

#define SIZE_MAX_DIGITS 16
#define CRLF_LEN 2

#define CHUNK_STATE_LIST(X)                                                                        \
    X(SIZE)      /* `digits` digits of a size read into `left` */                                  \
    X(EXTENSION) /* behind the ';' of a size line */                                               \
    X(SIZE_LF)   /* behind the CR of a size line */                                                \
    X(DATA)      /* `left` > 0 payload bytes to come */                                            \
    X(DATA_CR)   /* behind the payload */                                                          \
    X(DATA_LF)   /* behind the CR that ends the payload */                                         \
    X(LINE)      /* in the trailer section; `line` bytes of a trailer are in the buffer */         \
    X(LINE_LF)   /* behind the CR of a trailer */                                                  \
    X(END_LF)    /* behind the CR of the empty line that ends it all */                            \
    X(FINISHED)  /* the body is complete */                                                        \
    X(REFUSED)   /* the body is invalid */

enum chunk_state {
#define X(name) CHUNK_##name,
    CHUNK_STATE_LIST(X)
#undef X
};

struct fault {
    enum reason reason;
    const char *detail;
};

#define NO_FAULT ((struct fault){REASON_NONE, NULL})
#define BAD(text) ((struct fault){REASON_BAD_REQUEST, text})
#define TOO_LARGE(text) ((struct fault){REASON_HEADER_TOO_LARGE, text})

static struct fault take_byte(struct h1_chunked *chunked, char byte);
static struct fault take_size(struct h1_chunked *chunked, char byte);
static struct fault take_extension(struct h1_chunked *chunked, char byte);
static struct fault end_size(struct h1_chunked *chunked);
static struct fault take_line(struct h1_chunked *chunked, char byte);
static struct fault keep_byte(struct h1_chunked *chunked, char byte);
static struct fault end_line(struct h1_chunked *chunked);
static struct fault expect(struct h1_chunked *chunked, char byte, char wanted,
                           enum chunk_state next, const char *blame);

void h1_chunked_init(struct h1_chunked *chunked, struct arena *arena)
{
    *chunked = (struct h1_chunked){.state = CHUNK_SIZE, .arena = arena};
}

struct h1_chunk_event h1_chunked_next(struct h1_chunked *chunked, const char *bytes, size_t len)
{
    size_t at = 0;
    while (at < len) {
        if (chunked->state == CHUNK_DATA) {
            size_t rest = len - at;
            size_t taken = chunked->left < rest ? (size_t)chunked->left : rest;
            chunked->left -= taken;
            if (chunked->left == 0)
                chunked->state = CHUNK_DATA_CR;
            return (struct h1_chunk_event){.kind = H1_CHUNK_DATA,
                                           .consumed = at + taken,
                                           .data = span_make(bytes + at, taken)};
        }
        struct fault fault = take_byte(chunked, bytes[at++]);
        if (fault.detail) {
            chunked->state = CHUNK_REFUSED;
            return (struct h1_chunk_event){.kind = H1_CHUNK_ERROR,
                                           .consumed = at,
                                           .reason = fault.reason,
                                           .detail = fault.detail};
        }
        if (chunked->state == CHUNK_FINISHED)
            return (struct h1_chunk_event){.kind = H1_CHUNK_END, .consumed = at};
    }
    return (struct h1_chunk_event){.kind = H1_CHUNK_MORE, .consumed = at};
}

struct span h1_chunked_trailers(const struct h1_chunked *chunked)
{
    return chunked->trailers ? span_make(chunked->trailers, chunked->kept) : SPAN("");
}

static struct fault take_byte(struct h1_chunked *chunked, char byte)
{
    switch ((enum chunk_state)chunked->state) {
    case CHUNK_SIZE: return take_size(chunked, byte);
    case CHUNK_EXTENSION: return take_extension(chunked, byte);
    case CHUNK_SIZE_LF:
        return byte == '\n' ? end_size(chunked) : BAD("a chunk size line has a CR without LF");
    case CHUNK_DATA_CR:
        return expect(chunked, byte, '\r', CHUNK_DATA_LF, "a chunk is longer than its size");
    case CHUNK_DATA_LF:
        return expect(chunked, byte, '\n', CHUNK_SIZE, "a chunk ends in a CR without LF");
    case CHUNK_LINE: return take_line(chunked, byte);
    case CHUNK_LINE_LF:
        return byte == '\n' ? end_line(chunked) : BAD("a trailer has a CR without LF");
    case CHUNK_END_LF:
        return expect(chunked, byte, '\n', CHUNK_FINISHED,
                      "a chunked body ends in a CR without LF");
    case CHUNK_DATA: /* is taken in slices */
    case CHUNK_FINISHED:
    case CHUNK_REFUSED: break;
    }
    return BAD("bytes behind the end of a chunked body");
}

static struct fault expect(struct h1_chunked *chunked, char byte, char wanted,
                           enum chunk_state next, const char *blame)
{
    if (byte != wanted)
        return BAD(blame);
    chunked->state = (uint8_t)next;
    return NO_FAULT;
}

/* One framing byte that no payload has paid for yet. */
static bool may_spend(struct h1_chunked *chunked)
{
    return ++chunked->excess <= H1_CHUNK_SLACK_BYTES;
}

static struct fault take_size(struct h1_chunked *chunked, char byte)
{
    if (!may_spend(chunked))
        return BAD("chunk framing outweighs the payload");
    if (byte_is(byte, BYTE_HEX)) {
        unsigned letter = ((unsigned char)byte | 0x20u) - 'a' + 10u;
        unsigned digit = byte_is(byte, BYTE_DIGIT) ? (unsigned)(byte - '0') : letter;
        if (++chunked->digits > SIZE_MAX_DIGITS)
            return BAD("a chunk size has too many digits");
        chunked->left = chunked->left << 4 | digit;
        return chunked->left <= INT64_MAX ? NO_FAULT : BAD("a chunk size is too large");
    }
    if (chunked->digits == 0)
        return BAD("a chunk does not start with a size in hexadecimal");
    if (byte == ';') {
        chunked->state = CHUNK_EXTENSION;
        return NO_FAULT;
    }
    return expect(chunked, byte, '\r', CHUNK_SIZE_LF, "a chunk size is not in hexadecimal");
}

/* RFC 9112 section 7.1.1. What is in it does not matter, as long as it cannot be taken for the end
 * of a line. */
static struct fault take_extension(struct h1_chunked *chunked, char byte)
{
    if (!may_spend(chunked))
        return BAD("chunk framing outweighs the payload");
    if (byte == '\r') {
        chunked->state = CHUNK_SIZE_LF;
        return NO_FAULT;
    }
    bool is_plain = byte == ' ' || byte == '\t' || byte == '#' || byte_is(byte, BYTE_TARGET);
    return is_plain ? NO_FAULT : BAD("a chunk extension has a character that is not allowed");
}

/* The size is known: the payload that it promises pays for the framing of this chunk, and for
 * earlier ones. */
static struct fault end_size(struct h1_chunked *chunked)
{
    const uint64_t uncounted = 3; /* the LF of this line, the CRLF behind the payload */
    uint64_t paid = chunked->left > H1_CHUNK_SLACK_BYTES
                        ? H1_CHUNK_SLACK_BYTES
                        : chunked->left * H1_CHUNK_BYTES_PER_PAYLOAD_BYTE;
    chunked->excess += uncounted;
    chunked->excess = chunked->excess > paid ? chunked->excess - paid : 0;
    chunked->digits = 0;
    chunked->state = chunked->left > 0 ? CHUNK_DATA : CHUNK_LINE;
    return chunked->excess <= H1_CHUNK_SLACK_BYTES ? NO_FAULT
                                                   : BAD("chunk framing outweighs the payload");
}

static struct fault take_line(struct h1_chunked *chunked, char byte)
{
    if (byte == '\r') {
        chunked->state = chunked->line > 0 ? CHUNK_LINE_LF : CHUNK_END_LF;
        return NO_FAULT;
    }
    if (chunked->line == 0 && !byte_is(byte, BYTE_TOKEN))
        return BAD("a trailer does not start with a name");
    if (!byte_is(byte, BYTE_VALUE))
        return BAD("a trailer has a character that is not allowed");
    return keep_byte(chunked, byte);
}

/* `seen` counts what will be there with the CRLF, so a line that fits has room for its end. */
static struct fault keep_byte(struct h1_chunked *chunked, char byte)
{
    if (chunked->line == 0) {
        chunked->seen += CRLF_LEN;
        if (++chunked->fields > H1_TRAILER_MAX_FIELDS)
            return TOO_LARGE("too many trailer fields");
    }
    if (++chunked->seen > H1_TRAILER_MAX_BYTES)
        return TOO_LARGE("the trailers are too large");
    if (!chunked->trailers)
        chunked->trailers = arena_alloc(chunked->arena, H1_TRAILER_MAX_BYTES);
    if (!chunked->trailers)
        return (struct fault){REASON_OVERLOADED, "no memory for the trailers"};
    chunked->trailers[chunked->kept + chunked->line++] = byte;
    return NO_FAULT;
}

/* A whole trailer is in the buffer: keep it, or drop it by taking its place back. */
static struct fault end_line(struct h1_chunked *chunked)
{
    const char *line = chunked->trailers + chunked->kept;
    size_t name_len = bytes_span(line, chunked->line, BYTE_TOKEN);
    if (name_len == chunked->line || line[name_len] != ':')
        return BAD("a trailer is not a name, a colon and a value");
    if (!(header_rules(header_id_from(line, name_len)) & HEADER_NO_TRAILER)) {
        chunked->trailers[chunked->kept + chunked->line] = '\r';
        chunked->trailers[chunked->kept + chunked->line + 1] = '\n';
        chunked->kept += chunked->line + CRLF_LEN;
    }
    chunked->line = 0;
    chunked->state = CHUNK_LINE;
    return NO_FAULT;
}
