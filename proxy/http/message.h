/* message.h - the head of a request or a response, as slices of the bytes that came.
 *
 * A codec fills it in; nobody below the codec looks at bytes again. All spans point into `raw` (or
 * at constants), and `headers` is the caller's array: message_copy moves both into a request's
 * arena, after which the read buffer is free. The body is described (framing), never held. Example:
 * h1_parse_request(head, &limits, scratch, &msg); message_copy(&kept, &msg, &arena); const struct
 * header *key = message_find(&kept, HEADER_IDEMPOTENCY_KEY); if (key) use(key->value); Plain
 * values: no ownership, no life. */
#ifndef OUTRIGGER_HTTP_MESSAGE_H
#define OUTRIGGER_HTTP_MESSAGE_H

#include "base/codes.h"
#include "base/err.h"
#include "base/span.h"
#include "http/headers.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

enum message_kind { MESSAGE_REQUEST = 0, MESSAGE_RESPONSE };

enum body_framing {
    BODY_NONE = 0,    /* the message ends with its head */
    BODY_LENGTH,      /* content_length bytes follow (maybe 0, said in so many words) */
    BODY_CHUNKED,     /* chunks, then maybe trailers */
    BODY_UNTIL_CLOSE, /* response only: what comes until the peer closes */
};

struct header {
    struct span name;
    struct span value; /* without the white space around it */
    uint8_t id;        /* enum header_id */
    bool is_nominated; /* named by a Connection option, or folded into another line: not passed */
    bool is_sensitive; /* HPACK "never indexed": so it must stay (RFC 7541 section 6.2.3) */
};

struct message {
    enum message_kind kind : 8;
    enum body_framing framing : 8;
    enum method method : 8;  /* of a request */
    uint8_t version_major;   /* of the HTTP it came in: 2, else HTTP/1.x */
    uint8_t version_minor;   /* of HTTP/1.x: 0 or 1; of HTTP/2: 1, as what it can be bridged to */
    bool is_whole;           /* nothing follows the head: no body, no trailers */
    bool has_content_length; /* a response to HEAD and a 304 may have one and no body */
    bool is_keep_alive;      /* the peer will take or send another message on this connection */
    bool accepts_trailers;   /* TE: trailers */
    bool expects_continue;   /* request, HTTP/1.1, with a body to come */
    bool is_upgrade;         /* HTTP/1.1, Connection: upgrade, one Upgrade field, not h2c */
    bool is_connect;         /* CONNECT: target is authority, there is no path and no body */
    bool is_absolute_form;   /* of a request */
    bool has_host;           /* a Host field came */
    bool is_ipv6_host;       /* `host` is an IPv6 address */
    uint16_t header_count;
    uint16_t port; /* of authority; 0 when it has none */
    int status;    /* of a response */

    struct span raw; /* the whole head, the empty line included; of HTTP/2 as codec/h2_head wrote
                        it: every field is a line of HTTP/1.1 */
    struct header *headers;
    uint64_t present;        /* bit per enum header_id that occurs */
    uint64_t content_length; /* valid with has_content_length; the length of the body when framing
                                is BODY_LENGTH */
    struct span upgrade;     /* the value of Upgrade, when is_upgrade */

    /* Requests. */
    struct span method_name;
    struct span target; /* as it came */
    struct span path; /* without the query; "/" when an absolute-form has none, "*" for OPTIONS * */
    struct span query;     /* with its '?'; absent when there is none */
    struct span authority; /* host[:port] of the target, else of Host; absent without either */
    struct span host;      /* of authority, as it came, without the brackets of an IPv6 address */

    /* Responses. */
    struct span status_text; /* the reason phrase, maybe empty */
};

const struct header *message_find(const struct message *msg, enum header_id id);
/* The first field of that name, NULL when there is none. O(1) when there is none. Not for
 * HEADER_OTHER. */

const struct header *message_find_name(const struct message *msg, struct span name);
/* The same by name, for names that policies give; case-insensitive. */

static inline bool message_has(const struct message *msg, enum header_id id)
{
    return (msg->present >> id) & 1;
}

struct span message_version(const struct message *msg);
/* "1.0", "1.1" or "2": for Via (RFC 9110 section 7.6.3). */

struct span message_value(const struct message *msg, enum header_id id);
/* The value of the first field of that name, SPAN_NONE when there is none. */

enum err message_copy(const struct message *msg, struct arena *arena, struct message *copy);
/* Copies raw head and header array into `arena`; the spans of `copy` point there. ERR_NO_MEMORY at
 * the arena's limit. */

#endif
