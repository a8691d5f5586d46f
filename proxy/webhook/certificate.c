/* certificate.c - see certificate.h. */
#include "webhook/certificate.h"

#include "base/check.h"
#include "base/log.h"

static enum err load(struct certificate *certificate, struct tls_problem *problem)
{
    const struct tls_pem cert = {.path = certificate->cert_path};
    const struct tls_pem key = {.path = certificate->key_path};
    struct tls_server *server = NULL;
    const enum err e = tls_server_new(&cert, &key, problem, &server);
    if (e != OK)
        return e;
    tls_server_unref(&certificate->server);
    certificate->server = server;
    certificate->tally->not_after = tls_server_not_after(server);
    return OK;
}

static void on_change(struct watch *watch)
{
    struct certificate *certificate = CONTAINER_OF(watch, struct certificate, watch);
    struct tls_problem problem = {.text = ""};
    if (load(certificate, &problem) == OK) {
        certificate->tally->reloads_done++;
        log_event(LOG_INFO, "certificate_reloaded", LOG_STR("file", certificate->cert_path),
                  LOG_INT("notAfter", certificate->tally->not_after));
        return;
    }
    certificate->tally->reloads_failed++;
    log_event(LOG_ERROR, "certificate_reload_failed",
              LOG_TEXT("the former certificate stays in use"), LOG_STR("why", problem.text));
}

enum err certificate_open(struct certificate *certificate, struct loop *loop, const char *cert_path,
                          const char *key_path, struct tally *tally, struct tls_problem *problem)
{
    const char *const paths[] = {cert_path, key_path};
    *certificate =
        (struct certificate){.cert_path = cert_path, .key_path = key_path, .tally = tally};
    enum err e = load(certificate, problem);
    if (e != OK)
        return e;
    e = watch_open(&certificate->watch, loop, paths, sizeof paths / sizeof *paths, on_change);
    if (e != OK) {
        tls_server_unref(&certificate->server);
        *problem =
            (struct tls_problem){.field = "certFile", .text = "no memory to watch the files"};
    }
    return e;
}

void certificate_close(struct certificate *certificate, void (*on_closed)(struct watch *watch))
{
    tls_server_unref(&certificate->server);
    watch_close(&certificate->watch, on_closed);
}
