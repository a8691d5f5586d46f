/* headers.c - a perfect hash over length, first and last letter. Two words in one slot would be an
 * initialiser that overrides another, which the compiler refuses: the table cannot silently lose a
 * name. */
#include "http/headers.h"

#include <stddef.h>

#define SLOTS 128
#define SLOT(len, first, last) (((len) + (first) + 41u * (last)) % SLOTS)
#define LOWER_CASE_BIT 0x20u
#define LOWER_CASE_BITS UINT64_C(0x2020202020202020)

struct word {
    const char *text;
    uint8_t len;
    uint8_t rules;
};

static const struct word words[HEADER_COUNT] = {[HEADER_OTHER] = {"", 0, HEADER_PLAIN},
#define X(name, word, first, last, rules) [HEADER_##name] = {word, sizeof(word) - 1, rules},
                                                HEADER_LIST(X)
#undef X
};

static const uint8_t slots[SLOTS] = {
#define X(name, word, first, last, rules)                                                          \
    [SLOT((unsigned)sizeof(word) - 1u, (unsigned)(first), (unsigned)(last))] = HEADER_##name,
    HEADER_LIST(X)
#undef X
};

_Static_assert(HEADER_COUNT <= 64, "message.present has one bit per header id");

static bool is_same_word(const char *name, const char *word, size_t len);

enum header_id header_id_from(const char *name, size_t len)
{
    if (len == 0)
        return HEADER_OTHER;
    unsigned first = (unsigned char)name[0] | LOWER_CASE_BIT;
    unsigned last = (unsigned char)name[len - 1] | LOWER_CASE_BIT;
    unsigned id = slots[SLOT((unsigned)len, first, last)];
    if (words[id].len != len || !is_same_word(name, words[id].text, len))
        return HEADER_OTHER;
    return (enum header_id)id;
}

struct span header_word(enum header_id id)
{
    return span_make(words[id].text, words[id].len);
}

unsigned header_rules(enum header_id id)
{
    return words[id].rules;
}

/* Setting the lower-case bit folds letters and changes neither digits nor '-'; the bytes that it
 * makes into one of ours
 * ('\r' and other controls) are no token characters, so for a token this is an exact comparison. */
static bool is_same_word(const char *name, const char *word, size_t len)
{
    while (len >= sizeof(uint64_t)) {
        uint64_t a;
        uint64_t b;
        memcpy(&a, name, sizeof(a));
        memcpy(&b, word, sizeof(b));
        if ((a | LOWER_CASE_BITS) != b)
            return false;
        name += sizeof(a);
        word += sizeof(a);
        len -= sizeof(a);
    }
    for (size_t i = 0; i < len; i++) {
        if (((unsigned char)name[i] | LOWER_CASE_BIT) != (unsigned char)word[i])
            return false;
    }
    return true;
}
