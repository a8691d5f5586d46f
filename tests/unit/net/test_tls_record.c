#include "net/tls_record.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t secret[32] = "0123456789abcdefghijklmnopqrstu";
static const uint8_t iv[12] = "salt-and-iv";

static const enum tls_cipher ciphers[] = {TLS_CHACHA20_POLY1305, TLS_AES_128_GCM, TLS_AES_256_GCM};
#define CIPHERS (sizeof(ciphers) / sizeof(ciphers[0]))

struct pair {
    struct tls_key ours;
    struct tls_key theirs;
    uint8_t wire[TLS_WIRE_MAX];
    uint8_t plain[TLS_WIRE_MAX];
};

static struct pair *pair_new(enum tls_cipher cipher, uint64_t count)
{
    struct pair *pair = malloc(sizeof(*pair));
    cr_assert_eq(tls_key_init(&pair->ours, cipher, secret, iv, count), OK);
    cr_assert_eq(tls_key_init(&pair->theirs, cipher, secret, iv, count), OK);
    return pair;
}

static void pair_free(struct pair *pair)
{
    tls_key_fini(&pair->ours);
    tls_key_fini(&pair->theirs);
    free(pair);
}

Test(tls_record, opens_what_was_sealed_and_in_that_order_only)
{
    for (size_t i = 0; i < CIPHERS; i++) {
        struct pair *pair = pair_new(ciphers[i], 1);
        uint8_t first[128];
        size_t len = 0;
        const size_t first_len = tls_seal(&pair->ours, TLS_TYPE_DATA, "first", 5, first);
        const size_t wire_len = tls_seal(&pair->ours, TLS_TYPE_DATA, "second", 6, pair->wire);
        cr_assert_eq(tls_wire_bytes(first), first_len);
        cr_assert(tls_open(&pair->theirs, first, first_len, pair->plain, &len));
        cr_assert(len == 5 && memcmp(pair->plain, "first", 5) == 0);
        cr_assert(tls_open(&pair->theirs, pair->wire, wire_len, pair->plain, &len));
        cr_assert(len == 6 && memcmp(pair->plain, "second", 6) == 0);
        cr_assert_not(tls_open(&pair->theirs, pair->wire, wire_len, pair->plain, &len), "a replay");
        pair_free(pair);
    }
}

Test(tls_record, refuses_every_changed_bit)
{
    for (size_t i = 0; i < CIPHERS; i++) {
        struct pair *pair = pair_new(ciphers[i], 7);
        const size_t wire_len = tls_seal(&pair->ours, TLS_TYPE_DATA, "money", 5, pair->wire);
        for (size_t bit = 0; bit < wire_len * 8; bit++) {
            size_t len = 0;
            const size_t byte = bit / 8;
            if (byte >= 1 && byte < TLS_HEAD_BYTES) {
                continue; /* version and length are the frame's, not the seal's */
            }
            pair->wire[byte] ^= (uint8_t)(1U << bit % 8);
            pair->theirs.count = 7;
            cr_assert_not(tls_open(&pair->theirs, pair->wire, wire_len, pair->plain, &len),
                          "cipher %zu, bit %zu", i, bit);
            pair->wire[byte] ^= (uint8_t)(1U << bit % 8);
        }
        pair_free(pair);
    }
}

Test(tls_record, refuses_a_record_cut_short_to_any_length)
{
    for (size_t i = 0; i < CIPHERS; i++) {
        struct pair *pair = pair_new(ciphers[i], 1);
        const size_t wire_len = tls_seal(&pair->ours, TLS_TYPE_DATA, "money", 5, pair->wire);
        for (size_t cut = TLS_HEAD_BYTES; cut < wire_len; cut++) {
            size_t len = 0;
            pair->theirs.count = 1;
            cr_assert_not(tls_open(&pair->theirs, pair->wire, cut, pair->plain, &len));
        }
        pair_free(pair);
    }
}

