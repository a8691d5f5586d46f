/* fuzz_dns_packet.c - a query, and what comes back, whatever they are: the first two bytes say
 * where the one ends. What is taken for a query is known by a beginning of it that holds one whole
 * question; its failure answers it; and what answers it has its id. */
#include "net/dns_packet.h"

#include <stdint.h>
#include <stdlib.h>

static void require(bool is_so)
{
    if (!is_so)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char failure[DNS_KEY_BYTES];
    struct span key;
    if (len < 2)
        return 0;
    const char *bytes = (const char *)data + 2;
    const size_t cut = (size_t)(data[0] << 8 | data[1]) % (len - 1);
    const struct span query = span_make(bytes, cut), reply = span_make(bytes + cut, len - 2 - cut);
    if (!dns_query_parse(query, &key))
        return 0;
    require(key.data == query.data && key.len > DNS_HEADER_BYTES && key.len <= query.len);
    require(key.len <= DNS_KEY_BYTES && !dns_answers(query, key));
    const struct span failed = span_make(failure, dns_failure(key, failure));
    require(failed.len == key.len && dns_answers(failed, key));
    if (dns_answers(reply, key))
        require(reply.len >= DNS_HEADER_BYTES && memcmp(reply.data, key.data, 2) == 0);
    return 0;
}
