/* timer.h - how long a loop may wait for the wheel of its timers (base/wheel.h), and how late it
 * was. Owned by struct loop; nobody else calls it. */
#ifndef OUTRIGGER_NET_TIMER_H
#define OUTRIGGER_NET_TIMER_H

#include "base/mono.h"
#include "base/wheel.h"

struct timer_drive {
    struct wheel *wheel;
    mono_ns due;    /* when the wheel was to turn next, by timer_drive_limit; MONO_NEVER: not yet */
    dur_ns lag_max; /* how late a due turn of the wheel was, the worst since timer_drive_lag_take */
};

void timer_drive_init(struct timer_drive *drive, mono_ns now);
void timer_drive_fini(struct timer_drive *drive);
/* init makes the wheel; fini frees it. */

int timer_drive_limit(struct timer_drive *drive, mono_ns now);
/* Before the loop waits: for how many ms at most, rounded up, so that a wake-up is never early; -1:
 * without a limit. */

void timer_drive_run(struct timer_drive *drive, mono_ns now);
/* After the loop waited: fires what is due and measures how late that is. */

dur_ns timer_drive_lag_take(struct timer_drive *drive);
/* The worst lag since the last take. */

#endif