Test(tls_record, carries_one_byte_and_a_full_record_sealed_in_place)
{
    for (size_t i = 0; i < CIPHERS; i++) {
        struct pair *pair = pair_new(ciphers[i], 1);
        uint8_t *at = pair->wire + tls_plain_offset(&pair->ours);
        size_t len = 0;
        memset(at, 'x', TLS_PLAIN_MAX);
        size_t wire_len = tls_seal(&pair->ours, TLS_TYPE_DATA, at, TLS_PLAIN_MAX, pair->wire);
        cr_assert(wire_len <= TLS_WIRE_MAX);
        cr_assert(tls_open(&pair->theirs, pair->wire, wire_len, pair->plain, &len));
        cr_assert_eq(len, TLS_PLAIN_MAX);
        cr_assert(pair->plain[0] == 'x' && pair->plain[TLS_PLAIN_MAX - 1] == 'x');
        wire_len = tls_seal(&pair->ours, TLS_TYPE_ALERT, "y", 1, pair->wire);
        cr_assert(tls_open(&pair->theirs, pair->wire, wire_len, pair->plain, &len));
        cr_assert(len == 1 && pair->plain[0] == 'y');
        pair_free(pair);
    }
}

Test(tls_record, never_uses_a_nonce_twice)
{
    struct pair *pair = pair_new(TLS_AES_128_GCM, UINT64_MAX - 1);
    size_t len = 0;
    const size_t wire_len = tls_seal(&pair->ours, TLS_TYPE_DATA, "last", 4, pair->wire);
    cr_assert(wire_len > 0);
    cr_assert_eq(tls_seal(&pair->ours, TLS_TYPE_DATA, "more", 4, pair->plain), 0);
    cr_assert(tls_open(&pair->theirs, pair->wire, wire_len, pair->plain, &len));
    cr_assert_not(tls_open(&pair->theirs, pair->wire, wire_len, pair->plain, &len));
    pair_free(pair);
}

Test(tls_record, knows_what_begins_no_record)
{
    const uint8_t good[] = {23, 3, 3, 0x40, 0x18};
    const uint8_t long_one[] = {23, 3, 3, 0x40, 0x19};
    const uint8_t old[] = {23, 3, 1, 0, 1};
    const uint8_t text[] = {'H', 'T', 'T', 'P', '/'};
    cr_assert_eq(tls_wire_bytes(good), TLS_WIRE_MAX);
    cr_assert_eq(tls_wire_bytes(long_one), 0);
    cr_assert_eq(tls_wire_bytes(old), 0);
    cr_assert_eq(tls_wire_bytes(text), 0);
}

/* Made by another implementation (OpenSSL) of the same key, nonce and context: the layout is the
 * standard's, RFC 5288 and RFC 7905. */
static const uint8_t chacha_hello[] = {0x17, 0x03, 0x03, 0x00, 0x15, 0xa0, 0x8f, 0xc9, 0x98,
                                       0x25, 0x8b, 0x41, 0x99, 0x75, 0x95, 0xa5, 0x4b, 0xd3,
                                       0x88, 0x73, 0x98, 0x49, 0x32, 0xfe, 0xc2, 0x45};
static const uint8_t gcm_128_hello[] = {0x17, 0x03, 0x03, 0x00, 0x1d, 0x00, 0x00, 0x00, 0x00,
                                        0x00, 0x00, 0x00, 0x01, 0x02, 0xdf, 0xa8, 0xeb, 0xb2,
                                        0xbe, 0xa7, 0x9b, 0xa6, 0x45, 0x2c, 0xe4, 0xab, 0x4c,
                                        0x60, 0x9a, 0xdd, 0x6a, 0x33, 0xf8, 0x21};
static const uint8_t gcm_256_hello[] = {0x17, 0x03, 0x03, 0x00, 0x1d, 0x00, 0x00, 0x00, 0x00,
                                        0x00, 0x00, 0x00, 0x01, 0x09, 0x32, 0x26, 0x2b, 0x5f,
                                        0x48, 0xff, 0xbe, 0xe1, 0x27, 0xb5, 0x68, 0x13, 0x42,
                                        0xd8, 0x09, 0x2b, 0x9c, 0x93, 0x94, 0xad};

Test(tls_record, seals_as_the_standards_say)
{
    static const struct {
        const uint8_t *wire;
        size_t len;
    } rows[CIPHERS] = {{chacha_hello, sizeof(chacha_hello)},
                       {gcm_128_hello, sizeof(gcm_128_hello)},
                       {gcm_256_hello, sizeof(gcm_256_hello)}};
    for (size_t i = 0; i < CIPHERS; i++) {
        struct pair *pair = pair_new(ciphers[i], 1);
        const size_t wire_len = tls_seal(&pair->ours, TLS_TYPE_DATA, "hello", 5, pair->wire);
        cr_assert_eq(wire_len, rows[i].len);
        cr_assert_arr_eq(pair->wire, rows[i].wire, wire_len);
        pair_free(pair);
    }
}
