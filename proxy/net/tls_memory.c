/* tls_memory.c - see tls_memory.h. mbedTLS has a hook for its allocator, but Debian builds it
 * without (MBEDTLS_PLATFORM_MEMORY is off): it calls calloc of whoever defines it first, and that
 * is the program. Ours only passes on to the C library's and looks at what comes back, so memory
 * stays of one heap. It is weak: the fault tests, which bring a calloc of their own, win.
 * Everything that mbedTLS allocates it gets from calloc. */
#include "net/tls_memory.h"

#include <mbedtls/platform.h>
#include <stddef.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define IS_SANITIZED 1
#endif
#endif

static _Thread_local bool has_failed;
static _Thread_local long calls_left = -1;

void tls_memory_begin(void)
{
    has_failed = false;
}

bool tls_memory_has_failed(void)
{
    return has_failed;
}

long tls_memory_fail_after(long calls)
{
    const long left = calls_left;
    calls_left = calls;
    return left;
}

/* Out of line, so that the usual calloc touches one thread-local word. */
static __attribute__((noinline)) void *count_down(size_t count, size_t size,
                                                  void *(*allocate)(size_t, size_t))
{
    if (calls_left-- == 0) {
        has_failed = true;
        return NULL;
    }
    return allocate(count, size);
}

static inline void *watched(size_t count, size_t size, void *(*allocate)(size_t, size_t))
{
    void *memory = __builtin_expect(calls_left >= 0, 0) ? count_down(count, size, allocate)
                                                        : allocate(count, size);
    if (__builtin_expect(memory == NULL, 0)) {
        has_failed = true;
    }
    return memory;
}

#if defined(MBEDTLS_PLATFORM_MEMORY) && !defined(IS_SANITIZED)

static void *watched_calloc(size_t count, size_t size)
{
    return watched(count, size, calloc);
}

void tls_memory_start(void)
{
    (void)mbedtls_platform_set_calloc_free(watched_calloc, free);
}

bool tls_memory_is_watched(void)
{
    return true;
}

#elif defined(__GLIBC__) && !defined(IS_SANITIZED)

extern void *__libc_calloc(size_t count, size_t size); /* glibc's own name for it */

__attribute__((weak)) void *calloc(size_t count, size_t size)
{
    return watched(count, size, __libc_calloc);
}

void tls_memory_start(void)
{
}

bool tls_memory_is_watched(void)
{
    return true;
}

#else

void tls_memory_start(void)
{
    (void)watched;
}

bool tls_memory_is_watched(void)
{
    return false;
}

#endif
