/* timer.c - see timer.h. libuv's clock is CLOCK_MONOTONIC too, floored to milliseconds, so an
 * absolute time of ours is an absolute time of its own; rounding up makes the wake-up never early.
 */
#include "net/timer.h"

#include "base/check.h"

static uint64_t ceil_ms(mono_ns at)
{
    return (uint64_t)(at / NS_PER_MS) + (at % NS_PER_MS != 0 ? 1 : 0);
}

static void on_timer(uv_timer_t *uv)
{
    struct timer_drive *drive = CONTAINER_OF(uv, struct timer_drive, uv);
    drive->armed =
        MONO_NEVER; /* the wheel itself turns after the I/O callbacks, in timer_drive_run */
}

void timer_drive_init(struct timer_drive *drive, uv_loop_t *uv, mono_ns now)
{
    INVARIANT(uv_timer_init(uv, &drive->uv) == 0);
    drive->wheel = wheel_new(now);
    drive->armed = MONO_NEVER;
    drive->lag = 0;
    drive->lag_max = 0;
}

void timer_drive_fini(struct timer_drive *drive)
{
    wheel_free(&drive->wheel);
}

void timer_drive_arm(struct timer_drive *drive)
{
    mono_ns next = wheel_next(drive->wheel);
    if (next >= drive->armed) {
        return;
    }
    uint64_t at_ms = ceil_ms(next);
    uint64_t now_ms = uv_now(drive->uv.loop);
    INVARIANT(uv_timer_start(&drive->uv, on_timer, at_ms > now_ms ? at_ms - now_ms : 0, 0) == 0);
    drive->armed = (mono_ns)at_ms * NS_PER_MS;
}

void timer_drive_run(struct timer_drive *drive, mono_ns now)
{
    if (drive->armed <= now) {
        drive->lag = mono_since(now, drive->armed);
        drive->lag_max = dur_max(drive->lag_max, drive->lag);
    }
    wheel_advance(drive->wheel, now);
}

dur_ns timer_drive_lag_take(struct timer_drive *drive)
{
    dur_ns worst = drive->lag_max;
    drive->lag_max = 0;
    return worst;
}
