/* token_bucket.c - see token_bucket.h. GCRA as a "virtual scheduling algorithm" (ITU-T I.371, annex
 * A). INVARIANT: 0 <= backlog <= capacity: the bucket holds between no token and the burst.
 *   INVARIANT: emission is 0 exactly when the limit is off; such a bucket agrees to everything. */
#include "policy/token_bucket.h"

#include "base/check.h"

__extension__ typedef __int128 wide;

static dur_ns emission_of(const struct rate_limit_config *cfg)
{
    const uint64_t interval = (uint64_t)cfg->interval;
    return (dur_ns)(interval / cfg->requests + (interval % cfg->requests != 0));
}

static dur_ns capacity_of(const struct rate_limit_config *cfg, dur_ns emission)
{
    const dur_ns most = dur_min(TOKEN_BUCKET_MAX_BURST, TOKEN_BUCKET_MAX_SPAN / emission);
    return emission * (dur_ns)(cfg->burst < (uint64_t)most ? cfg->burst : (uint64_t)most);
}

static void set_numbers(struct token_bucket *bucket, const struct rate_limit_config *cfg)
{
    bucket->emission = 0;
    bucket->capacity = 0;
    if (cfg->mode == POLICY_OFF)
        return;
    INVARIANT(cfg->requests > 0);
    INVARIANT(cfg->burst > 0);
    INVARIANT(cfg->interval > 0);
    INVARIANT(cfg->interval <= TOKEN_BUCKET_MAX_SPAN);
    bucket->emission = emission_of(cfg);
    bucket->capacity = capacity_of(cfg, bucket->emission);
}

/* How long until the bucket is full. A clock that went back finds an empty bucket at worst, not a
 * debt. */
static dur_ns backlog(const struct token_bucket *bucket, mono_ns now)
{
    return dur_min(mono_until(now, bucket->tat), bucket->capacity);
}

void token_bucket_init(struct token_bucket *bucket, const struct rate_limit_config *cfg,
                       mono_ns now)
{
    set_numbers(bucket, cfg);
    bucket->tat = now;
}

void token_bucket_configure(struct token_bucket *bucket, const struct rate_limit_config *cfg,
                            mono_ns now)
{
    const wide held = (wide)(bucket->capacity - backlog(bucket, now));
    const dur_ns old_emission = bucket->emission;
    set_numbers(bucket, cfg);
    if (old_emission == 0) {
        bucket->tat = now;
        return;
    }
    const wide kept = held * (wide)bucket->emission / (wide)old_emission;
    const bool fits = kept < (wide)bucket->capacity;
    bucket->tat = fits ? mono_add(now, bucket->capacity - (dur_ns)kept) : now;
}

mono_ns token_bucket_when(const struct token_bucket *bucket, uint64_t place, mono_ns now)
{
    INVARIANT(place > 0);
    const int64_t steps = place < INT64_MAX ? (int64_t)place : INT64_MAX;
    const dur_ns after = dur_add(backlog(bucket, now), dur_mul(bucket->emission, steps));
    if (after == DUR_FOREVER)
        return MONO_NEVER;
    return after <= bucket->capacity ? now : mono_add(now, after - bucket->capacity);
}

void token_bucket_take(struct token_bucket *bucket, mono_ns now)
{
    const dur_ns after = backlog(bucket, now) + bucket->emission;
    INVARIANT(after <= bucket->capacity);
    bucket->tat = mono_add(now, after);
}

uint64_t token_bucket_millitokens(const struct token_bucket *bucket, mono_ns now)
{
    if (bucket->emission == 0)
        return 0;
    const wide held = (wide)(bucket->capacity - backlog(bucket, now));
    return (uint64_t)(held * 1000 / (wide)bucket->emission);
}

bool token_bucket_is_full(const struct token_bucket *bucket, mono_ns now)
{
    return bucket->tat <= now;
}
