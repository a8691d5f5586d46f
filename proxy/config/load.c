/* load.c - read, parse, decode, index; see load.h. */
#include "config/load.h"

#include "base/hash.h"
#include "config/file.h"
#include "config/lint.h"
#include "config/policy_index.h"
#include "config/policy_schema.h"
#include "config/proxy_overlay.h"
#include "config/settings.h"
#include "config/yaml_tree.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define TREE_MAX_BYTES (64u * 1024 * 1024) /* nodes of one file, merged rules included */
#define NAMES_MAX_BYTES (4u * 1024 * 1024) /* of the files of one folder */

struct loaded {
    struct loaded *next;
    struct document document;
};

struct loaded_file {
    struct loaded_file *next;
    const char *name;
};

struct loader {
    struct policy_set *set;
    struct diagnostics *diag;
    struct arena scratch; /* lists of what was loaded so far */
    struct loaded *first, *last;
    struct loaded_file *first_file, *last_file;
    size_t document_count;
    struct pod_labels pod_labels;
    const char *pod_labels_path;
    struct node *settings; /* a ProxyConfig of what the command line sets; NULL: nothing */
    bool is_in_defaults;   /* what is read now gives way to what comes later */
    bool has_proxy;
    struct place proxy_place; /* of the first ProxyConfig */
    bool has_overlay;
    struct proxy_config overlay;
    uint64_t hash;
    enum err unreadable; /* the first path that could not be read; the others are still looked at */
};

/* ---- documents ---------------------------------------------------------------------------- */

static enum document_rank rank_of(const struct loader *loader, const struct document *document)
{
    if (loader->is_in_defaults)
        return DOCUMENT_DEFAULT;
    return document->selector.is_present ? DOCUMENT_SELECTED : DOCUMENT_PLAIN;
}

static enum err load_policy(struct loader *loader, struct decoder *decoder, const struct node *root)
{
    struct loaded *loaded = arena_zalloc(&loader->scratch, sizeof *loaded);
    if (loaded == NULL)
        return ERR_NO_MEMORY;
    if (!policy_document_decode(decoder, root, &loaded->document))
        return decoder->err;
    if (!selector_holds(&loaded->document.selector, &loader->pod_labels))
        return OK;
    loaded->document.rank = rank_of(loader, &loaded->document);
    if (loader->last)
        loader->last->next = loaded;
    else
        loader->first = loaded;
    loader->last = loaded;
    loader->document_count++;
    loader->set->rule_count += loaded->document.rule_count;
    return OK;
}

/* The document with what the command line sets laid over it. */
static const struct node *with_settings(struct loader *loader, struct decoder *decoder,
                                        const struct node *root)
{
    if (loader->settings == NULL)
        return root;
    struct node *merged = node_merge(decoder->scratch, root, loader->settings);
    if (merged == NULL) {
        decoder->err = ERR_NO_MEMORY;
        return root;
    }
    merged->line = root->line;
    return merged;
}

static enum err load_proxy(struct loader *loader, struct decoder *decoder, const struct node *root)
{
    struct proxy_config proxy;
    const bool is_overlay = proxy_document_is_overlay(root);
    bool is_good = proxy_document_decode(
        decoder, is_overlay ? root : with_settings(loader, decoder, root), &proxy);
    if (decoder->err)
        return decoder->err;
    if (is_good && !loader->has_overlay && is_overlay) {
        loader->has_overlay = true;
        loader->overlay = proxy;
        return OK;
    }
    if (loader->has_proxy) {
        decode_error(decoder, DIAG_TWO_PROXY_CONFIGS, root, "remove one of them",
                     "a second ProxyConfig; the first is at %s", loader->set->proxy.at);
        diagnostics_relate(loader->diag, loader->proxy_place, "the first one begins here");
        return OK;
    }
    loader->has_proxy = true;
    loader->proxy_place = node_place(decoder->file, root);
    if (is_good)
        loader->set->proxy = proxy;
    else
        loader->set->proxy.at = proxy.at;
    return OK;
}

static bool word_decode(struct decoder *decoder, const struct node *root, const char *key,
                        const struct word *words, int *value)
{
    const struct node *node = node_get(root, key);
    if (node == NULL) {
        char help[80];
        snprintf(help, sizeof help, "%s: %s%s%s", key, words[0].name, words[1].name ? " or " : "",
                 words[1].name ? words[1].name : "");
        decode_error(decoder, DIAG_MISSING, root, help, "\"%s\" is required here", key);
        return false;
    }
    size_t mark = path_push(decoder, key);
    const struct word *word = words;
    while (word->name && !(node->kind == NODE_SCALAR && span_is(node->text, span_of(word->name))))
        word++;
    if (word->name == NULL && node->kind == NODE_SCALAR)
        decode_unknown_word(decoder, node, words);
    else if (word->name == NULL && node->kind != NODE_BROKEN)
        decode_expected(decoder, node, "one word", NULL);
    path_pop(decoder, mark);
    *value = word->value;
    return word->name != NULL;
}

