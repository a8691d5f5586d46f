/* h2_guard.c - see h2_guard.h. */
#include "codec/h2_guard.h"

void h2_guard_init(struct h2_guard *guard, mono_ns now)
{
    *guard = (struct h2_guard){.work = {H2_GUARD_BURST, now}, .resets = {H2_RESET_BURST, now}};
}

/* Whole units only: what is left of the time stays for the next look. */
static void refill(struct h2_bucket *bucket, int32_t burst, int64_t per_second, mono_ns now)
{
    const dur_ns unit = NS_PER_S / per_second;
    const int64_t units = mono_since(now, bucket->filled_at) / unit;
    if (units == 0)
        return;
    bucket->filled_at = mono_add(bucket->filled_at, units * unit);
    if (bucket->units < burst)
        bucket->units = units < burst - bucket->units ? bucket->units + (int32_t)units : burst;
}

static bool take(struct h2_bucket *bucket, uint64_t units)
{
    const bool has_them = units <= (uint64_t)bucket->units; /* never below 0 */
    bucket->units = has_them ? bucket->units - (int32_t)units : 0;
    return has_them;
}

bool h2_guard_charge(struct h2_guard *guard, uint32_t units, mono_ns now)
{
    refill(&guard->work, H2_GUARD_BURST, H2_GUARD_REFILL, now);
    return take(&guard->work, units);
}

bool h2_guard_charge_bytes(struct h2_guard *guard, uint64_t bytes, mono_ns now)
{
    const uint64_t excused = bytes < guard->excused_bytes ? bytes : guard->excused_bytes;
    guard->excused_bytes -= (uint32_t)excused;
    const uint64_t charged = bytes - excused + guard->odd_bytes;
    guard->odd_bytes = (uint32_t)(charged % H2_GUARD_BYTES);
    if (charged < H2_GUARD_BYTES)
        return true;
    refill(&guard->work, H2_GUARD_BURST, H2_GUARD_REFILL, now);
    return take(&guard->work, charged / H2_GUARD_BYTES);
}

bool h2_guard_reset(struct h2_guard *guard, mono_ns now)
{
    refill(&guard->resets, H2_RESET_BURST, H2_RESETS_PER_SECOND, now);
    return take(&guard->resets, 1);
}

void h2_guard_excuse(struct h2_guard *guard, uint32_t bytes)
{
    const uint32_t room = H2_GUARD_EXCUSED_MAX - guard->excused_bytes;
    guard->excused_bytes += bytes < room ? bytes : room;
}
