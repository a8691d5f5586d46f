/* message_pack.c - see message_pack.h. Behind the struct lie the Content-Length, if any, the places
 * of all spans, two bytes a field, and the text: the raw head, and what lay outside of it
 * (constants). */
#include "http/message_pack.h"

#include "base/arena.h"
#include "base/check.h"

/* What comes before the spans is plain, and copied as it is. */
#define PLAIN_BYTES offsetof(struct message, status)

enum flag { FLAG_NOMINATED = 1 << 0, FLAG_SENSITIVE = 1 << 1 };

struct message_pack {
    uint32_t raw_bytes;
    uint32_t text_bytes;
    char plain[PLAIN_BYTES];
    unsigned char rest[];
};

static const size_t spans[] = {
    offsetof(struct message, target),    offsetof(struct message, method_name),
    offsetof(struct message, path),      offsetof(struct message, query),
    offsetof(struct message, authority), offsetof(struct message, host),
};

#define SPAN_COUNT (sizeof spans / sizeof *spans)
#define FIELD_SPANS 2

/* A place is where a span starts in the text, and its length: two bytes each where that is enough.
 */
static bool is_wide(size_t text_bytes)
{
    return text_bytes >= UINT16_MAX;
}

static size_t absent(size_t text_bytes)
{
    return is_wide(text_bytes) ? UINT32_MAX : UINT16_MAX;
}

static size_t length_bytes(const struct message *msg)
{
    return msg->has_content_length ? sizeof msg->content_length : 0;
}

static size_t places_bytes(const struct message *msg, size_t text_bytes)
{
    const size_t number = is_wide(text_bytes) ? sizeof(uint32_t) : sizeof(uint16_t);
    return (SPAN_COUNT + FIELD_SPANS * (size_t)msg->header_count) * 2 * number;
}

static bool is_in(struct span raw, struct span slice)
{
    const uintptr_t at = (uintptr_t)slice.data;
    const uintptr_t start = (uintptr_t)raw.data;
    return at >= start && at <= start + raw.len;
}

static struct span span_in(const struct message *msg, size_t offset)
{
    struct span slice;
    memcpy(&slice, (const char *)msg + offset, sizeof slice);
    return slice;
}

/* ---- packing ---- */

struct packer {
    struct span raw;
    size_t text_bytes;
    unsigned char *place; /* of the next span */
    char *text;
    size_t constants_at; /* in the text */
};

static void put_number(struct packer *packer, size_t number)
{
    const uint16_t narrow = (uint16_t)number;
    const uint32_t wide = (uint32_t)number;
    if (is_wide(packer->text_bytes)) {
        memcpy(packer->place, &wide, sizeof wide);
        packer->place += sizeof wide;
    } else {
        memcpy(packer->place, &narrow, sizeof narrow);
        packer->place += sizeof narrow;
    }
}

static void put_span(struct packer *packer, struct span slice)
{
    size_t at = absent(packer->text_bytes);
    if (slice.data != NULL && is_in(packer->raw, slice)) {
        at = (size_t)(slice.data - packer->raw.data);
    } else if (slice.data != NULL) {
        at = packer->constants_at;
        memcpy(packer->text + at, slice.data, slice.len);
        packer->constants_at += slice.len;
    }
    put_number(packer, at);
    put_number(packer, slice.len);
}

static size_t text_bytes_of(const struct message *msg)
{
    size_t bytes = msg->raw.len;
    for (size_t i = 0; i < SPAN_COUNT; i++) {
        const struct span slice = span_in(msg, spans[i]);
        bytes += is_in(msg->raw, slice) ? 0 : slice.len;
    }
    return bytes;
}

struct message_pack *message_pack(const struct message *msg, struct arena *arena)
{
    INVARIANT(msg->kind == MESSAGE_REQUEST && msg->raw.len > 0);
    const size_t text_bytes = text_bytes_of(msg);
    const size_t length = length_bytes(msg);
    const size_t places = places_bytes(msg, text_bytes);
    const size_t ids = 2 * (size_t)msg->header_count;
    struct message_pack *pack =
        arena_alloc(arena, sizeof *pack + length + places + ids + text_bytes);
    if (pack == NULL)
        return NULL;
    pack->raw_bytes = (uint32_t)msg->raw.len;
    pack->text_bytes = (uint32_t)text_bytes;
    memcpy(pack->plain, msg, PLAIN_BYTES);
    memcpy(pack->rest, &msg->content_length, length);
    unsigned char *id = pack->rest + length + places;
    struct packer packer = {.raw = msg->raw,
                            .text_bytes = text_bytes,
                            .place = pack->rest + length,
                            .text = (char *)id + ids,
                            .constants_at = msg->raw.len};
    memcpy(packer.text, msg->raw.data, msg->raw.len);
    for (size_t i = 0; i < SPAN_COUNT; i++)
        put_span(&packer, span_in(msg, spans[i]));
    for (size_t i = 0; i < msg->header_count; i++) {
        const struct header *header = &msg->headers[i];
        put_span(&packer, header->name);
        put_span(&packer, header->value);
        *id++ = header->id;
        *id++ = (unsigned char)((header->is_nominated ? FLAG_NOMINATED : 0) |
                                (header->is_sensitive ? FLAG_SENSITIVE : 0));
    }
    return pack;
}

/* ---- unpacking ---- */

struct unpacker {
    size_t text_bytes;
    const unsigned char *place;
    const char *text;
};

static size_t take_number(struct unpacker *unpacker)
{
    uint16_t narrow;
    uint32_t wide;
    if (is_wide(unpacker->text_bytes)) {
        memcpy(&wide, unpacker->place, sizeof wide);
        unpacker->place += sizeof wide;
        return wide;
    }
    memcpy(&narrow, unpacker->place, sizeof narrow);
    unpacker->place += sizeof narrow;
    return narrow;
}

static struct span take_span(struct unpacker *unpacker)
{
    const size_t at = take_number(unpacker);
    const size_t len = take_number(unpacker);
    return at == absent(unpacker->text_bytes) ? SPAN_NONE : span_make(unpacker->text + at, len);
}

void message_unpack(const struct message_pack *pack, struct header *headers, struct message *msg)
{
    *msg = (struct message){.headers = headers};
    memcpy(msg, pack->plain, PLAIN_BYTES);
    const size_t length = length_bytes(msg);
    memcpy(&msg->content_length, pack->rest, length);
    const unsigned char *id = pack->rest + length + places_bytes(msg, pack->text_bytes);
    struct unpacker unpacker = {.text_bytes = pack->text_bytes,
                                .place = pack->rest + length,
                                .text = (const char *)id + 2 * (size_t)msg->header_count};
    msg->raw = span_make(unpacker.text, pack->raw_bytes);
    for (size_t i = 0; i < SPAN_COUNT; i++) {
        const struct span slice = take_span(&unpacker);
        memcpy((char *)msg + spans[i], &slice, sizeof slice);
    }
    for (size_t i = 0; i < msg->header_count; i++, id += 2) {
        const struct span name = take_span(&unpacker);
        const struct span value = take_span(&unpacker);
        headers[i] = (struct header){name, value, id[0], (id[1] & FLAG_NOMINATED) != 0,
                                     (id[1] & FLAG_SENSITIVE) != 0};
        if (id[0] != HEADER_OTHER)
            msg->present |= UINT64_C(1) << id[0];
    }
    msg->upgrade = message_value(msg, HEADER_UPGRADE);
}
