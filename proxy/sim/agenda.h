/* agenda.h - what is going to happen, in order: a heap of moments. Two of one time happen in the
 * order in which they were entered, so that a history depends on nothing but its seed.
 * Nothing is ever taken out: the one that an entry is for has an epoch, and an entry of an earlier
 * epoch is let pass by whoever gets it. */
#ifndef OUTRIGGER_SIM_AGENDA_H
#define OUTRIGGER_SIM_AGENDA_H

#include "base/mono.h"

#include <stddef.h>
#include <stdint.h>

enum happening {
    HAPPENS_ARRIVAL,     /* struct stream_of_calls: the next call */
    HAPPENS_CONNECTED,   /* struct sim_call: its attempt has a connection */
    HAPPENS_REFUSED,     /* struct sim_call: it gets none */
    HAPPENS_REACHED,     /* struct job: the request is at the server */
    HAPPENS_SERVED,      /* struct job: the server is through with it */
    HAPPENS_ANSWERED,    /* struct job: the answer is at the caller */
    HAPPENS_BROKEN,      /* struct job: its connection died */
    HAPPENS_FAULT_BEGIN, /* struct scenario_fault */
    HAPPENS_FAULT_END,
    HAPPENS_SAMPLE, /* a bucket ends */
};

struct entry {
    mono_ns at;
    uint64_t number;
    void *subject;
    uint32_t epoch;
    enum happening what;
};

struct agenda {
    struct entry *entries;
    size_t count;
    size_t capacity;
    uint64_t entered;
};

void agenda_init(struct agenda *agenda);
void agenda_fini(struct agenda *agenda);

void agenda_enter(struct agenda *agenda, mono_ns at, enum happening what, void *subject,
                  uint32_t epoch);
/* Aborts when there is no memory: a command line tool has nothing better to do. */

static inline mono_ns agenda_next(const struct agenda *agenda)
{
    return agenda->count > 0 ? agenda->entries[0].at : MONO_NEVER;
}

struct entry agenda_take(struct agenda *agenda);
/* The first. There has to be one. */

#endif
