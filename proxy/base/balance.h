/* balance.h - how an endpoint is chosen among those of a target. Constant data, any thread. */
#ifndef OUTRIGGER_BASE_BALANCE_H
#define OUTRIGGER_BASE_BALANCE_H

enum balance {
    BALANCE_LEAST_REQUEST = 0, /* two at random, the one with fewer attempts in flight */
    BALANCE_ROUND_ROBIN,       /* each in its turn */
    BALANCE_PEAK_EWMA,         /* two at random, the one with less latency x attempts in flight */
    BALANCE_RING_HASH,         /* equal keys go to the same endpoint */
};

#endif
