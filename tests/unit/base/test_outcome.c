#include "base/outcome.h"

#include <criterion/criterion.h>
#include <signal.h>

Test(outcome, outside_the_enum_aborts, .signal = SIGABRT)
{
    outcome_word(OUTCOME_COUNT);
}

Test(fate, outside_the_enum_aborts, .signal = SIGABRT)
{
    fate_word(FATE_COUNT);
}

Test(retry_skip, outside_the_enum_aborts, .signal = SIGABRT)
{
    retry_skip_word(RETRY_SKIP_COUNT);
}

Test(retry_cause, outside_the_enum_aborts, .signal = SIGABRT)
{
    retry_cause_word(RETRY_CAUSE_COUNT);
}

Test(outcome, has_the_words_of_the_metric)
{
    cr_assert_str_eq(outcome_word(OUTCOME_SUCCESS), "success");
    cr_assert_str_eq(outcome_word(OUTCOME_CONNECT_FAILURE), "connect_failure");
    cr_assert_str_eq(outcome_word(OUTCOME_CANCELLED), "cancelled");
    cr_assert_eq(OUTCOME_COUNT, 7);
}

Test(fate, has_the_words_of_the_metric)
{
    cr_assert_str_eq(fate_word(FATE_SUCCESS), "success");
    cr_assert_str_eq(fate_word(FATE_SUCCESS_AFTER_RETRY), "success_after_retry");
    cr_assert_str_eq(fate_word(FATE_CANCELLED), "cancelled");
    cr_assert_eq(FATE_COUNT, 11);
}

Test(retry_skip, has_the_words_of_the_metric)
{
    cr_assert_str_eq(retry_skip_word(RETRY_SKIP_NOT_RETRYABLE), "not_retryable");
    cr_assert_str_eq(retry_skip_word(RETRY_SKIP_EXHAUSTED_UPSTREAM), "exhausted_upstream");
    cr_assert_str_eq(retry_skip_word(RETRY_SKIP_CANCELLED), "cancelled");
    cr_assert_eq(RETRY_SKIP_COUNT, 15);
}

Test(retry_cause, has_the_words_of_the_metric)
{
    cr_assert_str_eq(retry_cause_word(RETRY_CAUSE_CODE), "code");
    cr_assert_str_eq(retry_cause_word(RETRY_CAUSE_TRANSPARENT), "transparent");
    cr_assert_eq(RETRY_CAUSE_COUNT, 7);
}
