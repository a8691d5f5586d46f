/* tally.c - see tally.h. */
#include "webhook/tally.h"

#define PREFIX "outrigger_injector_"
#define NS_DECIMALS 9

static void head(struct text *out, const char *name, const char *type, const char *help)
{
    text_printf(out, "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s %s\n", name, help, name, type);
}

static void series(struct text *out, const char *name, const char *label, uint64_t value)
{
    text_printf(out, PREFIX "%s%s ", name, label);
    text_uint(out, value);
    text_char(out, '\n');
}

static void put_reviews(struct text *out, const struct tally *tally)
{
    static const char *const labels[] = {
#define X(name, word) "{result=\"" word "\"}",
        REVIEW_RESULT_LIST(X)
#undef X
    };
    head(out, "reviews_total", "counter",
         "Reviews of pods: patched, skipped (nothing to do), refused (with a warning), malformed.");
    for (unsigned i = 0; i < REVIEW_RESULT_COUNT; i++)
        series(out, "reviews_total", labels[i], tally->reviews[i]);
}

static void put_durations(struct text *out, const struct histogram *durations)
{
    uint64_t count = 0;
    head(out, "review_duration_seconds", "histogram",
         "From the last byte of a review to its answer.");
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        count += cell_get(&durations->buckets[i]);
        text_printf(out, PREFIX "review_duration_seconds_bucket{le=\"%s\"} ",
                    histogram_bound_words[i]);
        text_uint(out, count);
        text_char(out, '\n');
    }
    text_put(out, PREFIX "review_duration_seconds_sum ");
    text_fixed(out, cell_get(&durations->sum_ns), NS_DECIMALS);
    text_char(out, '\n');
    series(out, "review_duration_seconds_count", "", count);
}

void tally_write(const struct tally *tally, struct text *out)
{
    put_reviews(out, tally);
    put_durations(out, &tally->durations);
    head(out, "certificate_not_after_seconds", "gauge",
         "When the certificate expires, in seconds since 1970.");
    series(out, "certificate_not_after_seconds", "", (uint64_t)tally->not_after);
    head(out, "certificate_reloads_total", "counter",
         "The certificate's files have changed: success, or failure (the former one stays).");
    series(out, "certificate_reloads_total", "{result=\"success\"}", tally->reloads_done);
    series(out, "certificate_reloads_total", "{result=\"failure\"}", tally->reloads_failed);
    head(out, "connections_cut_total", "counter",
         "Connections that were too slow, or sent more than there is room for.");
    series(out, "connections_cut_total", "", tally->connections_cut);
    head(out, "handshakes_failed_total", "counter", "TLS handshakes that failed.");
    series(out, "handshakes_failed_total", "", tally->handshakes_failed);
    head(out, "build_info", "gauge", "The version that runs.");
    series(out, "build_info", "{version=\"" OUTRIGGER_VERSION "\"}", 1);
}
