/* inject_set.c - see inject_set.h. */
#include "cli/inject_set.h"

#include <stdio.h>
#include <string.h>

bool inject_set(const char *command, struct inject_settings *settings, const char *argument)
{
    char why[VALUE_WHY_MAX] = "such as log-level=debug";
    const char *equals = strchr(argument, '=');
    enum err e = ERR_INVALID;
    if (equals != NULL)
        e = inject_settings_set(settings, span_make(argument, (size_t)(equals - argument)),
                                span_of(equals + 1), why);
    if (e == OK)
        return true;
    fprintf(stderr, "%s: --set %s: %s%s\nTry: outrigger inject --help\n", command, argument,
            equals == NULL       ? "it takes KEY=VALUE, "
            : e == ERR_NOT_FOUND ? "there is no such key: "
                                 : "",
            e == ERR_NO_MEMORY ? err_text(e) : why);
    return false;
}
