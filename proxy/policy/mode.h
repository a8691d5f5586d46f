/* mode.h - how a policy block acts, and what the six families of blocks are called. Shadow decides
 * and counts, but never acts; a breaker can also be forced open. Constant data, any thread. */
#ifndef OUTRIGGER_POLICY_MODE_H
#define OUTRIGGER_POLICY_MODE_H

enum policy_mode {
    POLICY_OFF = 0, /* the block is absent, or says off */
    POLICY_ENFORCE,
    POLICY_SHADOW,
    POLICY_FORCE_OPEN, /* circuitBreaker only */
};

/* The six families; the label `policy` of metrics, and the index of their places in a file. */
#define POLICY_FAMILY_LIST(X)                                                                      \
    X(TIMEOUTS, timeouts)                                                                          \
    X(RETRY, retry)                                                                                \
    X(CIRCUIT_BREAKER, circuitBreaker)                                                             \
    X(BULKHEAD, bulkhead)                                                                          \
    X(RATE_LIMIT, rateLimit)                                                                       \
    X(OUTLIER, outlier)

enum policy_family {
#define X(name, word) POLICY_FAMILY_##name,
    POLICY_FAMILY_LIST(X)
#undef X
        POLICY_FAMILY_COUNT
};

const char *policy_family_word(enum policy_family family);
/* "circuitBreaker", as in a policy file. */

#endif
