/* scenario_schema.c - the tables of kind: Scenario. See scenario.h and config/schema.h. */
#include "sim/scenario.h"

#include "config/policy_schema.h"
#include "sim/scenario_own.h"

#define MAX_RATE 1000000
#define MAX_CALLS 1000000
#define LONG ((uint64_t)(7 * 24 * 3600) * NS_PER_S)

static const struct word kind_words[] = {{KIND_SCENARIO, 0}, {NULL, 0}};
static const struct word version_words[] = {{API_VERSION, 0}, {NULL, 0}};
static const struct word unlimited_words[] = {{"unlimited", -1}, {NULL, 0}};
static const struct word never_words[] = {{"never", -1}, {NULL, 0}};
static const struct word arrival_words[] = {
    {"poisson", ARRIVALS_POISSON}, {"constant", ARRIVALS_CONSTANT}, {NULL, 0}};
static const struct word distribution_words[] = {{"fixed", SERVICE_FIXED},
                                                 {"exponential", SERVICE_EXPONENTIAL},
                                                 {"lognormal", SERVICE_LOGNORMAL},
                                                 {"histogram", SERVICE_HISTOGRAM},
                                                 {NULL, 0}};
static const struct word fault_words[] = {
#define X(name, word, text) {#word, FAULT_##name},
    FAULT_KIND_LIST(X)
#undef X
        {NULL, 0}};

#define DURATION_ROW(word, owner, member, least, text, ...)                                        \
    {                                                                                              \
        .name = word, .type = FIELD_DURATION, FIELD_AT(owner, member), .min = least, .max = LONG,  \
        .doc = text, __VA_ARGS__                                                                   \
    }
#define COUNT_ROW(word, owner, member, least, most, text, ...)                                     \
    {                                                                                              \
        .name = word, .type = FIELD_COUNT, FIELD_AT(owner, member), .min = least, .max = most,     \
        .doc = text, __VA_ARGS__                                                                   \
    }
#define NAME_ROW(word, owner, member, text, ...)                                                   \
    {                                                                                              \
        .name = word, .type = FIELD_NAME, FIELD_AT(owner, member), .max = 63, .doc = text,         \
        __VA_ARGS__                                                                                \
    }
#define BLOCKS_ROW(word, owner, list, length, least, most, items, text)                            \
    {                                                                                              \
        .name = word, .type = FIELD_BLOCKS, FIELD_AT(owner, list), .aux = offsetof(owner, length), \
        .min = least, .max = most, .block = items, .doc = text                                     \
    }

/* ---- calls -------------------------------------------------------------------------------- */

static const struct field header_fields[] = {
    {.name = "name",
     .type = FIELD_HEADER_NAME,
     FIELD_AT(struct name_value, name),
     .is_required = true,
     .max = 256,
     .doc = "name of the header"},
    {.name = "value",
     .type = FIELD_TEXT,
     FIELD_AT(struct name_value, value),
     .is_required = true,
     .max = 4096,
     .doc = "its value"},
};
static const struct block header_block = {.name = "headers",
                                          BLOCK_FIELDS(header_fields),
                                          .item_size = sizeof(struct name_value),
                                          .doc = "A header that the call carries."};

static const struct field call_fields[] = {
    COUNT_ROW("weight", struct call_kind, weight, 1, MAX_CALLS,
              "how often, against the other entries", .preset = "1"),
    {.name = "method",
     .type = FIELD_METHOD_NAME,
     FIELD_AT(struct call_kind, method),
     .max = 32,
     .preset = "GET",
     .doc = "rules and retries go by it"},
    {.name = "path",
     .type = FIELD_TEXT,
     FIELD_AT(struct call_kind, path),
     .min = 1,
     .max = 4096,
     .preset = "/",
     .doc = "rules go by it"},
    BLOCKS_ROW("headers", struct call_kind, headers, header_count, 0, 32, &header_block,
               "rules go by them; an Idempotency-Key admits a POST to retries"),
    {.name = "body",
     .type = FIELD_SIZE,
     FIELD_AT(struct call_kind, body_bytes),
     .max = (uint64_t)1 << 40,
     .preset = "0",
     .doc = "of the request; past retry.maxBody it is not repeated"},
    NAME_ROW("upstream", struct call_kind, upstream, "where it goes; left out: the caller's"),
};
static const struct block call_block = {.name = "calls",
                                        BLOCK_FIELDS(call_fields),
                                        .item_size = sizeof(struct call_kind),
                                        .doc = "A kind of call."};

