/* upstream.h - the server behind the proxy, in the test's own thread: HTTP/1.1 or HTTP/2, and no
 * allocation of its own. It answers a request that has come whole, with what the test has chosen;
 * heads of HTTP/2 are not read, so a path could not choose. */
#ifndef OUTRIGGER_TESTS_FAULT_UPSTREAM_H
#define OUTRIGGER_TESTS_FAULT_UPSTREAM_H

#include <stdbool.h>
#include <stdint.h>

#define UPSTREAM_LARGE_BYTES 600000 /* more than sockets and windows take */
#define UPSTREAM_FIELD_BYTES 40000  /* a head that does not fit into the loop's write buffer */

enum upstream_answer {
    ANSWER_FINE,       /* 200, "ok", trailers: grpc-status 0 */
    ANSWER_BUSY_FIRST, /* 503 once, and then that */
    ANSWER_LARGE,      /* many bytes; in HTTP/1.1 behind a large head, in HTTP/2 before trailers */
    ANSWER_TUNNEL,     /* 101, "hello" and an echo; in HTTP/1.1 only */
};

uint16_t upstream_open(bool is_http2);
/* Its port on 127.0.0.1. */

void upstream_close(void);

void upstream_will(enum upstream_answer answer);
/* From the next request on. */

void upstream_turn(void);

#endif
