/* hop.c - the rules of RFC 9110 section 7.6, applied to one message. */
#include "http/hop.h"

#include "http/bytes.h"

#define KEEP_ALIVE_MAX_SECONDS UINT32_C(86400) /* a peer that says more is believed no further */

static void take_option(struct message *msg, struct span option, struct hop_options *options);
static void nominate(struct message *msg, struct span name);
static struct span via_received_by(struct span member);

const char *hop_read_connection(struct message *msg, struct hop_options *options)
{
    unsigned count = 0;
    *options = (struct hop_options){.is_close = false};
    if (!message_has(msg, HEADER_CONNECTION))
        return NULL;
    for (size_t i = 0; i < msg->header_count; i++) {
        struct span rest = msg->headers[i].value;
        struct span option;
        if (msg->headers[i].id != HEADER_CONNECTION)
            continue;
        while (bytes_next_item(&rest, &option)) {
            if (++count > HOP_MAX_OPTIONS)
                return "too many options in Connection";
            if (bytes_span(option.data, option.len, BYTE_TOKEN) != option.len)
                return "an option in Connection is not a token";
            take_option(msg, option, options);
        }
    }
    return NULL;
}

bool hop_is_cut(const struct header *header)
{
    return header->is_nominated ||
           (header_rules(header->id) & (HEADER_HOP | HEADER_FRAMING | HEADER_LOCAL)) != 0;
}

bool hop_is_loop(const struct message *msg, struct span pseudonym)
{
    if (!message_has(msg, HEADER_VIA))
        return false;
    for (size_t i = 0; i < msg->header_count; i++) {
        struct span rest = msg->headers[i].value;
        struct span member;
        if (msg->headers[i].id != HEADER_VIA)
            continue;
        while (bytes_next_item(&rest, &member)) {
            if (span_is_nocase(via_received_by(member), pseudonym))
                return true;
        }
    }
    return false;
}

bool hop_accepts_trailers(const struct message *msg)
{
    if (!message_has(msg, HEADER_TE))
        return false;
    for (size_t i = 0; i < msg->header_count; i++) {
        struct span rest = msg->headers[i].value;
        struct span item;
        if (msg->headers[i].id != HEADER_TE)
            continue;
        while (bytes_next_item(&rest, &item)) {
            if (span_is_nocase(item, SPAN("trailers")))
                return true;
        }
    }
    return false;
}

uint32_t hop_keep_alive_seconds(const struct message *msg)
{
    struct span rest = message_value(msg, HEADER_KEEP_ALIVE);
    struct span item;
    const struct span timeout = SPAN("timeout=");
    while (bytes_next_item(&rest, &item)) {
        uint64_t seconds = 0;
        if (item.len <= timeout.len || strncasecmp(item.data, timeout.data, timeout.len) != 0)
            continue;
        struct span digits = span_make(item.data + timeout.len, item.len - timeout.len);
        if (!bytes_decimal(digits, &seconds))
            return 0;
        return seconds < KEEP_ALIVE_MAX_SECONDS ? (uint32_t)seconds : KEEP_ALIVE_MAX_SECONDS;
    }
    return 0;
}

static void take_option(struct message *msg, struct span option, struct hop_options *options)
{
    if (span_is_nocase(option, SPAN("close"))) {
        options->is_close = true;
        return;
    }
    switch (header_id_from(option.data, option.len)) {
    case HEADER_KEEP_ALIVE: options->is_keep_alive = true; return;
    case HEADER_UPGRADE: options->is_upgrade = true; return;
    case HEADER_TE: options->is_te = true; return;
    default: nominate(msg, option);
    }
}

static void nominate(struct message *msg, struct span name)
{
    for (size_t i = 0; i < msg->header_count; i++) {
        struct header *header = &msg->headers[i];
        if (span_is_nocase(header->name, name) && !(header_rules(header->id) & HEADER_FIXED))
            header->is_nominated = true;
    }
}

/* "1.1 name (comment)" or "HTTP/1.1 name" -> "name" (RFC 9110 section 7.6.3). */
static struct span via_received_by(struct span member)
{
    size_t protocol = 0;
    while (protocol < member.len && member.data[protocol] != ' ' && member.data[protocol] != '\t')
        protocol++;
    struct span rest = bytes_trim(span_make(member.data + protocol, member.len - protocol));
    size_t name = 0;
    while (name < rest.len && rest.data[name] != ' ' && rest.data[name] != '\t')
        name++;
    return span_make(rest.data, name);
}
