/* guard.c - see guard.h. */
#include "admin/guard.h"

#include <arpa/inet.h>
#include <string.h>

#define HOST_MAX 255

static struct span take_line(struct span *rest)
{
    const char *end = memchr(rest->data, '\n', rest->len);
    size_t len = end ? (size_t)(end - rest->data) : rest->len;
    struct span line = span_make(rest->data, len);
    *rest = end ? span_make(end + 1, rest->len - len - 1) : span_make(rest->data + len, 0);
    if (line.len > 0 && line.data[line.len - 1] == '\r') {
        line.len--;
    }
    return line;
}

bool guard_framing_is_plain(struct span head)
{
    unsigned lengths = 0;
    unsigned encodings = 0;
    take_line(&head);
    while (head.len > 0) {
        struct span line = take_line(&head);
        if (line.len == 0) {
            break;
        }
        const char *colon = memchr(line.data, ':', line.len);
        if (!colon || line.data[0] == ' ' || line.data[0] == '\t') {
            return false; /* a folded line could hide either field */
        }
        struct span name = span_make(line.data, (size_t)(colon - line.data));
        lengths += span_is_nocase(name, SPAN("content-length"));
        encodings += span_is_nocase(name, SPAN("transfer-encoding"));
    }
    return lengths + encodings <= 1;
}

/* A host without its port and brackets. */
static struct span host_only(struct span host)
{
    if (host.len > 0 && host.data[0] == '[') {
        const char *end = memchr(host.data, ']', host.len);
        return end ? span_make(host.data + 1, (size_t)(end - host.data) - 1) : SPAN_NONE;
    }
    const char *colon = host.len > 0 ? memchr(host.data, ':', host.len) : NULL;
    return colon ? span_make(host.data, (size_t)(colon - host.data)) : host;
}

bool guard_host_is_local(struct span host)
{
    char name[HOST_MAX + 1];
    unsigned char address[sizeof(struct in6_addr)];
    struct span bare = host_only(host);
    if (bare.len == 0 || bare.len > HOST_MAX) {
        return false;
    }
    memcpy(name, bare.data, bare.len);
    name[bare.len] = '\0';
    return strcasecmp(name, "localhost") == 0 || inet_pton(AF_INET, name, address) == 1 ||
           inet_pton(AF_INET6, name, address) == 1;
}

bool guard_origin_is_own(struct span origin, struct span host)
{
    static const char scheme[] = "http://";
    size_t len = sizeof(scheme) - 1;
    return span_starts_with(origin, span_of(scheme)) &&
           span_is_nocase(span_make(origin.data + len, origin.len - len), host);
}

bool guard_token_matches(struct span authorization, const char *token)
{
    static const char scheme[] = "bearer ";
    size_t skip = sizeof(scheme) - 1;
    size_t len = strlen(token);
    if (authorization.len < skip || strncasecmp(authorization.data, scheme, skip) != 0 ||
        len == 0) {
        return false;
    }
    struct span given = span_make(authorization.data + skip, authorization.len - skip);
    unsigned char difference = given.len != len;
    for (size_t i = 0; i < given.len; i++) {
        difference |= (unsigned char)(given.data[i] ^ token[i % len]);
    }
    return difference == 0;
}

bool admin_action_from(struct span word, enum admin_action *action)
{
    static const char *const words[] = {"force_open", "close", "disable", "reset"};
    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (span_is(word, span_of(words[i]))) {
            *action = (enum admin_action)i;
            return true;
        }
    }
    return false;
}

static struct span skip_space(struct span s)
{
    while (s.len > 0 && strchr(" \t\r\n", *s.data) && *s.data) {
        s = span_make(s.data + 1, s.len - 1);
    }
    return s;
}

static bool take_char(struct span *rest, char wanted)
{
    *rest = skip_space(*rest);
    if (rest->len == 0 || *rest->data != wanted) {
        return false;
    }
    *rest = span_make(rest->data + 1, rest->len - 1);
    return true;
}

/* A JSON string of letters: no word that we know needs an escape. */
static bool take_word(struct span *rest, struct span *word)
{
    if (!take_char(rest, '"')) {
        return false;
    }
    const char *end = memchr(rest->data, '"', rest->len);
    if (!end) {
        return false;
    }
    *word = span_make(rest->data, (size_t)(end - rest->data));
    *rest = span_make(end + 1, rest->len - word->len - 1);
    return true;
}

static bool word_from_json(struct span body, struct span *word)
{
    struct span key;
    return take_char(&body, '{') && take_word(&body, &key) && span_is(key, SPAN("action")) &&
           take_char(&body, ':') && take_word(&body, word) && take_char(&body, '}') &&
           skip_space(body).len == 0;
}

enum err guard_read_action(struct span body, enum admin_action *action)
{
    struct span word;
    body = skip_space(body);
    if (body.len > 0 && *body.data == '{') {
        return word_from_json(body, &word) && admin_action_from(word, action) ? OK : ERR_INVALID;
    }
    if (!span_starts_with(body, SPAN("action="))) {
        return ERR_INVALID;
    }
    word = span_make(body.data + 7, body.len - 7);
    while (word.len > 0 && (word.data[word.len - 1] == '\n' || word.data[word.len - 1] == '\r')) {
        word.len--;
    }
    return admin_action_from(word, action) ? OK : ERR_INVALID;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* One byte of a path, decoded, from `raw` at `*at`; 0 for a bad escape. */
static char decode_byte(struct span raw, size_t *at)
{
    char c = raw.data[(*at)++];
    if (c != '%') {
        return c;
    }
    if (raw.len - *at < 2) {
        return 0;
    }
    int high = hex_value(raw.data[*at]);
    int low = hex_value(raw.data[*at + 1]);
    *at += 2;
    return high < 0 || low < 0 ? 0 : (char)(high * 16 + low);
}

enum err guard_decode_id(struct span raw, char id[ADMIN_ID_MAX + 1])
{
    size_t len = 0;
    char decoded[ADMIN_ID_MAX + 1];
    for (size_t at = 0; at < raw.len;) {
        char c = decode_byte(raw, &at);
        if (c == 0) {
            return ERR_INVALID;
        }
        if (len == ADMIN_ID_MAX) {
            return ERR_TOO_LARGE;
        }
        decoded[len++] = c;
    }
    if (len == 0) {
        return ERR_INVALID;
    }
    memcpy(id, decoded, len);
    id[len] = '\0';
    return OK;
}
