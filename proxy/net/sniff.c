/* sniff.c - see sniff.h. RFC 8446 section 4.1.2 and RFC 6066 section 3 for the ClientHello. */
#include "net/sniff.h"

#include <stdint.h>
#include <string.h>

#define PREFACE SPAN("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
#define METHOD_MAX_BYTES 32
#define LINE_MAX_BYTES 8192 /* of an unusual method's request line */
#define TLS_HANDSHAKE 0x16
#define TLS_MAJOR 3
#define TLS_RECORD_HEAD 5
#define TLS_RECORD_MAX 16384
#define TLS_CLIENT_HELLO 1
#define TLS_EXTENSION_SERVER_NAME 0
#define TLS_EXTENSION_ALPN 16
#define TLS_NAME_HOST 0
#define NAME_MAX_BYTES 253

/* ---- TLS ---- */

struct reader {
    const unsigned char *at;
    size_t left;
    bool is_broken; /* something ended too early */
};

static uint32_t take_number(struct reader *reader, size_t bytes)
{
    uint32_t number = 0;
    if (reader->left < bytes) {
        reader->is_broken = true;
        reader->left = 0;
        return 0;
    }
    for (size_t i = 0; i < bytes; i++)
        number = number << 8 | reader->at[i];
    reader->at += bytes;
    reader->left -= bytes;
    return number;
}

/* The next bytes, whose length stands before them in `size` bytes. */
static struct reader take_block(struct reader *reader, size_t size)
{
    const size_t length = take_number(reader, size);
    if (length > reader->left) {
        reader->is_broken = true;
        reader->left = 0;
    }
    struct reader block = {reader->at, reader->is_broken ? 0 : length, reader->is_broken};
    reader->at += block.left;
    reader->left -= block.left;
    return block;
}

static bool is_host_name(struct span name)
{
    if (name.len == 0 || name.len > NAME_MAX_BYTES)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        const char c = name.data[i];
        const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        const bool is_inner = c == '.' && i > 0 && name.data[i - 1] != '.';
        if (!is_letter && !(c >= '0' && c <= '9') && c != '-' && c != '_' && !is_inner)
            return false;
    }
    return true;
}

static void read_server_name(struct reader extension, struct client_hello *hello)
{
    struct reader list = take_block(&extension, 2);
    while (list.left > 0 && hello->server_name.data == NULL) {
        const uint32_t type = take_number(&list, 1);
        const struct reader name = take_block(&list, 2);
        const struct span text = span_make((const char *)name.at, name.left);
        if (type == TLS_NAME_HOST && !list.is_broken && is_host_name(text))
            hello->server_name = text;
    }
}

static void read_alpn(struct reader extension, struct client_hello *hello)
{
    struct reader list = take_block(&extension, 2);
    while (list.left > 0) {
        const struct reader name = take_block(&list, 1);
        hello->offers_http2 |= name.left == 2 && memcmp(name.at, "h2", 2) == 0;
    }
}

static void read_hello(struct reader body, struct client_hello *hello)
{
    take_number(&body, 2); /* version, then 32 bytes of chance */
    for (int i = 0; i < 8; i++)
        take_number(&body, 4);
    take_block(&body, 1); /* session */
    take_block(&body, 2); /* cipher suites */
    take_block(&body, 1); /* compression */
    struct reader extensions = take_block(&body, 2);
    while (extensions.left > 0) {
        const uint32_t type = take_number(&extensions, 2);
        const struct reader extension = take_block(&extensions, 2);
        if (extensions.is_broken)
            return;
        if (type == TLS_EXTENSION_SERVER_NAME)
            read_server_name(extension, hello);
        else if (type == TLS_EXTENSION_ALPN)
            read_alpn(extension, hello);
    }
}

/* Handshake messages may be cut into records anywhere; most ClientHellos lie in one. Only what lies
 * in the first is looked at: who cuts a name in two hides it. */
