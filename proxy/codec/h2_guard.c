/* h2_guard.c - see h2_guard.h. */
#include "codec/h2_guard.h"

void h2_guard_init(struct h2_guard *guard, mono_ns now)
{
    *guard = (struct h2_guard){.units = H2_GUARD_BURST, .filled_at = now};
}

/* Whole units only: what is left of the time stays for the next look. */
static void refill(struct h2_guard *guard, mono_ns now)
{
    const dur_ns unit = NS_PER_S / H2_GUARD_REFILL;
    const dur_ns passed = mono_since(now, guard->filled_at);
    if (passed < unit)
        return;
    const int64_t units = passed / unit;
    guard->filled_at = mono_add(guard->filled_at, units * unit);
    if (units >= H2_GUARD_BURST - guard->units)
        guard->units = guard->units > H2_GUARD_BURST ? guard->units : H2_GUARD_BURST;
    else
        guard->units += (int32_t)units;
}

bool h2_guard_charge(struct h2_guard *guard, uint32_t units, mono_ns now)
{
    refill(guard, now);
    if ((int64_t)guard->units < (int64_t)units) {
        guard->units = 0;
        return false;
    }
    guard->units -= (int32_t)units;
    return true;
}
