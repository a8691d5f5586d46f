/* dns_packet.c - see dns_packet.h. */
#include "net/dns_packet.h"

#include <stdint.h>

#define FLAGS_AT 2 /* QR, opcode, AA, TC, RD; then RA, Z, rcode */
#define COUNTS_AT 4
#define QR 0x80u
#define RD_AND_OPCODE 0x79u
#define RA 0x80u
#define RCODE 0x0fu
#define SERVFAIL 2u
#define LABEL_MAX 63 /* above it are pointers */
#define NAME_MAX_BYTES 255
#define TYPE_AND_CLASS 4

static unsigned byte_at(struct span packet, size_t at)
{
    return (uint8_t)packet.data[at];
}

static unsigned question_count(struct span packet)
{
    return byte_at(packet, COUNTS_AT) << 8 | byte_at(packet, COUNTS_AT + 1);
}

/* Where the question that begins behind the header ends; 0 when it does not. */
static size_t question_end(struct span packet)
{
    size_t at = DNS_HEADER_BYTES;
    while (at < packet.len && byte_at(packet, at) != 0) {
        const unsigned label = byte_at(packet, at);
        if (label > LABEL_MAX)
            return 0;
        at += 1 + label;
    }
    const size_t end = at + 1 + TYPE_AND_CLASS;
    const bool is_long = at + 1 - DNS_HEADER_BYTES > NAME_MAX_BYTES;
    return is_long || end > packet.len ? 0 : end;
}

bool dns_query_parse(struct span packet, struct span *key)
{
    if (packet.len < DNS_HEADER_BYTES || (byte_at(packet, FLAGS_AT) & QR) != 0 ||
        question_count(packet) != 1)
        return false;
    const size_t end = question_end(packet);
    if (end == 0)
        return false;
    *key = span_make(packet.data, end);
    return true;
}

bool dns_answers(struct span packet, struct span key)
{
    if (packet.len < DNS_HEADER_BYTES || (byte_at(packet, FLAGS_AT) & QR) == 0 ||
        memcmp(packet.data, key.data, FLAGS_AT) != 0)
        return false;
    if (question_count(packet) == 0)
        return (byte_at(packet, FLAGS_AT + 1) & RCODE) != 0;
    if (question_count(packet) != 1 || question_end(packet) != key.len)
        return false;
    /* Of the other bytes none changes by case: lengths are below 'A', and type and class are
     * compared as they are. */
    const size_t name_len = key.len - DNS_HEADER_BYTES - TYPE_AND_CLASS;
    return span_is_nocase(span_make(packet.data + DNS_HEADER_BYTES, name_len),
                          span_make(key.data + DNS_HEADER_BYTES, name_len)) &&
           memcmp(packet.data + key.len - TYPE_AND_CLASS, key.data + key.len - TYPE_AND_CLASS,
                  TYPE_AND_CLASS) == 0;
}

size_t dns_failure(struct span key, char out[DNS_KEY_BYTES])
{
    memcpy(out, key.data, key.len);
    memset(out + COUNTS_AT + 2, 0, DNS_HEADER_BYTES - COUNTS_AT - 2);
    out[FLAGS_AT] = (char)(QR | (byte_at(key, FLAGS_AT) & RD_AND_OPCODE));
    out[FLAGS_AT + 1] = (char)(RA | SERVFAIL);
    return key.len;
}
