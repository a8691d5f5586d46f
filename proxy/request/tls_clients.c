/* tls_clients.c - see tls_clients.h. */
#include "request/tls_clients.h"

#include "base/hash.h"
#include "config/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX_BYTES (4u << 20) /* a bundle of authorities is a quarter of a megabyte */
#define FILES_OF_ENTRY 3
#define HASH_START 1

/* ---- hashes, to tell whether something is what it was; each begins with the one before ---- */

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t len)
{
    return hash_span(span_make(bytes, len), hash);
}

static uint64_t hash_text(uint64_t hash, const char *text)
{
    return hash_bytes(hash, text ? text : "", text ? strlen(text) + 1 : 1);
}

static uint64_t hash_block(const struct tls_config *cfg)
{
    uint64_t hash = hash_bytes(HASH_START, &cfg->mode, sizeof cfg->mode);
    hash = hash_bytes(hash, &cfg->min_version, sizeof cfg->min_version);
    hash = hash_bytes(hash, &cfg->skips_verification, sizeof cfg->skips_verification);
    hash = hash_text(hash, cfg->ca_file);
    hash = hash_text(hash, cfg->cert_file);
    hash = hash_text(hash, cfg->server_name);
    for (const char *const *name = cfg->subject_alt_names; name && *name; name++)
        hash = hash_text(hash, *name);
    return hash;
}

/* ---- files ---- */

static bool keep_file(struct tls_clients *clients, char *path)
{
    char **more = path ? realloc(clients->files, (clients->file_count + 1) * sizeof *more) : NULL;
    if (more == NULL) {
        free(path);
        return false;
    }
    clients->files = more;
    clients->files[clients->file_count++] = path;
    return true;
}

/* What it holds goes into the hash; whether it can be used is for tls_client_new to say. */
static uint64_t hash_file(uint64_t hash, const char *path)
{
    char block[4096];
    size_t left = FILE_MAX_BYTES;
    size_t got;
    FILE *file = fopen(path, "rbe");
    if (file == NULL)
        return hash_text(hash, "?");
    while (left > 0 && (got = fread(block, 1, sizeof block, file)) > 0) {
        hash = hash_bytes(hash, block, got);
        left -= got < left ? got : left;
    }
    fclose(file);
    return hash;
}

struct sources { /* of one document */
    char *paths[FILES_OF_ENTRY];
};

static bool find_sources(struct tls_clients *clients, const struct document *document,
                         struct sources *sources)
{
    const struct tls_config *cfg = &document->tls;
    const char *const named[FILES_OF_ENTRY] = {cfg->ca_file, cfg->cert_file, cfg->key_file};
    *sources = (struct sources){{NULL}};
    for (size_t i = 0; i < FILES_OF_ENTRY; i++) {
        if (named[i] == NULL)
            continue;
        sources->paths[i] = file_beside(document->file, named[i]);
        if (!keep_file(clients, sources->paths[i]))
            return false;
    }
    return true;
}

static uint64_t settings_of(const struct tls_config *cfg, const struct sources *sources)
{
    uint64_t hash = hash_block(cfg);
    for (size_t i = 0; i < FILES_OF_ENTRY; i++)
        if (sources->paths[i] != NULL)
            hash = hash_file(hash_text(hash, sources->paths[i]), sources->paths[i]);
    return hash | 1; /* 0 stands for clear text */
}

/* ---- clients ---- */

static void say(struct diagnostics *diag, const struct document *document,
                const struct tls_problem *problem)
{
    char path[64];
    const struct place place = {document->file, document->tls_line, document->tls_column,
                                document->tls_length};
    snprintf(path, sizeof path, "spec.tls.%s", problem->field);
    diagnostics_add(diag, DIAG_TLS_FILE, place, path, NULL, "%s", problem->text);
}

