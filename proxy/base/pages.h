/* pages.h - memory that only the start needed. A program of many libraries touches megabytes of
 * them while it is loaded, and most never again; given back, those that are needed come again from
 * the file, unread. */
#ifndef OUTRIGGER_BASE_PAGES_H
#define OUTRIGGER_BASE_PAGES_H

#include <stddef.h>

size_t pages_give_back(void);
/* Once, when the start is over. How many bytes were resident and are given back; 0 where
 * /proc/self/smaps cannot be read. Touches nothing that was ever written to. */

#endif