static enum err load_document(struct loader *loader, const char *file, struct arena *tree,
                              const struct node *root)
{
    enum { POLICY, PROXY };
    static const struct word kinds[] = {{KIND_POLICY, POLICY}, {KIND_PROXY, PROXY}, {NULL, 0}};
    static const struct word versions[] = {{API_VERSION, 0}, {NULL, 0}};
    struct decoder decoder;
    int kind, version;
    decoder_init(&decoder, &loader->set->arena, tree, loader->diag, file);
    if (root->kind != NODE_BLOCK) {
        if (root->kind != NODE_BROKEN)
            decode_expected(&decoder, root, "a document with apiVersion, kind, metadata and spec",
                            NULL);
        return OK;
    }
    word_decode(&decoder, root, "apiVersion", versions, &version);
    if (!word_decode(&decoder, root, "kind", kinds, &kind))
        return OK;
    return kind == PROXY ? load_proxy(loader, &decoder, root) : load_policy(loader, &decoder, root);
}

static enum err load_text(struct loader *loader, const char *name, struct span text)
{
    struct arena tree;
    struct node *documents = NULL;
    struct loaded_file *file = arena_zalloc(&loader->scratch, sizeof *file);
    struct span kept = arena_copy(&loader->set->arena, span_of(name));
    if (file == NULL || kept.data == NULL)
        return ERR_NO_MEMORY;
    file->name = kept.data;
    if (loader->last_file)
        loader->last_file->next = file;
    else
        loader->first_file = file;
    loader->last_file = file;
    loader->set->file_count++;
    loader->hash = hash_span(text, loader->hash + 1);

    arena_init(&tree, NULL, TREE_MAX_BYTES);
    enum err e = yaml_tree_parse(&tree, kept.data, text, &documents, loader->diag);
    for (const struct node *root = documents; root && e == OK; root = root->next)
        e = load_document(loader, kept.data, &tree, root);
    arena_fini(&tree);
    return e == ERR_INVALID ? OK : e; /* said; the other files are still looked at */
}

/* ---- files -------------------------------------------------------------------------------- */

static void unreadable(struct loader *loader, const char *path, int code)
{
    enum err e = err_from_errno(code);
    const char *help = "";
    if (code == ENOENT)
        help = "check the path";
    else if (e == ERR_ACCESS)
        help = "check who may read it";
    if (loader->unreadable == OK)
        loader->unreadable = e == OK ? ERR_SYSTEM : e;
    diagnostics_add(loader->diag, DIAG_UNREADABLE, (struct place){.file = path}, NULL, help,
                    "cannot be read: %s", strerrordesc_np(code));
}

static enum err load_file(struct loader *loader, const char *path)
{
    char *bytes;
    size_t len;
    int code;
    enum err e = file_read(path, LOAD_MAX_FILE_BYTES, &bytes, &len, &code);
    if (e == ERR_TOO_LARGE) {
        diagnostics_add(loader->diag, DIAG_FILE_TOO_LARGE, (struct place){.file = path}, NULL,
                        "split it: a folder may hold several files", "larger than 1 MiB");
        return OK;
    }
    if (code != 0) {
        unreadable(loader, path, code);
        return OK;
    }
    if (e != OK)
        return e;
    e = load_text(loader, path, span_make(bytes, len));
    free(bytes);
    return e;
}

static bool is_wanted(const char *name)
{
    return name[0] != '.' && span_ends_with(span_of(name), SPAN(".yaml"));
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static enum err list_folder(DIR *folder, const char *path, struct arena *arena, const char **names,
                            size_t *count)
{
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        struct stat info;
        if (!is_wanted(entry->d_name))
            continue;
        if (*count == LOAD_MAX_FILES)
            return ERR_TOO_LARGE;
        const char *name = arena_printf(arena, "%s/%s", path, entry->d_name);
        if (name == NULL)
            return ERR_NO_MEMORY;
        bool is_readable = stat(name, &info) == 0;
        if (!is_readable || S_ISREG(info.st_mode)) /* a dangling link is said when it is opened */
            names[(*count)++] = name;
    }
    return OK;
}

