/* What a connection speaks, by its first bytes, however they are cut. */
#include "net/sniff.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

static struct client_hello hello;

/* The verdict on all of them; it must be MORE for every beginning that is shorter than `certain`,
 * and the same from there on. */
static enum sniffed verdict(struct span bytes, size_t certain)
{
    const enum sniffed whole = sniff(bytes, &hello);
    for (size_t len = 0; len < bytes.len; len++)
        cr_assert_eq(sniff(span_make(bytes.data, len), &hello), len < certain ? SNIFF_MORE : whole,
                     "%zu of %zu bytes", len, bytes.len);
    sniff(bytes, &hello);
    return whole;
}

#define VERDICT(text, certain) verdict(SPAN(text), certain)

Test(sniff, knows_a_request_of_http_1_by_its_method_and_path)
{
    cr_assert_eq(VERDICT("GET / HTTP/1.1\r\n", 5), SNIFF_HTTP1);
    cr_assert_eq(VERDICT("OPTIONS * HTTP/1.1\r\n", 9), SNIFF_HTTP1);
    cr_assert_eq(VERDICT("DELETE /a HTTP/1.0\r\n", 8), SNIFF_HTTP1);
}

Test(sniff, wants_the_whole_line_where_the_method_is_unusual)
{
    cr_assert_eq(VERDICT("PURGE /a HTTP/1.1\r\n", 19), SNIFF_HTTP1);
    cr_assert_eq(VERDICT("PURGE /a\n", 9), SNIFF_OTHER);
    char line[9000];
    memset(line, 'a', sizeof line);
    memcpy(line, "PURGE /", 7);
    cr_assert_eq(sniff(span_make(line, sizeof line), &hello), SNIFF_OTHER);
}

Test(sniff, leaves_what_is_meant_for_another_proxy_alone)
{
    cr_assert_eq(VERDICT("CONNECT a:443 HTTP/1.1\r\n", 9), SNIFF_OTHER);
    cr_assert_eq(VERDICT("GET http://a/ HTTP/1.1\r\n", 5), SNIFF_OTHER);
}

Test(sniff, knows_the_preface_of_http_2)
{
    cr_assert_eq(VERDICT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nmore", 24), SNIFF_HTTP2);
    cr_assert_eq(sniff(SPAN("PRI * HTTP/2.0\r\n\r\nXX"), &hello), SNIFF_OTHER);
}

Test(sniff, passes_other_protocols_on)
{
    cr_assert_eq(VERDICT("\0\0\0\x08\x04\xd2\x16\x2f", 1), SNIFF_OTHER, "PostgreSQL");
    cr_assert_eq(VERDICT("*1\r\n$4\r\nPING\r\n", 3), SNIFF_OTHER, "Redis");
    cr_assert_eq(VERDICT("PING\r\n", 5), SNIFF_OTHER, "Redis by hand");
    cr_assert_eq(VERDICT("get key\r\n", 5), SNIFF_OTHER, "memcached");
    cr_assert_eq(VERDICT("EHLO me\r\n", 6), SNIFF_OTHER, "SMTP");
    cr_assert_eq(VERDICT("SSH-2.0-OpenSSH_9.2\r\n", 20), SNIFF_OTHER);
    cr_assert_eq(VERDICT("\x16\x02\x01", 2), SNIFF_OTHER, "no TLS");
    cr_assert_eq(VERDICT(" ", 1), SNIFF_OTHER);
    cr_assert_eq(VERDICT("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1\n", 33), SNIFF_OTHER);
}

/* ---- TLS ---- */

struct builder {
    char bytes[2048];
    size_t len;
};

static void put(struct builder *builder, const void *bytes, size_t len)
{
    cr_assert(builder->len + len <= sizeof builder->bytes);
    memcpy(builder->bytes + builder->len, bytes, len);
    builder->len += len;
}

static void put_number(struct builder *builder, uint32_t number, size_t size)
{
    for (size_t i = size; i-- > 0;) {
        const char byte = (char)(number >> (8 * i));
        put(builder, &byte, 1);
    }
}

static void put_server_name(struct builder *builder, const char *name)
{
    const uint32_t len = (uint32_t)strlen(name);
    put_number(builder, 0, 2);
    put_number(builder, len + 5, 2);
    put_number(builder, len + 3, 2);
    put_number(builder, 0, 1);
    put_number(builder, len, 2);
    put(builder, name, len);
}

static void put_alpn(struct builder *builder)
{
    static const char list[] = "\x02h2\x08http/1.1";
    put_number(builder, 16, 2);
    put_number(builder, sizeof list + 1, 2);
    put_number(builder, sizeof list - 1, 2);
    put(builder, list, sizeof list - 1);
}

static struct builder client_hello(const struct builder *extensions)
{
    struct builder hello_ = {.len = 0};
    const uint32_t body = 2 + 32 + 1 + 2 + 2 + 2 + 2 + (uint32_t)extensions->len;
    put_number(&hello_, 0x160301, 3);
    put_number(&hello_, body + 4, 2);
    put_number(&hello_, 1, 1);
    put_number(&hello_, body, 3);
    put_number(&hello_, 0x0303, 2);
    for (int i = 0; i < 8; i++)
        put_number(&hello_, 0x01020304, 4);
    put_number(&hello_, 0, 1);
    put_number(&hello_, 2, 2);
    put_number(&hello_, 0x1301, 2);
    put_number(&hello_, 0x0100, 2);
    put_number(&hello_, (uint32_t)extensions->len, 2);
    put(&hello_, extensions->bytes, extensions->len);
    return hello_;
}

static enum sniffed sniff_built(const struct builder *built)
{
    return verdict(span_make(built->bytes, built->len), built->len);
}

Test(sniff, reads_the_name_and_the_protocols_of_a_client_hello)
{
    struct builder extensions = {.len = 0};
    put_number(&extensions, 43, 2); /* another one, before it */
    put_number(&extensions, 0, 2);
    put_server_name(&extensions, "Payments.example");
    put_alpn(&extensions);
    const struct builder built = client_hello(&extensions);
    cr_assert_eq(sniff_built(&built), SNIFF_TLS);
    cr_assert(span_is(hello.server_name, SPAN("Payments.example")));
    cr_assert(hello.offers_http2);
}

Test(sniff, knows_tls_without_a_name)
{
    const struct builder none = {.len = 0};
    const struct builder built = client_hello(&none);
    cr_assert_eq(sniff_built(&built), SNIFF_TLS);
    cr_assert_null(hello.server_name.data);
    cr_assert_not(hello.offers_http2);
}

Test(sniff, takes_no_odd_bytes_for_a_name)
{
    static const char *const odd[] = {"", "a b", "a\r\nb", ".a", "a..b", "a/b", "a:80"};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        struct builder extensions = {.len = 0};
        put_server_name(&extensions, odd[i]);
        const struct builder built = client_hello(&extensions);
        cr_assert_eq(sniff_built(&built), SNIFF_TLS);
        cr_assert_null(hello.server_name.data, "%s", odd[i]);
    }
}

