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

static enum tls_type type;

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
        cr_assert(tls_open(&pair->theirs, first, first_len, &type, pair->plain, &len));
        cr_assert(len == 5 && memcmp(pair->plain, "first", 5) == 0);
        cr_assert(tls_open(&pair->theirs, pair->wire, wire_len, &type, pair->plain, &len));
        cr_assert(len == 6 && memcmp(pair->plain, "second", 6) == 0);
        cr_assert_not(tls_open(&pair->theirs, pair->wire, wire_len, &type, pair->plain, &len),
                      "a replay");
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
            cr_assert_not(tls_open(&pair->theirs, pair->wire, wire_len, &type, pair->plain, &len),
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
            cr_assert_not(tls_open(&pair->theirs, pair->wire, cut, &type, pair->plain, &len));
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
        cr_assert(tls_open(&pair->theirs, pair->wire, wire_len, &type, pair->plain, &len));
        cr_assert_eq(len, TLS_PLAIN_MAX);
        cr_assert(pair->plain[0] == 'x' && pair->plain[TLS_PLAIN_MAX - 1] == 'x');
        wire_len = tls_seal(&pair->ours, TLS_TYPE_ALERT, "y", 1, pair->wire);
        cr_assert(tls_open(&pair->theirs, pair->wire, wire_len, &type, pair->plain, &len));
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
    cr_assert(tls_open(&pair->theirs, pair->wire, wire_len, &type, pair->plain, &len));
    cr_assert_not(tls_open(&pair->theirs, pair->wire, wire_len, &type, pair->plain, &len));
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

/* ---- TLS 1.3 ---- */

/* By OpenSSL of the traffic secret 00 01 02 ...: "hello" as record 1, and as record 0 after a key
 * update. */
static const uint8_t hellos_1_3[CIPHERS][2][27] = {
    {{0x17, 0x03, 0x03, 0x00, 0x16, 0x63, 0xd0, 0x59, 0xb6, 0xe8, 0x3b, 0x99, 0xda, 0xa7,
      0xf1, 0xed, 0xb0, 0xaa, 0x2a, 0x05, 0xdd, 0xcc, 0xae, 0x38, 0x6b, 0x44, 0x88},
     {0x17, 0x03, 0x03, 0x00, 0x16, 0x7a, 0x6e, 0x5d, 0x97, 0x5d, 0xb6, 0x55, 0x66, 0x72,
      0x67, 0x39, 0x36, 0xcd, 0xa0, 0xac, 0x4b, 0x1f, 0x8d, 0xff, 0xf1, 0x2d, 0xa6}},
    {{0x17, 0x03, 0x03, 0x00, 0x16, 0x3d, 0x98, 0x52, 0x73, 0xc2, 0x75, 0xca, 0x3f, 0x75,
      0x49, 0xa3, 0x3e, 0xa6, 0xf2, 0x41, 0xf0, 0x07, 0x44, 0x1b, 0xb4, 0x85, 0xf9},
     {0x17, 0x03, 0x03, 0x00, 0x16, 0xb2, 0x51, 0x03, 0x0a, 0x76, 0x25, 0x18, 0x2a, 0xb0,
      0xd0, 0x4a, 0x82, 0x17, 0x56, 0x40, 0x1b, 0x65, 0x93, 0xef, 0x4e, 0x2e, 0xea}},
    {{0x17, 0x03, 0x03, 0x00, 0x16, 0xf5, 0x74, 0x15, 0x9c, 0xab, 0x59, 0xc4, 0xd1, 0x2d,
      0x3b, 0xa0, 0xc7, 0x6b, 0xe1, 0xc8, 0x4c, 0x38, 0x8c, 0x52, 0x24, 0xb7, 0x02},
     {0x17, 0x03, 0x03, 0x00, 0x16, 0x44, 0xf0, 0xcf, 0xeb, 0xe8, 0x11, 0x6f, 0x59, 0x6c,
      0x30, 0x6a, 0x34, 0x67, 0x82, 0x02, 0xda, 0x56, 0xb8, 0xf5, 0xda, 0x1d, 0x6a}}};

static uint8_t traffic[48];

static struct pair *pair_new_1_3(enum tls_cipher cipher)
{
    struct pair *pair = malloc(sizeof(*pair));
    for (size_t i = 0; i < sizeof(traffic); i++) {
        traffic[i] = (uint8_t)i;
    }
    cr_assert_eq(tls_key_init_1_3(&pair->ours, cipher, traffic), OK);
    cr_assert_eq(tls_key_init_1_3(&pair->theirs, cipher, traffic), OK);
    return pair;
}

Test(tls_record, seals_as_tls_1_3_says)
{
    for (size_t i = 0; i < CIPHERS; i++) {
        struct pair *pair = pair_new_1_3(ciphers[i]);
        (void)tls_seal(&pair->ours, TLS_TYPE_DATA, "first", 5, pair->wire);
        cr_assert_eq(tls_seal(&pair->ours, TLS_TYPE_DATA, "hello", 5, pair->wire), 27);
        cr_assert_arr_eq(pair->wire, hellos_1_3[i][0], 27);
        cr_assert_eq(tls_key_update(&pair->ours), OK);
        cr_assert_eq(tls_seal(&pair->ours, TLS_TYPE_DATA, "hello", 5, pair->wire), 27);
        cr_assert_arr_eq(pair->wire, hellos_1_3[i][1], 27);
        pair_free(pair);
    }
}

Test(tls_record, hides_the_type_and_opens_it_again)
{
    for (size_t i = 0; i < CIPHERS; i++) {
        struct pair *pair = pair_new_1_3(ciphers[i]);
        size_t len = 0;
        const uint8_t alert[] = {1, 0};
        size_t wire_len = tls_seal(&pair->ours, TLS_TYPE_ALERT, alert, 2, pair->wire);
        cr_assert_eq(pair->wire[0], TLS_TYPE_DATA);
        cr_assert(tls_open(&pair->theirs, pair->wire, wire_len, &type, pair->plain, &len));
        cr_assert(type == TLS_TYPE_ALERT && len == 2 && pair->plain[0] == 1);
        uint8_t *at = pair->wire + tls_plain_offset(&pair->ours);
        memset(at, 'x', TLS_PLAIN_MAX);
        wire_len = tls_seal(&pair->ours, TLS_TYPE_DATA, at, TLS_PLAIN_MAX, pair->wire);
        cr_assert(tls_open(&pair->theirs, pair->wire, wire_len, &type, pair->plain, &len));
        cr_assert(type == TLS_TYPE_DATA && len == TLS_PLAIN_MAX);
        pair_free(pair);
    }
}

Test(tls_record, takes_padding_off_and_refuses_nothing_but_padding)
{
    struct pair *pair = pair_new_1_3(TLS_AES_128_GCM);
    size_t len = 0;
    const uint8_t padded[] = {'h', 'i', TLS_TYPE_DATA, 0, 0, 0};
    const uint8_t zeros[] = {0, 0, 0};
    size_t wire_len = tls_seal(&pair->ours, (enum tls_type)0, padded, sizeof(padded), pair->wire);
    cr_assert(tls_open(&pair->theirs, pair->wire, wire_len, &type, pair->plain, &len));
    cr_assert(type == TLS_TYPE_DATA && len == 2 && pair->plain[0] == 'h');
    wire_len = tls_seal(&pair->ours, (enum tls_type)0, zeros, sizeof(zeros), pair->wire);
    cr_assert_not(tls_open(&pair->theirs, pair->wire, wire_len, &type, pair->plain, &len));
    pair_free(pair);
}
