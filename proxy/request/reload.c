/* reload.c - see reload.h. */
#include "request/reload.h"

#include "base/check.h"
#include "base/log.h"

#include <stdlib.h>

#define LOGGED_ERRORS 20 /* of one failed reload; `outrigger check` shows all */
#define RESTART_NAMES 8

/* ---- on the thread ---- */

static void *parse(void *context)
{
    struct reload *reload = context;
    reload->set = NULL;
    reload->tls = NULL;
    if (policy_set_load(reload->sources, &reload->set, reload->diagnostics) != OK)
        reload->set = NULL;
    else if (tls_clients_load(reload->set, reload->diagnostics, &reload->tls) != OK)
        policy_set_unref(&reload->set);
    if (mailbox_post(reload->mailbox, &reload->done) == OK)
        return NULL;
    __atomic_store_n(&reload->is_lost, true, __ATOMIC_RELEASE);
    log_event(LOG_ERROR, "config_reload_lost",
              LOG_TEXT("the loop's mailbox is full or closed; send SIGHUP to try again"));
    return NULL;
}

/* ---- in the loop ---- */

static void log_failure(const struct reload *reload)
{
    const struct diagnostics *diagnostics = reload->diagnostics;
    for (size_t i = 0; i < diagnostics->count && i < LOGGED_ERRORS; i++) {
        const struct diagnostic *item = &diagnostics->items[i];
        if (item->severity != SEVERITY_ERROR)
            continue;
        char text[1024];
        diagnostics_format(item, text, sizeof text);
        log_event(LOG_ERROR, "config_error", LOG_TEXT(text), LOG_STR("file", item->file),
                  LOG_UINT("line", item->line));
    }
    log_event(LOG_ERROR, "config_reload_failed",
              LOG_TEXT("the policies that run stay in force; mend the files (outrigger check shows "
                       "all errors)"),
              LOG_UINT("errors", diagnostics->errors));
}

static void log_restarts(const struct proxy_config *running, const struct proxy_config *wanted)
{
    const char *names[RESTART_NAMES];
    const size_t count = proxy_config_restarts(running, wanted, names, RESTART_NAMES);
    for (size_t i = 0; i < count && i < RESTART_NAMES; i++)
        log_event(LOG_WARN, "config_needs_restart",
                  LOG_TEXT("this part of the ProxyConfig changes only at a restart"),
                  LOG_STR("field", names[i]));
}

static void forget_set(struct reload *reload)
{
    policy_set_unref(&reload->set);
    tls_clients_free(&reload->tls);
}

/* ---- files that policies name: certificates, addresses ---- */

struct side_files {
    struct watch watch;
    struct reload *reload;
};

static void on_side_file_changed(struct watch *watch)
{
    reload_now(CONTAINER_OF(watch, struct side_files, watch)->reload);
}

static void on_side_files_closed(struct watch *watch)
{
    free(CONTAINER_OF(watch, struct side_files, watch));
}

static void leave_side_files(struct reload *reload)
{
    if (reload->side_files != NULL)
        watch_close(reload->side_files, on_side_files_closed);
    reload->side_files = NULL;
}

static enum err open_watch(struct reload *reload, const char **paths, size_t count)
{
    struct side_files *made = calloc(1, sizeof *made);
    const enum err e =
        made ? watch_open(&made->watch, reload->proxy->loop, paths, count, on_side_file_changed)
             : ERR_NO_MEMORY;
    if (e != OK) {
        free(made);
        return e;
    }
    made->reload = reload;
    reload->side_files = &made->watch;
    return OK;
}

static bool is_watching(const struct reload *reload, const char *const *paths, size_t count)
{
    const struct watch *watch = reload->side_files;
    if (watch == NULL || watch->path_count != count)
        return false;
    for (size_t i = 0; i < count; i++)
        if (strcmp(watch->paths[i], paths[i]) != 0)
            return false;
    return true;
}

/* The same files keep their watch, or what changed since they were read would be missed. */
static enum err watch_paths(struct reload *reload, const char **paths, size_t count)
{
    if (is_watching(reload, paths, count))
        return OK;
    leave_side_files(reload);
    reload->is_recheck = count > 0;
    return count > 0 ? open_watch(reload, paths, count) : OK;
}

/* Those of the snapshot in force. */
static void watch_side_files(struct reload *reload)
{
    const struct policy_set *set = reload->proxy->snapshot->set;
    const struct tls_clients *tls = reload->proxy->snapshot->tls;
    const size_t certificates = tls ? tls->file_count : 0;
    size_t count = 0;
    const char **paths = calloc(certificates + set->side_file_count + 1, sizeof *paths);
    for (size_t i = 0; paths != NULL && i < certificates; i++)
        paths[count++] = tls->files[i];
    for (size_t i = 0; paths != NULL && i < set->side_file_count; i++)
        paths[count++] = set->side_files[i];
    if (paths == NULL || watch_paths(reload, paths, count) != OK)
        log_event(LOG_ERROR, "files_not_watched",
                  LOG_TEXT("no memory to watch the files that policies name (certificates, "
                           "addresses): send SIGHUP when they change"));
    free(paths);
}

