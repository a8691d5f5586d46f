/* tls_record.c - see tls_record.h. The layout of a record:
 *
 *   type 1 | version 2 (03 03) | length 2 | explicit nonce (GCM: 8, ChaCha20: 0) | sealed | tag 16
 *
 * The context that the tag covers as well: count 8 | type 1 | version 2 | length of the plain bytes
 * 2. In TLS 1.3 (RFC 8446 section 5.2) the type in the head is always DATA, the real one is the
 * last sealed byte that is not 0, and the context is the head. The comparison of tags is mbedTLS's,
 * in constant time. */
#include "net/tls_record.h"

#include "base/check.h"

#include <mbedtls/chachapoly.h>
#include <mbedtls/hkdf.h>
#include <mbedtls/md.h>
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

size_t tls_traffic_bytes(enum tls_cipher cipher)
{
    return cipher == TLS_AES_256_GCM ? 48 : 32; /* of its hash */
}

/* RFC 7905 and RFC 8446 make the nonce of iv and count; RFC 5288 sends a part of it. */
static bool has_explicit_nonce(const struct tls_key *key)
{
    return key->traffic == NULL && key->cipher != TLS_CHACHA20_POLY1305;
}

static size_t explicit_bytes(const struct tls_key *key)
{
    return has_explicit_nonce(key) ? GCM_EXPLICIT_BYTES : 0;
}

static enum err prepare(struct tls_key *key, const uint8_t *secret)
{
    const unsigned bits = (unsigned)tls_cipher_key_bytes(key->cipher) * 8;
    if (key->cipher == TLS_CHACHA20_POLY1305) {
        memcpy(key->as.chacha, secret, sizeof(key->as.chacha));
        return OK;
    }
    if (key->as.gcm == NULL) {
        key->as.gcm = malloc(sizeof(*key->as.gcm));
        if (key->as.gcm == NULL) {
            return ERR_NO_MEMORY;
        }
        mbedtls_gcm_init(key->as.gcm);
    }
    return mbedtls_gcm_setkey(key->as.gcm, MBEDTLS_CIPHER_ID_AES, secret, bits) == 0
               ? OK
               : ERR_NO_MEMORY; /* nothing else can fail with a key of this length */
}

enum err tls_key_init(struct tls_key *key, enum tls_cipher cipher, const uint8_t *secret,
                      const uint8_t *iv, uint64_t count)
{
    enum err result;
    memset(key, 0, sizeof(*key));
    key->cipher = cipher;
    key->count = count;
    memcpy(key->iv, iv, tls_cipher_iv_bytes(cipher));
    result = prepare(key, secret);
    if (result != OK) {
        tls_key_fini(key);
    }
    return result;
}

/* ---- TLS 1.3 ---- */

/* HKDF-Expand-Label of RFC 8446 section 7.1, with an empty context. */
static enum err expand(const struct tls_key *key, const char *label, uint8_t *into, size_t len)
{
    uint8_t info[64];
    const size_t label_len = strlen(label);
    const mbedtls_md_info_t *md = mbedtls_md_info_from_type(
        key->cipher == TLS_AES_256_GCM ? MBEDTLS_MD_SHA384 : MBEDTLS_MD_SHA256);
    info[0] = 0;
    info[1] = (uint8_t)len;
    info[2] = (uint8_t)(label_len + 6);
    memcpy(info + 3, "tls13 ", 6);
    memcpy(info + 9, label, label_len);
    info[9 + label_len] = 0;
    return mbedtls_hkdf_expand(md, key->traffic, tls_traffic_bytes(key->cipher), info,
                               10 + label_len, into, len) == 0
               ? OK
               : ERR_NO_MEMORY;
}

static enum err derive(struct tls_key *key)
{
    uint8_t secret[32];
    enum err result = expand(key, "key", secret, tls_cipher_key_bytes(key->cipher));
    if (result == OK) {
        result = expand(key, "iv", key->iv, NONCE_BYTES);
    }
    if (result == OK) {
        result = prepare(key, secret);
    }
    key->count = 0;
    mbedtls_platform_zeroize(secret, sizeof(secret));
    return result;
}