static const struct field load_fields[] = {
    DURATION_ROW("at", struct load_point, at, 0, "when", .is_required = true),
    COUNT_ROW("rate", struct load_point, rate, 0, MAX_RATE, "the rate at that time",
              .is_required = true, .unit = "calls a second"),
};
static const struct block load_block = {.name = "load",
                                        BLOCK_FIELDS(load_fields),
                                        .item_size = sizeof(struct load_point),
                                        .doc = "Between two points the rate changes evenly: two "
                                               "close points are a step, three a spike."};

static const struct field caller_fields[] = {
    NAME_ROW("name", struct scenario_caller, name, "of the app", .preset = "app"),
    NAME_ROW("upstream", struct scenario_caller, upstream, "what it calls; left out: the only one"),
    COUNT_ROW("replicas", struct scenario_caller, replicas, 1, SCENARIO_REPLICAS_MAX,
              "how many run, each beside an Outrigger of its own", .preset = "1"),
    COUNT_ROW("rate", struct scenario_caller, rate, 0, MAX_RATE,
              "of all replicas together; or give `load`", .preset = "0", .unit = "calls a second"),
    BLOCKS_ROW("load", struct scenario_caller, load, load_count, 1, 1000, &load_block,
               "a rate that changes: ramps, steps and spikes"),
    {.name = "arrivals",
     .type = FIELD_ENUM,
     FIELD_AT(struct scenario_caller, arrivals),
     .words = arrival_words,
     .preset = "poisson",
     .doc = "poisson: by chance, as independent users call; constant: evenly. Both are open-loop: "
            "nobody waits for an answer before the next call"},
    BLOCKS_ROW("calls", struct scenario_caller, calls, call_count, 1, 64, &call_block,
               "the mix; left out: GET /"),
    DURATION_ROW("giveUpAfter", struct scenario_caller, give_up_after, 0,
                 "the app's own timeout: the call is cancelled; 0s: it waits for ever",
                 .preset = "0s"),
};
static const struct block caller_block = {.name = "callers",
                                          BLOCK_FIELDS(caller_fields),
                                          .item_size = sizeof(struct scenario_caller),
                                          .doc = "An app that calls."};

/* ---- upstreams ---------------------------------------------------------------------------- */

static const struct field step_fields[] = {
    DURATION_ROW("upTo", struct histogram_step, up_to, 1, "the longest time of this step",
                 .is_required = true),
    COUNT_ROW("weight", struct histogram_step, weight, 1, MAX_CALLS,
              "how often, against the others", .is_required = true),
};
static const struct block step_block = {.name = "steps",
                                        BLOCK_FIELDS(step_fields),
                                        .item_size = sizeof(struct histogram_step),
                                        .doc = "A step of the histogram, from the one before it."};

static const struct field service_fields[] = {
    {.name = "distribution",
     .type = FIELD_ENUM,
     FIELD_AT(struct service_time, distribution),
     .words = distribution_words,
     .preset = "exponential",
     .doc = "fixed and exponential go by mean, lognormal by mean and p99, histogram by steps"},
    DURATION_ROW("mean", struct service_time, mean, 0,
                 "of the time that one request takes to work on", .preset = "10ms"),
    DURATION_ROW("p99", struct service_time, p99, 0, "of a lognormal one: up to 14 times the mean",
                 .preset = "0s"),
    BLOCKS_ROW("steps", struct service_time, steps, step_count, 1, 100, &step_block,
               "of a histogram, rising"),
};
static const struct block service_block = {.name = "serviceTime",
                                           BLOCK_FIELDS(service_fields),
                                           .doc = "How long the upstream works on a request."};

