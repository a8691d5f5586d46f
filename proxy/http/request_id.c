/* request_id.c */
#include "http/request_id.h"

#define WORD_DIGITS 16

static void write_word(uint64_t word, char *buf);

void request_id_write(uint64_t high, uint64_t low, char buf[REQUEST_ID_LEN])
{
    write_word(high, buf);
    write_word(low, buf + WORD_DIGITS);
}

static void write_word(uint64_t word, char *buf)
{
    for (int i = WORD_DIGITS - 1; i >= 0; i--) {
        buf[i] = "0123456789abcdef"[word & 15];
        word >>= 4;
    }
}
