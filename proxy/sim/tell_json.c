/* tell_json.c - a study as JSON, with names that stay. See tell.h. */
#include "base/json.h"
#include "sim/tell.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define FOUND_BYTES 64

static void put_text(const char *text, FILE *out)
{
    size_t left = strlen(text);
    fputc('"', out);
    while (left > 0) {
        char escaped[JSON_ESCAPE_MAX];
        size_t len;
        const size_t taken = json_escape(text, left, escaped, &len);
        fwrite(escaped, 1, len, out);
        text += taken;
        left -= taken;
    }
    fputc('"', out);
}

static void put_key(const char *key, FILE *out)
{
    fprintf(out, "\"%s\":", key);
}

/* Seconds; null for never. */
static void put_time(const char *key, dur_ns time, FILE *out)
{
    put_key(key, out);
    if (time == DUR_FOREVER)
        fputs("null", out);
    else
        fprintf(out, "%.6f", (double)time / (double)NS_PER_S);
}

static void put_words(const char *key, const uint64_t *counts, size_t count,
                      const char *(*word)(size_t index), FILE *out)
{
    const char *comma = "";
    put_key(key, out);
    fputc('{', out);
    for (size_t i = 0; i < count; i++) {
        if (counts[i] == 0)
            continue;
        fprintf(out, "%s\"%s\":%" PRIu64, comma, word(i), counts[i]);
        comma = ",";
    }
    fputs("},", out);
}

static const char *fate_at(size_t index)
{
    return fate_word((enum fate)index);
}

static const char *reason_at(size_t index)
{
    return reason_word((enum reason)index);
}

static const char *outcome_at(size_t index)
{
    return outcome_word((enum outcome)index);
}

static const char *cause_at(size_t index)
{
    return retry_cause_word((enum retry_cause)index);
}

static const char *skip_at(size_t index)
{
    return retry_skip_word((enum retry_skip)index);
}

static void put_totals(const struct result *result, FILE *out)
{
    fprintf(out,
            "\"calls\":%" PRIu64 ",\"good\":%" PRIu64 ",\"unfinished\":%" PRIu64
            ",\"attempts\":%" PRIu64 ",\"goodput\":%.6f,\"amplification\":%.6f,\"trips\":%" PRIu64
            ",\"transitions\":%" PRIu64 ",",
            result->calls, result->good, result->unfinished, result->attempts,
            result_goodput(result, NULL), result_amplification(result, NULL), result->trips,
            result->moves);
    put_time("p50", latency_quantile(&result->took, 0.5), out);
    fputc(',', out);
    put_time("p99", latency_quantile(&result->took, 0.99), out);
    fputc(',', out);
    put_words("fates", result->fates, FATE_COUNT, fate_at, out);
    put_words("reasons", result->reasons, REASON_COUNT, reason_at, out);
    put_words("outcomes", result->outcomes, OUTCOME_COUNT, outcome_at, out);
    put_words("retries", result->retries, RETRY_CAUSE_COUNT, cause_at, out);
    put_words("retriesSkipped", result->skipped, RETRY_SKIP_COUNT, skip_at, out);
}

static void put_upstreams(const struct result *result, FILE *out)
{
    fputs("\"upstreams\":[", out);
    for (size_t i = 0; i < result->scenario->upstream_count; i++) {
        const struct result_upstream *upstream = &result->upstreams[i];
        fprintf(out, "%s{\"name\":", i > 0 ? "," : "");
        put_text(upstream->name, out);
        fprintf(out,
                ",\"calls\":%" PRIu64 ",\"attempts\":%" PRIu64 ",\"served\":%" PRIu64
                ",\"wasted\":%" PRIu64 ",\"throttled\":%" PRIu64 ",\"shed\":%" PRIu64
                ",\"worstQueue\":%u}",
                upstream->calls, upstream->attempts, upstream->served, upstream->wasted,
                upstream->throttled, upstream->shed, upstream->longest_queue);
    }
    fputs("],", out);
}

static void put_faults(const struct result *result, FILE *out)
{
    fputs("\"faults\":[", out);
    for (size_t i = 0; i < result->scenario->fault_count; i++) {
        const struct scenario_fault *fault = &result->scenario->faults[i];
        fprintf(out, "%s{\"kind\":\"%s\",", i > 0 ? "," : "", fault_kind_word(fault->kind));
        put_time("from", fault->at, out);
        fputc(',', out);
        put_time("to", fault->at + fault->lasts, out);
        fputc(',', out);
        put_time("timeToTrip", result->faults[i].trip, out);
        fputc(',', out);
        put_time("timeToTripHalf", result->faults[i].half_trip, out);
        fputc(',', out);
        put_time("timeToRecover", result->faults[i].recovery, out);
        fputc('}', out);
    }
    fputs("],", out);
}