static const struct field overload_fields[] = {
    COUNT_ROW("above", struct overload, above, 0, MAX_CALLS,
              "requests in the house of one endpoint, waiting or worked on", .preset = "never",
              .words = never_words),
    {.name = "percent",
     .type = FIELD_PERCENT,
     FIELD_AT(struct overload, slower_permille),
     .max = 100000,
     .preset = "1",
     .doc = "slower for each request beyond that"},
};
static const struct block overload_block = {.name = "overload",
                                            BLOCK_FIELDS(overload_fields),
                                            .doc = "Thrashing: service gets slower under load."};

static const struct field quota_fields[] = {
    COUNT_ROW("requests", struct quota, requests, 0, MAX_CALLS, "in a window; 0: no quota",
              .preset = "0"),
    DURATION_ROW("interval", struct quota, interval, 1, "length of the window", .preset = "1s"),
    {.name = "retryAfter",
     .type = FIELD_BOOL,
     FIELD_AT(struct quota, has_retry_after),
     .preset = "true",
     .doc = "the refusal says when the next window begins"},
};
static const struct block quota_block = {
    .name = "quota",
    BLOCK_FIELDS(quota_fields),
    .doc = "Past so many requests in a window the upstream answers 429 at once."};

static const struct field upstream_fields[] = {
    NAME_ROW("name", struct scenario_upstream, name, "of the upstream, within the scenario",
             .is_required = true),
    {.name = "host",
     .type = FIELD_UPSTREAM,
     FIELD_AT(struct scenario_upstream, address),
     .is_required = true,
     .doc = "host:port, by which policies are chosen"},
    COUNT_ROW("endpoints", struct scenario_upstream, endpoints, 1, SCENARIO_ENDPOINTS_MAX,
              "servers behind the name", .preset = "1"),
    COUNT_ROW("concurrency", struct scenario_upstream, concurrency, 1, 100000,
              "requests that one endpoint works on at a time", .preset = "1"),
    COUNT_ROW("maxQueue", struct scenario_upstream, max_queue, 0, MAX_CALLS,
              "requests that wait at one endpoint, first come first served; past it 503 at once",
              .preset = "unlimited", .words = unlimited_words),
    {.name = "noticesCancels",
     .type = FIELD_BOOL,
     FIELD_AT(struct scenario_upstream, notices_cancels),
     .preset = "false",
     .doc = "drops a request from its queue when the caller has gone; most servers do not"},
    DURATION_ROW("roundTrip", struct scenario_upstream, round_trip, 0, "of the network",
                 .preset = "1ms"),
    {.name = "serviceTime",
     .type = FIELD_BLOCK,
     FIELD_AT(struct scenario_upstream, service),
     .block = &service_block,
     .preset = "{}",
     .doc = "how long it works on a request"},
    {.name = "overload",
     .type = FIELD_BLOCK,
     FIELD_AT(struct scenario_upstream, overload),
     .block = &overload_block,
     .preset = "{}",
     .doc = "how it slows down under load"},
    {.name = "quota",
     .type = FIELD_BLOCK,
     FIELD_AT(struct scenario_upstream, quota),
     .block = &quota_block,
     .preset = "{}",
     .doc = "what it allows its callers"},
    BLOCKS_ROW("calls", struct scenario_upstream, calls, call_count, 1, 16, &call_block,
               "what it calls itself for each request, one after the other, each endpoint by an "
               "Outrigger of its own; it answers 503 when one of them fails"),
    {.name = "copiesExhaustedMark",
     .type = FIELD_BOOL,
     FIELD_AT(struct scenario_upstream, copies_exhausted_mark),
     .preset = "false",
     .doc = "its answer carries x-outrigger-retries: exhausted when its own retries failed"},
};
static const struct block upstream_block = {.name = "upstreams",
                                            BLOCK_FIELDS(upstream_fields),
                                            .item_size = sizeof(struct scenario_upstream),
                                            .doc = "What is called."};

