/* fuzz_sniff.c - the first bytes of a connection, whatever they are. The verdict must not depend on
 * how they were cut: once it is certain it stays, so a reader that comes byte by byte sees what one
 * sees that gets all at once; and a name lies inside the bytes and is one. */
#include "net/resolver.h"
#include "net/sniff.h"

#include <stdint.h>
#include <stdlib.h>

#define CUTS_MAX 600 /* cut everywhere up to here, then now and then */

static void require(bool is_so)
{
    if (!is_so)
        abort();
}

static void check_name(struct span bytes, const struct client_hello *hello)
{
    const struct span name = hello->server_name;
    if (name.data == NULL)
        return;
    require(name.data >= bytes.data && name.data + name.len <= bytes.data + bytes.len);
    require(name.len > 0 && name.len <= RESOLVER_NAME_BYTES);
    for (size_t i = 0; i < name.len; i++)
        require(name.data[i] > ' ' && name.data[i] != ':' && name.data[i] != '/');
}

static bool is_same_name(const struct client_hello *a, const struct client_hello *b)
{
    return (a->server_name.data == NULL) == (b->server_name.data == NULL) &&
           a->server_name.len == b->server_name.len && a->offers_http2 == b->offers_http2;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct client_hello whole;
    const struct span bytes = span_make((const char *)data, len);
    const enum sniffed verdict = sniff(bytes, &whole);
    check_name(bytes, &whole);
    bool is_certain = false;
    for (size_t cut = 0; cut < len; cut += cut < CUTS_MAX ? 1 : 97) {
        struct client_hello part;
        const struct span first = span_make(bytes.data, cut);
        const enum sniffed so_far = sniff(first, &part);
        check_name(first, &part);
        require(!is_certain || so_far == verdict);
        require(so_far == SNIFF_MORE || (so_far == verdict && is_same_name(&part, &whole)));
        is_certain = so_far != SNIFF_MORE;
        (void)sniff_in_doubt(first);
    }
    return 0;
}
