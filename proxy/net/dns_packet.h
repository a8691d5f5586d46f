/* dns_packet.h - as much of DNS messages (RFC 1035 section 4.1) as somebody must know who passes
 * them on unread: what is a question, what answers it, and how to say that nobody did.
 *
 * Example: struct span key; if (dns_query_parse(packet, &key)) send(fd, packet...);
 *          ... if (dns_answers(reply, key)) pass it back;
 * Pure; the packets are the caller's, and hostile. */
#ifndef OUTRIGGER_NET_DNS_PACKET_H
#define OUTRIGGER_NET_DNS_PACKET_H

#include "base/span.h"

#include <stdbool.h>
#include <stddef.h>

#define DNS_HEADER_BYTES 12
#define DNS_KEY_BYTES (DNS_HEADER_BYTES + 255 + 4) /* header, a name, type and class */

bool dns_query_parse(struct span packet, struct span *key);
/* `key` is the beginning of the packet, up to the end of its question: what an answer is known by.
 * False: it is no query with exactly one question, whose name is well-formed and not compressed. */

bool dns_answers(struct span packet, struct span key);
/* Is it a response to that query: the same id, the same question? Case does not count (servers
 * change it). A refusal without the question (RFC 2308's and older servers' FORMERR) is one, too.
 */

size_t dns_failure(struct span key, char out[DNS_KEY_BYTES]);
/* Writes the response SERVFAIL to that query; its length. */

#endif
