/* tell.c - the table of a study. See tell.h. */
#include "sim/tell.h"

#include <inttypes.h>
#include <string.h>

#define CELL_BYTES 64
#define NAME_WIDTH 34
#define CELL_WIDTH 10
#define FOUND_BYTES 64

static void say_time(dur_ns time, char *out, size_t size)
{
    if (time == DUR_FOREVER)
        snprintf(out, size, "never");
    else if (time < NS_PER_S)
        snprintf(out, size, "%.1f ms", (double)time / (double)NS_PER_MS);
    else
        snprintf(out, size, "%.1f s", (double)time / (double)NS_PER_S);
}

static void say_share(uint64_t part, uint64_t whole, char *out, size_t size)
{
    snprintf(out, size, "%.2f %%", whole > 0 ? 100.0 * (double)part / (double)whole : 0.0);
}

/* Without its folders. */
static const char *short_name(const struct contender *contender)
{
    const char *slash = strrchr(contender->name, '/');
    return slash != NULL ? slash + 1 : contender->name;
}

/* One cell of a row; the columns are as wide as the longest name. */
static void put_cell(const struct study *study, const char *text, FILE *out)
{
    size_t width = CELL_WIDTH;
    for (size_t i = 0; i < study->contender_count; i++) {
        const size_t len = strlen(short_name(&study->contenders[i]));
        width = len > width ? len : width;
    }
    fprintf(out, "  %*s", (int)width, text);
}

/* ---- rows ----------------------------------------------------------------------------------- */

typedef void (*cell_writer)(const struct result *result, char *out, size_t size);

static void cell_calls(const struct result *result, char *out, size_t size)
{
    snprintf(out, size, "%" PRIu64, result->calls);
}

static void cell_goodput(const struct result *result, char *out, size_t size)
{
    say_share(result->good, result->calls, out, size);
}

static void cell_retried(const struct result *result, char *out, size_t size)
{
    say_share(result->fates[FATE_SUCCESS_AFTER_RETRY], result->calls, out, size);
}

static void cell_p50(const struct result *result, char *out, size_t size)
{
    say_time(latency_quantile(&result->took, 0.5), out, size);
}

static void cell_p99(const struct result *result, char *out, size_t size)
{
    say_time(latency_quantile(&result->took, 0.99), out, size);
}

static void cell_amplification(const struct result *result, char *out, size_t size)
{
    snprintf(out, size, "%.3f", result_amplification(result, NULL));
}

static void cell_queue(const struct result *result, char *out, size_t size)
{
    uint32_t most = 0;
    for (size_t i = 0; i < result->scenario->upstream_count; i++)
        most =
            result->upstreams[i].longest_queue > most ? result->upstreams[i].longest_queue : most;
    snprintf(out, size, "%u", most);
}

static void cell_wasted(const struct result *result, char *out, size_t size)
{
    uint64_t served = 0;
    uint64_t wasted = 0;
    for (size_t i = 0; i < result->scenario->upstream_count; i++) {
        served += result->upstreams[i].served;
        wasted += result->upstreams[i].wasted;
    }
    say_share(wasted, served, out, size);
}

static void cell_unfinished(const struct result *result, char *out, size_t size)
{
    say_share(result->unfinished, result->calls, out, size);
}

static void cell_trips(const struct result *result, char *out, size_t size)
{
    snprintf(out, size, "%" PRIu64, result->trips);
}

static const struct row {
    const char *name;
    cell_writer write;
} rows[] = {
    {"calls", cell_calls},
    {"goodput", cell_goodput},
    {"  of it after a retry", cell_retried},
    {"p50 of good calls", cell_p50},
    {"p99 of good calls", cell_p99},
    {"attempts per call (amplification)", cell_amplification},
    {"worst queue", cell_queue},
    {"work for nobody", cell_wasted},
    {"times that a breaker opened", cell_trips},
};

static void row(const struct study *study, const char *name, cell_writer write, FILE *out)
{
    char cell[CELL_BYTES];
    fprintf(out, "  %-*s", NAME_WIDTH, name);
    for (size_t i = 0; i < study->contender_count; i++) {
        write(study->contenders[i].result, cell, sizeof cell);
        put_cell(study, cell, out);
    }
    fputc('\n', out);
}

static bool is_good(size_t fate)
{
    return fate == FATE_SUCCESS || fate == FATE_SUCCESS_AFTER_RETRY;
}

static void count_row(const struct study *study, const char *name, size_t offset, size_t index,
                      FILE *out)
{
    uint64_t any = 0;
    for (size_t i = 0; i < study->contender_count; i++)
        any += ((const uint64_t *)((const char *)study->contenders[i].result + offset))[index];
    if (any == 0)
        return;
    fprintf(out, "    %-*s", NAME_WIDTH - 2, name);
    for (size_t i = 0; i < study->contender_count; i++) {
        const struct result *result = study->contenders[i].result;
        char cell[CELL_BYTES];
        say_share(((const uint64_t *)((const char *)result + offset))[index], result->calls, cell,
                  sizeof cell);
        put_cell(study, cell, out);
    }
    fputc('\n', out);
}

