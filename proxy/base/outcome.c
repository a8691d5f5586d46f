/* outcome.c - the words of the tables in outcome.h. */
#include "base/outcome.h"

#include "base/check.h"

#define WORD(name, word) #word,

const char *outcome_word(enum outcome outcome)
{
    static const char *const words[] = {OUTCOME_LIST(WORD)};
    INVARIANT((unsigned)outcome < OUTCOME_COUNT);
    return words[outcome];
}

const char *fate_word(enum fate fate)
{
    static const char *const words[] = {FATE_LIST(WORD)};
    INVARIANT((unsigned)fate < FATE_COUNT);
    return words[fate];
}

const char *retry_skip_word(enum retry_skip skip)
{
    static const char *const words[] = {RETRY_SKIP_LIST(WORD)};
    INVARIANT((unsigned)skip < RETRY_SKIP_COUNT);
    return words[skip];
}

const char *retry_cause_word(enum retry_cause cause)
{
    static const char *const words[] = {RETRY_CAUSE_LIST(WORD)};
    INVARIANT((unsigned)cause < RETRY_CAUSE_COUNT);
    return words[cause];
}