Test(sniff, survives_every_cut_and_every_flipped_byte)
{
    struct builder extensions = {.len = 0};
    put_server_name(&extensions, "a.example");
    put_alpn(&extensions);
    const struct builder good = client_hello(&extensions);
    for (size_t at = 0; at < good.len; at++) {
        struct builder bad = good;
        for (int value = 0; value < 256; value += 5) {
            bad.bytes[at] = (char)value;
            sniff(span_make(bad.bytes, bad.len), &hello);
            cr_assert(hello.server_name.data == NULL ||
                      (hello.server_name.data >= bad.bytes &&
                       hello.server_name.data + hello.server_name.len <= bad.bytes + bad.len));
        }
    }
}

Test(sniff, waits_for_no_more_than_a_client_hello_may_have)
{
    static char bytes[SNIFF_MAX_BYTES];
    memcpy(bytes, "\x16\x03\x01\x40\x00\x01", 6);
    cr_assert_eq(sniff(span_make(bytes, SNIFF_MAX_BYTES - 1), &hello), SNIFF_MORE);
    cr_assert_eq(sniff(span_make(bytes, SNIFF_MAX_BYTES), &hello), SNIFF_TLS);
}

Test(sniff, decides_in_doubt_by_how_it_looks)
{
    cr_assert_eq(sniff_in_doubt(SPAN("")), SNIFF_OTHER);
    cr_assert_eq(sniff_in_doubt(SPAN("GET")), SNIFF_OTHER);
    cr_assert_eq(sniff_in_doubt(SPAN("GET ")), SNIFF_HTTP1);
    cr_assert_eq(sniff_in_doubt(SPAN("PURGE /a")), SNIFF_OTHER);
    cr_assert_eq(sniff_in_doubt(SPAN("\x16\x03\x01\x02")), SNIFF_OTHER);
    cr_assert_eq(sniff_in_doubt(SPAN("\x16\x03\x01\x02\x00\x01")), SNIFF_TLS);
    cr_assert_eq(sniff_in_doubt(SPAN("PRI * HT")), SNIFF_OTHER);
}
