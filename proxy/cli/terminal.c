/* terminal.c - see terminal.h. */
#include "cli/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool terminal_has_colour(FILE *out)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(fileno(out)) && (no == NULL || *no == '\0') &&
           (term == NULL || strcmp(term, "dumb") != 0);
}

void terminal_clean(char *text)
{
    for (unsigned char *at = (unsigned char *)text; *at; at++) {
        const bool is_c1 = at[0] == 0xC2 && at[1] >= 0x80 && at[1] < 0xA0; /* as UTF-8 */
        if (is_c1)
            *at++ = '?';
        if (is_c1 || (*at < ' ' && *at != '\n') || *at == 0x7F)
            *at = '?';
    }
}
