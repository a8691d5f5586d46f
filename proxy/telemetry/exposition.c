/* exposition.c - see exposition.h.
 *
 * A family is a row of metrics.def; where its cells are and what labels they bear is a row of
 * `cells` here. Writing is one walk per family over targets, rules or instances. Rendering reads
 * cells that the data loop goes on writing: each number is true at its moment, and a histogram's
 * count is the sum of the very buckets shown. */
#include "telemetry/exposition.h"

#include "base/json.h"
#include "telemetry/process.h"

#include <string.h>

enum metric_kind { COUNTER, GAUGE, HISTOGRAM };
enum metric_level { REQUEST, TARGET, INSTANCE, PROXY, PROCESS };

enum metric {
#define METRIC(id, name, kind, unit, level, labels, help) METRIC_##id,
#include "telemetry/metrics.def"
#undef METRIC
    METRIC_COUNT
};

struct family {
    const char *name;
    const char *unit;
    const char *help;
    enum metric_kind kind;
    enum metric_level level;
};

static const struct family families[METRIC_COUNT] = {
#define METRIC(id, name, kind, unit, level, labels, help) {name, unit, help, kind, level},
#include "telemetry/metrics.def"
#undef METRIC
};

struct page {
    struct text *out;
    const struct metrics *metrics;
    const struct exposition_facts *facts;
    struct process_facts process;
    const struct family *family;
    bool is_open;
};

/* Words of the labels */

static const char *const code_words[] = {
#define X(name, word) word,
    CODE_CLASS_LIST(X)
#undef X
};
#define X(name, word) #word,
static const char *const fate_words[] = {FATE_LIST(X)};
static const char *const outcome_words[] = {OUTCOME_LIST(X)};
static const char *const cause_words[] = {RETRY_CAUSE_LIST(X)};
static const char *const skip_words[] = {RETRY_SKIP_LIST(X)};
static const char *const state_words[] = {BREAKER_STATE_LIST(X)};
static const char *const family_words[] = {POLICY_FAMILY_LIST(X) ""};
static const char *const connection_words[] = {CONNECTION_STATE_LIST(X)};
#undef X
#define X(family, decision) [POLICY_FAMILY_##family] = #decision,
static const char *const decision_words[] = {SHADOW_DECISION_LIST(X)};
#undef X
static const char *const reason_words[] = {
    "none",
#define REASON(name, word, http, grpc, group, proxy_status, text) #word,
#include "base/reason.def"
#undef REASON
};
static const struct {
    const char *from;
    const char *to;
    const char *cause;
} move_words[] = {
#define X(from, to, cause, is_shown) {#from, #to, #cause},
    BREAKER_MOVE_LIST(X)
#undef X
};

/* A label. What a peer chose may hold anything: what is not UTF-8, or a control, becomes U+FFFD,
 * because one bad byte would make a scraper throw the whole page away. */
static void put_label(struct page *page, const char *name, const char *value)
{
    text_put(page->out, page->is_open ? "," : "{");
    page->is_open = true;
    text_put(page->out, name);
    text_put(page->out, "=\"");
    size_t len = strlen(value);
    for (size_t at = 0; at < len;) {
        char out[JSON_ESCAPE_MAX];
        size_t out_len;
        char first = value[at];
        at += json_escape(value + at, len - at, out, &out_len);
        bool is_control = out[0] == '\\' && first != '"' && first != '\\' && first != '\n';
        text_add(page->out, is_control ? "\xef\xbf\xbd" : out, is_control ? 3 : out_len);
    }
    text_char(page->out, '"');
}

/* "HALF_OPEN" as "half_open": the enums' names are the words in capitals. */
static void put_lower_label(struct page *page, const char *name, const char *value)
{
    char lower[64];
    size_t len = 0;
    for (; value[len] && len < sizeof(lower) - 1; len++) {
        lower[len] =
            (char)(value[len] >= 'A' && value[len] <= 'Z' ? value[len] - 'A' + 'a' : value[len]);
    }
    lower[len] = '\0';
    put_label(page, name, lower);
}

static void label_result(struct page *page, unsigned index)
{
    put_label(page, "result", outcome_words[index]);
}

