/* lint.c - one function per warning; see lint.h. */
#include "config/lint.h"

#include "config/match.h"
#include "config/scalar.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define PROBE_LEASE (10 * NS_PER_S) /* POLICY section 3: the longest that a probe may take */
#define FASTEST_CALL NS_PER_MS      /* what a network call takes at the very least */
#define UNSAFE_METHODS                                                                             \
    (method_bit(METHOD_POST) | method_bit(METHOD_PATCH) | method_bit(METHOD_CONNECT))

struct subject { /* a document, or one of its rules */
    struct decoder *decoder;
    const struct policy *policy;
    const struct node *spec; /* of the document */
    const struct node *rule; /* NULL for the document itself */
    const char *rule_path;   /* "spec.rules[0]" */
    const char *rule_name;
};

static const struct node *layer_find(const struct node *layer, const char *path,
                                     const struct node *nearest)
{
    char name[64];
    while (layer && *path) {
        size_t len = strcspn(path, ".");
        snprintf(name, sizeof name, "%.*s", (int)len, path);
        layer = node_get(layer, name);
        path += len;
        path += *path == '.';
    }
    return layer ? layer : nearest;
}

static void warn(const struct subject *subject, enum diagnostic_code code, const char *path,
                 const char *help, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* At the field where the rule names it, else where the document does, else at the block. */
static void warn(const struct subject *subject, enum diagnostic_code code, const char *path,
                 const char *help, const char *format, ...)
{
    char message[512], full[PATH_TEXT_MAX], block[64];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    snprintf(block, sizeof block, "%.*s", (int)strcspn(path, "."), path);

    const struct node *node = layer_find(subject->rule, path, NULL);
    bool is_in_rule = subject->rule && (node || node_get(subject->rule, block));
    if (node == NULL && is_in_rule)
        node = layer_find(subject->spec, path, node_get(subject->rule, block));
    if (node == NULL)
        node = layer_find(subject->spec, path, layer_find(subject->spec, block, subject->spec));
    snprintf(full, sizeof full, "%s.%s", is_in_rule ? subject->rule_path : "spec", path);
    struct place place = node_place(subject->decoder->file, node);
    if (subject->rule == NULL || is_in_rule)
        diagnostics_add(subject->decoder->diag, code, place, full, help, "%s", message);
    else if (!diagnostics_has(subject->decoder->diag, code, place,
                              message)) /* said of the document already */
        diagnostics_add(subject->decoder->diag, code, place, full, help, "in rule \"%s\": %s",
                        subject->rule_name, message);
}

static bool may_retry(const struct policy *policy)
{
    return policy->retry.mode == POLICY_ENFORCE && policy->retry.attempts > 0;
}

static bool has_rates(const struct breaker_config *breaker)
{
    return breaker->failure_permille > 0 ||
           (breaker->slow_permille > 0 && breaker->slow_longer_than > 0);
}

static dur_ns longest_backoffs(const struct retry_config *retry)
{
    dur_ns sum = 0, wait = retry->backoff.base;
    for (uint32_t i = 0; i < retry->attempts; i++) {
        sum = dur_add(sum, dur_min(wait, retry->backoff.max));
        wait = dur_mul(wait, 2);
    }
    return sum;
}

static void tries_do_not_fit(const struct subject *subject)
{
    const struct timeouts_config *timeouts = &subject->policy->timeouts;
    char tries[64], limit[64];
    if (!may_retry(subject->policy) || timeouts->request == 0 || timeouts->backend_request == 0)
        return;
    uint32_t count = subject->policy->retry.attempts + 1;
    dur_ns longest = dur_add(dur_mul(timeouts->backend_request, count),
                             longest_backoffs(&subject->policy->retry));
    if (longest <= timeouts->request)
        return;
    duration_format(longest, tries, sizeof tries);
    duration_format(timeouts->request, limit, sizeof limit);
    warn(subject, DIAG_TRIES_DO_NOT_FIT, "timeouts.request",
         "a longer request, a shorter backendRequest or fewer attempts",
         "%u tries with their waits may take %s, the call ends after %s", count, tries, limit);
}

static void attempt_outlasts_request(const struct subject *subject)
{
    const struct timeouts_config *timeouts = &subject->policy->timeouts;
    char attempt[64], call[64];
    if (timeouts->request == 0 || timeouts->backend_request <= timeouts->request)
        return;
    duration_format(timeouts->backend_request, attempt, sizeof attempt);
    duration_format(timeouts->request, call, sizeof call);
    warn(subject, DIAG_ATTEMPT_OUTLASTS_REQUEST, "timeouts.backendRequest",
         "make it shorter, or leave it out", "one attempt may take %s, but the call ends after %s",
         attempt, call);
}

static void min_requests_unreachable(const struct subject *subject)
{
    const struct breaker_config *breaker = &subject->policy->breaker;
    const struct rate_limit_config *limit = &subject->policy->rate_limit;
    if (breaker->mode == POLICY_OFF || !has_rates(breaker) || breaker->window_calls > 0)
        return;
    if (limit->mode != POLICY_ENFORCE || limit->key.kind != KEY_NONE)
        return;
    dur_ns emission = limit->interval / (int64_t)limit->requests;
    uint64_t most = limit->burst + (uint64_t)(breaker->window / emission);
    if (most < breaker->min_requests)
        warn(subject, DIAG_MIN_REQUESTS_UNREACHABLE, "circuitBreaker.failureRate.minRequests",
             "a smaller minRequests or a longer window",
             "the rate limit lets at most %llu calls into the window, the rates count from %u on",
             (unsigned long long)most, breaker->min_requests);
}

static bool may_match(const struct subject *subject, uint32_t methods)
{
    const struct node *matches = node_get(subject->rule, "matches");
    if (matches == NULL || matches->count == 0)
        return true;
    for (const struct node *match = matches->first; match; match = match->next) {
        const struct node *method = node_get(match, "method");
        bool is_grpc = node_get(match, "grpc") != NULL; /* `methods` does not apply */
        if (!is_grpc && (method == NULL ||
                         methods & method_bit(method_from(method->text.data, method->text.len))))
            return true;
    }
    return false;
}

static void unsafe_retry(const struct subject *subject)
{
    uint32_t unsafe = subject->policy->retry.methods & UNSAFE_METHODS;
    if (!may_retry(subject->policy) || unsafe == 0 || !may_match(subject, unsafe))
        return;
    enum method method = METHOD_OTHER;
    while (!(unsafe & method_bit(method)))
        method++;
    warn(subject, DIAG_UNSAFE_RETRY, "retry.methods",
         "take it out: an Idempotency-Key header admits the calls that may be repeated",
         "%s is retried, though the first try may have done its work", method_word(method));
}

static void no_budget(const struct subject *subject)
{
    if (may_retry(subject->policy) && subject->policy->retry.budget.mode == POLICY_OFF)
        warn(subject, DIAG_NO_BUDGET, "retry.budget", "percent: 20 is a good start",
             "in an outage every call is sent %u times", subject->policy->retry.attempts + 1);
}

static void no_timeout(const struct subject *subject)
{
    const struct policy *policy = subject->policy;
    if (policy->bulkhead.mode == POLICY_ENFORCE && policy->timeouts.request == 0 &&
        policy->timeouts.backend_request == 0)
        warn(subject, DIAG_NO_TIMEOUT, "bulkhead", "set timeouts.backendRequest",
             "an upstream that hangs keeps all %u slots, nothing ends its calls",
             policy->bulkhead.max_requests);
}

static void queue_cannot_drain(const struct subject *subject)
{
    const struct bulkhead_config *bulkhead = &subject->policy->bulkhead;
    const struct rate_limit_config *limit = &subject->policy->rate_limit;
    if (bulkhead->mode != POLICY_ENFORCE || bulkhead->max_pending == 0)
        return;
    if (bulkhead->pending_timeout == 0) {
        warn(subject, DIAG_QUEUE_CANNOT_DRAIN, "bulkhead.pendingTimeout",
             "set pendingTimeout, or maxPending: 0", "maxPending is %u, but nobody may wait",
             bulkhead->max_pending);
        return;
    }
    dur_ns drained = dur_mul(bulkhead->pending_timeout / FASTEST_CALL, bulkhead->max_requests);
    const char *assumption = "even if each takes only 1ms";
    if (limit->mode == POLICY_ENFORCE && limit->key.kind == KEY_NONE) {
        dur_ns paced =
            dur_add(bulkhead->pending_timeout / (limit->interval / (int64_t)limit->requests),
                    (int64_t)limit->burst);
        assumption = paced < drained ? "at the pace of the rate limit" : assumption;
        drained = dur_min(drained, paced);
    }
    char wait[64];
    duration_format(bulkhead->pending_timeout, wait, sizeof wait);
    if (bulkhead->max_pending > drained)
        warn(subject, DIAG_QUEUE_CANNOT_DRAIN, "bulkhead.maxPending",
             "a shorter queue, or a longer pendingTimeout",
             "%u calls may wait %s each, in which time only %lld get through %s",
             bulkhead->max_pending, wait, (long long)drained, assumption);
}

static void wait_outlasts_request(const struct subject *subject, const char *path, bool may_wait,
                                  dur_ns wait)
{
    dur_ns request = subject->policy->timeouts.request;
    char waits[64], limit[64];
    if (!may_wait || request == 0 || wait < request)
        return;
    duration_format(wait, waits, sizeof waits);
    duration_format(request, limit, sizeof limit);
    warn(subject, DIAG_WAIT_OUTLASTS_REQUEST, path, "wait for less time than the call may take",
         "a call may wait %s, but ends after %s", waits, limit);
}

static void open_shorter_than_probe(const struct subject *subject)
{
    const struct breaker_config *breaker = &subject->policy->breaker;
    dur_ns probe = dur_min(subject->policy->timeouts.backend_request, PROBE_LEASE);
    char open[64], lease[64];
    if (breaker->mode == POLICY_OFF || probe == 0 || breaker->max_open_for >= probe)
        return;
    duration_format(breaker->max_open_for, open, sizeof open);
    duration_format(probe, lease, sizeof lease);
    warn(subject, DIAG_OPEN_SHORTER_THAN_PROBE, "circuitBreaker.maxOpenFor",
         "at least backendRequest",
         "the circuit is open for %s at most, a probe may hang for %s: most of an outage is spent "
         "probing",
         open, lease);
}

static void never_slow(const struct subject *subject)
{
    const struct breaker_config *breaker = &subject->policy->breaker;
    dur_ns attempt = subject->policy->timeouts.backend_request;
    char slow[64], cut[64];
    if (breaker->mode == POLICY_OFF || breaker->slow_permille == 0 ||
        breaker->slow_longer_than == 0)
        return;
    if (attempt == 0 || breaker->slow_longer_than < attempt)
        return;
    duration_format(breaker->slow_longer_than, slow, sizeof slow);
    duration_format(attempt, cut, sizeof cut);
    warn(subject, DIAG_NEVER_SLOW, "circuitBreaker.slowCalls.longerThan",
         "less than timeouts.backendRequest", "a call is slow after %s, but is cut off after %s",
         slow, cut);
}

static void never_trips(const struct subject *subject)
{
    const struct breaker_config *breaker = &subject->policy->breaker;
    bool is_on = breaker->mode == POLICY_ENFORCE || breaker->mode == POLICY_SHADOW;
    if (is_on && breaker->consecutive_failures == 0 && !has_rates(breaker))
        warn(subject, DIAG_NEVER_TRIPS, "circuitBreaker",
             "set consecutiveFailures, failureRate or slowCalls",
             "every way to trip is switched off, so it never opens");
}

static void probes_exceed_bulkhead(const struct subject *subject)
{
    const struct policy *policy = subject->policy;
    if (policy->breaker.mode == POLICY_ENFORCE && policy->bulkhead.mode == POLICY_ENFORCE &&
        policy->breaker.half_open_requests > policy->bulkhead.max_requests)
        warn(subject, DIAG_PROBES_EXCEED_BULKHEAD, "circuitBreaker.halfOpenRequests",
             "at most bulkhead.maxRequests", "%u probes, but only %u slots",
             policy->breaker.half_open_requests, policy->bulkhead.max_requests);
}

static void lint_policy(const struct subject *subject)
{
    const struct policy *policy = subject->policy;
    tries_do_not_fit(subject);
    attempt_outlasts_request(subject);
    min_requests_unreachable(subject);
    unsafe_retry(subject);
    no_budget(subject);
    no_timeout(subject);
    queue_cannot_drain(subject);
    bool may_queue = policy->bulkhead.mode == POLICY_ENFORCE && policy->bulkhead.max_pending > 0;
    wait_outlasts_request(subject, "bulkhead.pendingTimeout", may_queue,
                          policy->bulkhead.pending_timeout);
    wait_outlasts_request(subject, "rateLimit.wait", policy->rate_limit.mode == POLICY_ENFORCE,
                          policy->rate_limit.wait);
    open_shorter_than_probe(subject);
    never_slow(subject);
    never_trips(subject);
    probes_exceed_bulkhead(subject);
}

static void shadowed_rule(struct decoder *decoder, const struct document *document,
                          const struct node *list)
{
    size_t i = 0;
    for (const struct node *node = list ? list->first : NULL; node; node = node->next, i++) {
        const struct rule *first = rule_that_shadows(document, i);
        char path[PATH_TEXT_MAX];
        if (first == NULL)
            continue;
        snprintf(path, sizeof path, "spec.rules[%zu]", i);
        diagnostics_add(decoder->diag, DIAG_SHADOWED_RULE, node_place(decoder->file, node), path,
                        "put it before that one",
                        "never reached: \"%s\" at %s matches all of its calls first", first->name,
                        first->at);
        const struct node *earlier = list->first;
        for (uint32_t k = 0; k < first->index; k++)
            earlier = earlier->next;
        diagnostics_relate(decoder->diag, node_place(decoder->file, earlier),
                           "this rule comes first");
    }
}

void lint_document(struct decoder *decoder, const struct document *document,
                   const struct node *spec)
{
    struct subject subject = {decoder, &document->policy, spec, NULL, "", ""};
    lint_policy(&subject);
    const struct node *list = node_get(spec, "rules");
    size_t i = 0;
    for (const struct node *node = list ? list->first : NULL; node; node = node->next, i++) {
        char path[PATH_TEXT_MAX];
        snprintf(path, sizeof path, "spec.rules[%zu]", i);
        subject = (struct subject){decoder, &document->rules[i].policy, spec, node,
                                   path,    document->rules[i].name};
        if (document->rules[i].policy.own)
            lint_policy(&subject);
    }
    shadowed_rule(decoder, document, list);
}