static enum err load_names(struct loader *loader, DIR *folder, const char *path,
                           struct arena *arena)
{
    const char **names = arena_alloc(arena, LOAD_MAX_FILES * sizeof *names);
    size_t count = 0;
    char shortened[4096];
    snprintf(shortened, sizeof shortened, "%s", path);
    for (size_t len = strlen(shortened); len > 1 && shortened[len - 1] == '/'; len--)
        shortened[len - 1] = '\0';
    if (names == NULL)
        return ERR_NO_MEMORY;
    enum err e = list_folder(folder, strcmp(shortened, "/") ? shortened : "", arena, names, &count);
    if (e == ERR_TOO_LARGE) {
        diagnostics_add(loader->diag, DIAG_TOO_MANY_FILES, (struct place){.file = path}, NULL,
                        "is it the folder that you meant?", "more than %d files", LOAD_MAX_FILES);
        return OK;
    }
    if (e)
        return e;
    qsort(names, count, sizeof *names, by_name);
    for (size_t i = 0; i < count && e == OK; i++)
        e = load_file(loader, names[i]);
    return e;
}

static enum err load_path(struct loader *loader, const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0) {
        unreadable(loader, path, errno);
        return OK;
    }
    if (!S_ISDIR(info.st_mode))
        return load_file(loader, path);
    DIR *folder = opendir(path);
    if (folder == NULL) {
        int code = errno;
        if (code == ENOMEM)
            return ERR_NO_MEMORY;
        unreadable(loader, path, code);
        return OK;
    }
    struct arena arena;
    arena_init(&arena, NULL, NAMES_MAX_BYTES);
    enum err e = load_names(loader, folder, path, &arena);
    arena_fini(&arena);
    closedir(folder);
    return e;
}

/* ---- the set ------------------------------------------------------------------------------ */

static enum err loader_init(struct loader *loader, struct diagnostics *diag)
{
    *loader = (struct loader){.set = policy_set_new(LOAD_MAX_SET_BYTES), .diag = diag};
    arena_init(&loader->scratch, NULL, LOAD_MAX_SET_BYTES);
    return loader->set ? OK : ERR_NO_MEMORY;
}

static enum err presets_load(struct loader *loader)
{
    struct decoder decoder;
    decoder_init(&decoder, &loader->set->arena, &loader->scratch, loader->diag, "");
    policy_defaults(&decoder, &loader->set->no_policy);
    if (decoder.err == OK)
        proxy_spec_decode(&decoder, NULL, &loader->set->proxy);
    return decoder.err;
}

/* What the command line sets holds without any ProxyConfig, too; what is wrong with it is said
 * here, and then it is out of the way. */
static enum err settings_load(struct loader *loader, const struct load_sources *sources)
{
    struct decoder decoder;
    struct proxy_config proxy;
    enum err e = settings_parse(&loader->scratch, sources->settings, sources->setting_count,
                                &loader->settings, loader->diag);
    if (e != OK || loader->settings == NULL)
        return e;
    decoder_init(&decoder, &loader->set->arena, &loader->scratch, loader->diag, SETTINGS_SOURCE);
    if (proxy_spec_decode(&decoder, node_get(loader->settings, "spec"), &proxy))
        loader->set->proxy = proxy;
    else
        loader->settings = NULL;
    return decoder.err;
}

static enum err pod_labels_load(struct loader *loader, const char *path)
{
    char *bytes;
    size_t len;
    int code;
    uint32_t line;
    enum err e = file_read(path, LOAD_MAX_FILE_BYTES, &bytes, &len, &code);
    if (code != 0) {
        unreadable(loader, path, code);
        return OK;
    }
    if (e != OK)
        return e;
    loader->hash = hash_span(span_make(bytes, len), loader->hash + 1);
    e = pod_labels_parse(&loader->scratch, span_make(bytes, len), &loader->pod_labels, &line);
    free(bytes);
    loader->pod_labels_path = path;
    if (e != ERR_INVALID)
        return e;
    diagnostics_add(loader->diag, DIAG_BAD_VALUE,
                    (struct place){.file = path, .line = line, .column = 1}, NULL,
                    "as a downwardAPI volume has them: app=\"web\"", "this is no label of a pod");
    return OK;
}

static enum err defaults_load(struct loader *loader, const char *path)
{
    loader->is_in_defaults = true;
    const enum err e = load_path(loader, path);
    loader->is_in_defaults = false;
    return e;
}

/* Files that policies name, of addresses, and of the pod's labels; certificates are the host's
 * matter. */
