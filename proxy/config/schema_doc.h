/* schema_doc.h - the tables for people (the reference in policies/README.md) and for editors (JSON
 * Schema draft-07). What is printed comes from the rows that decode a file; there is nothing to
 * keep in step by hand. */
#ifndef OUTRIGGER_CONFIG_SCHEMA_DOC_H
#define OUTRIGGER_CONFIG_SCHEMA_DOC_H

#include <stdio.h>

void schema_markdown(FILE *out);
/* A section with a table for each block of both kinds of document, and the table of codes. */

void schema_json(FILE *out);

struct block;
void schema_markdown_document(FILE *out, const struct block *block);
void schema_json_document(FILE *out, const struct block *block);
/* The same for one kind of document that this module does not know of. */

#endif
