/* defence.c - see defence.h. */
#include "base/defence.h"

#include "base/check.h"

const char *defence_word(enum defence defence)
{
    static const char *const words[] = {
#define X(name, word) #word,
        DEFENCE_LIST(X)
#undef X
    };
    INVARIANT((unsigned)defence < DEFENCE_COUNT);
    return words[defence];
}