static void label_cause(struct page *page, unsigned index)
{
    put_label(page, "reason", cause_words[index]);
}

static void label_skip(struct page *page, unsigned index)
{
    put_label(page, "reason", skip_words[index]);
}

static void label_rejection(struct page *page, unsigned index)
{
    put_label(page, "policy", family_words[metrics_rejecting_policy((enum reason)index)]);
    put_label(page, "reason", reason_words[index]);
}

static void label_shadow(struct page *page, unsigned index)
{
    put_label(page, "policy", family_words[index]);
    put_label(page, "decision", decision_words[index]);
}

static void label_move(struct page *page, unsigned index)
{
    put_lower_label(page, "from", move_words[index].from);
    put_lower_label(page, "to", move_words[index].to);
    put_lower_label(page, "reason", move_words[index].cause);
}

static void label_direction(struct page *page, unsigned index)
{
    put_label(page, "direction", index == TUNNEL_UP ? "up" : "down");
}

static void label_health(struct page *page, unsigned index)
{
    put_label(page, "result", index == HEALTH_SUCCESS ? "success" : "failure");
}

static void label_request(struct page *page, unsigned index)
{
    put_label(page, "code", code_words[index / FATE_COUNT]);
    put_label(page, "outcome", fate_words[index % FATE_COUNT]);
}

/* Where the cells of each family are */

struct cells {
    size_t offset;
    unsigned count;
    unsigned decimals; /* the cell is in units of 10^-decimals */
    bool is_lazy;
    uint32_t part; /* of an instance */
    void (*label)(struct page *page, unsigned index);
};

#define OF_TARGET(field) offsetof(struct metrics_target, field)
#define OF_INSTANCE(field) offsetof(struct metrics_instance, field)
#define RATIO_DECIMALS 3 /* permille */
#define NS_DECIMALS 9

static const struct cells cells[METRIC_COUNT] = {
    [METRIC_REQUESTS] = {0, CODE_CLASS_COUNT *FATE_COUNT, 0, true, 0, label_request},
    [METRIC_REQUEST_DURATION] = {OF_TARGET(request_duration), 1, 0, false, 0, NULL},
    [METRIC_ATTEMPTS] = {OF_TARGET(attempts), OUTCOME_COUNT, 0, false, 0, label_result},
    [METRIC_ATTEMPT_DURATION] = {OF_TARGET(attempt_duration), 1, 0, false, 0, NULL},
    [METRIC_RETRIES] = {OF_TARGET(retries), RETRY_CAUSE_COUNT, 0, false, 0, label_cause},
    [METRIC_RETRIES_SKIPPED] = {OF_TARGET(retries_skipped), RETRY_SKIP_COUNT, 0, false, 0,
                                label_skip},
    [METRIC_RETRY_BUDGET_AVAILABLE] = {OF_TARGET(budget_available), 1, 0, true, 0, NULL},
    [METRIC_REJECTIONS] = {OF_TARGET(rejections), REASON_COUNT, 0, true, 0, label_rejection},
    [METRIC_SHADOW_DECISIONS] = {OF_TARGET(shadow_decisions), POLICY_FAMILY_COUNT, 0, true, 0,
                                 label_shadow},
    [METRIC_OUTLIER_PANICS] = {OF_TARGET(outlier_panics), 1, 0, true, 0, NULL},
    [METRIC_EJECTIONS_HELD] = {OF_TARGET(ejections_held), 1, 0, true, 0, NULL},
    [METRIC_TUNNEL_BYTES] = {OF_TARGET(tunnel_bytes), TUNNEL_DIRECTIONS, 0, true, 0,
                             label_direction},
    [METRIC_HEALTH_CHECKS] = {OF_TARGET(health_checks), HEALTH_RESULTS, 0, true, 0, label_health},
    [METRIC_ENDPOINT_HEALTHY] = {OF_INSTANCE(healthy), 1, 0, false, METRICS_HEALTH, NULL},
    [METRIC_BREAKER_STATE] = {OF_INSTANCE(state), 1, 0, false, METRICS_BREAKER, NULL},
    [METRIC_BREAKER_TRANSITIONS] = {OF_INSTANCE(transitions), BREAKER_MOVE_COUNT, 0, true,
                                    METRICS_BREAKER, label_move},
    [METRIC_BREAKER_OPEN] = {OF_INSTANCE(open_ns), 1, NS_DECIMALS, false, METRICS_BREAKER, NULL},
    [METRIC_BREAKER_FAILURE_RATIO] = {OF_INSTANCE(failure_permille), 1, RATIO_DECIMALS, false,
                                      METRICS_BREAKER, NULL},
    [METRIC_BREAKER_SLOW_RATIO] = {OF_INSTANCE(slow_permille), 1, RATIO_DECIMALS, false,
                                   METRICS_BREAKER, NULL},
    [METRIC_BULKHEAD_INFLIGHT] = {OF_INSTANCE(inflight), 1, 0, false, METRICS_BULKHEAD, NULL},
    [METRIC_BULKHEAD_LIMIT] = {OF_INSTANCE(limit), 1, 0, false, METRICS_BULKHEAD, NULL},
    [METRIC_BULKHEAD_QUEUED] = {OF_INSTANCE(queued), 1, 0, false, METRICS_BULKHEAD, NULL},
    [METRIC_BULKHEAD_WAIT] = {OF_INSTANCE(wait), 1, 0, false, METRICS_BULKHEAD, NULL},
    [METRIC_RATE_LIMIT_TOKENS] = {OF_INSTANCE(millitokens), 1, 3, false, METRICS_BUCKET, NULL},
    [METRIC_RATE_LIMIT_WAIT] = {OF_INSTANCE(wait_ns), 1, NS_DECIMALS, false, METRICS_BUCKET, NULL},
};

