/* What a request head may be (RFC 9112): a table of heads with the verdict on each, fed in every
 * possible cut. */
#include "h1_feed.h"

#include <criterion/criterion.h>

#define ACCEPTED ""
#define UNFINISHED "(needs more)"

struct row {
    const char *bytes;
    size_t len;
    const char *fault; /* ACCEPTED, UNFINISHED or the detail of the refusal */
};

#define ROW(text, verdict)                                                                         \
    {                                                                                              \
        .bytes = text, .len = sizeof(text) - 1, .fault = verdict                                   \
    }

#define HOST "Host: a.example\r\n"
#define GET "GET / HTTP/1.1\r\n" HOST
#define POST "POST / HTTP/1.1\r\n" HOST
#define TEN(text) text text text text text text text text text text

#define NOT_A_METHOD "the request line does not start with a method and a space"
#define NO_TARGET "the request line has no target where it should be"
#define NO_VERSION "the request line has no version"
#define BAD_VERSION "the version is neither HTTP/1.0 nor HTTP/1.1"
#define BAD_TARGET_BYTE "the target has a byte that must be percent-encoded"
#define BAD_FORM "the target is neither a path nor http://"
#define BLANK_START "a line starts with white space"
#define BARE_CR "a CR without LF"
#define BARE_LF "a LF without CR"
#define NUL_BYTE "a NUL byte in the header"
#define CONTROL "a control character in the header"
#define BAD_NAME "a field name has a character that no name may have"
#define NO_COLON "a field line without a colon"
#define BLANK_COLON "white space before the colon of a field"
#define NO_NAME "a field without a name"
#define BAD_LENGTH "Content-Length is not a number"
#define TWO_LENGTHS "two Content-Length fields that differ"
#define BOTH "both Content-Length and Transfer-Encoding"
#define NOT_CHUNKED "a Transfer-Encoding that is not exactly chunked"
#define TWO_ENCODINGS "two Transfer-Encoding fields"
#define ENCODING_10 "Transfer-Encoding in HTTP/1.0"
#define BAD_HOST_BYTE "the host has a character that no name may have"
#define EMPTY_HOST "the host is empty"
#define BAD_PORT "the port is not a number from 1 to 65535"
#define BAD_IPV6 "the host is not a valid IPv6 address"