enum err tls_key_init_1_3(struct tls_key *key, enum tls_cipher cipher, const uint8_t *traffic)
{
    enum err result = ERR_NO_MEMORY;
    memset(key, 0, sizeof(*key));
    key->cipher = cipher;
    key->traffic = malloc(tls_traffic_bytes(cipher));
    if (key->traffic != NULL) {
        memcpy(key->traffic, traffic, tls_traffic_bytes(cipher));
        result = derive(key);
    }
    if (result != OK) {
        tls_key_fini(key);
    }
    return result;
}

enum err tls_key_update(struct tls_key *key)
{
    uint8_t next[48];
    const size_t len = tls_traffic_bytes(key->cipher);
    enum err result = expand(key, "traffic upd", next, len);
    if (result == OK) {
        memcpy(key->traffic, next, len);
        result = derive(key);
    }
    mbedtls_platform_zeroize(next, sizeof(next));
    return result;
}

void tls_key_fini(struct tls_key *key)
{
    if (key->cipher != TLS_CHACHA20_POLY1305 && key->as.gcm != NULL) {
        mbedtls_gcm_free(key->as.gcm); /* wipes it */
        free(key->as.gcm);
    }
    if (key->traffic != NULL) {
        mbedtls_platform_zeroize(key->traffic, tls_traffic_bytes(key->cipher));
        free(key->traffic);
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

/* RFC 5288 section 3: salt and explicit part; else iv xor count. */
static void put_nonce(uint8_t *nonce, const struct tls_key *key, const uint8_t *explicit_part)
{
    uint8_t count[8];
    memcpy(nonce, key->iv, NONCE_BYTES);
    if (has_explicit_nonce(key)) {
        memcpy(nonce + GCM_SALT_BYTES, explicit_part, GCM_EXPLICIT_BYTES);
        return;
    }
    put_count(count, key->count);
    for (int i = 0; i < 8; i++) {
        nonce[4 + i] ^= count[i];
    }
}

/* One record under a context of the moment: it takes 50 ns to make. `tag` is read when opening. */
static int chacha(const struct tls_key *key, mbedtls_chachapoly_mode_t mode, const uint8_t *nonce,
                  const uint8_t *context, size_t context_len, const uint8_t *from, size_t len,
                  uint8_t *into, uint8_t *tag)
{
    mbedtls_chachapoly_context engine;
    int status;
    mbedtls_chachapoly_init(&engine);
    status = mbedtls_chachapoly_setkey(&engine, key->as.chacha);
    if (status == 0 && mode == MBEDTLS_CHACHAPOLY_ENCRYPT) {
        status = mbedtls_chachapoly_encrypt_and_tag(&engine, len, nonce, context, context_len, from,
                                                    into, tag);
    } else if (status == 0) {
        status = mbedtls_chachapoly_auth_decrypt(&engine, len, nonce, context, context_len, tag,
                                                 from, into);
    }
    mbedtls_chachapoly_free(&engine); /* wipes it */
    return status;
}

size_t tls_plain_offset(const struct tls_key *key)
{
    return TLS_HEAD_BYTES + explicit_bytes(key);
}

/* 13 bytes in TLS 1.2, the 5 of the head in 1.3. */
static size_t put_context(uint8_t *at, const struct tls_key *key, const uint8_t *head, size_t len)
{
    if (key->traffic != NULL) {
        memcpy(at, head, TLS_HEAD_BYTES);
        return TLS_HEAD_BYTES;
    }
    put_count(at, key->count);
    at[8] = head[0];
    at[9] = VERSION_MAJOR;
    at[10] = VERSION_MINOR;
    at[11] = (uint8_t)(len >> 8);
    at[12] = (uint8_t)len;
    return CONTEXT_BYTES;
}

static int seal(struct tls_key *key, const uint8_t *head, const void *plain, size_t len,
                uint8_t *sealed)
{
    uint8_t context[CONTEXT_BYTES];
    uint8_t nonce[NONCE_BYTES];
    const size_t context_len = put_context(context, key, head, len);
    put_nonce(nonce, key, head + TLS_HEAD_BYTES);
    if (key->cipher == TLS_CHACHA20_POLY1305) {
        return chacha(key, MBEDTLS_CHACHAPOLY_ENCRYPT, nonce, context, context_len, plain, len,
                      sealed, sealed + len);
    }
    return mbedtls_gcm_crypt_and_tag(key->as.gcm, MBEDTLS_GCM_ENCRYPT, len, nonce, sizeof(nonce),
                                     context, context_len, plain, sealed, TAG_BYTES, sealed + len);
}

size_t tls_seal(struct tls_key *key, enum tls_type type, const void *plain, size_t len,
                uint8_t *wire)
{
    uint8_t *sealed = wire + tls_plain_offset(key);
    const bool is_1_3 = key->traffic != NULL;
    const size_t inner = len + (is_1_3 ? 1 : 0);
    const size_t body = explicit_bytes(key) + inner + TAG_BYTES;
    int status;
    INVARIANT(len > 0);
    INVARIANT(len <= TLS_PLAIN_MAX);
    if (key->count == UINT64_MAX) {
        return 0;
    }
    wire[0] = (uint8_t)(is_1_3 ? TLS_TYPE_DATA : type);
    wire[1] = VERSION_MAJOR;
    wire[2] = VERSION_MINOR;
    wire[3] = (uint8_t)(body >> 8);
    wire[4] = (uint8_t)body;
    if (explicit_bytes(key) > 0) {
        put_count(wire + TLS_HEAD_BYTES, key->count);
    }
    if (is_1_3) {
        memmove(sealed, plain, len);
        sealed[len] = (uint8_t)type;
        plain = sealed;
    }
    status = seal(key, wire, plain, inner, sealed);
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

/* TLS 1.3: takes padding and type off the end. False when there is nothing else than padding. */
static bool strip(const uint8_t *plain, size_t *len, enum tls_type *type)
{
    while (*len > 0 && plain[*len - 1] == 0) {
        (*len)--;
    }
    if (*len == 0) {
        return false;
    }
    (*len)--;
    *type = (enum tls_type)plain[*len];
    return true;
}

static int open_sealed(struct tls_key *key, const uint8_t *wire, const uint8_t *sealed, size_t len,
                       uint8_t *plain)
{
    uint8_t context[CONTEXT_BYTES];
    uint8_t nonce[NONCE_BYTES];
    const size_t context_len = put_context(context, key, wire, len);
    put_nonce(nonce, key, wire + TLS_HEAD_BYTES);
    if (key->cipher == TLS_CHACHA20_POLY1305) {
        return chacha(key, MBEDTLS_CHACHAPOLY_DECRYPT, nonce, context, context_len, sealed, len,
                      plain, (uint8_t *)(uintptr_t)sealed + len);
    }
    return mbedtls_gcm_auth_decrypt(key->as.gcm, len, nonce, sizeof(nonce), context, context_len,
                                    sealed + len, TAG_BYTES, sealed, plain);
}

bool tls_open(struct tls_key *key, const uint8_t *wire, size_t wire_len, enum tls_type *type,
              uint8_t *plain, size_t *plain_len)
{
    const bool is_1_3 = key->traffic != NULL;
    const size_t before = tls_plain_offset(key);
    const size_t most = TLS_PLAIN_MAX + (is_1_3 ? 1 : 0);
    if (wire_len < before + TAG_BYTES || wire_len - before - TAG_BYTES > most ||
        key->count == UINT64_MAX || (is_1_3 && wire[0] != TLS_TYPE_DATA)) {
        return false;
    }
    *plain_len = wire_len - before - TAG_BYTES;
    if (open_sealed(key, wire, wire + before, *plain_len, plain) != 0) {
        return false; /* the connection is over, so the count no longer matters */
    }
    key->count++;
    *type = (enum tls_type)wire[0];
    return !is_1_3 || strip(plain, plain_len, type);
}
