/* pattern.h - bytes of a long body that say where they belong: what is lost, doubled or moved
 * shows.
 *
 * The period is a prime, so that no buffer size hides a slip. Made once, then copied and compared.
 */
#ifndef OUTRIGGER_TESTS_BENCH_H2_PATTERN_H
#define OUTRIGGER_TESTS_BENCH_H2_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void pattern_init(void);
/* The bytes from `offset` on. */
void pattern_fill(uint64_t offset, uint8_t *bytes, size_t len);
bool pattern_matches(uint64_t offset, const uint8_t *bytes, size_t len);

#endif
