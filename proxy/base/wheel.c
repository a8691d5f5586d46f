/* wheel.c - eight levels of 64 slots (Varghese and Lauck 1987, scheme 7).
 *
 * A tick is 1 ms. Level 0 has a slot for every tick of the present block of 64, level 1 one for
 * every block of 64 ticks of the present 4 096, and so on; eight levels hold every tick that fits
 * in 63 bits of nanoseconds, so there is no overflow list. The level of a timer is where its tick
 * and the wheel's first differ, in digits of base 64. INVARIANT: between calls every timer's tick
 * is later than the wheel's, so in each level only slots behind the wheel's own digit are in use,
 * and the lowest level in use has the earliest timer. INVARIANT: a bit of `used` is set exactly
 * when its slot has a timer. Advancing hops from used slot to used slot; entering one above level 0
 * deals its timers out below (at most seven times in a timer's life), in order, so that timers of
 * one tick stay in the order of setting. A jump of hours over nothing costs nothing. */
#include "base/wheel.h"

#include "base/check.h"

#include <stdlib.h>

#define WHEEL_MAGIC UINT32_C(0x5748454c)
#define DIGIT_BITS 6
#define SLOTS (1 << DIGIT_BITS)
#define LEVELS 8 /* INT64_MAX ns are 2^43.07 ms: 44 bits in digits of 6 */
#define TICK NS_PER_MS

struct wheel {
    uint32_t magic;
    uint32_t used_levels; /* bit: some slot of the level is in use */
    bool is_turning;      /* inside wheel_advance */
    int64_t tick;         /* the last tick that was served */
    uint64_t used[LEVELS];
    struct list
        firing; /* timers of the tick that is being served, and slots that are being dealt out */
    struct list slots[LEVELS * SLOTS];
};

struct wheel *wheel_new(mono_ns now)
{
    struct wheel *wheel = calloc(1, sizeof *wheel);
    INVARIANT(wheel != NULL);
    wheel->magic = WHEEL_MAGIC;
    wheel->tick = now / TICK;
    list_init(&wheel->firing);
    for (int i = 0; i < LEVELS * SLOTS; i++)
        list_init(&wheel->slots[i]);
    return wheel;
}

void wheel_free(struct wheel **taken)
{
    struct wheel *wheel = *taken;
    *taken = NULL;
    if (wheel == NULL)
        return;
    CHECK_OBJ(wheel, WHEEL_MAGIC);
    for (int i = 0; i < LEVELS * SLOTS; i++)
        LIST_FOREACH_SAFE (node, following, &wheel->slots[i])
            list_init(node);
    wheel->magic = 0;
    free(wheel);
}

void timer_init(struct timer *timer, timer_callback on_fire)
{
    list_init(&timer->link);
    timer->at = MONO_NEVER;
    timer->on_fire = on_fire;
}

static int64_t tick_at(mono_ns at)
{
    return at / TICK + (at % TICK > 0);
}

/* `earliest` is the first tick that is still to be served. */
static void place(struct wheel *wheel, struct timer *timer, int64_t earliest)
{
    int64_t tick = tick_at(timer->at);
    if (tick < earliest)
        tick = earliest;
    const uint64_t differing = (uint64_t)(tick ^ wheel->tick) | 1;
    const int level = (63 - __builtin_clzll(differing)) / DIGIT_BITS;
    const int digit = (int)(tick >> (level * DIGIT_BITS)) & (SLOTS - 1);
    list_append(&wheel->slots[level * SLOTS + digit], &timer->link);
    wheel->used[level] |= UINT64_C(1) << digit;
    wheel->used_levels |= UINT32_C(1) << level;
}

static void mark_unused(struct wheel *wheel, long slot)
{
    const long level = slot / SLOTS;
    wheel->used[level] &= ~(UINT64_C(1) << (slot % SLOTS));
    if (wheel->used[level] == 0)
        wheel->used_levels &= ~(UINT32_C(1) << level);
}

/* Whose both neighbours are one node is alone in its list, and that node is the list's head: a
 * slot, or `firing`. */
static void unlink_timer(struct wheel *wheel, struct timer *timer)
{
    struct list *head = timer->link.next;
    const bool is_alone = head == timer->link.prev;
    list_remove(&timer->link);
    if (is_alone && head != &wheel->firing)
        mark_unused(wheel, head - wheel->slots);
}

void wheel_set(struct wheel *wheel, struct timer *timer, mono_ns at)
{
    CHECK_OBJ(wheel, WHEEL_MAGIC);
    if (timer_is_set(timer))
        unlink_timer(wheel, timer);
    timer->at = at;
    if (at != MONO_NEVER)
        place(wheel, timer, wheel->tick + 1);
}

void wheel_clear(struct wheel *wheel, struct timer *timer)
{
    CHECK_OBJ(wheel, WHEEL_MAGIC);
    if (timer_is_set(timer))
        unlink_timer(wheel, timer);
    timer->at = MONO_NEVER;
}

/* The earliest slot in use; -1 if none is. */
static int first_slot(const struct wheel *wheel)
{
    if (wheel->used_levels == 0)
        return -1;
    const int level = __builtin_ctz(wheel->used_levels);
    return level * SLOTS + __builtin_ctzll(wheel->used[level]);
}

/* The first tick of a slot in use. */
static int64_t slot_tick(const struct wheel *wheel, int slot)
{
    const int shift = slot / SLOTS * DIGIT_BITS;
    const int64_t block = wheel->tick >> (shift + DIGIT_BITS) << (shift + DIGIT_BITS);
    return block + ((int64_t)(slot % SLOTS) << shift);
}

/* Timers of the first tick of a dealt slot land in level 0 under the wheel's own digit and are
 * served next. */
static void deal_out(struct wheel *wheel)
{
    struct list *node;
    while ((node = list_first(&wheel->firing)) != NULL) {
        list_remove(node);
        place(wheel, CONTAINER_OF(node, struct timer, link), wheel->tick);
    }
}

static void take_slot(struct wheel *wheel, int slot)
{
    struct list *from = &wheel->slots[slot];
    list_insert_after(from, &wheel->firing); /* a second head; the first one leaves */
    list_remove(from);
    mark_unused(wheel, slot);
}

static void fire(struct wheel *wheel, mono_ns now)
{
    struct list *node;
    while ((node = list_first(&wheel->firing)) != NULL) {
        struct timer *timer = CONTAINER_OF(node, struct timer, link);
        list_remove(node);
        timer->at = MONO_NEVER;
        timer->on_fire(timer, now);
    }
}

void wheel_advance(struct wheel *wheel, mono_ns now)
{
    CHECK_OBJ(wheel, WHEEL_MAGIC);
    INVARIANT(!wheel->is_turning);
    wheel->is_turning = true;
    const int64_t target = now / TICK;
    for (int slot = first_slot(wheel); slot >= 0; slot = first_slot(wheel)) {
        const int64_t tick = slot_tick(wheel, slot);
        if (tick > target)
            break;
        wheel->tick = tick;
        take_slot(wheel, slot);
        if (slot < SLOTS)
            fire(wheel, now);
        else
            deal_out(wheel);
    }
    if (wheel->tick < target)
        wheel->tick = target;
    wheel->is_turning = false;
}

mono_ns wheel_next(const struct wheel *wheel)
{
    CHECK_OBJ(wheel, WHEEL_MAGIC);
    const int slot = first_slot(wheel);
    return slot < 0 ? MONO_NEVER : dur_mul(slot_tick(wheel, slot), TICK);
}
