/* poison.h - tells AddressSanitizer of memory that we keep and nobody may touch: a use of it is
 * found as if it came from malloc. And LeakSanitizer of memory that is not from malloc, in which it
 * is to look for pointers. Nothing in other builds. */
#ifndef OUTRIGGER_BASE_POISON_H
#define OUTRIGGER_BASE_POISON_H

#if defined(__SANITIZE_ADDRESS__)
#define POISONS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISONS 1
#endif
#endif

#ifdef POISONS
#include <sanitizer/asan_interface.h>
#include <sanitizer/lsan_interface.h>
#define POISON(at, size) ASAN_POISON_MEMORY_REGION(at, size)
#define UNPOISON(at, size) ASAN_UNPOISON_MEMORY_REGION(at, size)
#define HOLDS_POINTERS(at, size) __lsan_register_root_region(at, size)
#define HOLDS_NONE(at, size) __lsan_unregister_root_region(at, size)
#else
#define POISON(at, size) ((void)0)
#define UNPOISON(at, size) ((void)0)
#define HOLDS_POINTERS(at, size) ((void)0)
#define HOLDS_NONE(at, size) ((void)0)
#endif

#endif