/* Lines */

static void start_series(struct page *page, const char *suffix)
{
    text_put(page->out, page->family->name);
    text_put(page->out, suffix);
    page->is_open = false;
}

static void end_labels(struct page *page)
{
    text_put(page->out, page->is_open ? "} " : " ");
}

static void end_series(struct page *page, uint64_t value, unsigned decimals)
{
    end_labels(page);
    if (value == METRICS_UNLIMITED) {
        text_put(page->out, "+Inf");
    } else {
        text_fixed(page->out, value, decimals);
    }
    text_char(page->out, '\n');
}

static const char *suffix_of(const struct family *family)
{
    return family->kind == COUNTER ? "_total" : "";
}

static void put_head(struct page *page, enum exposition_format format)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    const struct family *family = page->family;
    const char *suffix = format == EXPOSITION_PROMETHEUS ? suffix_of(family) : "";
    text_printf(page->out, "# HELP %s%s %s\n", family->name, suffix, family->help);
    text_printf(page->out, "# TYPE %s%s %s\n", family->name, suffix, kinds[family->kind]);
    if (format == EXPOSITION_OPENMETRICS && family->unit[0]) {
        text_printf(page->out, "# UNIT %s %s\n", family->name, family->unit);
    }
}

struct place { /* of the series being written: the labels that come before the family's own */
    const char *target;
    const char *rule;
    const char *instance;
};

static void put_place(struct page *page, const struct place *place)
{
    if (place->target) {
        put_label(page, "target", place->target);
    }
    if (place->rule) {
        put_label(page, "rule", place->rule);
    }
    if (place->instance) {
        put_label(page, "instance", place->instance);
    }
}

static void put_histogram(struct page *page, const struct place *place,
                          const struct histogram *histogram)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        count += cell_get(&histogram->buckets[i]);
        start_series(page, "_bucket");
        put_place(page, place);
        put_label(page, "le", histogram_bound_words[i]);
        end_series(page, count, 0);
    }
    start_series(page, "_sum");
    put_place(page, place);
    end_series(page, cell_get(&histogram->sum_ns), NS_DECIMALS);
    start_series(page, "_count");
    put_place(page, place);
    end_series(page, count, 0);
}

static void put_cells(struct page *page, const struct place *place, const struct cells *spec,
                      const metric_cell *first)
{
    for (unsigned i = 0; i < spec->count; i++) {
        uint64_t value = cell_get(&first[i]);
        if (spec->is_lazy && value == 0) {
            continue;
        }
        start_series(page, suffix_of(page->family));
        put_place(page, place);
        if (spec->label) {
            spec->label(page, i);
        }
        bool is_shifted = spec->is_lazy && value != METRICS_UNLIMITED;
        end_series(page, is_shifted ? value - 1 : value, spec->decimals);
    }
}