static void put_buckets(const struct result *result, FILE *out)
{
    const size_t busiest = result_busiest(result);
    put_time("bucket", result->bucket, out);
    fputs(",\"buckets\":[", out);
    for (size_t i = 0; i < result->bucket_count; i++) {
        const struct result_bucket *bucket = &result->buckets[i];
        fprintf(out,
                "%s{\"offered\":%u,\"good\":%u,\"attempts\":%u,\"retries\":%u,\"queue\":%u,"
                "\"open\":%u,\"halfOpen\":%u}",
                i > 0 ? "," : "", bucket->offered, bucket->good,
                result->upstreams[busiest].attempts_by_bucket[i], bucket->retries, bucket->queue,
                bucket->breakers[BREAKER_OPEN], bucket->breakers[BREAKER_HALF_OPEN]);
    }
    fputs("],", out);
}

static void put_transitions(const struct result *result, FILE *out)
{
    fputs("\"transitionList\":[", out);
    for (size_t i = 0; i < result->transition_count; i++) {
        const struct result_transition *move = &result->transitions[i];
        fprintf(out, "%s{", i > 0 ? "," : "");
        put_time("at", move->at, out);
        fprintf(out, ",\"sidecar\":%u,\"target\":", move->sidecar);
        put_text(move->target, out);
        fputs(",\"instance\":", out);
        put_text(move->instance, out);
        fprintf(out, ",\"from\":\"%s\",\"to\":\"%s\",\"reason\":\"%s\",",
                breaker_state_word(move->from), breaker_state_word(move->to),
                breaker_cause_word(move->cause));
        put_time("openFor", move->open_for, out);
        fputc('}', out);
    }
    fputs("]", out);
}

static void put_contender(const struct contender *contender, FILE *out)
{
    fputs("{\"name\":", out);
    put_text(contender->name, out);
    fputs(",\"recoveryBySeed\":[", out);
    for (size_t i = 0; i < contender->seed_count; i++) {
        fputs(i > 0 ? "," : "", out);
        if (contender->recovery[i] == DUR_FOREVER)
            fputs("null", out);
        else
            fprintf(out, "%.6f", (double)contender->recovery[i] / (double)NS_PER_S);
    }
    fputs("],\"amplificationBySeed\":[", out);
    for (size_t i = 0; i < contender->seed_count; i++)
        fprintf(out, "%s%.6f", i > 0 ? "," : "", contender->amplification[i]);
    fputs("],", out);
    put_totals(contender->result, out);
    put_upstreams(contender->result, out);
    put_faults(contender->result, out);
    put_buckets(contender->result, out);
    put_transitions(contender->result, out);
    fputc('}', out);
}

static void put_expectations(const struct study *study, FILE *out)
{
    char found[FOUND_BYTES];
    fputs("\"expectations\":[", out);
    for (size_t i = 0; i < study->scenario->expectation_count; i++) {
        const bool is_met = expectation_is_met(study->contenders[0].result, i, found, sizeof found);
        fprintf(out, "%s{\"text\":", i > 0 ? "," : "");
        put_text(study->scenario->expectations[i].text, out);
        fprintf(out, ",\"line\":%u,\"met\":%s,\"found\":", study->scenario->expectations[i].line,
                is_met ? "true" : "false");
        put_text(found, out);
        fputc('}', out);
    }
    fputs("],", out);
}

void tell_json(const struct study *study, FILE *out)
{
    fputs("{\"scenario\":", out);
    put_text(study->scenario->name, out);
    fputs(",\"file\":", out);
    put_text(study->scenario->file, out);
    fprintf(out, ",\"seed\":%" PRIu64 ",", study->contenders[0].result->seed);
    put_time("duration", study->scenario->duration, out);
    fputc(',', out);
    put_expectations(study, out);
    fputs("\"contenders\":[", out);
    for (size_t i = 0; i < study->contender_count; i++) {
        fputs(i > 0 ? "," : "", out);
        put_contender(&study->contenders[i], out);
    }
    fputs("]}\n", out);
}
