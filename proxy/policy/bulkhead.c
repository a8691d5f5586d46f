/* bulkhead.c - see bulkhead.h. */
#include "policy/bulkhead.h"

#include "base/check.h"

void bulkhead_init(struct bulkhead *bulkhead, const struct bulkhead_config *cfg)
{
    for (int slot = 0; slot < BULKHEAD_SLOT_KINDS; slot++)
        bulkhead->in_flight[slot] = 0;
    bulkhead_configure(bulkhead, cfg);
}

void bulkhead_configure(struct bulkhead *bulkhead, const struct bulkhead_config *cfg)
{
    bulkhead->limit[BULKHEAD_ATTEMPT] = cfg->max_requests;
    bulkhead->limit[BULKHEAD_STREAM] = cfg->max_streams;
    bulkhead->limit[BULKHEAD_CONNECTION] = cfg->max_connections;
}

bool bulkhead_has_room(const struct bulkhead *bulkhead, enum bulkhead_slot slot)
{
    return bulkhead->in_flight[slot] < bulkhead->limit[slot];
}

void bulkhead_take(struct bulkhead *bulkhead, enum bulkhead_slot slot)
{
    INVARIANT(bulkhead_has_room(bulkhead, slot));
    bulkhead->in_flight[slot]++;
}

void bulkhead_release(struct bulkhead *bulkhead, enum bulkhead_slot slot)
{
    INVARIANT(bulkhead->in_flight[slot] > 0);
    bulkhead->in_flight[slot]--;
}

bool bulkhead_move(struct bulkhead *bulkhead, enum bulkhead_slot from, enum bulkhead_slot to)
{
    if (!bulkhead_has_room(bulkhead, to))
        return false;
    bulkhead_convert(bulkhead, from, to);
    return true;
}

void bulkhead_convert(struct bulkhead *bulkhead, enum bulkhead_slot from, enum bulkhead_slot to)
{
    INVARIANT(bulkhead->in_flight[to] < UINT32_MAX);
    bulkhead_release(bulkhead, from);
    bulkhead->in_flight[to]++;
}

bool bulkhead_is_empty(const struct bulkhead *bulkhead)
{
    uint32_t in_flight = 0;
    for (int slot = 0; slot < BULKHEAD_SLOT_KINDS; slot++)
        in_flight |= bulkhead->in_flight[slot];
    return in_flight == 0;
}
