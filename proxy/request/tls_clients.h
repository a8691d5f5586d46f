/* tls_clients.h - for each document with a `tls` block, how connections to its targets speak TLS:
 * the files that it names, read and understood.
 *
 * Built on any thread, for it reads files and parses authorities (some 10 ms); then part of a
 * snapshot. What is wrong with a file is a finding like those of the policy files, so `check`, the
 * start and a reload say the same. Example:
 *     struct tls_clients *clients = NULL;
 *     if (tls_clients_load(set, &diagnostics, &clients) != OK) -> as for a policy with a mistake
 *     struct tls_client *client = tls_clients_of(clients, document);  // NULL: in clear text */
#ifndef OUTRIGGER_REQUEST_TLS_CLIENTS_H
#define OUTRIGGER_REQUEST_TLS_CLIENTS_H

#include "config/diagnostics.h"
#include "config/policy_set.h"
#include "net/tls_client.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tls_entry {
    struct tls_client *client; /* NULL: the document has no TLS */
    uint64_t settings; /* of the block and of what its files hold: connections that were made by
                          others are not used again */
};

struct tls_clients {
    struct tls_entry *entries; /* by document->index */
    size_t count;
    char **files; /* that were read: whoever changes one wants it read again */
    size_t file_count;
    uint64_t settings; /* of all of them */
    bool is_empty;     /* no document speaks TLS */
};

enum err MUST_CHECK tls_clients_load(const struct policy_set *set, struct diagnostics *diag,
                                     struct tls_clients **out);
/* ERR_INVALID: a file is missing or wrong, `diag` says which and where it is named; ERR_NO_MEMORY.
 * The caller owns *out. */

void tls_clients_free(struct tls_clients **clients);

void tls_clients_keep(struct tls_clients *fresh, const struct policy_set *fresh_set,
                      const struct tls_clients *old, const struct policy_set *old_set);
/* Where a document's settings and files are what they were, `fresh` takes the old client, with the
 * sessions that it can resume. In the loop. */

const struct tls_entry *tls_clients_of(const struct tls_clients *clients,
                                       const struct document *document);
/* NULL: the document (or no document, or no clients at all) says clear text. */

#endif
