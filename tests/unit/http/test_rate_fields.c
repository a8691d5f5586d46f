#include "http/rate_fields.h"

#include "base/span.h"

#include <criterion/criterion.h>

static void expect_fields(struct rate_state rate, const char *limit, const char *policy)
{
    char buf[RATE_FIELD_MAX];
    size_t len = rate_fields_limit(&rate, buf);
    cr_expect(span_is(span_make(buf, len), span_of(limit)), "%.*s", (int)len, buf);
    len = rate_fields_policy(&rate, buf);
    cr_expect(span_is(span_make(buf, len), span_of(policy)), "%.*s", (int)len, buf);
}

Test(rate_fields, times_are_whole_seconds_rounded_up)
{
    expect_fields((struct rate_state){.quota = 200, .window = NS_PER_S, .reset = 1},
                  "\"default\";r=0;t=1", "\"default\";q=200;w=1");
    expect_fields(
        (struct rate_state){
            .quota = 5, .window = 1500 * NS_PER_MS, .remaining = 3, .reset = 2 * NS_PER_S},
        "\"default\";r=3;t=2", "\"default\";q=5;w=2");
    expect_fields((struct rate_state){.quota = 1, .window = 0}, "\"default\";r=0;t=0",
                  "\"default\";q=1;w=1");
}

Test(rate_fields, largest_numbers_fit_and_stay_within_structured_fields)
{
    expect_fields((struct rate_state){.quota = UINT64_MAX,
                                      .window = DUR_FOREVER,
                                      .remaining = UINT64_MAX,
                                      .reset = DUR_FOREVER},
                  "\"default\";r=999999999999999;t=9223372037",
                  "\"default\";q=999999999999999;w=9223372037");
}
