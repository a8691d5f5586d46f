/* Serving calls of HTTP/2 when the n-th allocation of our own code or of libnghttp2 fails, for
 * every n. No crash, nothing lost, no caller that waits for ever, no answer that is cut short and
 * says nothing of it; and with memory back the same proxy serves a fresh connection well. A test is
 * one kind of call, so that its n are few. */
#include "h2_calls.h"

#include <criterion/criterion.h>

Test(serve_h2_alloc, may_fail_in_a_call_with_trailers, .timeout = 100)
{
    h2_fails_anywhere(true, h2_call_unary, h2_call_unary);
}

Test(serve_h2_alloc, may_fail_in_a_large_call, .timeout = 100)
{
    h2_fails_anywhere(true, h2_call_large, h2_call_unary);
}

Test(serve_h2_alloc, may_fail_in_a_retried_call, .timeout = 100)
{
    h2_fails_anywhere(true, h2_call_with_retry, h2_call_unary);
}

Test(serve_h2_alloc, may_fail_around_cancelled_calls, .timeout = 100)
{
    h2_fails_anywhere(true, h2_call_cancelled, h2_call_unary);
}
