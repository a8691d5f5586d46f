/* cmd_schema.c - see cmd_schema.h. */
#include "cli/cmd_schema.h"

#include "config/schema_doc.h"
#include "sim/scenario.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { EXIT_GOOD = 0, EXIT_USAGE = 2 };

static const char help[] =
    "Usage: outrigger schema [--scenario] [--markdown]\n"
    "\n"
    "Prints the JSON Schema (draft-07) of policy files, for editors that complete and\n"
    "check YAML.\n"
    "\n"
    "  --scenario   of a scenario for `outrigger simulate`, rather than of a policy\n"
    "  --markdown   the reference for people instead, as in policies/README.md\n"
    "  --help       this text\n"
    "\n"
    "Example:\n"
    "  $ outrigger schema > outrigger.schema.json\n"
    "  and as the first line of a policy file:\n"
    "  # yaml-language-server: $schema=outrigger.schema.json\n";

int cmd_schema(int argc, char **argv)
{
    bool is_markdown = false;
    bool is_scenario = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--markdown") == 0) {
            is_markdown = true;
        } else if (strcmp(argv[i], "--scenario") == 0) {
            is_scenario = true;
        } else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(help, stdout);
            return EXIT_GOOD;
        } else {
            fprintf(stderr, "outrigger schema: unknown argument %s\nTry: outrigger schema --help\n",
                    argv[i]);
            return EXIT_USAGE;
        }
    }
    if (is_scenario && is_markdown)
        schema_markdown_document(stdout, &scenario_document_block);
    else if (is_scenario)
        schema_json_document(stdout, &scenario_document_block);
    else if (is_markdown)
        schema_markdown(stdout);
    else
        schema_json(stdout);
    if (fflush(stdout) == 0)
        return EXIT_GOOD;
    perror("outrigger schema: cannot write");
    return EXIT_USAGE;
}
