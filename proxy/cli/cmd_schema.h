/* cmd_schema.h - `outrigger schema [--markdown]`: what may stand in a policy file, for editors and
 * for people. */
#ifndef OUTRIGGER_CLI_CMD_SCHEMA_H
#define OUTRIGGER_CLI_CMD_SCHEMA_H

int cmd_schema(int argc, char **argv);
/* argv[0] is "schema". Prints the JSON Schema, or the reference, to stdout. 0; 2 on bad usage or a
 * failed write. */

#endif
