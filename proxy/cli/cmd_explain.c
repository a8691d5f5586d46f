/* cmd_explain.c - see cmd_explain.h. */
#include "cli/cmd_explain.h"

#include "cli/explain_code.h"

#include <stdio.h>
#include <string.h>

enum { EXIT_GOOD = 0, EXIT_USAGE = 2 };

int cmd_explain(int argc, char **argv)
{
    if (argc < 2)
        return EXIT_USAGE;
    if (strcmp(argv[1], "--list") == 0) {
        explain_list(stdout);
        return EXIT_GOOD;
    }
    if (explain_code(argv[1], stdout))
        return EXIT_GOOD;
    fprintf(stderr, "outrigger explain: there is no code %s\n", argv[1]);
    explain_suggest(argv[1], stderr);
    return EXIT_USAGE;
}
