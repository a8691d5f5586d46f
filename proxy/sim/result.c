/* result.c - see result.h. */
#include "sim/result.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHORT_SCENARIO (20 * NS_PER_S) /* up to this long, buckets are of a tenth of a second */

static bool allocate(struct result *result)
{
    const struct scenario *scenario = result->scenario;
    bool is_good;
    result->buckets = calloc(result->bucket_count, sizeof *result->buckets);
    result->upstreams = calloc(scenario->upstream_count, sizeof *result->upstreams);
    result->faults = calloc(scenario->fault_count + 1, sizeof *result->faults);
    result->windowed = calloc(scenario->expectation_count + 1, sizeof *result->windowed);
    result->transitions = calloc(RESULT_TRANSITIONS_MAX, sizeof *result->transitions);
    is_good = result->buckets && result->upstreams && result->faults && result->windowed &&
              result->transitions;
    for (size_t i = 0; is_good && i < scenario->upstream_count; i++) {
        struct result_upstream *upstream = &result->upstreams[i];
        upstream->name = scenario->upstreams[i].name;
        upstream->attempts_by_bucket = calloc(result->bucket_count, sizeof(uint32_t));
        is_good = upstream->attempts_by_bucket != NULL;
    }
    return is_good;
}

struct result *result_new(const struct scenario *scenario, const char *policy, uint64_t seed)
{
    struct result *result = calloc(1, sizeof *result);
    if (result == NULL)
        return NULL;
    result->scenario = scenario;
    result->seed = seed;
    result->bucket = scenario->duration <= SHORT_SCENARIO ? NS_PER_S / 10 : NS_PER_S;
    result->bucket_count = (size_t)((scenario->duration + result->bucket - 1) / result->bucket);
    result->policy = strdup(policy);
    if (result->policy == NULL || !allocate(result))
        result_free(&result);
    return result;
}

void result_free(struct result **taken)
{
    struct result *result = *taken;
    *taken = NULL;
    if (result == NULL)
        return;
    for (size_t i = 0; result->upstreams != NULL && i < result->scenario->upstream_count; i++)
        free(result->upstreams[i].attempts_by_bucket);
    free((char *)(uintptr_t)result->policy);
    free(result->buckets);
    free(result->upstreams);
    free(result->faults);
    free(result->windowed);
    free(result->transitions);
    free(result);
}

/* ---- sums over a window ------------------------------------------------------------------- */

static const struct time_window always = {.to = DUR_FOREVER};

static bool holds(const struct result *result, const struct time_window *window, size_t bucket)
{
    return window_holds(window, (dur_ns)bucket * result->bucket);
}

static double amplification_of(const struct result *result, size_t index,
                               const struct time_window *window)
{
    const struct result_upstream *upstream = &result->upstreams[index];
    const double share = result->calls > 0 ? (double)upstream->calls / (double)result->calls : 0;
    double calls = 0;
    double attempts = 0;
    for (size_t i = 0; i < result->bucket_count; i++) {
        if (!holds(result, window, i))
            continue;
        calls += result->buckets[i].offered * share;
        attempts += upstream->attempts_by_bucket[i];
    }
    return calls > 0 ? attempts / calls : -1;
}

size_t result_busiest(const struct result *result)
{
    size_t busiest = 0;
    double most = -1;
    for (size_t i = 0; i < result->scenario->upstream_count; i++) {
        const double amplification = amplification_of(result, i, &always);
        if (amplification > most) {
            most = amplification;
            busiest = i;
        }
    }
    return busiest;
}

double result_amplification(const struct result *result, const struct time_window *window)
{
    const double amplification =
        amplification_of(result, result_busiest(result), window ? window : &always);
    return amplification < 0 ? 1 : amplification;
}

double result_goodput(const struct result *result, const struct time_window *window)
{
    uint64_t offered = 0;
    uint64_t good = 0;
    for (size_t i = 0; i < result->bucket_count; i++) {
        if (window != NULL && !holds(result, window, i))
            continue;
        offered += result->buckets[i].offered;
        good += result->buckets[i].good;
    }
    return offered > 0 ? (double)good / (double)offered : 1;
}

static uint64_t refused_in(const struct result_bucket *bucket)
{
    return bucket->fates[FATE_CIRCUIT_OPEN] + bucket->fates[FATE_BULKHEAD_FULL] +
           bucket->fates[FATE_QUEUE_TIMEOUT] + bucket->fates[FATE_RATE_LIMITED];
}

uint64_t result_refused(const struct result *result)
{
    return result->fates[FATE_CIRCUIT_OPEN] + result->fates[FATE_BULKHEAD_FULL] +
           result->fates[FATE_QUEUE_TIMEOUT] + result->fates[FATE_RATE_LIMITED];
}

/* ---- events -------------------------------------------------------------------------------- */

dur_ns result_recovery(const struct result *result, dur_ns from)
{
    size_t good_since = result->bucket_count;
    for (size_t i = result->bucket_count; i-- > 0;) {
        const struct result_bucket *bucket = &result->buckets[i];
        if ((dur_ns)(i + 1) * result->bucket <= from ||
            bucket->good < RECOVERED_SHARE * bucket->offered)
            break;
        good_since = i;
    }
    if (good_since == result->bucket_count)
        return DUR_FOREVER;
    const dur_ns at = (dur_ns)good_since * result->bucket;
    return at > from ? at - from : 0;
}

