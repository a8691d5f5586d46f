#include "http/classify.h"

#include <criterion/criterion.h>

#define NO_GRPC (-1)

static void expect(int status, int grpc_status, enum outcome outcome, enum evidence evidence)
{
    struct code_set failures;
    classify_default_failures(&failures);
    struct classification got = classify(status, grpc_status, &failures, false);
    cr_expect_eq(got.outcome, outcome, "status %d, gRPC %d", status, grpc_status);
    cr_expect_eq(got.evidence, evidence, "status %d, gRPC %d", status, grpc_status);
}

Test(classify, server_errors_but_501_are_failures_by_default)
{
    for (int status = 100; status <= 599; status++) {
        if (status >= 500 && status != 501)
            expect(status, NO_GRPC, OUTCOME_FAILURE, EVIDENCE_FAILURE);
        else if (status == 429)
            expect(status, NO_GRPC, OUTCOME_THROTTLED, EVIDENCE_THROTTLED);
        else
            expect(status, NO_GRPC, OUTCOME_SUCCESS, EVIDENCE_SUCCESS);
    }
}

Test(classify, five_grpc_codes_are_failures_by_default)
{
    for (int code = 0; code <= 16; code++) {
        if (code == 2 || code == 4 || code == 13 || code == 14 || code == 15)
            expect(200, code, OUTCOME_FAILURE, EVIDENCE_FAILURE);
        else if (code == 8)
            expect(200, code, OUTCOME_THROTTLED, EVIDENCE_THROTTLED);
        else
            expect(200, code, OUTCOME_SUCCESS, EVIDENCE_SUCCESS);
    }
}

Test(classify, grpc_status_decides_over_the_http_status)
{
    expect(503, 0, OUTCOME_SUCCESS, EVIDENCE_SUCCESS);
    expect(429, 14, OUTCOME_FAILURE, EVIDENCE_FAILURE);
}

Test(classify, throttled_counts_as_failure_when_told_and_keeps_its_word)
{
    struct code_set failures;
    classify_default_failures(&failures);
    struct classification got = classify(429, NO_GRPC, &failures, true);
    cr_expect_eq(got.outcome, OUTCOME_THROTTLED);
    cr_expect_eq(got.evidence, EVIDENCE_FAILURE);
    got = classify(200, 8, &failures, true);
    cr_expect_eq(got.outcome, OUTCOME_THROTTLED);
    cr_expect_eq(got.evidence, EVIDENCE_FAILURE);
    got = classify(200, NO_GRPC, &failures, true);
    cr_expect_eq(got.evidence, EVIDENCE_SUCCESS);
}

Test(classify, sets_of_the_policy_override_the_defaults)
{
    struct code_set failures = {.grpc = 0};
    code_set_add_http(&failures, 404);
    code_set_add_http(&failures, 429);
    cr_expect_eq(classify(404, NO_GRPC, &failures, false).outcome, OUTCOME_FAILURE);
    cr_expect_eq(classify(500, NO_GRPC, &failures, false).outcome, OUTCOME_SUCCESS);
    cr_expect_eq(classify(429, NO_GRPC, &failures, false).outcome, OUTCOME_FAILURE);
    cr_expect_eq(classify(200, 14, &failures, false).outcome, OUTCOME_SUCCESS);
}
