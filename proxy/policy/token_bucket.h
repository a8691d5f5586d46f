/* token_bucket.h - a rate limit as one point in time (GCRA, ITU-T I.371).
 *
 * `tat`, the theoretical arrival time, is when the bucket will be full again. A token may be taken at `now` if taking
 * it leaves tat <= now + burst x emission. At most burst + rate x t tokens leave in any interval t, exactly.
 * Example: 200 per 1 s, burst 200: emission = 5 ms; 200 calls pass at once, then one every 5 ms.
 * Pure, single-threaded; the owner holds the config; backwards clocks are cases, not accidents. */
#ifndef OUTRIGGER_POLICY_TOKEN_BUCKET_H
#define OUTRIGGER_POLICY_TOKEN_BUCKET_H

#include "base/mono.h"
#include "policy/mode.h"

#include <stdbool.h>
#include <stdint.h>

enum key_kind { KEY_NONE = 0, KEY_HEADER, KEY_PATH, KEY_METHOD, KEY_CLIENT };

struct key_config {
    enum key_kind kind;
    const char *header; /* for KEY_HEADER, lower case; owned by the policy set */
    uint32_t max_keys;
};

struct rate_limit_config {
    enum policy_mode mode;
    uint64_t requests; /* per interval, >= 1 */
    dur_ns interval;   /* > 0 */
    uint64_t burst;    /* >= 1 */
    dur_ns wait;       /* longest wait for a token; 0 = refuse at once */
    struct key_config key;
    bool has_headers; /* `headers: true`: RateLimit fields on passing responses too */
};

struct token_bucket {
    dur_ns emission; /* time per token, ns */
    dur_ns capacity; /* burst x emission */
    mono_ns tat;
};

void token_bucket_init(struct token_bucket *bucket, const struct rate_limit_config *cfg, mono_ns now);
/* A full bucket. */

void token_bucket_configure(struct token_bucket *bucket, const struct rate_limit_config *cfg, mono_ns now);
/* New numbers on a live bucket: the tokens it holds are kept, clamped to the new burst. */

mono_ns token_bucket_when(const struct token_bucket *bucket, uint64_t tokens, mono_ns now);
/* The earliest time >= now at which `tokens` (>= 1) can be taken together, if nobody else takes any; `now` itself when
 * at once; MONO_NEVER when more than the burst. Changes nothing. */

void token_bucket_take(struct token_bucket *bucket, mono_ns now);
/* Takes one. Call only when token_bucket_when(bucket, 1, now) == now (INVARIANT). */

uint64_t token_bucket_millitokens(const struct token_bucket *bucket, mono_ns now);
/* What is in it now, in thousandths, in [0, burst x 1000]. */

bool token_bucket_is_full(const struct token_bucket *bucket, mono_ns now);

#endif
