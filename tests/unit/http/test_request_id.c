#include "http/request_id.h"

#include "base/span.h"

#include <criterion/criterion.h>

Test(request_id, is_32_digits_of_both_words)
{
    char buf[REQUEST_ID_LEN];
    request_id_write(UINT64_C(0x0123456789abcdef), 1, buf);
    cr_expect(span_is(span_make(buf, sizeof(buf)), SPAN("0123456789abcdef0000000000000001")));
    request_id_write(0, UINT64_MAX, buf);
    cr_expect(span_is(span_make(buf, sizeof(buf)), SPAN("0000000000000000ffffffffffffffff")));
}
