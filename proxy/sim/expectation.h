/* expectation.h - what a scenario promises, so that a policy is tested as code is.
 *
 *   amplification < 1.3                     attempts per call at the busiest upstream
 *   goodput > 95% outside [60s, 120s]       share of the calls made in that time that ended well
 *   recovers within 30s of 120s             from 120s on, goodput is above 95 % again by 150s, for
 * good trips within 5s of 60s                  some breaker opens in that time never recovers of
 * 70s | never trips Measures: goodput errors refused amplification retries calls p50 p99 queue (the
 * longest of any endpoint) inFlight (the most calls that the callers had open). Windows: in [a, b],
 * outside [a, b], after a, before b; none: the whole scenario. Pure. */
#ifndef OUTRIGGER_SIM_EXPECTATION_H
#define OUTRIGGER_SIM_EXPECTATION_H

#include "base/mono.h"
#include "base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* MEASURE(NAME, word, unit): the unit that its number has; `%` may be left out. */
#define MEASURE_LIST(X)                                                                            \
    X(GOODPUT, goodput, PERCENT)                                                                   \
    X(ERRORS, errors, PERCENT)                                                                     \
    X(REFUSED, refused, PERCENT)                                                                   \
    X(AMPLIFICATION, amplification, NUMBER)                                                        \
    X(RETRIES, retries, NUMBER)                                                                    \
    X(CALLS, calls, NUMBER)                                                                        \
    X(P50, p50, DURATION)                                                                          \
    X(P99, p99, DURATION)                                                                          \
    X(QUEUE, queue, NUMBER)                                                                        \
    X(IN_FLIGHT, inFlight, NUMBER)                                                                 \
    X(RECOVERS, recovers, EVENT)                                                                   \
    X(TRIPS, trips, EVENT)

enum measure {
#define X(name, word, unit) MEASURE_##name,
    MEASURE_LIST(X)
#undef X
        MEASURE_COUNT
};

enum measure_unit { UNIT_PERCENT, UNIT_NUMBER, UNIT_DURATION, UNIT_EVENT };
enum comparison { BELOW, AT_MOST, ABOVE, AT_LEAST };

struct time_window {
    dur_ns from;
    dur_ns to; /* DUR_FOREVER: the end */
    bool is_outside;
};

struct expectation {
    const char *text; /* as the scenario has it */
    uint32_t line;
    enum measure measure;
    enum comparison comparison;
    double limit; /* share of 1, number, or ns, by unit */
    struct time_window window;
    dur_ns within; /* of an event */
    bool is_never; /* of an event: it must not happen */
};

bool expectation_parse(struct span text, struct expectation *out, char *why, size_t why_size);
/* False with a sentence in `why`. Leaves out->text and out->line alone. */

bool window_holds(const struct time_window *window, dur_ns at);

enum measure_unit measure_unit(enum measure measure);
const char *measure_word(enum measure measure);

#endif
