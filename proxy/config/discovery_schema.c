/* discovery_schema.c - the fields of the `discovery` block, one row each (see schema.h for the
 * columns), and the file of addresses that it may name, which is read here: it is a part of the
 * configuration, so a mistake in it is a finding like any other, and changes nothing. */
#include "base/hash.h"
#include "config/discovery_config.h"
#include "config/file.h"
#include "config/load.h"
#include "config/policy_checks.h"
#include "config/policy_schema.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_FILE_BYTES 4096
#define MAX_NAME_BYTES 253
#define TREE_MAX_BYTES (16u * 1024 * 1024)

static const struct field discovery_fields[] = {
    {.name = "addresses",
     .type = FIELD_ENDPOINTS,
     FIELD_AT(struct discovery_config, addresses),
     .min = 1,
     .max = DISCOVERY_MAX_PLACES,
     .doc = "these, and not what DNS says of the target's host: IP:PORT, unix:/PATH, or NAME:PORT, "
            "which is resolved and may have several addresses"},
    {.name = "file",
     .type = FIELD_STRING,
     FIELD_AT(struct discovery_config, file),
     .min = 1,
     .max = MAX_FILE_BYTES,
     .doc = "a YAML file `addresses: [...]`, from the policy file's folder; read again when it "
            "changes. A file with a mistake, or without an address, changes nothing"},
    {.name = "srv",
     .type = FIELD_STRING,
     FIELD_AT(struct discovery_config, srv),
     .min = 1,
     .max = MAX_NAME_BYTES,
     .doc =
         "the name of SRV records, such as _http._tcp.payments.shop.svc.cluster.local: hosts and "
         "ports of the lowest priority that has an address; weights are not used"},
};
const struct block discovery_block = {
    .name = "discovery",
    BLOCK_FIELDS(discovery_fields),
    .finish = discovery_finish,
    .doc = "Where the addresses of the targets come from; left out: A and AAAA records of the "
           "target's host. The name in Host, in TLS and in metrics stays the target's."};

static const struct field list_fields[] = {
    {.name = "addresses",
     .type = FIELD_ENDPOINTS,
     .is_required = true,
     FIELD_AT(struct discovery_config, from_file),
     .min = 1,
     .max = DISCOVERY_MAX_PLACES,
     .doc = "as discovery.addresses"},
};
static const struct block list_block = {.name = "addresses", BLOCK_FIELDS(list_fields), .doc = ""};

/* ---- the file ---- */

static void refuse_file(struct decoder *decoder, const struct node *node, const char *why)
{
    const size_t mark = path_push(decoder, "file");
    decode_error(decoder, DIAG_UNREADABLE, node_get(node, "file"),
                 "a YAML file such as: addresses: [\"10.0.0.1:8080\"]", "%s", why);
    path_pop(decoder, mark);
}

/* A mistake in it is said at its place in it. */
static void decode_list(struct decoder *decoder, const struct node *root,
                        struct discovery_config *cfg)
{
    struct decoder inner;
    decoder_init(&inner, decoder->arena, decoder->scratch, decoder->diag, cfg->path);
    if (root->kind == NODE_BLOCK)
        block_decode(&inner, &list_block, root, true, cfg);
    else if (root->kind != NODE_BROKEN)
        decode_expected(&inner, root, "a block such as addresses: [\"10.0.0.1:8080\"]", NULL);
    decoder->err = inner.err;
}

static enum err decode_text(struct decoder *decoder, const struct node *node, struct span text,
                            struct discovery_config *cfg)
{
    struct arena tree;
    struct node *documents = NULL;
    arena_init(&tree, NULL, TREE_MAX_BYTES);
    const enum err e = yaml_tree_parse(&tree, cfg->path, text, &documents, decoder->diag);
    if (e == OK && documents == NULL)
        refuse_file(decoder, node, "the file is empty");
    else if (e == OK && documents->next != NULL)
        refuse_file(decoder, node, "the file holds more than one document");
    else if (e == OK)
        decode_list(decoder, documents, cfg);
    arena_fini(&tree);
    return e == ERR_INVALID ? OK : e; /* said */
}

/* A pipe would be waited for. */
static bool is_regular(const char *path, int *code)
{
    struct stat info;
    *code = stat(path, &info) == 0 ? 0 : errno;
    return *code == 0 && S_ISREG(info.st_mode);
}

static enum err read_list(struct decoder *decoder, const struct node *node,
                          struct discovery_config *cfg)
{
    char *bytes = NULL;
    size_t len = 0;
    int code;
    const bool may_read = is_regular(cfg->path, &code);
    enum err e = may_read ? file_read(cfg->path, LOAD_MAX_FILE_BYTES, &bytes, &len, &code) : OK;
    if (code == ENOMEM || (e == ERR_NO_MEMORY && code == 0))
        return ERR_NO_MEMORY;
    if (code != 0)
        refuse_file(decoder, node, strerrordesc_np(code));
    else if (!may_read)
        refuse_file(decoder, node, "not a regular file");
    else if (e == ERR_TOO_LARGE)
        refuse_file(decoder, node, "larger than 1 MiB");
    if (bytes == NULL)
        return OK;
    cfg->contents = hash_span(span_make(bytes, len), 1) | 1;
    e = decode_text(decoder, node, span_make(bytes, len), cfg);
    free(bytes);
    return e;
}

static void take_file(struct decoder *decoder, const struct node *node,
                      struct discovery_config *cfg)
{
    char *path = file_beside(decoder->file, cfg->file);
    cfg->path = path ? decode_keep(decoder, span_of(path)) : NULL;
    free(path);
    if (cfg->path == NULL)
        decoder->err = ERR_NO_MEMORY;
    else
        decoder->err = read_list(decoder, node, cfg);
}

/* ---- the block ---- */

static void refuse_name(struct decoder *decoder, const struct node *node)
{
    decode_refuse(decoder, DIAG_BAD_VALUE, node, "srv",
                  "such as _http._tcp.payments.shop.svc.cluster.local",
                  "this is not the name of a record");
}

void discovery_finish(struct decoder *decoder, const struct node *node, void *out, bool is_good)
{
    struct discovery_config *cfg = out;
    const int named = (cfg->addresses.count > 0) + (cfg->file != NULL) + (cfg->srv != NULL);
    if (!is_good)
        return;
    if (named > 1)
        decode_refuse(decoder, DIAG_CONTRADICTION, node, cfg->srv ? "srv" : "file",
                      "one of addresses, file and srv",
                      "the addresses come from elsewhere already");
    else if (cfg->srv != NULL && !host_name_is_valid(span_of(cfg->srv)))
        refuse_name(decoder, node);
    else if (cfg->file != NULL)
        take_file(decoder, node, cfg);
}
