/* h1_bytes.h - the one loop that touches every byte of every head. Pure. */
#ifndef OUTRIGGER_CODEC_H1_BYTES_H
#define OUTRIGGER_CODEC_H1_BYTES_H

#include <stddef.h>

size_t h1_find_control(const char *bytes, size_t len);
/* Where the first control character (0..31 and 127, but not HTAB) is; `len` when there is none. */

size_t h1_find_control_portable(const char *bytes, size_t len);
/* The same without SSE2: what h1_find_control is where the processor has none, and its model in
 * tests. */

#endif
