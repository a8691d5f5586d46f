/* mode.c - see mode.h. */
#include "policy/mode.h"

#include "base/check.h"

const char *policy_family_word(enum policy_family family)
{
    static const char *const words[] = {
#define X(name, word) #word,
        POLICY_FAMILY_LIST(X)
#undef X
    };
    INVARIANT((unsigned)family < POLICY_FAMILY_COUNT);
    return words[family];
}
