/* Loading policies when the n-th allocation fails, for every n: ours, libyaml's and libc's. No
 * crash, nothing lost, and always the same answer. */
#include "alloc_faults.h"
#include "config/load.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- what is loaded
 * ---------------------------------------------------------------------------------------------- */

static const char good[] =
    "apiVersion: outrigger.dev/v1alpha1\n"
    "kind: ResiliencePolicy\n"
    "metadata: {name: pay, namespace: shop, labels: {a: b}}\n"
    "spec:\n"
    "  targets: [{host: pay, ports: [80, 81]}, {host: \"*.x\"}, {host: \"fd00::1\"}]\n"
    "  timeouts: {request: 5s, backendRequest: 3s, deadlineHeader: X-D}\n"
    "  retry: {methods: [GET, PURGE], codes: [500, 502-504], grpcCodes: [ABORTED], on: [reset]}\n"
    "  circuitBreaker: {failureRate: {}, slowCalls: {}}\n"
    "  bulkhead: {key: \"header:X-Tenant\"}\n"
    "  rateLimit: {requests: 5, key: path}\n"
    "  rules:\n"
    "    - name: a\n"
    "      matches:\n"
    "        - {path: {value: /a}, method: POST, headers: [{name: X, value: y}], queryParams: "
    "[{name: q, value: r}]}\n"
    "        - {grpc: {service: s, method: m}}\n"
    "      retry: {attempts: 1, methods: [PUT]}\n"
    "      circuitBreaker: {slowCalls: {longerThan: 1s}}\n"
    "---\n"
    "apiVersion: outrigger.dev/v1alpha1\n"
    "kind: ProxyConfig\n"
    "metadata: {name: x}\n"
    "spec:\n"
    "  listeners: [{listen: [\"127.0.0.1:9001\", \"unix:/run/x\"], upstream: \"Pay:80\"}]\n"
    "  log: {access: {sampled: 1%}}\n";

static const char bad[] = "apiVersion: outrigger.dev/v1alpha1\n"
                          "kind: ResiliencePolicy\n"
                          "metadata: {nam: x}\n"
                          "spec:\n"
                          "  targets: [{host: \"a:1\"}]\n"
                          "  retry: {attempts: [1], jitter: fulll, attempts: 2}\n"
                          "  bulkhead: &b {}\n"
                          "  rules: [{name: a, retry: {budget: {}}}]\n"
                          "---\n"
                          "a: \"unfinished\n";

static const char *folder_paths[1];

static enum err load_good(struct policy_set **set, struct diagnostics *diag)
{
    return policy_set_load_text("t.yaml", good, sizeof good - 1, set, diag);
}

static enum err load_bad(struct policy_set **set, struct diagnostics *diag)
{
    return policy_set_load_text("t.yaml", bad, sizeof bad - 1, set, diag);
}

static enum err load_folder(struct policy_set **set, struct diagnostics *diag)
{
    return policy_set_load(&(struct load_sources){.paths = folder_paths, .path_count = 1}, set,
                           diag);
}

static enum err load_once(enum err load(struct policy_set **, struct diagnostics *), size_t n,
                          bool and_all_after)
{
    struct policy_set *set = NULL;
    struct diagnostics diag;
    diagnostics_init(&diag);
    faults_start(FAULTS_OF_ALL, n, and_all_after);
    enum err e = load(&set, &diag);
    bool has_set = set != NULL;
    policy_set_unref(&set);
    diagnostics_fini(&diag);
    const long lost = faults_lost();
    cr_assert_eq(has_set, e == OK);
    cr_assert_eq(lost, 0, "allocation %zu of %zu fails: %ld are lost", n, faults_counted(), lost);
    return e;
}

static void load_with_each_failure(enum err load(struct policy_set **, struct diagnostics *),
                                   enum err wanted, bool and_all_after)
{
    cr_assert_eq(load_once(load, FAULTS_NEVER, false), wanted);
    size_t all = faults_counted();
    cr_assert_gt(all, 20);
    for (size_t n = 0; n < all; n++)
        cr_assert_eq(load_once(load, n, and_all_after), ERR_NO_MEMORY, "allocation %zu of %zu", n,
                     all);
    cr_assert_eq(load_once(load, all, and_all_after), wanted);
}

Test(config_alloc, of_good_policies_may_fail_anywhere)
{
    load_with_each_failure(load_good, OK, false);
    load_with_each_failure(load_good, OK, true);
}

Test(config_alloc, of_bad_policies_may_fail_anywhere)
{
    load_with_each_failure(load_bad, ERR_INVALID, false);
    load_with_each_failure(load_bad, ERR_INVALID, true);
}

Test(config_alloc, of_a_folder_may_fail_anywhere)
{
    char folder[] = "/tmp/outrigger-alloc-XXXXXX", path[64];
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/a.yaml", folder);
    FILE *file = fopen(path, "we");
    cr_assert_not_null(file);
    fputs(good, file);
    fclose(file);
    folder_paths[0] = folder;
    load_with_each_failure(load_folder, OK, false);
    load_with_each_failure(load_folder, OK, true);
    unlink(path);
    rmdir(folder);
}
