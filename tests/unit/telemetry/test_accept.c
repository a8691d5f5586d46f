/* Which format a scraper gets. */
#include "telemetry/exposition.h"

#include <criterion/criterion.h>

#define GETS_OPENMETRICS(accept)                                                                   \
    cr_assert_eq(exposition_format_from(SPAN(accept)), EXPOSITION_OPENMETRICS)
#define GETS_PROMETHEUS(accept)                                                                    \
    cr_assert_eq(exposition_format_from(SPAN(accept)), EXPOSITION_PROMETHEUS)

Test(accept, is_prometheus_unless_somebody_asks)
{
    cr_assert_eq(exposition_format_from(SPAN_NONE), EXPOSITION_PROMETHEUS);
    GETS_PROMETHEUS("");
    GETS_PROMETHEUS("*/*");
    GETS_PROMETHEUS("text/html, text/plain;q=0.1");
    GETS_PROMETHEUS(",,;;q=,");
}

Test(accept, is_openmetrics_for_a_scraper_that_prefers_it)
{
    GETS_OPENMETRICS("application/openmetrics-text;version=1.0.0,application/"
                     "openmetrics-text;version=0.0.1;q=0.75,"
                     "text/plain;version=0.0.4;q=0.5,*/*;q=0.1");
    GETS_OPENMETRICS("Application/OpenMetrics-Text");
    GETS_OPENMETRICS("text/plain;q=0.5 , application/openmetrics-text ; version=1.0.0 ; q=0.5");
}

Test(accept, heeds_weights)
{
    GETS_PROMETHEUS("application/openmetrics-text;q=0.4, text/plain;q=0.5");
    GETS_PROMETHEUS("application/openmetrics-text;q=0");
    GETS_PROMETHEUS("application/openmetrics-text;q=0.000");
    GETS_OPENMETRICS("application/openmetrics-text;q=0.001");
    GETS_PROMETHEUS("application/openmetrics-text;q=x");
    GETS_PROMETHEUS("application/openmetrics-text;q=0x5");
}

Test(accept, does_not_promise_a_version_that_it_does_not_know)
{
    GETS_PROMETHEUS("application/openmetrics-text;version=2.0.0, text/plain;q=0.1");
}