static enum err load_entry(struct tls_clients *clients, const struct document *document,
                           struct diagnostics *diag)
{
    static const char *const alpn[] = {"h2", "http/1.1", NULL};
    const struct tls_config *cfg = &document->tls;
    struct tls_entry *entry = &clients->entries[document->index];
    struct sources sources;
    struct tls_problem problem;
    if (!find_sources(clients, document, &sources))
        return ERR_NO_MEMORY;
    entry->settings = settings_of(cfg, &sources);
    clients->settings = hash_bytes(clients->settings, &entry->settings, sizeof entry->settings);
    const struct tls_client_options options = {
        .ca.path = sources.paths[0],
        .cert.path = sources.paths[1],
        .key.path = sources.paths[2],
        .server_name = cfg->server_name,
        .subject_alt_names = cfg->subject_alt_names,
        .alpn = alpn,
        .min_version = cfg->min_version == 13 ? TLS_1_3 : TLS_1_2,
        .skips_verification = cfg->skips_verification,
    };
    const enum err e = tls_client_new(&options, &problem, &entry->client);
    if (e == OK || e == ERR_NO_MEMORY)
        return e;
    say(diag, document, &problem);
    return ERR_INVALID;
}

static enum err load_all(struct tls_clients *clients, const struct policy_set *set,
                         struct diagnostics *diag)
{
    enum err result = OK;
    for (size_t i = 0; i < set->document_count && result != ERR_NO_MEMORY; i++) {
        const struct document *document = &set->documents[i];
        if (document->tls.mode == TLS_MODE_OFF)
            continue;
        clients->is_empty = false;
        const enum err e = load_entry(clients, document, diag);
        result = e == OK ? result : e;
    }
    return result;
}

enum err tls_clients_load(const struct policy_set *set, struct diagnostics *diag,
                          struct tls_clients **out)
{
    struct tls_clients *clients = calloc(1, sizeof *clients);
    enum err e = ERR_NO_MEMORY;
    if (clients == NULL)
        return e;
    clients->settings = HASH_START;
    clients->is_empty = true;
    clients->count = set->document_count;
    clients->entries = calloc(set->document_count + 1, sizeof *clients->entries);
    if (clients->entries != NULL)
        e = load_all(clients, set, diag);
    if (e != OK)
        tls_clients_free(&clients);
    *out = clients;
    return e;
}

void tls_clients_free(struct tls_clients **taken)
{
    struct tls_clients *clients = *taken;
    *taken = NULL;
    if (clients == NULL)
        return;
    for (size_t i = 0; clients->entries != NULL && i < clients->count; i++)
        tls_client_unref(&clients->entries[i].client);
    for (size_t i = 0; i < clients->file_count; i++)
        free(clients->files[i]);
    free(clients->files);
    free(clients->entries);
    free(clients);
}

static bool is_same_document(const struct document *a, const struct document *b)
{
    return strcmp(a->name, b->name) == 0 && strcmp(a->namespace, b->namespace) == 0;
}

static const struct tls_entry *find_old(const struct document *document,
                                        const struct tls_clients *old,
                                        const struct policy_set *old_set)
{
    for (size_t i = 0; i < old_set->document_count; i++)
        if (is_same_document(document, &old_set->documents[i]))
            return &old->entries[i];
    return NULL;
}

void tls_clients_keep(struct tls_clients *fresh, const struct policy_set *fresh_set,
                      const struct tls_clients *old, const struct policy_set *old_set)
{
    for (size_t i = 0; old != NULL && i < fresh->count; i++) {
        struct tls_entry *entry = &fresh->entries[i];
        const struct tls_entry *known =
            entry->client ? find_old(&fresh_set->documents[i], old, old_set) : NULL;
        if (known == NULL || known->client == NULL || known->settings != entry->settings)
            continue;
        tls_client_unref(&entry->client);
        entry->client = tls_client_ref(known->client);
    }
}

const struct tls_entry *tls_clients_of(const struct tls_clients *clients,
                                       const struct document *document)
{
    if (clients == NULL || document == NULL || clients->entries[document->index].client == NULL)
        return NULL;
    return &clients->entries[document->index];
}
