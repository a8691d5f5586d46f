#include "policy/mode.h"

#include <criterion/criterion.h>
#include <signal.h>

Test(policy_family, outside_the_enum_aborts, .signal = SIGABRT)
{
    policy_family_word(POLICY_FAMILY_COUNT);
}

Test(policy_family, has_the_words_of_a_policy_file)
{
    cr_assert_str_eq(policy_family_word(POLICY_FAMILY_TIMEOUTS), "timeouts");
    cr_assert_str_eq(policy_family_word(POLICY_FAMILY_RETRY), "retry");
    cr_assert_str_eq(policy_family_word(POLICY_FAMILY_CIRCUIT_BREAKER), "circuitBreaker");
    cr_assert_str_eq(policy_family_word(POLICY_FAMILY_BULKHEAD), "bulkhead");
    cr_assert_str_eq(policy_family_word(POLICY_FAMILY_RATE_LIMIT), "rateLimit");
}
