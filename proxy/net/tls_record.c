/* tls_record.c - see tls_record.h. The layout of a record:
 *
 *   type 1 | version 2 (03 03) | length 2 | explicit nonce (GCM: 8, ChaCha20: 0) | sealed | tag 16
 *
 * The context that the tag covers as well: count 8 | type 1 | version 2 | length of the plain bytes
 * 2. The comparison of tags is mbedTLS's, in constant time. */
#include "net/tls_record.h"

#include "base/check.h"

#include <mbedtls/chachapoly.h>
#include <mbedtls/platform_util.h>
#include <stdlib.h>
#include <string.h>

#define TAG_BYTES 16
#define CONTEXT_BYTES 13
#define NONCE_BYTES 12
#define GCM_SALT_BYTES 4
#define GCM_EXPLICIT_BYTES 8
#define VERSION_MAJOR 3
#define VERSION_MINOR 3

size_t tls_cipher_key_bytes(enum tls_cipher cipher)
{
    return cipher == TLS_AES_128_GCM ? 16 : 32;
}

size_t tls_cipher_iv_bytes(enum tls_cipher cipher)
{
    return cipher == TLS_CHACHA20_POLY1305 ? NONCE_BYTES : GCM_SALT_BYTES;
}

static size_t explicit_bytes(const struct tls_key *key)
{
    return key->cipher == TLS_CHACHA20_POLY1305 ? 0 : GCM_EXPLICIT_BYTES;
}

enum err tls_key_init(struct tls_key *key, enum tls_cipher cipher, const uint8_t *secret,
                      const uint8_t *iv, uint64_t count)
{
    const unsigned bits = (unsigned)tls_cipher_key_bytes(cipher) * 8;
    memset(key, 0, sizeof(*key));
    key->cipher = cipher;
    key->count = count;
    memcpy(key->iv, iv, tls_cipher_iv_bytes(cipher));
    if (cipher == TLS_CHACHA20_POLY1305) {
        memcpy(key->as.chacha, secret, sizeof(key->as.chacha));
        return OK;
    }
    key->as.gcm = malloc(sizeof(*key->as.gcm));
    if (key->as.gcm == NULL) {
        return ERR_NO_MEMORY;
    }
    mbedtls_gcm_init(key->as.gcm);
    if (mbedtls_gcm_setkey(key->as.gcm, MBEDTLS_CIPHER_ID_AES, secret, bits) != 0) {
        tls_key_fini(key);
        return ERR_NO_MEMORY; /* nothing else can fail with a key of this length */
    }
    return OK;
}

void tls_key_fini(struct tls_key *key)
{
    if (key->cipher != TLS_CHACHA20_POLY1305) {
        mbedtls_gcm_free(key->as.gcm); /* wipes it */
        free(key->as.gcm);
    }
    mbedtls_platform_zeroize(key, sizeof(*key));
}

void tls_keys_free(struct tls_keys **keys)
{
    struct tls_keys *held = *keys;
    *keys = NULL;
    if (held != NULL) {
        tls_key_fini(&held->read);
        tls_key_fini(&held->write);
        free(held);
    }
}

static void put_count(uint8_t *at, uint64_t count)
{
    for (int i = 0; i < 8; i++) {
        at[i] = (uint8_t)(count >> (56 - 8 * i));
    }
}

static void put_context(uint8_t *at, uint64_t count, uint8_t type, size_t len)
{
    put_count(at, count);
    at[8] = type;
    at[9] = VERSION_MAJOR;
    at[10] = VERSION_MINOR;
    at[11] = (uint8_t)(len >> 8);
    at[12] = (uint8_t)len;
}

/* RFC 5288 section 3: salt and explicit part; RFC 7905 section 2: iv xor count. */
static void put_nonce(uint8_t *nonce, const struct tls_key *key, const uint8_t *explicit_part)
{
    uint8_t count[8];
    memcpy(nonce, key->iv, NONCE_BYTES);
    if (key->cipher != TLS_CHACHA20_POLY1305) {
        memcpy(nonce + GCM_SALT_BYTES, explicit_part, GCM_EXPLICIT_BYTES);
        return;
    }
    put_count(count, key->count);
    for (int i = 0; i < 8; i++) {
        nonce[4 + i] ^= count[i];
    }
}

