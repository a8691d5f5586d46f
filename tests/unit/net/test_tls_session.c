#include "net/tls_session.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct tls_session_cache cache;

static void open_cache(void)
{
    tls_session_cache_init(&cache);
}

static void close_cache(void)
{
    tls_session_cache_fini(&cache);
}

TestSuite(tls_session, .init = open_cache, .fini = close_cache);

static void keep(const char *key, mono_ns born)
{
    struct tls_session *session = tls_session_new(key, born);
    session->valid_to = (mbedtls_x509_time){.year = 2099, .mon = 1, .day = 1};
    tls_session_keep(&cache, session);
    tls_session_unref(&cache, &session);
    cr_assert_eq(session, NULL);
}

static bool knows(const char *key, mono_ns now)
{
    struct tls_session *session = tls_session_find(&cache, key, now);
    const bool is_known = session != NULL;
    tls_session_unref(&cache, &session);
    return is_known;
}

Test(tls_session, finds_what_was_kept_under_the_same_key_only)
{
    cr_assert_not(knows("a|1", 0));
    keep("a|1", 0);
    cr_assert(knows("a|1", 0));
    cr_assert_not(knows("a|2", 0));
    keep("a|1", 5);
    cr_assert_eq(cache.count, 1, "the new one replaces the old");
}

Test(tls_session, forgets_after_an_hour)
{
    keep("a|1", 10);
    cr_assert(knows("a|1", TLS_SESSION_LIFE + 9));
    cr_assert_not(knows("a|1", TLS_SESSION_LIFE + 10));
    cr_assert_eq(cache.count, 0);
}

Test(tls_session, forgets_when_the_certificate_has_expired)
{
    struct tls_session *session = tls_session_new("a|1", 0);
    session->valid_to = (mbedtls_x509_time){.year = 2021, .mon = 1, .day = 1};
    tls_session_keep(&cache, session);
    tls_session_unref(&cache, &session);
    cr_assert_not(knows("a|1", 0));
}

Test(tls_session, keeps_the_last_ones_of_too_many)
{
    char key[32];
    for (int i = 0; i <= TLS_SESSIONS_MAX; i++) {
        snprintf(key, sizeof(key), "a|%d", i);
        keep(key, 0);
    }
    cr_assert_eq(cache.count, TLS_SESSIONS_MAX);
    cr_assert_not(knows("a|0", 0));
    cr_assert(knows("a|1", 0));
    cr_assert(knows(key, 0));
}

Test(tls_session, outlives_its_place_in_the_cache_for_who_holds_it)
{
    keep("a|1", 0);
    struct tls_session *held = tls_session_find(&cache, "a|1", 0);
    tls_session_drop(&cache, held);
    tls_session_drop(&cache, held); /* twice is once */
    cr_assert_not(knows("a|1", 0));
    cr_assert_str_eq(held->key, "a|1");
    tls_session_unref(&cache, &held);
}
