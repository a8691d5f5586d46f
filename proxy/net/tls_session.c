/* tls_session.c - see tls_session.h. Invariant: count == sessions that are linked; each linked one
 * is held once by the cache. */
#include "net/tls_session.h"

#include "base/check.h"

#include <mbedtls/platform_util.h>
#include <mbedtls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void lock(struct tls_session_cache *cache)
{
    INVARIANT(pthread_mutex_lock(&cache->lock) == 0);
}

static void unlock(struct tls_session_cache *cache)
{
    INVARIANT(pthread_mutex_unlock(&cache->lock) == 0);
}

static void unref_locked(struct tls_session *session)
{
    INVARIANT(session->refs > 0);
    if (--session->refs == 0) {
        mbedtls_ssl_session_free(&session->mbed);
        mbedtls_platform_zeroize(session, sizeof(*session));
        free(session);
    }
}

static void remove_locked(struct tls_session_cache *cache, struct tls_session *session)
{
    list_remove(&session->link);
    cache->count--;
    unref_locked(session);
}

static struct tls_session *find_locked(struct tls_session_cache *cache, const char *key)
{
    LIST_FOREACH (link, &cache->sessions) {
        struct tls_session *session = CONTAINER_OF(link, struct tls_session, link);
        if (strcmp(session->key, key) == 0) {
            return session;
        }
    }
    return NULL;
}

void tls_session_cache_init(struct tls_session_cache *cache)
{
    list_init(&cache->sessions);
    cache->count = 0;
    INVARIANT(pthread_mutex_init(&cache->lock, NULL) == 0);
}

void tls_session_cache_fini(struct tls_session_cache *cache)
{
    while (!list_is_empty(&cache->sessions)) {
        remove_locked(cache, CONTAINER_OF(list_first(&cache->sessions), struct tls_session, link));
    }
    INVARIANT(pthread_mutex_destroy(&cache->lock) == 0);
}

struct tls_session *tls_session_new(const char *key, mono_ns born)
{
    struct tls_session *session = calloc(1, sizeof(*session));
    if (session != NULL) {
        list_init(&session->link);
        session->refs = 1;
        session->born = born;
        mbedtls_ssl_session_init(&session->mbed);
        (void)snprintf(session->key, sizeof(session->key), "%s", key);
    }
    return session;
}

struct tls_session *tls_session_find(struct tls_session_cache *cache, const char *key, mono_ns now)
{
    struct tls_session *session;
    lock(cache);
    session = find_locked(cache, key);
    if (session != NULL && (mono_since(now, session->born) >= TLS_SESSION_LIFE ||
                            mbedtls_x509_time_is_past(&session->valid_to))) {
        remove_locked(cache, session);
        session = NULL;
    }
    if (session != NULL) {
        session->refs++;
    }
    unlock(cache);
    return session;
}

void tls_session_keep(struct tls_session_cache *cache, struct tls_session *session)
{
    struct tls_session *same;
    lock(cache);
    same = find_locked(cache, session->key);
    if (same != NULL) {
        remove_locked(cache, same);
    } else if (cache->count == TLS_SESSIONS_MAX) {
        remove_locked(cache, CONTAINER_OF(list_last(&cache->sessions), struct tls_session, link));
    }
    list_prepend(&cache->sessions, &session->link);
    session->refs++;
    cache->count++;
    unlock(cache);
}

void tls_session_drop(struct tls_session_cache *cache, struct tls_session *session)
{
    lock(cache);
    if (list_is_linked(&session->link)) {
        remove_locked(cache, session);
    }
    unlock(cache);
}

void tls_session_unref(struct tls_session_cache *cache, struct tls_session **session)
{
    if (*session != NULL) {
        lock(cache);
        unref_locked(*session);
        unlock(cache);
        *session = NULL;
    }
}
