/* run_targets.c - see run_targets.h. First all targets are found, then names are given: the first
 * of each document before any gets a number, so that a document `payments-2` keeps its own. */
#include "cli/run_targets.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define HTTP_PORT 80
#define HTTPS_PORT 443
#define USUAL_HOST "127.0.0.1"
#define OTHER_HOST "127.0.0.2"

/* ---- names ---- */

void run_variable_name(const char *base, unsigned number, char out[RUN_VARIABLE_MAX])
{
    char name[RUN_VARIABLE_MAX - 32];
    char suffix[16] = "";
    size_t len = 0;
    for (; base[len] && len + 1 < sizeof name; len++) {
        const char c = base[len];
        const bool is_lower = c >= 'a' && c <= 'z';
        const bool is_kept = (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        name[len] = is_lower ? (char)(c - 'a' + 'A') : is_kept ? c : '_';
    }
    name[len] = '\0';
    if (number > 1)
        snprintf(suffix, sizeof suffix, "_%u", number);
    snprintf(out, RUN_VARIABLE_MAX, "OUTRIGGER_%s%s_URL", name, suffix);
}

static bool is_taken(const struct run_targets *targets, const char *variable)
{
    if (strcmp(variable, "OUTRIGGER_ADMIN_URL") == 0 ||
        strcmp(variable, "OUTRIGGER_PROXY_URL") == 0)
        return true;
    for (size_t i = 0; i < targets->count; i++)
        if (strcmp(targets->items[i].variable, variable) == 0)
            return true;
    return false;
}

static void give_names(struct run_targets *targets)
{
    char name[RUN_VARIABLE_MAX];
    for (size_t i = 0; i < targets->count; i++) {
        struct run_target *item = &targets->items[i];
        run_variable_name(item->base, 1, name);
        if (is_taken(targets, name))
            continue;
        memcpy(item->variable, name, sizeof name);
        item->base = NULL;
    }
    for (size_t i = 0; i < targets->count; i++) {
        struct run_target *item = &targets->items[i];
        for (unsigned number = 2; item->base; number++) {
            run_variable_name(item->base, number, name);
            if (is_taken(targets, name))
                continue;
            memcpy(item->variable, name, sizeof name);
            item->base = NULL;
        }
    }
}

/* ---- targets ---- */

static const char *scheme_of(enum protocol protocol)
{
    return protocol == PROTOCOL_TCP ? "tcp" : "http";
}

/* From this machine; "" where nobody knows the port yet. */
static void url_of(const struct address_config *at, const char *scheme, char out[ADDRESS_TEXT_MAX])
{
    out[0] = '\0';
    if (at->kind == ADDRESS_UNIX)
        snprintf(out, ADDRESS_TEXT_MAX, "unix:%s", at->path);
    else if (at->port == 0 || at->kind == ADDRESS_FD)
        return;
    else if (at->kind == ADDRESS_IPV6)
        snprintf(out, ADDRESS_TEXT_MAX, "%s://[%s]:%u", scheme,
                 strcmp(at->host, "::") == 0 ? "::1" : at->host, at->port);
    else if (at->kind == ADDRESS_ANY || strcmp(at->host, "0.0.0.0") == 0)
        snprintf(out, ADDRESS_TEXT_MAX, "%s://127.0.0.1:%u", scheme, at->port);
    else
        snprintf(out, ADDRESS_TEXT_MAX, "%s://%s:%u", scheme, at->host, at->port);
}

static void add(struct run_targets *targets, const char *base, const char *host, uint16_t port,
                const char *scheme, const char *url)
{
    char upstream[ADDRESS_TEXT_MAX];
    const bool is_ipv6 = host_kind(span_of(host)) == ADDRESS_IPV6;
    snprintf(upstream, sizeof upstream, is_ipv6 ? "[%s]:%u" : "%s:%u", host, port);
    for (size_t i = 0; i < targets->count; i++)
        if (strcmp(targets->items[i].upstream, upstream) == 0)
            return;
    if (targets->count == RUN_TARGETS_MAX) {
        targets->left_out++;
        return;
    }
    struct run_target *item = &targets->items[targets->count++];
    item->base = base;
    item->scheme = scheme;
    item->variable[0] = '\0';
    memcpy(item->upstream, upstream, sizeof upstream);
    snprintf(item->url, sizeof item->url, "%s", url);
}

/* Whether a listener of the files leads there. */
static bool add_declared(struct run_targets *targets, const struct proxy_config *proxy,
                         enum protocol protocol, const char *base, const char *host, uint16_t port)
{
    bool is_found = false;
    for (size_t i = 0; i < proxy->listener_count; i++) {
        const struct listener_config *listener = &proxy->listeners[i];
        const bool is_unset = protocol == PROTOCOL_UNSET;
        const char *scheme = scheme_of(is_unset ? listener->protocol : protocol);
        char url[ADDRESS_TEXT_MAX];
        url_of(&listener->listen.items[0], scheme, url);
        if (url[0] == '\0' || strcmp(listener->upstream.host, host) != 0 ||
            (port != 0 && listener->upstream.port != port))
            continue;
        add(targets, base, host, listener->upstream.port, scheme, url);
        is_found = true;
    }
    return is_found;
}

static void add_target(struct run_targets *targets, const struct policy_set *set,
                       const struct document *document, const struct document_target *target)
{
    const enum protocol protocol = document->protocol;
    const char *name = document->name, *host = target->host, *scheme = scheme_of(protocol);
    const uint16_t usual = document->tls.mode == TLS_MODE_OFF ? HTTP_PORT : HTTPS_PORT;
    for (size_t i = 0; i < target->ports.count; i++) {
        const uint16_t port = target->ports.items[i];
        if (!add_declared(targets, &set->proxy, protocol, name, host, port))
            add(targets, name, host, port, scheme, "");
    }
    if (target->ports.count == 0 && !add_declared(targets, &set->proxy, protocol, name, host, 0) &&
        protocol != PROTOCOL_TCP && policy_set_find(set, span_of(host), usual) == document)
        add(targets, name, host, usual, scheme, "");
}

static bool covers(const struct document *document, const char *host)
{
    for (size_t i = 0; i < document->target_count; i++) {
        const char *named = document->targets[i].host;
        if (strcmp(named, "*") == 0 || strcmp(named, host) == 0)
            return true;
    }
    return false;
}

static void choose_host(struct run_targets *targets, const struct policy_set *set)
{
    char start[64];
    targets->host = USUAL_HOST;
    for (size_t i = 0; i < set->document_count; i++)
        if (covers(&set->documents[i], USUAL_HOST))
            targets->host = OTHER_HOST;
    snprintf(start, sizeof start, "http://%s:", targets->host);
    for (size_t i = 0; i < targets->count; i++) {
        char *url = targets->items[i].url;
        if (strncmp(url, "http://", 7) == 0 && strncmp(url, start, strlen(start)) != 0)
            url[0] = '\0';
    }
}

void run_targets_init(struct run_targets *targets, const struct policy_set *set)
{
    targets->count = targets->left_out = 0;
    for (size_t i = 0; i < set->document_count; i++) {
        const struct document *document = &set->documents[i];
        for (size_t j = 0; j < document->target_count; j++)
            if (strchr(document->targets[j].host, '*') == NULL)
                add_target(targets, set, document, &document->targets[j]);
    }
    for (size_t i = 0; i < set->proxy.listener_count; i++) {
        const struct address_config *upstream = &set->proxy.listeners[i].upstream;
        add_declared(targets, &set->proxy, PROTOCOL_UNSET, upstream->host, upstream->host,
                     upstream->port);
    }
    give_names(targets);
    choose_host(targets, set);
}
