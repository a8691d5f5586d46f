/* policy_files.c - see policy_files.h. */
#include "cli/policy_files.h"

#include "config/load.h"
#include "net/tls_engine.h"
#include "request/tls_clients.h"

/* Of `tls` blocks: can the files be used? */
static enum err check_certificates(const struct policy_set *set, struct diagnostics *diag)
{
    struct tls_clients *clients = NULL;
    const enum err started = tls_start();
    if (started != OK)
        return started;
    const enum err e = tls_clients_load(set, diag, &clients);
    tls_clients_free(&clients);
    tls_stop();
    return e;
}

enum err policy_files_load(const char *const *paths, size_t count, struct policy_set **out,
                           struct diagnostics *diag)
{
    const enum err e =
        policy_set_load(&(struct load_sources){.paths = paths, .path_count = count}, out, diag);
    return e == OK ? check_certificates(*out, diag) : e;
}
