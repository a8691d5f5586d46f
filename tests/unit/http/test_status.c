#include "http/status.h"

#include "base/reason.h"

#include <criterion/criterion.h>

Test(status, every_reason_has_a_phrase_for_its_status)
{
    for (int reason = REASON_NONE + 1; reason < REASON_COUNT; reason++) {
        int status = reason_http_status((enum reason)reason);
        cr_expect_str_neq(status_phrase(status), "Unknown", "%d", status);
    }
}

Test(status, phrases_are_those_of_the_registry)
{
    cr_expect_str_eq(status_phrase(200), "OK");
    cr_expect_str_eq(status_phrase(503), "Service Unavailable");
    cr_expect_str_eq(status_phrase(508), "Loop Detected");
    cr_expect_str_eq(status_phrase(0), "Unknown");
    cr_expect_str_eq(status_phrase(599), "Unknown");
}