dur_ns result_trip(const struct result *result, dur_ns from)
{
    for (size_t i = 0; i < result->transition_count; i++) {
        const struct result_transition *move = &result->transitions[i];
        if (move->to == BREAKER_OPEN && move->at >= from)
            return move->at - from;
    }
    return DUR_FOREVER;
}

static uint32_t replicas_of(const struct scenario *scenario)
{
    uint32_t replicas = 0;
    for (size_t i = 0; i < scenario->caller_count; i++)
        replicas += scenario->callers[i].replicas;
    return replicas;
}

/* From `from` until half of the callers' sidecars had an open breaker at the same time. */
static dur_ns half_trip(const struct result *result, dur_ns from)
{
    const uint32_t replicas = replicas_of(result->scenario);
    uint32_t open = 0;
    for (size_t i = 0; i < result->transition_count; i++) {
        const struct result_transition *move = &result->transitions[i];
        if (move->sidecar >= replicas)
            continue;
        if (move->to == BREAKER_OPEN && move->from != BREAKER_HALF_OPEN)
            open++;
        else if (move->to == BREAKER_CLOSED && open > 0)
            open--;
        if (move->at >= from && open * 2 >= replicas)
            return move->at - from;
    }
    return DUR_FOREVER;
}

void result_conclude(struct result *result)
{
    for (size_t i = 0; i < result->scenario->fault_count; i++) {
        const struct scenario_fault *fault = &result->scenario->faults[i];
        result->faults[i].trip = result_trip(result, fault->at);
        result->faults[i].half_trip = half_trip(result, fault->at);
        result->faults[i].recovery = result_recovery(result, fault->at + fault->lasts);
    }
}

/* ---- expectations -------------------------------------------------------------------------- */

static double fate_share(const struct result *result, const struct time_window *window,
                         bool wants_refused)
{
    uint64_t offered = 0;
    uint64_t seen = 0;
    for (size_t i = 0; i < result->bucket_count; i++) {
        const struct result_bucket *bucket = &result->buckets[i];
        if (!holds(result, window, i))
            continue;
        offered += bucket->offered;
        seen += wants_refused ? refused_in(bucket) : (uint64_t)bucket->offered - bucket->good;
    }
    return offered > 0 ? (double)seen / (double)offered : 0;
}

static double total_of(const struct result *result, const struct expectation *expectation)
{
    double total = 0;
    double most = 0;
    for (size_t i = 0; i < result->bucket_count; i++) {
        const struct result_bucket *bucket = &result->buckets[i];
        if (!holds(result, &expectation->window, i))
            continue;
        total += expectation->measure == MEASURE_RETRIES ? bucket->retries : bucket->offered;
        const uint32_t level =
            expectation->measure == MEASURE_QUEUE ? bucket->queue : bucket->in_flight;
        most = level > most ? level : most;
    }
    const bool is_level =
        expectation->measure == MEASURE_QUEUE || expectation->measure == MEASURE_IN_FLIGHT;
    return is_level ? most : total;
}

static double measure_of(const struct result *result, size_t index)
{
    const struct expectation *expectation = &result->scenario->expectations[index];
    const struct time_window *window = &expectation->window;
    switch (expectation->measure) {
    case MEASURE_GOODPUT: return result_goodput(result, window);
    case MEASURE_ERRORS: return fate_share(result, window, false);
    case MEASURE_REFUSED: return fate_share(result, window, true);
    case MEASURE_AMPLIFICATION: return result_amplification(result, window);
    case MEASURE_P50: return (double)latency_quantile(&result->windowed[index], 0.5);
    case MEASURE_P99: return (double)latency_quantile(&result->windowed[index], 0.99);
    default: return total_of(result, expectation);
    }
}

static void say(enum measure_unit unit, double value, char *found, size_t size)
{
    if (unit == UNIT_PERCENT)
        snprintf(found, size, "%.2f %%", value * 100);
    else if (unit == UNIT_DURATION)
        snprintf(found, size, "%.1f ms", value / (double)NS_PER_MS);
    else
        snprintf(found, size, "%.4g", value);
}

static bool event_is_met(const struct result *result, const struct expectation *expectation,
                         char *found, size_t size)
{
    const dur_ns took = expectation->measure == MEASURE_RECOVERS
                            ? result_recovery(result, expectation->window.from)
                            : result_trip(result, expectation->window.from);
    if (took == DUR_FOREVER)
        snprintf(found, size, "never");
    else
        snprintf(found, size, "after %.1f s", (double)took / (double)NS_PER_S);
    return expectation->is_never ? took == DUR_FOREVER : took <= expectation->within;
}

bool expectation_is_met(const struct result *result, size_t index, char *found, size_t size)
{
    const struct expectation *expectation = &result->scenario->expectations[index];
    const enum measure_unit unit = measure_unit(expectation->measure);
    if (unit == UNIT_EVENT)
        return event_is_met(result, expectation, found, size);
    const double value = measure_of(result, index);
    say(unit, value, found, size);
    switch (expectation->comparison) {
    case BELOW: return value < expectation->limit;
    case AT_MOST: return value <= expectation->limit;
    case ABOVE: return value > expectation->limit;
    default: return value >= expectation->limit;
    }
}