/* One record under a context of the moment: it takes 50 ns to make. `tag` is read when opening. */
static int chacha(const struct tls_key *key, mbedtls_chachapoly_mode_t mode,
                  const uint8_t nonce[NONCE_BYTES], const uint8_t context[CONTEXT_BYTES],
                  const uint8_t *from, size_t len, uint8_t *into, uint8_t *tag)
{
    mbedtls_chachapoly_context engine;
    int status;
    mbedtls_chachapoly_init(&engine);
    status = mbedtls_chachapoly_setkey(&engine, key->as.chacha);
    if (status == 0 && mode == MBEDTLS_CHACHAPOLY_ENCRYPT) {
        status = mbedtls_chachapoly_encrypt_and_tag(&engine, len, nonce, context, CONTEXT_BYTES,
                                                    from, into, tag);
    } else if (status == 0) {
        status = mbedtls_chachapoly_auth_decrypt(&engine, len, nonce, context, CONTEXT_BYTES, tag,
                                                 from, into);
    }
    mbedtls_chachapoly_free(&engine); /* wipes it */
    return status;
}

size_t tls_plain_offset(const struct tls_key *key)
{
    return TLS_HEAD_BYTES + explicit_bytes(key);
}

size_t tls_seal(struct tls_key *key, enum tls_type type, const void *plain, size_t len,
                uint8_t *wire)
{
    uint8_t context[CONTEXT_BYTES];
    uint8_t nonce[NONCE_BYTES];
    uint8_t *sealed = wire + tls_plain_offset(key);
    const size_t body = explicit_bytes(key) + len + TAG_BYTES;
    int status;
    INVARIANT(len > 0);
    INVARIANT(len <= TLS_PLAIN_MAX);
    if (key->count == UINT64_MAX) {
        return 0;
    }
    wire[0] = (uint8_t)type;
    wire[1] = VERSION_MAJOR;
    wire[2] = VERSION_MINOR;
    wire[3] = (uint8_t)(body >> 8);
    wire[4] = (uint8_t)body;
    if (explicit_bytes(key) > 0) {
        put_count(wire + TLS_HEAD_BYTES, key->count);
    }
    put_context(context, key->count, (uint8_t)type, len);
    put_nonce(nonce, key, wire + TLS_HEAD_BYTES);
    if (key->cipher == TLS_CHACHA20_POLY1305) {
        status = chacha(key, MBEDTLS_CHACHAPOLY_ENCRYPT, nonce, context, plain, len, sealed,
                        sealed + len);
    } else {
        status = mbedtls_gcm_crypt_and_tag(key->as.gcm, MBEDTLS_GCM_ENCRYPT, len, nonce,
                                           sizeof(nonce), context, sizeof(context), plain, sealed,
                                           TAG_BYTES, sealed + len);
    }
    key->count++;
    return status == 0 ? TLS_HEAD_BYTES + body : 0;
}

size_t tls_wire_bytes(const uint8_t *head)
{
    const size_t body = (size_t)head[3] << 8 | head[4];
    if (head[0] < TLS_TYPE_CCS || head[0] > TLS_TYPE_DATA || head[1] != VERSION_MAJOR ||
        head[2] != VERSION_MINOR || body > TLS_PLAIN_MAX + TLS_EXTRA_MAX) {
        return 0;
    }
    return TLS_HEAD_BYTES + body;
}

bool tls_open(struct tls_key *key, const uint8_t *wire, size_t wire_len, uint8_t *plain,
              size_t *plain_len)
{
    uint8_t context[CONTEXT_BYTES];
    uint8_t nonce[NONCE_BYTES];
    const size_t before = tls_plain_offset(key);
    const uint8_t *sealed = wire + before;
    int status;
    if (wire_len < before + TAG_BYTES || wire_len - before - TAG_BYTES > TLS_PLAIN_MAX ||
        key->count == UINT64_MAX) {
        return false;
    }
    const size_t len = wire_len - before - TAG_BYTES;
    put_context(context, key->count, wire[0], len);
    put_nonce(nonce, key, wire + TLS_HEAD_BYTES);
    if (key->cipher == TLS_CHACHA20_POLY1305) {
        status = chacha(key, MBEDTLS_CHACHAPOLY_DECRYPT, nonce, context, sealed, len, plain,
                        (uint8_t *)(uintptr_t)sealed + len);
    } else {
        status = mbedtls_gcm_auth_decrypt(key->as.gcm, len, nonce, sizeof(nonce), context,
                                          sizeof(context), sealed + len, TAG_BYTES, sealed, plain);
    }
    key->count++;
    *plain_len = len;
    return status == 0;
}