static void put_state(struct page *page, const struct place *place, const metric_cell *cell)
{
    uint64_t state = cell_get(cell);
    for (unsigned i = 0; i < BREAKER_STATE_COUNT; i++) {
        start_series(page, "");
        put_place(page, place);
        put_label(page, "state", state_words[i]);
        end_series(page, state == i ? 1 : 0, 0);
    }
}

static void put_requests(struct page *page, const struct place *place,
                         const struct metrics_requests *requests)
{
    put_cells(page, place, &cells[METRIC_REQUESTS], requests->cells);
    uint64_t other = cell_get(&requests->other);
    if (other > 0) {
        start_series(page, "_total");
        put_place(page, place);
        put_label(page, "code", "_other");
        put_label(page, "outcome", "_other");
        end_series(page, other, 0);
    }
}

/* Walks */

#define FOREACH_NODE(type, item, list)                                                             \
    for (const struct type *item = (const void *)metrics_next(&(list)->first); item;               \
         item = (const void *)metrics_next(&item->node.next))

static void put_target_family(struct page *page, enum metric metric)
{
    FOREACH_NODE(metrics_target, target, &page->metrics->targets)
    {
        struct place place = {.target = target->name};
        const char *at = (const char *)target + cells[metric].offset;
        if (page->family->kind == HISTOGRAM) {
            put_histogram(page, &place, (const struct histogram *)(const void *)at);
        } else {
            put_cells(page, &place, &cells[metric], (const metric_cell *)(const void *)at);
        }
    }
}

static void put_request_family(struct page *page)
{
    FOREACH_NODE(metrics_target, target, &page->metrics->targets)
    {
        struct place place = {.target = target->name, .rule = ""};
        put_requests(page, &place, &target->requests);
        FOREACH_NODE(metrics_rule, rule, &target->rules)
        {
            place.rule = rule->name;
            put_requests(page, &place, &rule->requests);
        }
    }
}

static void put_instance(struct page *page, enum metric metric, const struct metrics_target *target,
                         const struct metrics_instance *instance)
{
    struct place place = {.target = target->name, .instance = instance->name};
    const char *at = (const char *)instance + cells[metric].offset;
    if ((__atomic_load_n(&instance->parts, __ATOMIC_RELAXED) & cells[metric].part) == 0) {
        return;
    }
    if (page->family->kind == HISTOGRAM) {
        put_histogram(page, &place, (const struct histogram *)(const void *)at);
    } else if (metric == METRIC_BREAKER_STATE) {
        put_state(page, &place, (const metric_cell *)(const void *)at);
    } else {
        put_cells(page, &place, &cells[metric], (const metric_cell *)(const void *)at);
    }
}

static void put_instance_family(struct page *page, enum metric metric)
{
    FOREACH_NODE(metrics_target, target, &page->metrics->targets)
    {
        FOREACH_NODE(metrics_instance, instance, &target->instances)
        {
            put_instance(page, metric, target, instance);
        }
    }
}

static const char *const sides[] = {"downstream", "upstream"};

static void put_connections(struct page *page)
{
    for (unsigned i = 0; i < CONNECTION_SIDES * CONNECTION_STATE_COUNT; i++) {
        start_series(page, "");
        put_label(page, "side", sides[i / CONNECTION_STATE_COUNT]);
        put_label(page, "state", connection_words[i % CONNECTION_STATE_COUNT]);
        end_series(page, cell_get(&page->metrics->connections[i]), 0);
    }
}

static void put_defences(struct page *page)
{
    for (unsigned i = 0; i < H2_SIDES * DEFENCE_COUNT; i++) {
        start_series(page, "_total");
        put_label(page, "side", sides[i / DEFENCE_COUNT]);
        put_label(page, "kind", defence_word((enum defence)(i % DEFENCE_COUNT)));
        end_series(page, cell_get(&page->metrics->defences[i]), 0);
    }
}