static const struct row rows[] = {
    /* Request line, section 3. */
    ROW(GET "\r\n", ACCEPTED),
    ROW("GET / HTTP/1.0\r\n\r\n", ACCEPTED),
    ROW("GET /a?b=c&d HTTP/1.1\r\n" HOST "\r\n", ACCEPTED),
    ROW("PROPFIND /x HTTP/1.1\r\n" HOST "\r\n", ACCEPTED),
    ROW("!#$%&'*+-.^_`|~09azAZ / HTTP/1.1\r\n" HOST "\r\n", ACCEPTED),
    ROW("get / HTTP/1.1\r\n" HOST "\r\n",
        ACCEPTED), /* methods are case-sensitive: another method */
    ROW("GET /{a}|b^\"<>`\\ HTTP/1.1\r\n" HOST "\r\n",
        ACCEPTED), /* browsers send these as they are */
    ROW("GET // HTTP/1.1\r\n" HOST "\r\n", ACCEPTED),
    ROW("GET /%00 HTTP/1.1\r\n" HOST "\r\n", ACCEPTED), /* the path is the app's business */
    ROW("GET  / HTTP/1.1\r\n" HOST "\r\n", NO_TARGET),
    ROW("GET /  HTTP/1.1\r\n" HOST "\r\n", BAD_VERSION),
    ROW("GET / HTTP/1.1 \r\n" HOST "\r\n", BAD_VERSION),
    ROW("GET / x HTTP/1.1\r\n" HOST "\r\n", BAD_VERSION),
    ROW(" GET / HTTP/1.1\r\n" HOST "\r\n", BLANK_START),
    ROW("\tGET / HTTP/1.1\r\n" HOST "\r\n", BLANK_START),
    ROW("GET\t/ HTTP/1.1\r\n" HOST "\r\n", NOT_A_METHOD),
    ROW("GET /\tHTTP/1.1\r\n" HOST "\r\n", BAD_TARGET_BYTE),
    ROW("GET/ HTTP/1.1\r\n" HOST "\r\n", NOT_A_METHOD),
    ROW("GET\r\n" HOST "\r\n", NOT_A_METHOD),
    ROW("GET \r\n" HOST "\r\n", NO_TARGET),
    ROW("GET /\r\n" HOST "\r\n", NO_VERSION), /* HTTP/0.9 */
    ROW("GET / \r\n" HOST "\r\n", BAD_VERSION),
    ROW("G(T / HTTP/1.1\r\n" HOST "\r\n", NOT_A_METHOD),
    ROW("G\x80T / HTTP/1.1\r\n" HOST "\r\n", NOT_A_METHOD),
    ROW(": / HTTP/1.1\r\n" HOST "\r\n", NOT_A_METHOD),
    ROW("GET / HTTP/1.2\r\n" HOST "\r\n", BAD_VERSION),
    ROW("GET / HTTP/2.0\r\n" HOST "\r\n", BAD_VERSION),
    ROW("GET / HTTP/0.9\r\n" HOST "\r\n", BAD_VERSION),
    ROW("GET / HTTP/1.10\r\n" HOST "\r\n", BAD_VERSION),
    ROW("GET / HTTP/1.\r\n" HOST "\r\n", BAD_VERSION),
    ROW("GET / HTTP/01.1\r\n" HOST "\r\n", BAD_VERSION),
    ROW("GET / http/1.1\r\n" HOST "\r\n", BAD_VERSION),
    ROW("GET / HTTP 1.1\r\n" HOST "\r\n", BAD_VERSION),
    ROW("GET / HTTPS/1.1\r\n" HOST "\r\n", BAD_VERSION),
    ROW("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        BAD_VERSION),                 /* the preface of HTTP/2 is sniffed elsewhere */
    ROW("\x16\x03\x01\x02", CONTROL), /* a TLS ClientHello, refused at its first byte */

    /* Empty lines before it, section 2.2. */
    ROW("\r\n" GET "\r\n", ACCEPTED),
    ROW("\r\n\r\n\r\n\r\n" GET "\r\n", ACCEPTED),
    ROW("\r\n\r\n\r\n\r\n\r\n" GET "\r\n", "too many empty lines before the request line"),
    ROW("\n" GET "\r\n", BARE_LF),
    ROW("\r" GET "\r\n", BARE_CR),
    ROW("\r\n GET / HTTP/1.1\r\n" HOST "\r\n", BLANK_START),

    /* Targets, section 3.2. */
    ROW("GET http://a.example HTTP/1.1\r\n" HOST "\r\n", ACCEPTED),
    ROW("GET http://a.example/ HTTP/1.1\r\n" HOST "\r\n", ACCEPTED),
    ROW("GET http://a.example?q HTTP/1.1\r\n" HOST "\r\n", ACCEPTED),
    ROW("GET HTTP://a.example:81/x HTTP/1.1\r\n" HOST "\r\n", ACCEPTED),
    ROW("GET http://[::1]:8080/x HTTP/1.1\r\n" HOST "\r\n", ACCEPTED),
    ROW("GET http://a.example/ HTTP/1.0\r\n\r\n", ACCEPTED),
    ROW("GET http://b.example/ HTTP/1.1\r\n\r\n", "no Host field"),
    ROW("OPTIONS * HTTP/1.1\r\n" HOST "\r\n", ACCEPTED),
    ROW("OPTIONS http://a.example HTTP/1.1\r\n" HOST "\r\n", ACCEPTED),
    ROW("CONNECT a.example:443 HTTP/1.1\r\n" HOST "\r\n", ACCEPTED),
    ROW("CONNECT [2001:db8::1]:443 HTTP/1.1\r\n" HOST "\r\n", ACCEPTED),
    ROW("CONNECT a.example:443 HTTP/1.0\r\n\r\n", ACCEPTED),
    ROW("GET * HTTP/1.1\r\n" HOST "\r\n", "the target '*' is for OPTIONS alone"),
    ROW("OPTIONS ** HTTP/1.1\r\n" HOST "\r\n", BAD_FORM),
    ROW("GET a.example:80 HTTP/1.1\r\n" HOST "\r\n", BAD_FORM),
    ROW("GET x HTTP/1.1\r\n" HOST "\r\n", BAD_FORM),
    ROW("GET ?q HTTP/1.1\r\n" HOST "\r\n", BAD_FORM),
    ROW("GET https://a.example/ HTTP/1.1\r\n" HOST "\r\n", BAD_FORM),
    ROW("GET ftp://a.example/ HTTP/1.1\r\n" HOST "\r\n", BAD_FORM),
    ROW("GET http:/a.example/ HTTP/1.1\r\n" HOST "\r\n", BAD_FORM),
    ROW("GET http:// HTTP/1.1\r\n" HOST "\r\n", EMPTY_HOST),
    ROW("GET http:///x HTTP/1.1\r\n" HOST "\r\n", EMPTY_HOST),
    ROW("GET http://:80/x HTTP/1.1\r\n" HOST "\r\n", EMPTY_HOST),
    ROW("GET http://u@a.example/ HTTP/1.1\r\n" HOST "\r\n", BAD_HOST_BYTE),   /* RFC 9110 4.2.4 */
    ROW("GET http://u:p@a.example/ HTTP/1.1\r\n" HOST "\r\n", BAD_PORT),      /* the same */
    ROW("GET http://a.example\\@b/ HTTP/1.1\r\n" HOST "\r\n", BAD_HOST_BYTE), /* two readings */
    ROW("GET http://a.example:/ HTTP/1.1\r\n" HOST "\r\n", BAD_PORT),
    ROW("GET http://a.example:99999/ HTTP/1.1\r\n" HOST "\r\n", BAD_PORT),
    ROW("GET /a#b HTTP/1.1\r\n" HOST "\r\n", "the target has a fragment"),
    ROW("GET http://a.example#b HTTP/1.1\r\n" HOST "\r\n", "the target has a fragment"),
    ROW("GET # HTTP/1.1\r\n" HOST "\r\n", NO_TARGET),
    ROW("GET /\x80 HTTP/1.1\r\n" HOST "\r\n", BAD_TARGET_BYTE),
    ROW("GET /\xc3\xa9 HTTP/1.1\r\n" HOST "\r\n", BAD_TARGET_BYTE),
    ROW("GET /\x7f HTTP/1.1\r\n" HOST "\r\n", CONTROL),
    ROW("GET /\x01 HTTP/1.1\r\n" HOST "\r\n", CONTROL),
    ROW("GET /\0 HTTP/1.1\r\n" HOST "\r\n", NUL_BYTE),
    ROW("CONNECT a.example HTTP/1.1\r\n" HOST "\r\n", "the target of CONNECT has no port"),
    ROW("CONNECT a.example: HTTP/1.1\r\n" HOST "\r\n", BAD_PORT),
    ROW("CONNECT a.example:0 HTTP/1.1\r\n" HOST "\r\n", BAD_PORT),
    ROW("CONNECT /x HTTP/1.1\r\n" HOST "\r\n", BAD_HOST_BYTE),
    ROW("CONNECT http://a.example:80 HTTP/1.1\r\n" HOST "\r\n", BAD_PORT),
    ROW("CONNECT u@a.example:80 HTTP/1.1\r\n" HOST "\r\n", BAD_HOST_BYTE),
    ROW("CONNECT a.example:80/ HTTP/1.1\r\n" HOST "\r\n", BAD_PORT),
    ROW("CONNECT * HTTP/1.1\r\n" HOST "\r\n", BAD_HOST_BYTE),

    /* Ends of lines, section 2.2: a bare CR or LF is where two parsers part. */
    ROW("GET / HTTP/1.1\n" HOST "\r\n", BARE_LF),
    ROW("GET / HTTP/1.1\r" HOST "\r\n", BARE_CR),
    ROW("GET / HTTP/1.1\r\r\n" HOST "\r\n", BARE_CR),
    ROW("GET / HTTP/1.1\n\r\n" HOST "\r\n", BARE_LF),
    ROW("GET / HTTP/1.1\r\nHost: a.example\n\r\n", BARE_LF),
    ROW("GET / HTTP/1.1\r\nHost: a.example\r\r\n", BARE_CR),
    ROW("GET / HTTP/1.1\r\nHost: a\rexample\r\n\r\n", BARE_CR),
    ROW(GET "\n", BARE_LF),
    ROW(GET "\rX: y\r\n\r\n", BARE_CR),
    ROW(GET "A: b\rTransfer-Encoding: chunked\r\n\r\n", BARE_CR),
    ROW(GET "A: b\nTransfer-Encoding: chunked\r\n\r\n", BARE_LF),
    ROW(GET "\r", UNFINISHED),
    ROW(GET, UNFINISHED),
    ROW("", UNFINISHED),
    ROW("G", UNFINISHED),
    ROW("\r", UNFINISHED),

    /* Fields, section 5. */
    ROW(GET "A:b\r\n\r\n", ACCEPTED),
    ROW(GET "A: \t b \t \r\n\r\n", ACCEPTED),
    ROW(GET "A:\r\n\r\n", ACCEPTED),
    ROW(GET "A: \r\n\r\n", ACCEPTED),
    ROW(GET "A: b\tc \"d\"\r\n\r\n", ACCEPTED),
    ROW(GET "A: \xc3\xa9\xff\r\n\r\n", ACCEPTED), /* obs-text */
    ROW(GET "A_b: c\r\n\r\n", ACCEPTED),
    ROW(GET "!#$%&'*+-.^_`|~: c\r\n\r\n", ACCEPTED),
    ROW(GET "A::b\r\n\r\n", ACCEPTED),
    ROW(GET "A : b\r\n\r\n", BLANK_COLON), /* section 5.1 */
    ROW(GET "A\t: b\r\n\r\n", BLANK_COLON),
    ROW(GET "Content-Length : 5\r\n\r\n", BLANK_COLON),
    ROW(GET "Transfer-Encoding : chunked\r\n\r\n", BLANK_COLON),
    ROW(GET "A b: c\r\n\r\n", BLANK_COLON),
    ROW(GET ": b\r\n\r\n", NO_NAME),
    ROW(GET ":\r\n\r\n", NO_NAME),
    ROW(GET "A\r\n\r\n", NO_COLON),
    ROW(GET "A;b\r\n\r\n", BAD_NAME),
    ROW(GET "A(b): c\r\n\r\n", BAD_NAME),
    ROW(GET "A\x80: c\r\n\r\n", BAD_NAME),
    ROW(GET "\"A\": c\r\n\r\n", BAD_NAME),
    ROW(GET "A/b: c\r\n\r\n", BAD_NAME),
    ROW(GET "A@b: c\r\n\r\n", BAD_NAME),
    ROW(GET "A\0b: c\r\n\r\n", NUL_BYTE),
    ROW(GET "A: b\0c\r\n\r\n", NUL_BYTE),
    ROW(GET "A: b\x01\r\n\r\n", CONTROL),
    ROW(GET "A: b\x0b\r\n\r\n", CONTROL),
    ROW(GET "A: b\x0c\r\n\r\n", CONTROL),
    ROW(GET "A: b\x1b[0m\r\n\r\n", CONTROL),
    ROW(GET "A: b\x7f\r\n\r\n", CONTROL),
    ROW(GET "A: b\r\n c\r\n\r\n", BLANK_START), /* obs-fold, section 5.2 */
    ROW(GET "A: b\r\n\tc\r\n\r\n", BLANK_START),
    ROW(GET "A: b\r\n \r\n\r\n", BLANK_START),
    ROW("GET / HTTP/1.1\r\n Host: a.example\r\n\r\n", BLANK_START),
    ROW("GET / HTTP/1.1\r\n\tX: y\r\n" HOST "\r\n", BLANK_START),
    ROW(GET "Content-Length: 5\r\n 5\r\n\r\n", BLANK_START),
    ROW(GET "Transfer-Encoding:\r\n chunked\r\n\r\n", BLANK_START),

    /* Host, section 3.2 and RFC 9110 section 7.2. */
    ROW("GET / HTTP/1.1\r\n\r\n", "no Host field"),
    ROW("GET / HTTP/1.1\r\nhOsT:a.example\r\n\r\n", ACCEPTED),
    ROW("GET / HTTP/1.1\r\nHost: a.example:8080\r\n\r\n", ACCEPTED),
    ROW("GET / HTTP/1.1\r\nHost: a_b-c~d.example.\r\n\r\n", ACCEPTED),
    ROW("GET / HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n", ACCEPTED),
    ROW("GET / HTTP/1.1\r\nHost: [::1]:65535\r\n\r\n", ACCEPTED),
    ROW("GET / HTTP/1.1\r\nHost: [::ffff:10.0.0.1]\r\n\r\n", ACCEPTED),
    ROW("GET / HTTP/1.1\r\n" HOST HOST "\r\n", "two Host fields"),
    ROW("GET / HTTP/1.1\r\n" HOST "Host: b.example\r\n\r\n", "two Host fields"),
    ROW("GET / HTTP/1.0\r\n" HOST "HOST: b.example\r\n\r\n", "two Host fields"),
    ROW("GET / HTTP/1.1\r\nHost:\r\n\r\n", EMPTY_HOST),
    ROW("GET / HTTP/1.0\r\nHost: \r\n\r\n", EMPTY_HOST),
    ROW("GET / HTTP/1.1\r\nHost: a.example, b.example\r\n\r\n", BAD_HOST_BYTE),
    ROW("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", BAD_HOST_BYTE),
    ROW("GET / HTTP/1.1\r\nHost: u@a.example\r\n\r\n", BAD_HOST_BYTE),
    ROW("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", BAD_HOST_BYTE),
    ROW("GET / HTTP/1.1\r\nHost: a?b\r\n\r\n", BAD_HOST_BYTE),
    ROW("GET / HTTP/1.1\r\nHost: a#b\r\n\r\n", BAD_HOST_BYTE),
    ROW("GET / HTTP/1.1\r\nHost: a\\b\r\n\r\n", BAD_HOST_BYTE),
    ROW("GET / HTTP/1.1\r\nHost: a%2eb\r\n\r\n", BAD_HOST_BYTE),
    ROW("GET / HTTP/1.1\r\nHost: \xc3\xa9.example\r\n\r\n", BAD_HOST_BYTE),
    ROW("GET / HTTP/1.1\r\nHost: http://a.example\r\n\r\n", BAD_PORT),
    ROW("GET / HTTP/1.1\r\nHost: a:80:80\r\n\r\n", BAD_PORT),
    ROW("GET / HTTP/1.1\r\nHost: a:\r\n\r\n", BAD_PORT),
    ROW("GET / HTTP/1.1\r\nHost: a:0\r\n\r\n", BAD_PORT),
    ROW("GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", BAD_PORT),
    ROW("GET / HTTP/1.1\r\nHost: a:+80\r\n\r\n", BAD_PORT),
    ROW("GET / HTTP/1.1\r\nHost: a:8o\r\n\r\n", BAD_PORT),
    ROW("GET / HTTP/1.1\r\nHost: a:000080\r\n\r\n", BAD_PORT),
    ROW("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", "the host has '[' without ']'"),
    ROW("GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n", BAD_HOST_BYTE),
    ROW("GET / HTTP/1.1\r\nHost: [fe80::1%25eth0]\r\n\r\n", BAD_IPV6),
    ROW("GET / HTTP/1.1\r\nHost: [a.example]\r\n\r\n", BAD_IPV6),
    ROW("GET / HTTP/1.1\r\nHost: []\r\n\r\n", BAD_IPV6),
    ROW("GET / HTTP/1.1\r\nHost: ::1\r\n\r\n", EMPTY_HOST),
    ROW("GET http://a.example/ HTTP/1.1\r\nHost: u@b\r\n\r\n",
        BAD_HOST_BYTE), /* invalid though unused */

    /* Length, section 6.2 and RFC 9110 section 8.6. */
    ROW(POST "Content-Length: 0\r\n\r\n", ACCEPTED),
    ROW(POST "Content-Length: 5\r\n\r\nhello", ACCEPTED),
    ROW(POST "content-length:5\r\n\r\n", ACCEPTED),
    ROW(POST "Content-Length: 9223372036854775807\r\n\r\n", ACCEPTED),
    ROW(POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", ACCEPTED),
    ROW(POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", TWO_LENGTHS),
    ROW(POST "Content-Length: 6\r\nContent-Length: 5\r\n\r\n", TWO_LENGTHS),
    ROW(POST "Content-Length: 0\r\ncontent-length: 5\r\n\r\n", TWO_LENGTHS),
    ROW(POST "Content-Length: 5, 5\r\n\r\n", BAD_LENGTH),
    ROW(POST "Content-Length: 5, 6\r\n\r\n", BAD_LENGTH),
    ROW(POST "Content-Length: 5,\r\n\r\n", BAD_LENGTH),
    ROW(POST "Content-Length: 5 5\r\n\r\n", BAD_LENGTH),
    ROW(POST "Content-Length:  5 5 \r\n\r\n", BAD_LENGTH),
    ROW(POST "Content-Length: +5\r\n\r\n", BAD_LENGTH),
    ROW(POST "Content-Length: -5\r\n\r\n", BAD_LENGTH),
    ROW(POST "Content-Length: -0\r\n\r\n", BAD_LENGTH),
    ROW(POST "Content-Length: 0x5\r\n\r\n", BAD_LENGTH),
    ROW(POST "Content-Length: 5.0\r\n\r\n", BAD_LENGTH),
    ROW(POST "Content-Length: 5e1\r\n\r\n", BAD_LENGTH),
    ROW(POST "Content-Length: five\r\n\r\n", BAD_LENGTH),
    ROW(POST "Content-Length: 5;\r\n\r\n", BAD_LENGTH),
    ROW(POST "Content-Length: \"5\"\r\n\r\n", BAD_LENGTH),
    ROW(POST "Content-Length:\r\n\r\n", BAD_LENGTH),              /* CVE-2023-40225 */
    ROW(POST "Content-Length: \xef\xbc\x95\r\n\r\n", BAD_LENGTH), /* a full-width 5 */
    ROW(POST "Content-Length: 9223372036854775808\r\n\r\n", BAD_LENGTH),
    ROW(POST "Content-Length: 18446744073709551616\r\n\r\n", BAD_LENGTH),
    ROW(POST "Content-Length: 18446744073709551621\r\n\r\n", BAD_LENGTH), /* 5, modulo 2^64 */
    ROW(POST "Content-Length: 99999999999999999999999\r\n\r\n", BAD_LENGTH),
    ROW("POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\n", ACCEPTED),

    /* Coding, section 6.1; the tricks of request smuggling. */
    ROW(POST "Transfer-Encoding: chunked\r\n\r\n", ACCEPTED),
    ROW(POST "transfer-encoding:\tCHUNKED \r\n\r\n", ACCEPTED),
    ROW(POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", BOTH), /* CL.TE */
    ROW(POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", BOTH), /* TE.CL */
    ROW(POST "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n", BOTH),
    ROW(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", TWO_ENCODINGS),
    ROW(POST "Transfer-Encoding: chunked\r\nTransfer-encoding: x\r\n\r\n",
        TWO_ENCODINGS), /* TE.TE */
    ROW(POST "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n", NOT_CHUNKED),
    ROW(POST "Transfer-Encoding: xchunked\r\n\r\n", NOT_CHUNKED),
    ROW(POST "Transfer-Encoding: chunkedx\r\n\r\n", NOT_CHUNKED),
    ROW(POST "Transfer-Encoding: chunke\r\n\r\n", NOT_CHUNKED),
    ROW(POST "Transfer-Encoding: identity\r\n\r\n", NOT_CHUNKED),
    ROW(POST "Transfer-Encoding: gzip\r\n\r\n", NOT_CHUNKED),
    ROW(POST "Transfer-Encoding: gzip, chunked\r\n\r\n", NOT_CHUNKED),
    ROW(POST "Transfer-Encoding: chunked, gzip\r\n\r\n", NOT_CHUNKED),
    ROW(POST "Transfer-Encoding: chunked, chunked\r\n\r\n", NOT_CHUNKED),
    ROW(POST "Transfer-Encoding: chunked, identity\r\n\r\n", NOT_CHUNKED),
    ROW(POST "Transfer-Encoding: chunked,\r\n\r\n", NOT_CHUNKED),
    ROW(POST "Transfer-Encoding: ,chunked\r\n\r\n", NOT_CHUNKED),
    ROW(POST "Transfer-Encoding: chunked;q=1\r\n\r\n", NOT_CHUNKED),
    ROW(POST "Transfer-Encoding: \"chunked\"\r\n\r\n", NOT_CHUNKED),
    ROW(POST "Transfer-Encoding:\r\n\r\n", NOT_CHUNKED),
    ROW(POST "Transfer-Encoding: \x0b"
             "chunked\r\n\r\n",
        CONTROL),
    ROW(POST "Transfer-Encoding: chun\0ked\r\n\r\n", NUL_BYTE),
    ROW(POST "Transfer-Encoding: c\xe4nked\r\n\r\n", NOT_CHUNKED),
    ROW(POST "Transfer\0-Encoding: chunked\r\n\r\n", NUL_BYTE),
    ROW(POST "Transfer-Encoding\x0b: chunked\r\n\r\n", CONTROL),
    ROW(POST "Transfer_Encoding: chunked\r\n\r\n", ACCEPTED), /* another field, passed as such */
    ROW("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", ENCODING_10),
    ROW("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", BOTH),
    ROW("CONNECT a:1 HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n", "CONNECT with a body"),
    ROW("CONNECT a:1 HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n",
        "CONNECT with a body"),
    ROW("CONNECT a:1 HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", ACCEPTED),

    /* Connection, RFC 9110 section 7.6.1. */
    ROW(GET "Connection: close\r\n\r\n", ACCEPTED),
    ROW(GET "Connection: ,, close , x-a ,\r\n\r\n", ACCEPTED),
    ROW(GET "Connection:\r\n\r\n", ACCEPTED),
    ROW(GET "Connection: a b\r\n\r\n", "an option in Connection is not a token"),
    ROW(GET "Connection: \"close\"\r\n\r\n", "an option in Connection is not a token"),
    ROW(GET "Connection: " TEN("a,") TEN("a,") TEN("a,") "a,a\r\n\r\n", ACCEPTED),
    ROW(GET "Connection: " TEN("a,") TEN("a,") TEN("a,") "a,a,a\r\n\r\n",
        "too many options in Connection"),

    /* Limits: lines of 200, heads of 1000 bytes, 16 fields. */
    ROW(GET "A: " TEN("0123456789") TEN("012345678") "0123456\r\n\r\n", ACCEPTED),
    ROW(GET "A: " TEN("0123456789") TEN("012345678") "01234567\r\n\r\n", "a line is too long"),
    ROW("GET /" TEN("0123456789") TEN("0123456789"), "a line is too long"),
    ROW(TEN("0123456789") TEN("0123456789") "\r\n", UNFINISHED),
    ROW(TEN("0123456789") TEN("0123456789") "\r", UNFINISHED),
    ROW(TEN("0123456789") TEN("0123456789") "0", "a line is too long"),
    ROW(GET TEN("a:\r\n") "a:\r\na:\r\na:\r\na:\r\na:\r\n\r\n", ACCEPTED),
    ROW(GET TEN("a:\r\n") "a:\r\na:\r\na:\r\na:\r\na:\r\na:\r\n", "too many header fields"),
    ROW(GET TEN("A: " TEN("0123456789") "\r\n"), "the header is too large"),
};

#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

static const char *verdict_of(struct h1_result r)
{
    return r.step == H1_DONE ? ACCEPTED : r.step == H1_NEED_MORE ? UNFINISHED : r.detail;
}

static void expect_verdict(const struct row *row, struct h1_result r, const char *how, size_t cut)
{
    cr_expect_str_eq(verdict_of(r), row->fault, "row %zu (%s), %s, cut %zu: %s, not %s",
                     (size_t)(row - rows), row->bytes, how, cut, verdict_of(r), row->fault);
    if (r.step == H1_ERROR) {
        bool is_size = strcmp(row->fault, "a line is too long") == 0 ||
                       strcmp(row->fault, "the header is too large") == 0 ||
                       strcmp(row->fault, "too many header fields") == 0;
        cr_expect_eq(r.reason, is_size ? REASON_HEADER_TOO_LARGE : REASON_BAD_REQUEST);
    }
}

Test(h1_request, is_judged_as_the_table_says)
{
    cr_assert_geq(ROW_COUNT, 150);
    for (size_t i = 0; i < ROW_COUNT; i++) {
        struct feed feed = {.kind = MESSAGE_REQUEST, .limits = feed_limits};
        expect_verdict(&rows[i], feed_whole(&feed, rows[i].bytes, rows[i].len), "whole", 0);
        feed_fini(&feed);
    }
}

Test(h1_request, is_judged_the_same_however_it_is_cut)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        struct feed feed = {.kind = MESSAGE_REQUEST, .limits = feed_limits};
        for (size_t cut = 0; cut < rows[i].len; cut++)
            expect_verdict(&rows[i], feed_cut(&feed, rows[i].bytes, rows[i].len, cut), "cut", cut);
        expect_verdict(&rows[i], feed_bytes(&feed, rows[i].bytes, rows[i].len), "byte by byte", 0);
        feed_fini(&feed);
    }
}

/* Into `feed` and not out of it: the message's spans point into the feed. */
static void parse(struct feed *feed, const char *text)
{
    *feed = (struct feed){.kind = MESSAGE_REQUEST, .limits = feed_limits};
    struct h1_result r = feed_whole(feed, text, strlen(text));
    cr_assert_eq(r.step, H1_DONE, "%s: %s", text, verdict_of(r));
}

#define EXPECT_SPAN(actual, text)                                                                  \
    cr_expect(span_is(actual, span_of(text)), #actual " is '%.*s', not '%s'", SPAN_ARGS(actual),   \
              text)

Test(h1_request, refuses_before_the_head_is_complete)
{
    const char *starts[] = {"GET / HTTP/1.1\n", GET "a\0b", GET " fold", "\x16\x03"};
    const size_t lens[] = {15, sizeof(GET) + 2, sizeof(GET) + 4, 2};
    for (size_t i = 0; i < 4; i++) {
        struct feed feed = {.kind = MESSAGE_REQUEST, .limits = feed_limits};
        cr_expect_eq(feed_whole(&feed, starts[i], lens[i]).step, H1_ERROR, "start %zu", i);
        feed_fini(&feed);
    }
}

Test(h1_request, head_ends_where_the_body_begins)
{
    struct feed feed;
    parse(&feed, "\r\n" POST "Content-Length: 5\r\n\r\nhelloGET ");
    cr_expect_eq(feed.consumed, 2 + strlen(POST "Content-Length: 5\r\n\r\n"));
    cr_expect_eq(feed.msg.raw.data, feed.kept + 2);
    cr_expect_eq(feed.msg.raw.len, feed.consumed - 2);
    feed_fini(&feed);
}

Test(h1_request, start_line_is_taken_apart)
{
    struct feed feed;
    parse(&feed, "DELETE /a/b?c=d?e HTTP/1.1\r\nHost: a.example:81\r\n\r\n");
    cr_expect_eq(feed.msg.method, METHOD_DELETE);
    EXPECT_SPAN(feed.msg.method_name, "DELETE");
    EXPECT_SPAN(feed.msg.target, "/a/b?c=d?e");
    EXPECT_SPAN(feed.msg.path, "/a/b");
    EXPECT_SPAN(feed.msg.query, "?c=d?e");
    EXPECT_SPAN(feed.msg.authority, "a.example:81");
    EXPECT_SPAN(feed.msg.host, "a.example");
    cr_expect_eq(feed.msg.port, 81);
    cr_expect_eq(feed.msg.version_minor, 1);
    cr_expect(feed.msg.has_host);
    cr_expect_not(feed.msg.is_absolute_form);
    feed_fini(&feed);
}

Test(h1_request, unknown_method_keeps_its_name)
{
    struct feed feed;
    parse(&feed, "get / HTTP/1.0\r\n\r\n");
    cr_expect_eq(feed.msg.method, METHOD_OTHER);
    EXPECT_SPAN(feed.msg.method_name, "get");
    cr_expect_null(feed.msg.query.data);
    cr_expect_null(feed.msg.host.data);
    cr_expect_eq(feed.msg.version_minor, 0);
    feed_fini(&feed);
}

Test(h1_request, absolute_form_wins_over_host)
{
    struct feed feed;
    parse(&feed, "GET http://B.example:99?q HTTP/1.1\r\n" HOST "\r\n");
    cr_expect(feed.msg.is_absolute_form);
    EXPECT_SPAN(feed.msg.authority, "B.example:99");
    EXPECT_SPAN(feed.msg.host, "B.example");
    EXPECT_SPAN(feed.msg.path, "/");
    EXPECT_SPAN(feed.msg.query, "?q");
    cr_expect_eq(feed.msg.port, 99);
    feed_fini(&feed);
}

Test(h1_request, absolute_form_of_options_without_a_path_means_the_server)
{
    struct feed feed;
    parse(&feed, "OPTIONS http://a.example HTTP/1.1\r\n" HOST "\r\n");
    EXPECT_SPAN(feed.msg.path, "*");
    feed_fini(&feed);
    parse(&feed, "OPTIONS http://a.example/ HTTP/1.1\r\n" HOST "\r\n");
    EXPECT_SPAN(feed.msg.path, "/");
    feed_fini(&feed);
    parse(&feed, "OPTIONS http://a.example?q HTTP/1.1\r\n" HOST "\r\n");
    EXPECT_SPAN(feed.msg.path, "/");
    feed_fini(&feed);
}

Test(h1_request, connect_has_an_authority_and_no_body)
{
    struct feed feed;
    parse(&feed, "CONNECT [2001:DB8::1]:443 HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n");
    cr_expect(feed.msg.is_connect);
    EXPECT_SPAN(feed.msg.host, "2001:DB8::1");
    cr_expect(feed.msg.is_ipv6_host);
    cr_expect_eq(feed.msg.port, 443);
    cr_expect_eq(feed.msg.framing, BODY_NONE);
    feed_fini(&feed);
}

Test(h1_request, framing_follows_the_fields)
{
    struct feed feed;
    parse(&feed, GET "\r\n");
    cr_expect_eq(feed.msg.framing, BODY_NONE);
    cr_expect_not(feed.msg.has_content_length);
    feed_fini(&feed);
    parse(&feed, POST "Content-Length: 0\r\n\r\n");
    cr_expect_eq(feed.msg.framing, BODY_LENGTH);
    cr_expect(feed.msg.has_content_length);
    feed_fini(&feed);
    parse(&feed, POST "Content-Length: 0012\r\n\r\n");
    cr_expect_eq(feed.msg.content_length, 12);
    feed_fini(&feed);
    parse(&feed, POST "Transfer-Encoding: chunked\r\n\r\n");
    cr_expect_eq(feed.msg.framing, BODY_CHUNKED);
    feed_fini(&feed);
}

Test(h1_request, values_are_trimmed_and_known_names_have_ids)
{
    struct feed feed;
    parse(&feed, GET "X-REQUEST-id: \t abc \t\r\nFoo: bar\r\n\r\n");
    cr_expect_eq(feed.msg.header_count, 3);
    EXPECT_SPAN(message_value(&feed.msg, HEADER_X_REQUEST_ID), "abc");
    cr_expect_eq(feed.msg.headers[2].id, HEADER_OTHER);
    EXPECT_SPAN(feed.msg.headers[2].name, "Foo");
    feed_fini(&feed);
}

Test(h1_request, keep_alive_follows_version_and_connection)
{
    const struct {
        const char *text;
        bool is_keep_alive;
    } cases[] = {
        {GET "\r\n", true},
        {GET "Connection: close\r\n\r\n", false},
        {GET "Connection: x, CLOSE\r\n\r\n", false},
        {GET "Connection: keep-alive\r\nConnection: close\r\n\r\n", false},
        {"GET / HTTP/1.0\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
        {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nProxy-Connection: keep-alive\r\n\r\n", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct feed feed;
        parse(&feed, cases[i].text);
        cr_expect_eq(feed.msg.is_keep_alive, cases[i].is_keep_alive, "%s", cases[i].text);
        feed_fini(&feed);
    }
}

Test(h1_request, connection_nominates_fields_but_not_those_that_hold_the_message_together)
{
    struct feed feed;
    parse(&feed, POST "Connection: x-a, Host, content-length, via\r\nX-A: 1\r\nX-B: 2\r\n"
                      "Content-Length: 3\r\nVia: 1.1 p\r\n\r\n");
    const bool nominated[] = {false, false, true, false, false, false};
    cr_assert_eq(feed.msg.header_count, 6);
    for (size_t i = 0; i < 6; i++)
        cr_expect_eq(feed.msg.headers[i].is_nominated, nominated[i], "field %zu", i);
    feed_fini(&feed);
}

Test(h1_request, continue_is_expected_only_where_a_body_comes)
{
    const struct {
        const char *text;
        bool is_expected;
    } cases[] = {
        {POST "Content-Length: 5\r\nExpect: 100-Continue\r\n\r\n", true},
        {POST "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n", true},
        {POST "Content-Length: 0\r\nExpect: 100-continue\r\n\r\n", false},
        {GET "Expect: 100-continue\r\n\r\n", false},
        {POST "Content-Length: 5\r\nExpect: tea\r\n\r\n", false},
        {"POST / HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct feed feed;
        parse(&feed, cases[i].text);
        cr_expect_eq(feed.msg.expects_continue, cases[i].is_expected, "%s", cases[i].text);
        feed_fini(&feed);
    }
}

Test(h1_request, upgrade_needs_its_connection_option_and_is_never_h2c)
{
    const struct {
        const char *text;
        bool is_upgrade;
    } cases[] = {
        {GET "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", true},
        {GET "Upgrade: websocket\r\nConnection: keep-alive, upgrade\r\n\r\n", true},
        {GET "Upgrade: websocket\r\n\r\n", false},
        {GET "Connection: upgrade\r\n\r\n", false},
        {GET "Connection: upgrade\r\nUpgrade:\r\n\r\n", false},
        {GET "Connection: upgrade\r\nUpgrade: h2c\r\n\r\n", false},
        {GET "Connection: upgrade\r\nUpgrade: websocket, H2C\r\n\r\n", false},
        {GET "Connection: upgrade\r\nUpgrade: a\r\nUpgrade: b\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct feed feed;
        parse(&feed, cases[i].text);
        cr_expect_eq(feed.msg.is_upgrade, cases[i].is_upgrade, "%s", cases[i].text);
        feed_fini(&feed);
    }
}

Test(h1_request, method_is_known_even_when_the_rest_is_refused)
{
    struct feed feed = {.kind = MESSAGE_REQUEST, .limits = feed_limits};
    const char *text = "HEAD / HTTP/1.1\r\n\r\n";
    cr_expect_eq(feed_whole(&feed, text, strlen(text)).step, H1_ERROR);
    cr_expect_eq(feed.msg.method, METHOD_HEAD);
    feed_fini(&feed);
}
