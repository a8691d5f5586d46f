/* plan_state.c - what becomes of live state at a reload; see plan.h. It says what target_apply and
 * instance_configure do: a target whose document changes starts anew; else its instances are found
 * again by name, and only another scope, key or shape of the window starts empty. */
#include "cli/plan.h"

#include <stdlib.h>
#include <string.h>

#define LABEL_MAX 160
#define WHY_MAX 256
#define NOW_MAX 96

struct live { /* one instance, and the documents that hold for it before and after */
    const json_t *instance;
    const json_t *before, *after;
    const json_t *rule_before, *rule_after;
    const char *lost; /* why all of it starts anew; NULL: it is found again */
    json_t *parts;
};

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static const char *old_text(const struct live *live, const char *path)
{
    const char *text = json_string_value(plan_field(live->before, live->rule_before, path));
    return text ? text : "";
}

static const char *new_text(const struct live *live, const char *path)
{
    const char *text = json_string_value(plan_field(live->after, live->rule_after, path));
    return text ? text : "";
}

static bool changes(const struct live *live, const char *path)
{
    const json_t *before = plan_field(live->before, live->rule_before, path);
    const json_t *after = plan_field(live->after, live->rule_after, path);
    return before && after && !json_equal(before, after);
}

static void say(const struct live *live, const char *part, const char *now, const char *outcome,
                const char *why)
{
    json_array_append_new(live->parts, json_pack("{s:s, s:s, s:s, s:s}", "part", part, "now", now,
                                                 "outcome", outcome, "why", why));
}

/* Does the rule still have that block itself? A target's instance serves all blocks. */
static bool is_own(const json_t *rule, const char *block)
{
    char mode[64];
    snprintf(mode, sizeof mode, "%s.mode", block);
    return rule == NULL || json_object_get(json_object_get(rule, "fields"), mode) != NULL;
}

static bool is_over(const struct live *live, const char *part, const char *now)
{
    char mode[64];
    snprintf(mode, sizeof mode, "%s.mode", part);
    if (!is_own(live->rule_before, part))
        return true; /* its calls never asked this part of it */
    if (live->lost)
        say(live, part, now, "starts empty", live->lost);
    else if (!is_own(live->rule_after, part))
        say(live, part, now, "ends",
            "the rule has no such block any more: the target's own takes over");
    else if (strcmp(new_text(live, mode), "off") == 0)
        say(live, part, now, "is switched off", "it is asked no more");
    else
        return false;
    return true;
}

static bool has_new_window(const struct live *live)
{
    const json_t *calls =
        plan_field(live->after, live->rule_after, "circuitBreaker.failureRate.calls");
    return changes(live, "circuitBreaker.failureRate.calls") ||
           (json_integer_value(calls) == 0 && changes(live, "circuitBreaker.failureRate.window"));
}

/* With scope: endpoint the states are those of its endpoints, each its own. */
static void state_of(const json_t *breaker, char now[NOW_MAX])
{
    const long long endpoints = json_integer_value(json_object_get(breaker, "endpoints"));
    if (endpoints > 0)
        snprintf(now, NOW_MAX, "%lld endpoint%s", endpoints, endpoints == 1 ? "" : "s");
    else
        snprintf(now, NOW_MAX, "%s", text_of(breaker, "state"));
}

static void judge_breaker(const struct live *live)
{
    static const char part[] = "circuitBreaker";
    const json_t *breaker = json_object_get(live->instance, part);
    const char *state = text_of(breaker, "state");
    const bool was_forced = strcmp(old_text(live, "circuitBreaker.mode"), "forceOpen") == 0;
    const bool is_forced = strcmp(new_text(live, "circuitBreaker.mode"), "forceOpen") == 0;
    char now[NOW_MAX];
    state_of(breaker, now);
    if (!json_is_object(breaker) || is_over(live, part, now))
        return;
    if (is_forced && !was_forced)
        say(live, part, now, "is forced open", "mode is forceOpen; who waits is refused");
    else if (changes(live, "circuitBreaker.scope") && !is_forced)
        say(live, part, now, "starts empty", "closed, because scope changes");
    else if (was_forced && !is_forced && strcmp(state, "forced_open") == 0)
        say(live, part, now, "starts empty", "closed, because mode is no longer forceOpen");
    else if (has_new_window(live))
        say(live, part, now, "keeps its state", "but its window changes, and starts empty");
    else if (strcmp(state, "half_open") == 0 && changes(live, "circuitBreaker.halfOpenRequests"))
        say(live, part, now, "keeps its state",
            "and closes if as many probes have succeeded as are wanted then");
    else
        say(live, part, now, "keeps its state", "");
}