static void swap(struct reload *reload)
{
    struct proxy *proxy = reload->proxy;
    tls_clients_keep(reload->tls, reload->set, proxy->snapshot->tls, proxy->snapshot->set);
    struct snapshot *snapshot = snapshot_new(&reload->set, &reload->tls);
    if (snapshot == NULL) {
        forget_set(reload);
        metrics_note_reload(proxy->metrics, false);
        log_event(LOG_ERROR, "config_reload_failed",
                  LOG_TEXT("no memory for the new policies; the old ones stay"));
        return;
    }
    log_restarts(&proxy->snapshot->set->proxy, &snapshot->set->proxy);
    proxy_swap(proxy, snapshot);
    metrics_note_reload(proxy->metrics, true);
    metrics_set_config_hash(proxy->metrics, snapshot->set->hash);
    log_event(LOG_INFO, "config_reloaded", LOG_STR("hash", snapshot->set->hash),
              LOG_UINT("policies", snapshot->set->document_count),
              LOG_UINT("rules", snapshot->set->rule_count));
    snapshot_unref(&snapshot);
    watch_side_files(reload);
}

static void forget_parse(struct reload *reload)
{
    pthread_join(reload->thread, NULL);
    reload->is_running = false;
    diagnostics_fini(reload->diagnostics);
    free(reload->diagnostics);
    reload->diagnostics = NULL;
}

static bool is_same(const struct reload *reload)
{
    const struct snapshot *running = reload->proxy->snapshot;
    const uint64_t settings = running->tls ? running->tls->settings : 0;
    return strcmp(reload->set->hash, running->set->hash) == 0 && reload->tls->settings == settings;
}

static void on_done(struct mail *mail)
{
    struct reload *reload = CONTAINER_OF(mail, struct reload, done);
    if (reload->is_stopped)
        return; /* the mailbox was emptied at the end of the process: reload_stop has cleaned up */
    if (!reload->is_running)
        return; /* reload_stop came before this letter: nobody waits for it any more */
    const bool is_recheck = reload->is_recheck;
    reload->is_recheck = false;
    if (reload->set == NULL) {
        log_failure(reload);
        metrics_note_reload(reload->proxy->metrics, false);
    } else if (is_same(reload)) {
        forget_set(reload); /* the same bytes: nothing to do */
        if (!is_recheck)
            metrics_note_reload(reload->proxy->metrics, true);
    } else {
        swap(reload);
    }
    forget_parse(reload);
    if (reload->is_wanted_again || reload->is_recheck)
        reload_now(reload);
}

void reload_now(struct reload *reload)
{
    if (__atomic_exchange_n(&reload->is_lost, false, __ATOMIC_ACQUIRE)) {
        forget_parse(reload);
        forget_set(reload);
    }
    reload->is_wanted_again = reload->is_running;
    if (reload->is_running || reload->is_stopped)
        return;
    reload->diagnostics = calloc(1, sizeof *reload->diagnostics);
    if (reload->diagnostics == NULL) {
        log_event(LOG_ERROR, "config_reload_failed",
                  LOG_TEXT("no memory to read the policies; the old ones stay"));
        return;
    }
    diagnostics_init(reload->diagnostics);
    mail_init(&reload->done, on_done);
    reload->is_running = pthread_create(&reload->thread, NULL, parse, reload) == 0;
    if (reload->is_running)
        return;
    diagnostics_fini(reload->diagnostics);
    free(reload->diagnostics);
    reload->diagnostics = NULL;
    log_event(LOG_ERROR, "config_reload_failed",
              LOG_TEXT("no thread to read the policies; the old ones stay"));
}

static void on_change(struct watch *watch)
{
    reload_now(CONTAINER_OF(watch, struct reload, watch));
}

enum err reload_start(struct reload *reload, struct proxy *proxy, struct mailbox *mailbox,
                      const struct load_sources *sources)
{
    *reload = (struct reload){.proxy = proxy, .mailbox = mailbox, .sources = sources};
    watch_side_files(reload);
    const enum err e =
        watch_open(&reload->watch, proxy->loop, sources->paths, sources->path_count, on_change);
    if (e == OK && reload->is_recheck)
        reload_now(reload);
    return e;
}

void reload_stop(struct reload *reload, void (*on_closed)(struct watch *watch))
{
    reload->is_stopped = true; /* a SIGHUP may still come in the loop's last turns */
    watch_close(&reload->watch, on_closed);
    leave_side_files(reload);
    if (!reload->is_running)
        return;
    forget_parse(reload);
    forget_set(reload);
}
