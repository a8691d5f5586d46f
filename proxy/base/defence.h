/* defence.h - what Outrigger did against a peer of HTTP/2 that asks for too much or makes no sense,
 * in the words of the metric. Example: defence_word(DEFENCE_GLITCHES) is "glitches". Constant data,
 * any thread. */
#ifndef OUTRIGGER_BASE_DEFENCE_H
#define OUTRIGGER_BASE_DEFENCE_H

/* The label `kind` of outrigger_http2_defences_total. */
#define DEFENCE_LIST(X)                                                                            \
    X(HEADER_LIST, header_list)       /* a header list beyond the limits was refused */            \
    X(MALFORMED, malformed)           /* a message was refused */                                  \
    X(STREAM_LIMIT, stream_limit)     /* a stream beyond http2.maxConcurrentStreams */             \
    X(GLITCHES, glitches)             /* connection ended: frames that carry nothing */            \
    X(RESETS, resets)                 /* connection ended: too many streams reset */               \
    X(PROTOCOL_ERROR, protocol_error) /* connection ended: a connection error of RFC 9113 */       \
    X(OUTBOUND_QUEUE, outbound_queue) /* connection ended: makes us answer and does not read */    \
    X(WRITE_TIMEOUT, write_timeout)   /* took no byte for limits.writeTimeout */                   \
    X(KEEP_ALIVE, keep_alive)         /* connection ended: no answer to a PING */

enum defence {
#define X(name, word) DEFENCE_##name,
    DEFENCE_LIST(X)
#undef X
        DEFENCE_COUNT
};

enum h2_side { H2_DOWNSTREAM = 0, H2_UPSTREAM, H2_SIDES };

const char *defence_word(enum defence defence);
/* The word of the table above; static. */

#endif
