/* loadBalancer: a block of a document that its rules have not. */
#include "config/effective.h"
#include "support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct load_balancer_config read_as(const char *spec)
{
    struct policy_set *set = loaded_spec(spec);
    const struct load_balancer_config cfg = set->documents[0].policy.load_balancer;
    policy_set_unref(&set);
    return cfg;
}

Test(load_balancer, is_least_request_without_a_block_and_in_an_empty_one)
{
    static const char *const specs[] = {"", "loadBalancer: {}"};
    for (int i = 0; i < 2; i++) {
        const struct load_balancer_config cfg = read_as(specs[i]);
        cr_assert_eq(cfg.algorithm, BALANCE_LEAST_REQUEST);
        cr_assert_eq(cfg.key.kind, KEY_NONE);
        cr_assert_eq(cfg.slow_start, 0);
    }
    struct policy_set *set = loaded_spec("");
    cr_assert_eq(set->no_policy.load_balancer.algorithm, BALANCE_LEAST_REQUEST);
    policy_set_unref(&set);
}

Test(load_balancer, is_read_into_its_places)
{
    cr_assert_eq(read_as("loadBalancer: {algorithm: roundRobin}").algorithm, BALANCE_ROUND_ROBIN);
    const struct load_balancer_config slow =
        read_as("loadBalancer: {algorithm: peakEwma, slowStart: 30s}");
    cr_assert_eq(slow.algorithm, BALANCE_PEAK_EWMA);
    cr_assert_eq(slow.slow_start, 30 * NS_PER_S);
    const struct load_balancer_config hash =
        read_as("loadBalancer: {algorithm: ringHash, key: client, slowStart: 0s}");
    cr_assert_eq(hash.algorithm, BALANCE_RING_HASH);
    cr_assert_eq(hash.key.kind, KEY_CLIENT);
}

Test(load_balancer, of_rules_is_their_documents)
{
    struct policy_set *set =
        loaded_spec("loadBalancer: {algorithm: ringHash, key: \"header:X-User\"}, rules: [{name: "
                    "a, retry: {}}]");
    const struct load_balancer_config *cfg = &set->documents[0].rules[0].policy.load_balancer;
    cr_assert_eq(cfg->algorithm, BALANCE_RING_HASH);
    cr_assert_str_eq(cfg->key.header, "x-user");
    policy_set_unref(&set);
}

static void is_refused(const char *spec, const char *finding)
{
    cr_assert(strstr(spec_findings(spec), finding), "%s\nnot in: %s", finding, spec_findings(spec));
}

Test(load_balancer, in_a_rule_is_refused)
{
    is_refused("rules: [{name: a, loadBalancer: {}}]", "spec.rules[0].loadBalancer: unknown key");
}

Test(load_balancer, by_hash_needs_a_key)
{
    is_refused(
        "loadBalancer: {algorithm: ringHash}",
        "spec.loadBalancer.key: ringHash needs a key: calls with equal values go to the same "
        "endpoint (such as key: header:x-user, path or client) [OUT0205]");
    is_refused("loadBalancer: {algorithm: ringHash, key: none}", "spec.loadBalancer.key: ringHash");
}

Test(load_balancer, refuses_what_has_no_effect)
{
    is_refused("loadBalancer: {key: path}",
               "spec.loadBalancer.key: no effect: only ringHash goes by a key");
    is_refused("loadBalancer: {algorithm: ringHash, key: path, slowStart: 1s}",
               "spec.loadBalancer.slowStart: with ringHash a key belongs to its endpoint");
}

Test(load_balancer, says_one_thing_about_a_word_that_is_wrong)
{
    is_refused("loadBalancer: {algorithm: roundrobin, key: path}", "did you mean \"roundRobin\"?");
    cr_assert_null(
        strstr(spec_findings("loadBalancer: {algorithm: roundrobin, key: path}"), "no effect"));
    is_refused("loadBalancer: {slowStart: 25h}", "spec.loadBalancer.slowStart: ");
}

/* ---- as it is shown ---- */

static char seen[16 * 1024];

static void note(const struct effective_field *field, void *context)
{
    const size_t len = strlen(seen);
    (void)context;
    snprintf(seen + len, sizeof seen - len, "%s=%s|", field->path, field->text);
}

Test(load_balancer, is_shown_with_its_document)
{
    struct policy_set *set =
        loaded_spec("loadBalancer: {algorithm: ringHash, key: \"header:X-User\"}");
    static const char wanted[] = "loadBalancer.algorithm=ringHash|loadBalancer.key=header:x-user|"
                                 "loadBalancer.slowStart=0s|";
    seen[0] = '\0';
    cr_assert_str_eq(effective_upstream_name(NULL, 0), "loadBalancer");
    cr_assert_null(effective_upstream_name(NULL, 1));
    effective_upstream(&set->documents[0], &set->documents[0].policy, 0, note, NULL);
    cr_assert_str_eq(seen, wanted);
    seen[0] = '\0';
    effective_document(&set->documents[0], note, NULL);
    cr_assert(strstr(seen, wanted) && strstr(seen, "retry.mode=off|"), "%s", seen);
    policy_set_unref(&set);
}
