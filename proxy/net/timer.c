/* timer.c - see timer.h. */
#include "net/timer.h"

#include <limits.h>

void timer_drive_init(struct timer_drive *drive, mono_ns now)
{
    *drive = (struct timer_drive){.wheel = wheel_new(now), .due = MONO_NEVER};
}

void timer_drive_fini(struct timer_drive *drive)
{
    wheel_free(&drive->wheel);
}

int timer_drive_limit(struct timer_drive *drive, mono_ns now)
{
    drive->due = wheel_next(drive->wheel);
    if (drive->due == MONO_NEVER)
        return -1;
    const dur_ns left = mono_since(drive->due, now);
    if (left <= 0)
        return 0;
    const dur_ns ms = left / NS_PER_MS + (left % NS_PER_MS != 0 ? 1 : 0);
    return ms < INT_MAX ? (int)ms : INT_MAX;
}

void timer_drive_run(struct timer_drive *drive, mono_ns now)
{
    if (drive->due <= now)
        drive->lag_max = dur_max(drive->lag_max, mono_since(now, drive->due));
    wheel_advance(drive->wheel, now);
}

dur_ns timer_drive_lag_take(struct timer_drive *drive)
{
    const dur_ns worst = drive->lag_max;
    drive->lag_max = 0;
    return worst;
}