static bool has_new_key(const struct live *live, const char *block)
{
    char key[64], most[64];
    snprintf(key, sizeof key, "%s.key", block);
    snprintf(most, sizeof most, "%s.maxKeys", block);
    return changes(live, key) || changes(live, most);
}

static void judge_bulkhead(const struct live *live)
{
    static const char part[] = "bulkhead";
    const json_t *bulkhead = json_object_get(live->instance, part);
    char now[NOW_MAX];
    snprintf(now, sizeof now, "%lld in flight, %lld waiting",
             (long long)json_integer_value(json_object_get(bulkhead, "inFlight")),
             (long long)json_integer_value(json_object_get(bulkhead, "queued")));
    if (!json_is_object(bulkhead) || is_over(live, part, now))
        return;
    if (has_new_key(live, part))
        say(live, part, now, "starts empty",
            "its key changes; who is in flight or waits ends where it is");
    else
        say(live, part, now, "keeps its state", "");
}

static void judge_bucket(const struct live *live)
{
    static const char part[] = "rateLimit";
    const json_t *bucket = json_object_get(live->instance, part);
    char now[NOW_MAX];
    snprintf(now, sizeof now, "%g tokens, %lld waiting",
             json_number_value(json_object_get(bucket, "tokens")),
             (long long)json_integer_value(json_object_get(bucket, "queued")));
    if (!json_is_object(bucket) || is_over(live, part, now))
        return;
    if (has_new_key(live, part))
        say(live, part, now, "starts full",
            "its key changes; who waits for a token ends where it is");
    else
        say(live, part, now, "keeps its state",
            changes(live, "rateLimit.burst") ? "its tokens are at most the new burst" : "");
}

static void judge_budget(const struct live *live)
{
    static const char part[] = "retry budget";
    const char *mode = old_text(live, "retry.mode");
    if (strcmp(text_of(live->instance, "instance"), "target") != 0 || *mode == '\0' ||
        strcmp(mode, "off") == 0)
        return;
    if (live->lost)
        say(live, part, "", "starts empty", live->lost);
    else if (changes(live, "retry.budget.interval"))
        say(live, part, "", "starts empty", "its interval changes");
    else
        say(live, part, "", "keeps its state", "");
}

/* "payments:8080", "[::1]:80". */
static const struct document *document_for(const struct policy_set *set, const char *target)
{
    const char *colon = strrchr(target, ':');
    struct span host = span_make(target, colon ? (size_t)(colon - target) : strlen(target));
    return policy_set_find(set, host, colon ? (uint16_t)strtoul(colon + 1, NULL, 10) : (uint16_t)0);
}

static const char *why_lost(struct live *live, const json_t *wanted, const struct policy_set *set,
                            char why[WHY_MAX])
{
    const char *policy = text_of(live->instance, "policy");
    const char *name = text_of(live->instance, "instance");
    const struct document *document = document_for(set, text_of(live->instance, "target"));
    char label[LABEL_MAX] = "";
    if (document)
        snprintf(label, sizeof label, "%s%s%s", document->namespace,
                 *document->namespace ? "/" : "", document->name);
    if (strcmp(label, policy) != 0) {
        snprintf(why, WHY_MAX, "%s%s holds for its target then", *label ? "policy " : "no policy",
                 label);
        return why;
    }
    live->after = plan_document(wanted, label);
    if (strncmp(name, "rule:", 5) != 0)
        return NULL;
    live->rule_after = plan_rule(live->after, name + 5);
    return live->rule_after ? NULL : "its rule is gone";
}

json_t *plan_instances(const json_t *running, const json_t *wanted, const json_t *instances,
                       const struct policy_set *set)
{
    json_t *list = json_array(), *instance;
    size_t i;
    json_array_foreach(json_object_get(instances, "instances"), i, instance)
    {
        char why[WHY_MAX];
        const char *name = text_of(instance, "instance");
        struct live live = {.instance = instance,
                            .before = plan_document(running, text_of(instance, "policy")),
                            .parts = json_array()};
        if (strncmp(name, "rule:", 5) == 0)
            live.rule_before = plan_rule(live.before, name + 5);
        live.lost = why_lost(&live, wanted, set, why);
        judge_breaker(&live);
        judge_bulkhead(&live);
        judge_bucket(&live);
        judge_budget(&live);
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:s, s:o}", "target", text_of(instance, "target"), "policy",
                            text_of(instance, "policy"), "instance", name, "parts", live.parts));
    }
    return list;
}
