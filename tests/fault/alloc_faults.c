/* alloc_faults.c - see alloc_faults.h. What is live is kept in a table of open addressing, for
 * only some callers' memory is followed, and anyone may free it. */
#include "alloc_faults.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define EARLY_BYTES 4096          /* dlsym itself may allocate before it has told us where to */
#define LIVE_SLOTS 16384          /* a power of two, far above what one run holds at once */
#define LIVE_GONE ((void *)early) /* in a slot where one was */

static void *(*real_malloc)(size_t);
static void *(*real_calloc)(size_t, size_t);
static void *(*real_realloc)(void *, size_t);
static void *(*real_mmap)(void *, size_t, int, int, int, off_t);
static void (*real_free)(void *);

static char early[EARLY_BYTES];
static size_t early_used;

static unsigned callers;
static struct {
    uintptr_t start, end;
} nghttp2; /* its code */
static size_t fail_at = FAULTS_NEVER;
static bool fails_on;
static bool is_failing;  /* allocations are counted, and may fail */
static bool is_tracking; /* what has not been freed is known */
static size_t allocations;
static void *live[LIVE_SLOTS];
static long live_count;

extern char __executable_start, etext;

/* ---- for the test ---- */

static int find_nghttp2(struct dl_phdr_info *info, size_t size, void *context)
{
    (void)size, (void)context;
    if (strstr(info->dlpi_name, "libnghttp2.so") == NULL)
        return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type != PT_LOAD || (part->p_flags & PF_X) == 0)
            continue;
        nghttp2.start = info->dlpi_addr + part->p_vaddr;
        nghttp2.end = nghttp2.start + part->p_memsz;
    }
    return 1;
}

void faults_start(unsigned whose, size_t n, bool and_all_after)
{
    if (nghttp2.end == 0)
        dl_iterate_phdr(find_nghttp2, NULL);
    if ((whose & FAULTS_OF_NGHTTP2) != 0 && nghttp2.end == 0)
        abort(); /* or nothing would fail, and all seem well */
    memset(live, 0, sizeof live);
    live_count = 0;
    allocations = 0;
    callers = whose;
    fail_at = n;
    fails_on = and_all_after;
    is_tracking = is_failing = true;
}

void faults_stop(void)
{
    is_failing = false;
}

long faults_lost(void)
{
    is_failing = is_tracking = false;
    return live_count;
}

size_t faults_counted(void)
{
    return allocations;
}

size_t faults_at(void)
{
    return fail_at;
}

/* ---- who asks ---- */

/* Asked before the sanitizer is awake, too: nothing here may have its address taken. */
static bool is_wanted(const void *caller)
{
    if (!is_tracking)
        return false;
    const bool is_ours =
        (const char *)caller >= &__executable_start && (const char *)caller < &etext;
    const bool is_nghttp2 = (uintptr_t)caller >= nghttp2.start && (uintptr_t)caller < nghttp2.end;
    return (callers & FAULTS_OF_ALL) != 0 || ((callers & FAULTS_OF_US) != 0 && is_ours) ||
           ((callers & FAULTS_OF_NGHTTP2) != 0 && is_nghttp2);
}

static bool fails(bool is_mine)
{
    if (!is_failing || !is_mine)
        return false;
    const size_t index = allocations++;
    if (index != fail_at && !(fails_on && index > fail_at))
        return false;
    errno = ENOMEM;
    return true;
}

/* ---- what is live ---- */

static size_t slot_of(const void *pointer)
{
    return ((uintptr_t)pointer >> 4) * 2654435761u % LIVE_SLOTS;
}

static void *track(void *pointer, bool is_mine)
{
    if (!is_tracking || !is_mine || pointer == NULL)
        return pointer;
    size_t slot = slot_of(pointer);
    while (live[slot] != NULL && live[slot] != LIVE_GONE)
        slot = (slot + 1) % LIVE_SLOTS;
    live[slot] = pointer;
    live_count++;
    return pointer;
}

static void untrack(void *pointer)
{
    if (!is_tracking || pointer == NULL)
        return;
    size_t slot = slot_of(pointer);
    for (; live[slot] != NULL; slot = (slot + 1) % LIVE_SLOTS) {
        if (live[slot] != pointer)
            continue;
        live[slot] = live[(slot + 1) % LIVE_SLOTS] == NULL ? NULL : LIVE_GONE;
        live_count--;
        return;
    }
}

/* ---- before the real ones ---- */

static void *early_alloc(size_t size)
{
    const size_t start = (early_used + 15) & ~(size_t)15;
    if (start + size > sizeof early)
        abort();
    early_used = start + size;
    return early + start;
}

static bool is_early(const void *pointer)
{
    return (const char *)pointer >= early && (const char *)pointer < early + sizeof early;
}

static bool resolve(void)
{
    static bool is_resolving;
    if (real_free)
        return true;
    if (is_resolving)
        return false;
    is_resolving = true;
    *(void **)&real_malloc = dlsym(RTLD_NEXT, "malloc");
    *(void **)&real_calloc = dlsym(RTLD_NEXT, "calloc");
    *(void **)&real_realloc = dlsym(RTLD_NEXT, "realloc");
    *(void **)&real_mmap = dlsym(RTLD_NEXT, "mmap");
    *(void **)&real_free = dlsym(RTLD_NEXT, "free");
    is_resolving = false;
    return true;
}

void *malloc(size_t size)
{
    const bool is_mine = is_wanted(__builtin_return_address(0));
    if (!resolve())
        return early_alloc(size);
    return fails(is_mine) ? NULL : track(real_malloc(size), is_mine);
}

void *calloc(size_t count, size_t size)
{
    const bool is_mine = is_wanted(__builtin_return_address(0));
    if (!resolve())
        return early_alloc(count * size); /* zero, as static memory is */
    return fails(is_mine) ? NULL : track(real_calloc(count, size), is_mine);
}

void *mmap(void *wanted, size_t size, int protection, int flags, int file, off_t offset)
{
    const bool is_mine = is_wanted(__builtin_return_address(0));
    if (!resolve())
        abort();
    return fails(is_mine) ? MAP_FAILED : real_mmap(wanted, size, protection, flags, file, offset);
}

void *realloc(void *pointer, size_t size)
{
    const bool is_mine = is_wanted(__builtin_return_address(0));
    if (!resolve() || is_early(pointer))
        abort();
    if (fails(is_mine))
        return NULL;
    untrack(pointer);
    return track(real_realloc(pointer, size), is_mine);
}

void free(void *pointer)
{
    if (pointer == NULL || is_early(pointer) || !resolve())
        return;
    untrack(pointer);
    real_free(pointer);
}

char *strdup(const char *text) /* a sanitizer's own would not ask our malloc */
{
    const bool is_mine = is_wanted(__builtin_return_address(0));
    const size_t size = strlen(text) + 1;
    if (!resolve() || fails(is_mine))
        return NULL;
    char *copy = track(real_malloc(size), is_mine);
    return copy ? memcpy(copy, text, size) : NULL;
}
