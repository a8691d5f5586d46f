/* reason.h - one table of reasons (reason.def): word, statuses, group. Example: CIRCUIT_OPEN is
 * "circuit_open", 503, gRPC 14. A value outside the enum is our bug (INVARIANT). Constant data, any
 * thread. */
#ifndef OUTRIGGER_BASE_REASON_H
#define OUTRIGGER_BASE_REASON_H

enum reason {
    REASON_NONE = 0,
#define REASON(name, word, http, grpc, group, proxy_status, text) REASON_##name,
#include "reason.def"
#undef REASON
    REASON_COUNT
};

/* The groups that `retry.on` names; a mask, so that one AND answers "may this be retried". */
enum reason_group {
    REASON_GROUP_NONE = 0,
    REASON_GROUP_CONNECT_FAILURE = 1 << 0,
    REASON_GROUP_RESET = 1 << 1,
    REASON_GROUP_REFUSED_STREAM = 1 << 2,
    REASON_GROUP_TIMEOUT = 1 << 3,
};

const char *reason_word(enum reason reason);
/* "circuit_open"; "none" for REASON_NONE. */

const char *reason_text(enum reason reason);
/* One sentence for a person, without a full stop. */

int reason_http_status(enum reason reason);
/* What a refused HTTP caller gets: 503. 0 for REASON_NONE. */

int reason_grpc_status(enum reason reason);
/* What a refused gRPC caller gets: 14 (UNAVAILABLE). 0 for REASON_NONE. */

enum reason_group reason_group(enum reason reason);
/* The one group of `retry.on` that it belongs to, or REASON_GROUP_NONE. */

const char *reason_proxy_status(enum reason reason);
/* The `error` token of the Proxy-Status field (RFC 9209 section 2.3). */

#endif