static const struct field fault_fields[] = {
    {.name = "kind",
     .type = FIELD_ENUM,
     FIELD_AT(struct scenario_fault, kind),
     .words = fault_words,
     .is_required = true,
     .doc = "crash: connections are refused, work is lost; stall: works on nothing; brownOut: "
            "`factor` times as slow; errors: `percent` answer `status`; latency: `add` to each "
            "answer; connectLoss: `percent` of connect packets are lost"},
    NAME_ROW("upstream", struct scenario_fault, upstream, "where; left out: the only one"),
    COUNT_ROW("endpoint", struct scenario_fault, endpoint, 0, SCENARIO_ENDPOINTS_MAX,
              "which one of it, from 1; 0: all", .preset = "0"),
    DURATION_ROW("at", struct scenario_fault, at, 0, "when it begins", .is_required = true),
    DURATION_ROW("lasts", struct scenario_fault, lasts, 1, "how long", .is_required = true),
    {.name = "percent",
     .type = FIELD_PERCENT,
     FIELD_AT(struct scenario_fault, permille),
     .max = 1000,
     .preset = "100",
     .doc = "of errors and connectLoss"},
    COUNT_ROW("factor", struct scenario_fault, factor, 1, 10000, "of brownOut", .preset = "10"),
    DURATION_ROW("add", struct scenario_fault, add, 0, "of latency", .preset = "1s"),
    COUNT_ROW("status", struct scenario_fault, status, 200, 599, "of errors", .preset = "503"),
    DURATION_ROW("retryAfter", struct scenario_fault, retry_after, 0, "that errors carry; 0s: none",
                 .preset = "0s"),
};
static const struct block fault_block = {.name = "faults",
                                         BLOCK_FIELDS(fault_fields),
                                         .item_size = sizeof(struct scenario_fault),
                                         .doc = "Something that breaks, and is mended again."};

/* ---- the document ------------------------------------------------------------------------- */

static const struct field spec_fields[] = {
    {.name = "description",
     .type = FIELD_STRING,
     FIELD_AT(struct scenario, description),
     .max = 4096,
     .preset = "",
     .doc = "what it shows, for the report"},
    DURATION_ROW("duration", struct scenario, duration, NS_PER_S, "of the whole, in virtual time",
                 .is_required = true),
    {.name = "seed",
     .type = FIELD_COUNT,
     FIELD_AT(struct scenario, seed),
     .max = INT64_MAX,
     .preset = "1",
     .doc = "of all chance: the same seed, the same history"},
    BLOCKS_ROW("callers", struct scenario, callers, caller_count, 1, 64, &caller_block,
               "who calls"),
    BLOCKS_ROW("upstreams", struct scenario, upstreams, upstream_count, 1, 64, &upstream_block,
               "what is called"),
    BLOCKS_ROW("faults", struct scenario, faults, fault_count, 1, 256, &fault_block, "what breaks"),
    {.name = "expect",
     .type = FIELD_TEXTS,
     .is_manual = true,
     .doc = "a list of sentences such as \"amplification < 1.3\"; one that is not met is exit code "
            "1"},
};
static const struct block spec_block = {
    .name = "spec", BLOCK_FIELDS(spec_fields), .doc = "What is played."};

static const struct field metadata_fields[] = {
    NAME_ROW("name", struct scenario, name, "of the scenario", .is_required = true),
};
static const struct block metadata_block = {
    .name = "metadata", BLOCK_FIELDS(metadata_fields), .doc = "What it is called."};

static const struct field document_fields[] = {
    {.name = "apiVersion",
     .type = FIELD_ENUM,
     .is_manual = true,
     .is_required = true,
     .words = version_words,
     .doc = "always " API_VERSION},
    {.name = "kind",
     .type = FIELD_ENUM,
     .is_manual = true,
     .is_required = true,
     .words = kind_words,
     .doc = "always " KIND_SCENARIO},
    {.name = "metadata",
     .type = FIELD_BLOCK,
     .is_required = true,
     .block = &metadata_block,
     .doc = "what it is called"},
    {.name = "spec",
     .type = FIELD_BLOCK,
     .is_required = true,
     .block = &spec_block,
     .doc = "what is played"},
};
const struct block scenario_document_block = {
    .name = KIND_SCENARIO, BLOCK_FIELDS(document_fields), .doc = "A scenario to simulate."};
