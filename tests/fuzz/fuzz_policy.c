/* fuzz_policy.c - any bytes as a policy file. What is refused, is refused with words; what loads,
 * keeps the promises on which the policy engine relies (no zero interval, no cap below what it
 * caps, ...), and answers every lookup. */
#include "config/effective.h"
#include "config/load.h"
#include "config/worst_case.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define require(condition) (void)((condition) || (require_failed(#condition, __LINE__), 0))

static void require_failed(const char *what, int line)
{
    fprintf(stderr, "fuzz_policy.c:%d: not so: %s\n", line, what);
    abort();
}

static bool is_mode(enum policy_mode mode)
{
    return mode == POLICY_OFF || mode == POLICY_ENFORCE || mode == POLICY_SHADOW;
}

static void require_timeouts(const struct timeouts_config *cfg)
{
    require(cfg->mode == POLICY_ENFORCE || cfg->mode == POLICY_SHADOW);
    require(cfg->connect >= 0 && cfg->request >= 0 && cfg->backend_request >= 0 && cfg->idle >= 0);
    require(cfg->max_duration >= 0 && cfg->pool_idle >= 0);
}

static void require_retry(const struct retry_config *cfg)
{
    require(is_mode(cfg->mode) && is_mode(cfg->budget.mode));
    require(cfg->backoff.max >= cfg->backoff.base && cfg->backoff.base >= 0 &&
            cfg->max_retry_after >= 0);
    require(cfg->budget.permille <= 1000 && cfg->budget.interval > 0 &&
            cfg->budget.min_interval > 0);
    for (size_t i = 0; cfg->other_methods && cfg->other_methods[i]; i++)
        require(*cfg->other_methods[i] != '\0');
}

static void require_breaker(const struct breaker_config *cfg)
{
    require(is_mode(cfg->mode) || cfg->mode == POLICY_FORCE_OPEN);
    require(cfg->failure_permille <= 1000 && cfg->slow_permille <= 1000 &&
            cfg->open_jitter_permille <= 1000);
    require(cfg->window / 10 > 0 && cfg->min_requests > 0 && cfg->half_open_requests > 0);
    require(cfg->window_calls == 0 || cfg->min_requests <= cfg->window_calls);
    require(cfg->open_for > 0 && cfg->max_open_for >= cfg->open_for && cfg->ramp_up >= 0);
}

static void require_key(const struct key_config *key)
{
    require(key->max_keys > 0 && (key->kind == KEY_HEADER) == (key->header != NULL));
}

static void require_policy(const struct policy *policy)
{
    const struct rate_limit_config *limit = &policy->rate_limit;
    require_timeouts(&policy->timeouts);
    require_retry(&policy->retry);
    require_breaker(&policy->breaker);
    require(is_mode(policy->bulkhead.mode) && policy->bulkhead.max_requests > 0);
    require(policy->bulkhead.max_connections > 0 && policy->bulkhead.max_streams > 0);
    require_key(&policy->bulkhead.key);
    require(is_mode(limit->mode));
    require_key(&limit->key);
    if (policy->at[POLICY_FAMILY_RATE_LIMIT][0]) {
        require(limit->requests > 0 && limit->burst > 0 && limit->wait >= 0);
        dur_ns emission = limit->interval / (int64_t)limit->requests;
        require(emission > 0 && dur_mul(emission, (int64_t)limit->burst) < DUR_FOREVER / 2);
    }
}

static struct span header_of(const void *context, struct span name)
{
    (void)context;
    return span_is(name, SPAN("x-tenant")) ? SPAN("a") : SPAN_NONE;
}

static void require_answers(const struct policy_set *set, const struct document *document)
{
    for (size_t i = 0; i < document->target_count; i++) {
        const struct document_target *target = &document->targets[i];
        uint16_t port = target->ports.count ? target->ports.items[0] : 80;
        struct span host = span_of(target->host);
        const struct document *found = policy_set_find(set, host, port);
        bool is_wild = host.data[0] == '*';
        require(is_wild || found != NULL);
        if (!is_wild && target->ports.count)
            require(found == document);
    }
    const struct match_input inputs[] = {
        {.method = SPAN("POST"),
         .path = SPAN("/v1/charge/1"),
         .query = SPAN("a=b&c"),
         .header = header_of},
        {.method = SPAN("GET"), .path = SPAN(""), .query = SPAN_NONE, .header = header_of},
        {.method = SPAN("POST"),
         .path = SPAN("/shop.Quotes/Get"),
         .is_grpc = true,
         .header = header_of}};
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        const struct rule *rule = document_match(document, &inputs[i]);
        require(rule == NULL || rule == &document->rules[rule->index]);
    }
}

static void require_field(const struct effective_field *field, void *context)
{
    size_t *count = context;
    ++*count;
    require(field->path[0] != '\0' && strlen(field->text) < EFFECTIVE_TEXT_MAX);
    require((field->kind == EFFECTIVE_NONE) == (field->text[0] == '\0'));
    require(origin_find(NULL, NULL, field->path).kind == ORIGIN_ABSENT);
}

static void require_effective(const struct policy_set *set, const struct document *document)
{
    size_t count = 0;
    effective_document(document, require_field, &count);
    effective_proxy(&set->proxy, require_field, &count);
    for (size_t i = 0; i < document->rule_count; i++)
        effective_family(&document->rules[i].policy, POLICY_FAMILY_RETRY, require_field, &count);
    require(count > 20);
    struct worst_case worst = worst_case_of(&document->policy, true, DUR_FOREVER);
    require(worst.tries > 0 && worst.total >= 0 && worst.total <= worst.unbounded);
    require(worst.first_open[0] >= 0 && worst.longest_open >= worst.first_open[0]);
}

static void require_document(const struct policy_set *set, const struct document *document)
{
    require(document->target_count > 0 && *document->name && document->namespace);
    require_policy(&document->policy);
    for (size_t i = 0; i < document->rule_count; i++) {
        const struct rule *rule = &document->rules[i];
        require(*rule->name && *rule->at);
        require_policy(&rule->policy);
        require(memcmp(&rule->policy.retry.budget, &document->policy.retry.budget,
                       sizeof rule->policy.retry.budget) == 0);
    }
    require_answers(set, document);
    require_effective(set, document);
}

static void require_words(const struct diagnostics *diag)
{
    char line[8192];
    for (size_t i = 0; i < diag->count; i++) {
        require(diagnostics_format(&diag->items[i], line, sizeof line) < (int)sizeof line);
        require(diag->items[i].message[0] != '\0' && strchr(line, '\n') == NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct policy_set *set = NULL;
    struct diagnostics diag;
    diagnostics_init(&diag);
    enum err e = policy_set_load_text("f.yaml", (const char *)data, size, &set, &diag);
    require(e == OK || e == ERR_INVALID);
    require((e == OK) == (set != NULL) && (e == OK) == (diag.errors == 0));
    require_words(&diag);
    for (size_t i = 0; set && i < set->document_count; i++)
        require_document(set, &set->documents[i]);
    if (set)
        require(set->proxy.limits.max_connections > 0 && set->proxy.outbound.listen.count <= 16);
    policy_set_unref(&set);
    diagnostics_fini(&diag);
    return 0;
}