static enum sniffed sniff_tls(const unsigned char *bytes, size_t len, struct client_hello *hello)
{
    if (len < TLS_RECORD_HEAD)
        return SNIFF_MORE;
    const size_t record = (size_t)bytes[3] << 8 | bytes[4];
    if (record < 4 || record > TLS_RECORD_MAX)
        return SNIFF_OTHER;
    if (len > TLS_RECORD_HEAD && bytes[TLS_RECORD_HEAD] != TLS_CLIENT_HELLO)
        return SNIFF_OTHER;
    if (len < TLS_RECORD_HEAD + record && len < SNIFF_MAX_BYTES)
        return SNIFF_MORE;
    const size_t have = len < TLS_RECORD_HEAD + record ? len - TLS_RECORD_HEAD : record;
    struct reader reader = {bytes + TLS_RECORD_HEAD + 1, have - 1, false};
    struct reader body = {reader.at + 3, 0, false};
    const size_t said = take_number(&reader, 3);
    body.left = said < reader.left ? said : reader.left;
    read_hello(body, hello);
    return SNIFF_TLS;
}

/* ---- HTTP ---- */

static bool is_token(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* What every client of HTTP says first; CONNECT and absolute forms are for another proxy, which the
 * app has been told of: they go there as they are. */
static bool is_usual_method(struct span method)
{
    static const char *const usual[] = {"GET",    "HEAD",    "POST",  "PUT",
                                        "DELETE", "OPTIONS", "PATCH", "TRACE"};
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        if (span_is(method, span_of(usual[i])))
            return true;
    return false;
}

/* Of a method that we do not know: the whole line must look like HTTP. */
static enum sniffed sniff_line(struct span bytes)
{
    const size_t most = bytes.len < LINE_MAX_BYTES ? bytes.len : LINE_MAX_BYTES;
    const char *end = memchr(bytes.data, '\n', most);
    if (end == NULL)
        return bytes.len < LINE_MAX_BYTES ? SNIFF_MORE : SNIFF_OTHER;
    const struct span line = span_make(bytes.data, (size_t)(end - bytes.data));
    return memmem(line.data, line.len, " HTTP/1.", 8) != NULL ? SNIFF_HTTP1 : SNIFF_OTHER;
}

static enum sniffed sniff_http(struct span bytes)
{
    size_t len = 0;
    while (len < bytes.len && is_token(bytes.data[len]))
        len++;
    if (len > METHOD_MAX_BYTES)
        return SNIFF_OTHER;
    if (len == bytes.len)
        return SNIFF_MORE;
    if (len == 0 || bytes.data[len] != ' ')
        return SNIFF_OTHER;
    if (len + 1 == bytes.len)
        return SNIFF_MORE;
    const char target = bytes.data[len + 1];
    if (target != '/' && target != '*')
        return SNIFF_OTHER;
    return is_usual_method(span_make(bytes.data, len)) ? SNIFF_HTTP1 : sniff_line(bytes);
}

enum sniffed sniff(struct span bytes, struct client_hello *hello)
{
    const size_t common = bytes.len < PREFACE.len ? bytes.len : PREFACE.len;
    *hello = (struct client_hello){.server_name = SPAN_NONE};
    if (bytes.len == 0)
        return SNIFF_MORE;
    if (memcmp(bytes.data, PREFACE.data, common) == 0)
        return bytes.len >= PREFACE.len ? SNIFF_HTTP2 : SNIFF_MORE;
    if (bytes.data[0] != TLS_HANDSHAKE)
        return sniff_http(bytes);
    if (bytes.len >= 2 && bytes.data[1] != TLS_MAJOR)
        return SNIFF_OTHER;
    return sniff_tls((const unsigned char *)bytes.data, bytes.len, hello);
}

enum sniffed sniff_in_doubt(struct span bytes)
{
    const char *space = bytes.len > 0 ? memchr(bytes.data, ' ', bytes.len) : NULL;
    if (bytes.len >= TLS_RECORD_HEAD && bytes.data[0] == TLS_HANDSHAKE)
        return SNIFF_TLS;
    if (space != NULL && is_usual_method(span_make(bytes.data, (size_t)(space - bytes.data))))
        return SNIFF_HTTP1;
    return SNIFF_OTHER;
}