/* Failures, then successes. */
static void put_results(struct page *page, const metric_cell results[2])
{
    for (unsigned i = 0; i < 2; i++) {
        start_series(page, "_total");
        put_label(page, "result", i ? "success" : "failure");
        end_series(page, cell_get(&results[i]), 0);
    }
}

static void put_handshakes(struct page *page)
{
    static const char *const words[] = {"full", "resumed", "failed", "refused"};
    for (unsigned i = 0; i < TLS_RESULT_COUNT; i++) {
        start_series(page, "_total");
        put_label(page, "result", words[i]);
        end_series(page, cell_get(&page->metrics->handshakes[i]), 0);
    }
}

static void put_number(struct page *page, uint64_t value, unsigned decimals)
{
    start_series(page, suffix_of(page->family));
    end_series(page, value, decimals);
}

static void put_proxy_family(struct page *page, enum metric metric)
{
    const struct metrics *metrics = page->metrics;
    switch (metric) {
    case METRIC_CONNECTIONS: put_connections(page); break;
    case METRIC_HTTP2_DEFENCES: put_defences(page); break;
    case METRIC_TLS_HANDSHAKES: put_handshakes(page); break;
    case METRIC_TLS_UNVERIFIED: put_number(page, cell_get(&metrics->tls_unverified), 0); break;
    case METRIC_CONFIG_RELOADS: put_results(page, metrics->reloads); break;
    case METRIC_DNS_LOOKUPS: put_results(page, metrics->lookups); break;
    case METRIC_CONFIG_LAST_RELOAD_SUCCESSFUL:
        put_number(page, cell_get(&metrics->is_last_reload_good), 0);
        break;
    case METRIC_CONFIG_INFO:
        start_series(page, "");
        put_label(page, "hash", metrics_config_hash(metrics));
        end_series(page, 1, 0);
        break;
    case METRIC_BUILD_INFO:
        start_series(page, "");
        put_label(page, "version", metrics->version);
        put_label(page, "revision", metrics->revision);
        end_series(page, 1, 0);
        break;
    case METRIC_LOOP_LAG: put_histogram(page, &(struct place){0}, &metrics->loop_lag); break;
    case METRIC_SERIES_DROPPED: put_number(page, cell_get(&metrics->series_dropped), 0); break;
    case METRIC_LOG_DROPPED: put_number(page, page->facts->log_dropped, 0); break;
    default: put_number(page, page->facts->events_dropped, 0);
    }
}

static void put_process_family(struct page *page, enum metric metric)
{
    const struct process_facts *facts = &page->process;
    const struct {
        uint64_t value;
        unsigned decimals;
    } numbers[METRIC_COUNT] = {
        [METRIC_PROCESS_CPU] = {facts->cpu_us, 6},
        [METRIC_PROCESS_RESIDENT] = {facts->resident_bytes, 0},
        [METRIC_PROCESS_VIRTUAL] = {facts->virtual_bytes, 0},
        [METRIC_PROCESS_OPEN_FDS] = {facts->open_fds, 0},
        [METRIC_PROCESS_MAX_FDS] = {facts->max_fds, 0},
        [METRIC_PROCESS_START] = {facts->started_ms, 3},
    };
    if (numbers[metric].value != PROCESS_UNKNOWN) {
        put_number(page, numbers[metric].value, numbers[metric].decimals);
    }
}

static void put_family(struct page *page, enum metric metric)
{
    switch (families[metric].level) {
    case REQUEST: put_request_family(page); break;
    case TARGET: put_target_family(page, metric); break;
    case INSTANCE: put_instance_family(page, metric); break;
    case PROXY: put_proxy_family(page, metric); break;
    case PROCESS: put_process_family(page, metric); break;
    }
}

void exposition_write(struct text *out, const struct metrics *metrics,
                      enum exposition_format format, const struct exposition_facts *facts)
{
    struct page page = {.out = out, .metrics = metrics, .facts = facts};
    process_read(&page.process);
    for (unsigned i = 0; i < METRIC_COUNT; i++) {
        page.family = &families[i];
        put_head(&page, format);
        put_family(&page, (enum metric)i);
    }
    if (format == EXPOSITION_OPENMETRICS) {
        text_put(out, "# EOF\n");
    }
}