static void error_rows(const struct study *study, FILE *out)
{
    fputs("  calls that did not end well, by fate\n", out);
    for (size_t i = 0; i < FATE_COUNT; i++)
        if (!is_good(i))
            count_row(study, fate_word((enum fate)i), offsetof(struct result, fates), i, out);
    row(study, "  still open at the end", cell_unfinished, out);
    fputs("  by the reason of our own answer\n", out);
    for (size_t i = 1; i < REASON_COUNT; i++)
        count_row(study, reason_word((enum reason)i), offsetof(struct result, reasons), i, out);
    fputs("  retries, per call\n", out);
    for (size_t i = 0; i < RETRY_CAUSE_COUNT; i++)
        count_row(study, retry_cause_word((enum retry_cause)i), offsetof(struct result, retries), i,
                  out);
    fputs("  retries that were not made, per call\n", out);
    for (size_t i = 0; i < RETRY_SKIP_COUNT; i++)
        count_row(study, retry_skip_word((enum retry_skip)i), offsetof(struct result, skipped), i,
                  out);
}

/* ---- faults --------------------------------------------------------------------------------- */

static void fault_line(const struct study *study, const char *what, size_t index, size_t offset,
                       FILE *out)
{
    char cell[CELL_BYTES];
    fprintf(out, "    %-*s", NAME_WIDTH - 2, what);
    for (size_t i = 0; i < study->contender_count; i++) {
        const struct result_fault *fault = &study->contenders[i].result->faults[index];
        say_time(*(const dur_ns *)((const char *)fault + offset), cell, sizeof cell);
        put_cell(study, cell, out);
    }
    fputc('\n', out);
}

static void fault_rows(const struct study *study, FILE *out)
{
    const struct scenario *scenario = study->scenario;
    for (size_t i = 0; i < scenario->fault_count; i++) {
        const struct scenario_fault *fault = &scenario->faults[i];
        fprintf(out, "  %s of %s from %.1f s to %.1f s\n", fault_kind_word(fault->kind),
                scenario->upstreams[fault->upstream_index].name,
                (double)fault->at / (double)NS_PER_S,
                (double)(fault->at + fault->lasts) / (double)NS_PER_S);
        fault_line(study, "time to trip", i, offsetof(struct result_fault, trip), out);
        if (scenario->callers[0].replicas > 1)
            fault_line(study, "until half of the fleet had tripped", i,
                       offsetof(struct result_fault, half_trip), out);
        fault_line(study, "time to recover after it", i, offsetof(struct result_fault, recovery),
                   out);
    }
}

/* ---- expectations ---------------------------------------------------------------------------- */

size_t tell_unmet(const struct study *study)
{
    char found[FOUND_BYTES];
    size_t unmet = 0;
    for (size_t i = 0; i < study->scenario->expectation_count; i++)
        unmet += !expectation_is_met(study->contenders[0].result, i, found, sizeof found);
    return unmet;
}

static void expectation_lines(const struct study *study, FILE *out)
{
    const struct scenario *scenario = study->scenario;
    char found[FOUND_BYTES];
    if (scenario->expectation_count == 0)
        return;
    fprintf(out, "\nExpected of %s\n", study->contenders[0].name);
    for (size_t i = 0; i < scenario->expectation_count; i++) {
        const struct expectation *expectation = &scenario->expectations[i];
        const bool is_met = expectation_is_met(study->contenders[0].result, i, found, sizeof found);
        fprintf(out, "  %-5s  %s:%u: %s (found: %s)\n", is_met ? "met" : "UNMET", scenario->file,
                expectation->line, expectation->text, found);
    }
}

void tell_table(const struct study *study, FILE *out)
{
    const struct scenario *scenario = study->scenario;
    fprintf(out, "%s: %.0f s, seed %" PRIu64 "\n\n  %-*s", scenario->name,
            (double)scenario->duration / (double)NS_PER_S, study->contenders[0].result->seed,
            NAME_WIDTH, "");
    for (size_t i = 0; i < study->contender_count; i++)
        put_cell(study, short_name(&study->contenders[i]), out);
    fputc('\n', out);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        row(study, rows[i].name, rows[i].write, out);
    error_rows(study, out);
    fault_rows(study, out);
    expectation_lines(study, out);
}

void tell_transitions(const struct result *result, size_t most, FILE *out)
{
    const size_t shown = result->transition_count < most ? result->transition_count : most;
    fprintf(out, "\nTransitions of %s: %" PRIu64 "\n", result->policy, result->moves);
    for (size_t i = 0; i < shown; i++) {
        const struct result_transition *move = &result->transitions[i];
        fprintf(out, "  %10.3f s  sidecar %u  %s %s: %s -> %s (%s)",
                (double)move->at / (double)NS_PER_S, move->sidecar, move->target, move->instance,
                breaker_state_word(move->from), breaker_state_word(move->to),
                breaker_cause_word(move->cause));
        if (move->to == BREAKER_OPEN)
            fprintf(out, " for %.3f s, window %u calls, %u failures, %u slow",
                    (double)move->open_for / (double)NS_PER_S, move->calls, move->failures,
                    move->slow);
        fputc('\n', out);
    }
    if (result->moves > shown)
        fprintf(out, "  and %" PRIu64 " more (--transitions shows %d)\n", result->moves - shown,
                RESULT_TRANSITIONS_MAX);
}
