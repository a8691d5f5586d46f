/* token_bucket.h - a rate limit as one point in time (GCRA, ITU-T I.371).
 *
 * `tat`, the theoretical arrival time, is when the bucket will be full again. A token may be taken
 * at `now` if taking it leaves tat <= now + burst x emission. At most burst + rate x t tokens leave
 * in any interval t, exactly.
 * Example: 200 per 1 s, burst 200: emission = 5 ms; 200 calls pass at once, then one every 5 ms.
 *
 * Limits. emission is rounded up to whole ns, so the rate is never exceeded, and is missed by less
 * than 1 ns per token (3 per 1 s: one every 333 333 334 ns); above 10^9 per second it is 1 ns. The
 * burst counts at most TOKEN_BUCKET_MAX_BURST, and burst x emission TOKEN_BUCKET_MAX_SPAN, so that
 * no sum of times overflows.
 * A clock that goes back finds an empty bucket at worst, never a debt.
 * Ownership: a plain value; the owner keeps the config. Units: ns. Pure, single-threaded. */
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

#define TOKEN_BUCKET_MAX_SPAN (INT64_MAX / 4) /* 73 years */
#define TOKEN_BUCKET_MAX_BURST INT64_C(1000000000000000)

struct token_bucket {
    dur_ns emission; /* time per token; 0 with mode OFF, and the bucket then agrees to everything */
    dur_ns capacity; /* burst x emission */
    mono_ns tat;
};

void token_bucket_init(struct token_bucket *bucket, const struct rate_limit_config *cfg,
                       mono_ns now);
/* A full bucket. Unless mode is OFF, the numbers must be as rate_limit_config says (INVARIANT). */

void token_bucket_configure(struct token_bucket *bucket, const struct rate_limit_config *cfg,
                            mono_ns now);
/* New numbers on a live bucket: the tokens it holds are kept, parts of one too, clamped to the new
 * burst. A bucket that was off starts full. */

mono_ns token_bucket_when(const struct token_bucket *bucket, uint64_t place, mono_ns now);
/* When the caller at `place` (>= 1) of a line may take its token, if everyone before it takes one
 * as soon as it is due: max(now, max(tat, now) + place x emission - capacity), saturating. `now`
 * itself means at once. Changes nothing. */

void token_bucket_take(struct token_bucket *bucket, mono_ns now);
/* Takes one. Call only when token_bucket_when(bucket, 1, now) == now (INVARIANT). */

uint64_t token_bucket_millitokens(const struct token_bucket *bucket, mono_ns now);
/* What is in it now, in thousandths, rounded down, in [0, burst x 1000]; 0 with mode OFF. */

bool token_bucket_is_full(const struct token_bucket *bucket, mono_ns now);
/* Nothing is owed: forgetting such a bucket and starting a new one changes nothing. */

#endif
