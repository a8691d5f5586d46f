/* fuzz_h1_chunked.c - any bytes as a chunked body, fed whole, byte by byte and in pieces whose
 * sizes come from the input: payload, trailers, end and verdict must be the same. A complete body,
 * written by us anew, must decode to itself. */
#include "base/arena.h"
#include "codec/h1_chunked.h"
#include "codec/h1_head.h"
#include "codec/h1_write.h"
#include "http/pen.h"

#include <stdint.h>
#include <stdlib.h>

#define MAX_INPUT 16384
#define ARENA_BYTES 65536

struct run {
    struct arena arena;
    struct h1_chunked chunked;
    struct h1_chunk_event last;
    char payload[MAX_INPUT];
    size_t payload_len;
    size_t consumed;
};

static struct run whole;
static struct run again;

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void run_piece(struct run *run, const uint8_t *data, size_t len)
{
    char *piece = malloc(len);
    size_t at = 0;
    require(piece != NULL);
    memcpy(piece, data, len);
    do {
        run->last = h1_chunked_next(&run->chunked, piece + at, len - at);
        at += run->last.consumed;
        require(at <= len);
        require((run->last.kind == H1_CHUNK_DATA) == (run->last.data.len > 0));
        if (run->last.kind == H1_CHUNK_DATA) {
            memcpy(run->payload + run->payload_len, run->last.data.data, run->last.data.len);
            run->payload_len += run->last.data.len;
        }
    } while (run->last.kind == H1_CHUNK_DATA);
    require(run->last.kind != H1_CHUNK_MORE || at == len);
    run->consumed += at;
    free(piece);
}

/* `stride` bytes at a time; 0 takes sizes from the bytes themselves. */
static void run_all(struct run *run, const uint8_t *data, size_t len, size_t stride)
{
    size_t at = 0;
    run->payload_len = 0;
    run->consumed = 0;
    run->last = (struct h1_chunk_event){.kind = H1_CHUNK_MORE};
    arena_init(&run->arena, NULL, ARENA_BYTES);
    h1_chunked_init(&run->chunked, &run->arena);
    while (at < len && run->last.kind == H1_CHUNK_MORE) {
        size_t more = stride > 0 ? stride : 1u + data[at] % 16u;
        size_t piece = more < len - at ? more : len - at;
        run_piece(run, data + at, piece);
        at += piece;
    }
}

static void require_same_run(const uint8_t *data, size_t len, size_t stride)
{
    run_all(&again, data, len, stride);
    require(again.last.kind == whole.last.kind && again.last.detail == whole.last.detail);
    require(again.last.reason == whole.last.reason && again.consumed == whole.consumed);
    require(span_is(span_make(again.payload, again.payload_len),
                    span_make(whole.payload, whole.payload_len)));
    require(span_is(h1_chunked_trailers(&again.chunked), h1_chunked_trailers(&whole.chunked)));
    arena_fini(&again.arena);
}

static size_t write_last_chunk(struct span trailers, char *buf, size_t cap)
{
    struct pen pen = {.buf = buf, .cap = cap};
    pen_put(&pen, SPAN(H1_LAST_CHUNK));
    pen_put(&pen, trailers);
    pen_put(&pen, SPAN(H1_CHUNK_TAIL));
    require(!pen.is_full);
    return pen.len;
}

static void send_on(void)
{
    static char out[MAX_INPUT + H1_TRAILER_MAX_BYTES + 64];
    struct header scratch[H1_TRAILER_MAX_FIELDS];
    struct span trailers = h1_chunked_trailers(&whole.chunked);
    uint32_t count = 0;
    size_t at = 0;
    size_t len = 0;
    require(h1_parse_fields(trailers, H1_TRAILER_MAX_FIELDS, scratch, &count).step == H1_DONE);
    if (whole.payload_len > 0) {
        at = h1_write_chunk_head(out, whole.payload_len);
        memcpy(out + at, whole.payload, whole.payload_len);
        at += whole.payload_len;
        memcpy(out + at, H1_CHUNK_TAIL, 2);
        at += 2;
    }
    len = write_last_chunk(trailers, out + at, sizeof(out) - at);
    run_all(&again, (const uint8_t *)out, at + len, at + len);
    require(again.last.kind == H1_CHUNK_END && again.consumed == at + len);
    require(span_is(span_make(again.payload, again.payload_len),
                    span_make(whole.payload, whole.payload_len)));
    require(span_is(h1_chunked_trailers(&again.chunked), trailers));
    arena_fini(&again.arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len == 0 || len > MAX_INPUT)
        return 0;
    run_all(&whole, data, len, len);
    require_same_run(data, len, 1);
    require_same_run(data, len, 0);
    if (whole.last.kind == H1_CHUNK_END)
        send_on();
    arena_fini(&whole.arena);
    return 0;
}
