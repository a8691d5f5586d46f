/* timer.h - the one uv_timer that drives the wheel of a loop; base/wheel.h holds the timers
 * themselves.
 *
 * The uv timer is armed again only when the wheel's next due time is earlier than what is armed
 * already: timers that are set and cleared by every request cost no heap operation of libuv. Owned
 * by struct loop; nobody else calls it. */
#ifndef OUTRIGGER_NET_TIMER_H
#define OUTRIGGER_NET_TIMER_H

#include "base/mono.h"
#include "base/wheel.h"

#include <uv.h>

struct timer_drive {
    uv_timer_t uv;
    struct wheel *wheel;
    mono_ns armed; /* when the uv timer fires, a whole millisecond; MONO_NEVER when it is not set */
    dur_ns lag;    /* how late the last due turn of the wheel was */
    dur_ns lag_max; /* the worst since timer_drive_lag_take */
};

void timer_drive_init(struct timer_drive *drive, uv_loop_t *uv, mono_ns now);
void timer_drive_fini(struct timer_drive *drive);
/* init makes the wheel; fini frees it after the uv handle has been closed by the loop. */

void timer_drive_arm(struct timer_drive *drive);
/* Before the loop waits: the uv timer is set no later than the wheel needs it. */

void timer_drive_run(struct timer_drive *drive, mono_ns now);
/* After the loop waited: fires what is due and measures how late that is. */

dur_ns timer_drive_lag_take(struct timer_drive *drive);
/* The worst lag since the last take. */

#endif
