/* alloc_faults.h - memory that fails when a test wants it to: the n-th allocation since a start,
 * and maybe all after it.
 *
 * The program's malloc, calloc, realloc, free and strdup stand before the real ones (the
 * sanitizer's, where there is one). Who allocates is told by the address that they return to.
 * Example: faults_start(FAULTS_OF_US, n, false); work(); faults_stop(); undo();
 *          cr_assert_eq(faults_lost(), 0);
 * One thread. */
#ifndef OUTRIGGER_TESTS_FAULT_ALLOC_FAULTS_H
#define OUTRIGGER_TESTS_FAULT_ALLOC_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAULTS_NEVER SIZE_MAX

enum faults_of { /* whose allocations are counted, may fail and must be given back */
                 FAULTS_OF_US = 1 << 0, /* this program's own code */
                 FAULTS_OF_NGHTTP2 = 1 << 1,
                 FAULTS_OF_ALL = 1 << 2, /* any library's */
};

void faults_start(unsigned whose, size_t n, bool and_all_after);
/* n is counted from 0. */

void faults_stop(void);
/* Memory is back. */

long faults_lost(void);
/* How many were allocated since the start and not freed; they are followed no more. */

size_t faults_counted(void);
/* How many allocations of the last run might have failed. */

size_t faults_at(void);
/* The n of the last start, to say which run went wrong. */

#endif
