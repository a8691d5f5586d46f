/* sniff.h - what a connection speaks, by its first bytes, where nobody has said it: HTTP/1.1,
 * HTTP/2 with prior knowledge, TLS (nothing is decrypted: the ClientHello names the server), or
 * something else, which is passed on as it is.
 *
 * The verdict does not depend on how the bytes were cut: MORE until it is certain. Whoever waits no
 * longer asks sniff_in_doubt. Example:
 *     switch (sniff(bytes, &hello)) { case SNIFF_MORE: -> wait, up to SNIFF_MAX_BYTES
 *                                     case SNIFF_TLS: -> a tunnel to hello.server_name ... }
 * Strict where a proxy must be, and harmless elsewhere: what is not certainly HTTP is not touched.
 * Pure; spans point into the bytes. */
#ifndef OUTRIGGER_NET_SNIFF_H
#define OUTRIGGER_NET_SNIFF_H

#include "base/span.h"

#include <stdbool.h>

#define SNIFF_MAX_BYTES 16384 /* of a ClientHello that is waited for; no real one is as long */

enum sniffed {
    SNIFF_MORE = 0, /* not certain yet */
    SNIFF_HTTP1,
    SNIFF_HTTP2,
    SNIFF_TLS,
    SNIFF_OTHER,
};

struct client_hello {
    struct span server_name; /* SNI, a host name; SPAN_NONE: it names none */
    bool offers_http2;       /* by ALPN */
};

enum sniffed sniff(struct span bytes, struct client_hello *hello);
/* `hello` is filled with SNIFF_TLS. A ClientHello that is broken is TLS without a name. */

enum sniffed sniff_in_doubt(struct span bytes);
/* No more will be waited for: HTTP1 when that is how it looks so far, TLS, or OTHER. */

#endif
