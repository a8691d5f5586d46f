/* Values after defaults and layers, as a user would write them, and where they come from. */
#include "config/effective.h"
#include "config/yaml_tree.h"
#include "support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static char seen[32 * 1024];

static void note(const struct effective_field *field, void *context)
{
    size_t len = strlen(seen);
    (void)context;
    snprintf(seen + len, sizeof seen - len, "%s=%s|%d\n", field->path, field->text,
             (int)field->kind);
}

static const char *shown(const char *spec, enum policy_family family)
{
    struct policy_set *set = loaded_spec(spec);
    const struct document *document = &set->documents[0];
    seen[0] = '\0';
    effective_family(document->rule_count ? &document->rules[0].policy : &document->policy, family,
                     note, NULL);
    policy_set_unref(&set);
    return seen;
}

static void has(const char *wanted)
{
    char line[512];
    snprintf(line, sizeof line, "%s\n", wanted);
    const char *found = strstr(seen, line);
    cr_assert(found && (found == seen || found[-1] == '\n'), "no %s in:\n%s", wanted, seen);
}

Test(effective, of_a_block_that_is_off_is_its_mode)
{
    cr_assert_str_eq(shown("", POLICY_FAMILY_RETRY), "retry.mode=off|1\n");
    cr_assert_str_eq(shown("retry: {mode: off, attempts: 9}", POLICY_FAMILY_RETRY),
                     "retry.mode=off|1\n");
}

Test(effective, of_timeouts_without_a_block_are_what_holds_by_itself)
{
    shown("", POLICY_FAMILY_TIMEOUTS);
    has("timeouts.connect=5s|1");
    has("timeouts.request=0s|1");
    has("timeouts.idle=1h|1");
    has("timeouts.deadlineHeader=|0");
}

Test(effective, reads_as_it_was_written)
{
    shown("retry: {attempts: 3, codes: [429, 500-505], grpcCodes: [UNAVAILABLE], methods: [GET, "
          "PURGE], on: [reset], jitter: equal, maxBody: 1MiB, budget: {percent: 12.5}}",
          POLICY_FAMILY_RETRY);
    has("retry.mode=enforce|1");
    has("retry.attempts=3|2");
    has("retry.codes=[429, 500-505]|4");
    has("retry.grpcCodes=[UNAVAILABLE]|4");
    has("retry.on=[reset]|4");
    has("retry.methods=[GET, PURGE]|4");
    has("retry.honourIdempotencyKey=true|3");
    has("retry.jitter=equal|1");
    has("retry.maxBody=1MiB|1");
    has("retry.budget.percent=12.5|2");
    has("retry.budget.minRetryRate.interval=1s|1");
}

Test(effective, knows_keys_and_what_is_unlimited)
{
    shown("bulkhead: {key: \"header:X-Tenant\"}, timeouts: {request: 1s}", POLICY_FAMILY_BULKHEAD);
    has("bulkhead.key=header:x-tenant|1");
    has("bulkhead.maxConnections=unlimited|1");
    shown("rateLimit: {requests: 7}", POLICY_FAMILY_RATE_LIMIT);
    has("rateLimit.burst=7|2");
    has("rateLimit.key=none|1");
}

Test(effective, of_a_rule_lays_it_over_its_document)
{
    shown("retry: {attempts: 3, backoff: 10ms}, rules: [{name: a, retry: {attempts: 1}}]",
          POLICY_FAMILY_RETRY);
    has("retry.attempts=1|2");
    has("retry.backoff=10ms|1");
}

Test(effective, of_a_document_has_its_protocol_and_all_blocks)
{
    struct policy_set *set =
        loaded("{apiVersion: outrigger.dev/v1alpha1, kind: ResiliencePolicy, "
               "metadata: {name: p}, spec: {targets: [{host: a}], protocol: http1}}");
    seen[0] = '\0';
    effective_document(&set->documents[0], note, NULL);
    has("protocol=http1|1");
    has("loadBalancer.algorithm=leastRequest|1");
    has("circuitBreaker.mode=off|1");
    policy_set_unref(&set);
}

Test(effective, of_a_proxy_config_knows_every_field)
{
    struct policy_set *set =
        loaded("{apiVersion: outrigger.dev/v1alpha1, kind: ProxyConfig, metadata: {name: a}, spec: "
               "{listeners: [{listen: \"127.0.0.1:1\", upstream: \"a:80\"}], log: {access: "
               "\"sampled: 0.5%\"}}}");
    seen[0] = '\0';
    effective_proxy(&set->proxy, note, NULL);
    has("outbound.listen=[127.0.0.1:15001, [::1]:15001]|4");
    has("listeners[0].upstream=a:80|1");
    has("limits.maxLineBytes=16KiB|1");
    has("opaquePorts=[25, 3306, 5432, 6379, 9092]|4");
    has("log.access=sampled: 0.5%|1");
    policy_set_unref(&set);
}

/* ---- origins ---- */

static struct node *tree(struct arena *arena, const char *text)
{
    struct node *root = NULL;
    struct diagnostics diag;
    diagnostics_init(&diag);
    arena_init(arena, NULL, 1 << 20);
    cr_assert_eq(yaml_tree_parse(arena, "t.yaml", span_of(text), &root, &diag), OK);
    diagnostics_fini(&diag);
    return root;
}

static void comes_from(const struct node *spec, const char *path, enum origin_kind kind,
                       uint32_t line)
{
    const struct node *rules = node_get(spec, "rules");
    struct origin origin = origin_find(spec, rules ? rules->first : NULL, path);
    cr_assert(origin.kind == kind && origin.line == line, "%s: %d, line %u", path, origin.kind,
              origin.line);
}

Test(origin, is_the_rule_then_the_document_then_the_default)
{
    struct arena arena;
    struct node *spec = tree(&arena, "retry:\n  attempts: 2\n  backoff: 1s\n"
                                     "rules:\n  - name: a\n    retry:\n      attempts: 1\n"
                                     "    bulkhead: {}\n");
    comes_from(spec, "retry.attempts", ORIGIN_RULE, 7);
    comes_from(spec, "retry.backoff", ORIGIN_DOCUMENT, 3);
    comes_from(spec, "retry.budget.percent", ORIGIN_DEFAULT, 0);
    comes_from(spec, "bulkhead.maxRequests", ORIGIN_DEFAULT, 0);
    comes_from(spec, "circuitBreaker.mode", ORIGIN_ABSENT, 0);
    arena_fini(&arena);
}

Test(origin, of_a_block_that_is_off_is_what_switched_it_off)
{
    struct arena arena;
    struct node *spec = tree(&arena, "timeouts:\n  mode: off\n  connect: 9s\n");
    comes_from(spec, "timeouts.mode", ORIGIN_DOCUMENT, 2);
    comes_from(spec, "timeouts.connect", ORIGIN_ABSENT, 0);
    arena_fini(&arena);
    spec = tree(&arena, "timeouts:\n  mode: off\n  connect: 9s\nrules:\n  - timeouts: {mode: "
                        "enforce}\n");
    comes_from(spec, "timeouts.connect", ORIGIN_DOCUMENT, 3);
    arena_fini(&arena);
}