static enum err note_side_files(struct loader *loader)
{
    struct policy_set *set = loader->set;
    const char **files = arena_alloc(&set->arena, (set->document_count + 1) * sizeof *files);
    if (files == NULL)
        return ERR_NO_MEMORY;
    if (loader->pod_labels.is_known)
        files[set->side_file_count++] =
            loader->pod_labels_path; /* borrowed, as long as the sources */
    for (size_t i = 0; i < set->document_count; i++) {
        const struct discovery_config *discovery = &set->documents[i].discovery;
        if (discovery->path == NULL)
            continue;
        files[set->side_file_count++] = discovery->path;
        loader->hash = hash_mix(loader->hash ^ discovery->contents);
    }
    set->side_files = files;
    return OK;
}

/* A default of which the user has made another. */
static bool has_namesake(const struct loader *loader, const struct loaded *loaded)
{
    for (const struct loaded *other = loader->first; other; other = other->next)
        if (other->document.rank != DOCUMENT_DEFAULT &&
            strcmp(other->document.name, loaded->document.name) == 0 &&
            strcmp(other->document.namespace, loaded->document.namespace) == 0)
            return true;
    return false;
}

static enum err set_fill(struct loader *loader)
{
    struct policy_set *set = loader->set;
    struct document *documents =
        arena_alloc(&set->arena, (loader->document_count + 1) * sizeof *documents);
    const char **files = arena_alloc(&set->arena, (set->file_count + 1) * sizeof *files);
    if (documents == NULL || files == NULL)
        return ERR_NO_MEMORY;
    for (const struct loaded *loaded = loader->first; loaded; loaded = loaded->next) {
        if (loaded->document.rank == DOCUMENT_DEFAULT && has_namesake(loader, loaded))
            continue;
        documents[set->document_count] = loaded->document;
        documents[set->document_count].index = (uint32_t)set->document_count;
        set->document_count++;
    }
    size_t count = 0;
    for (const struct loaded_file *file = loader->first_file; file; file = file->next)
        files[count++] = file->name;
    set->documents = documents;
    set->files = files;
    enum err e = note_side_files(loader);
    if (e == OK && loader->has_overlay)
        e = proxy_config_overlay(&set->proxy, &loader->overlay, &set->arena);
    if (e != OK)
        return e;
    snprintf(set->hash, sizeof set->hash, "%016llx", (unsigned long long)loader->hash);
    e = policy_index_build(set, loader->diag);
    if (e == OK && loader->diag->errors == 0)
        lint_set(set, loader->diag);
    return e;
}

static enum err loader_finish(struct loader *loader, enum err e, struct policy_set **out)
{
    if (e == OK)
        e = set_fill(loader);
    bool is_full = loader->set && loader->set->arena.used_bytes > LOAD_MAX_SET_BYTES / 2;
    if (e == ERR_NO_MEMORY && is_full) {
        diagnostics_add(loader->diag, DIAG_TOO_MANY_FILES,
                        (struct place){.file = loader->last_file->name}, NULL,
                        "fewer rules, or another proxy for some of them",
                        "all policies together take more than 64 MiB");
        e = ERR_INVALID;
    }
    if (e == OK && loader->diag->is_out_of_memory)
        e = ERR_NO_MEMORY;
    if (e == OK)
        e = loader->unreadable;
    if (e == OK && loader->diag->errors > 0)
        e = ERR_INVALID;
    diagnostics_sort(loader->diag);
    arena_fini(&loader->scratch);
    if (e == OK)
        *out = loader->set;
    else
        policy_set_unref(&loader->set);
    return e;
}

enum err policy_set_load(const struct load_sources *sources, struct policy_set **out,
                         struct diagnostics *diag)
{
    struct loader loader;
    enum err e = loader_init(&loader, diag);
    if (e == OK)
        e = presets_load(&loader);
    if (e == OK)
        e = settings_load(&loader, sources);
    if (e == OK && sources->pod_labels)
        e = pod_labels_load(&loader, sources->pod_labels);
    if (e == OK && sources->defaults)
        e = defaults_load(&loader, sources->defaults);
    for (size_t i = 0; i < sources->path_count && e == OK; i++)
        e = load_path(&loader, sources->paths[i]);
    return loader_finish(&loader, e, out);
}

enum err policy_set_load_text(const char *name, const char *text, size_t len,
                              struct policy_set **out, struct diagnostics *diag)
{
    struct loader loader;
    enum err e = loader_init(&loader, diag);
    if (e == OK)
        e = presets_load(&loader);
    if (e == OK && len > LOAD_MAX_FILE_BYTES)
        diagnostics_add(diag, DIAG_FILE_TOO_LARGE, (struct place){.file = name}, NULL, NULL,
                        "larger than 1 MiB");
    else if (e == OK)
        e = load_text(&loader, name, span_make(text, len));
    return loader_finish(&loader, e, out);
}
