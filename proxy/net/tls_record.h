/* tls_record.h - the records of an open TLS 1.2 or 1.3 connection, sealed and opened in memory:
 * AEAD suites only, no sockets, no allocation but mbedTLS's own for a key schedule.
 *
 * Why not mbedtls_ssl_read and _write: a connection of theirs keeps 2 x 16 KiB of buffers while it
 * idles (36 KiB with the context; neither Debian's build nor the public API lets go of them), reads
 * twice a record, and may hold bytes of which epoll knows nothing. So mbedTLS does the handshake
 * and goes; its exported secrets go on here. TLS 1.2 with AEAD is RFC 5246 section 6.2.3.3, RFC
 * 5288 and RFC 7905: a nonce, 13 bytes of context, a tag.
 *
 * Example: struct tls_key key;
 *          if (tls_key_init(&key, TLS_AES_128_GCM, secret, iv, 1) != OK) ...
 *          wire_len = tls_seal(&key, TLS_TYPE_DATA, "hello", 5, wire);
 *          if (!tls_open(&other, wire, wire_len, plain, &plain_len)) -> the connection is dead
 *          tls_key_fini(&key);
 *
 * A key belongs to one direction of one connection and to one thread at a time: it counts records,
 * and a nonce is never used twice because the count is the nonce. */
#ifndef OUTRIGGER_NET_TLS_RECORD_H
#define OUTRIGGER_NET_TLS_RECORD_H

#include "base/err.h"

#include <mbedtls/gcm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLS_HEAD_BYTES 5
#define TLS_PLAIN_MAX 16384 /* RFC 5246 section 6.2.1 */
#define TLS_EXTRA_MAX 24    /* explicit nonce and tag of GCM */
#define TLS_WIRE_MAX (TLS_HEAD_BYTES + TLS_PLAIN_MAX + TLS_EXTRA_MAX)

enum tls_type { TLS_TYPE_CCS = 20, TLS_TYPE_ALERT, TLS_TYPE_HANDSHAKE, TLS_TYPE_DATA };

enum tls_cipher {
    TLS_CHACHA20_POLY1305 = 0,
    TLS_AES_128_GCM,
    TLS_AES_256_GCM,
};

struct tls_key {
    enum tls_cipher cipher;
    uint64_t count; /* of records so far: the nonce of the next one */
    uint8_t iv[12]; /* the first 4 with GCM in TLS 1.2 */
    uint8_t
        *traffic; /* TLS 1.3: the secret that key and iv come from, and the next ones; else NULL */
    union {
        mbedtls_gcm_context *gcm; /* its tables are 700 bytes and cost a microsecond */
        uint8_t chacha[32];       /* needs no preparation, so none is kept */
    } as;
};

/* Both directions of a connection. */
struct tls_keys {
    struct tls_key read;
    struct tls_key write;
};

void tls_keys_free(struct tls_keys **keys);

size_t tls_cipher_key_bytes(enum tls_cipher cipher);
size_t tls_cipher_iv_bytes(enum tls_cipher cipher);

enum err MUST_CHECK tls_key_init(struct tls_key *key, enum tls_cipher cipher, const uint8_t *secret,
                                 const uint8_t *iv, uint64_t count);
/* `count`: records already made under this key (the Finished message is the first). ERR_NO_MEMORY
 * (GCM only) leaves nothing to fini. */

enum err MUST_CHECK tls_key_init_1_3(struct tls_key *key, enum tls_cipher cipher,
                                     const uint8_t *traffic);
/* Of a connection that speaks TLS 1.3: from its application traffic secret (tls_traffic_bytes long,
 * RFC 8446 section 7.3). */

size_t tls_traffic_bytes(enum tls_cipher cipher);

enum err MUST_CHECK tls_key_update(struct tls_key *key);
/* TLS 1.3: the next key in place of this one (section 7.2), counting from 0. */

void tls_key_fini(struct tls_key *key);
/* Wipes it. */

size_t tls_seal(struct tls_key *key, enum tls_type type, const void *plain, size_t len,
                uint8_t *wire);
/* One record of `len` (1 to TLS_PLAIN_MAX) bytes into `wire`, which has room for len +
 * TLS_HEAD_BYTES + TLS_EXTRA_MAX. `plain` may be wire + tls_plain_offset. Its length; 0 when
 * mbedTLS failed or 2^64 records have been made: then the connection is over. */

size_t tls_plain_offset(const struct tls_key *key);
/* Where in a record the sealed bytes begin. */

size_t tls_wire_bytes(const uint8_t *head);
/* Of the record that begins with these TLS_HEAD_BYTES; 0 when no record begins so (unknown type or
 * version, too long). */

bool tls_open(struct tls_key *key, const uint8_t *wire, size_t wire_len, enum tls_type *type,
              uint8_t *plain, size_t *plain_len);
/* One whole record (tls_wire_bytes long). `plain` needs room for wire_len bytes less head and tag
 * and may not overlap `wire`. `type` is what was sealed: in TLS 1.3 the head says nothing. False
 * when it is not what the peer sealed as its next record; then `plain` holds zeros. */

#endif
