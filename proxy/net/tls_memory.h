/* tls_memory.h - notices when mbedTLS gets no memory.
 *
 * Why: in 2.28 an allocation that fails while the Finished message is computed is not reported, and
 * whatever lies on the stack is compared instead (CVE-2025-27810). So a thread that ran a step of a
 * handshake asks here whether any allocation failed meanwhile, and if so the connection is over,
 * whatever mbedTLS says.
 *
 * Example: tls_memory_begin(); ... mbedtls_ssl_handshake(ssl) ...
 *          if (tls_memory_has_failed()) -> give the connection up
 *
 * Any thread; the flag is the thread's own. */
#ifndef OUTRIGGER_NET_TLS_MEMORY_H
#define OUTRIGGER_NET_TLS_MEMORY_H

#include <stdbool.h>

void tls_memory_start(void);
/* Before any other use of mbedTLS in the process. */

void tls_memory_begin(void);
bool tls_memory_has_failed(void);

long tls_memory_fail_after(long calls);
/* For tests: the allocation after so many more fails, in this thread, once; -1: none. Does nothing
 * where is_watched is false. What was left of the count before. */

bool tls_memory_is_watched(void);
/* Whether failures can be seen at all: not under a sanitizer, which brings its own allocator (and
 * ends the process rather than return NULL). */

#endif
