#include "http/headers.h"

#include <criterion/criterion.h>
#include <ctype.h>

Test(headers, every_word_finds_its_own_id_in_any_case)
{
    for (int id = 1; id < HEADER_COUNT; id++) {
        struct span word = header_word((enum header_id)id);
        char upper[64];
        cr_assert_lt(word.len, sizeof(upper));
        for (size_t i = 0; i < word.len; i++)
            upper[i] = (char)toupper(word.data[i]);
        cr_expect_eq((int)header_id_from(word.data, word.len), id, "%s", word.data);
        cr_expect_eq((int)header_id_from(upper, word.len), id, "%s in capitals", word.data);
    }
}

Test(headers, near_misses_are_other)
{
    for (int id = 1; id < HEADER_COUNT; id++) {
        struct span word = header_word((enum header_id)id);
        char near[64];
        memcpy(near, word.data, word.len);
        for (size_t i = 0; i < word.len; i++) {
            near[i] = near[i] == 'x' ? 'q' : 'x';
            cr_expect_neq((int)header_id_from(near, word.len), id, "%.*s", (int)word.len, near);
            near[i] = word.data[i];
        }
        cr_expect_neq((int)header_id_from(near, word.len - 1), id);
        near[word.len] = 's';
        cr_expect_neq((int)header_id_from(near, word.len + 1), id);
    }
}

Test(headers, unknown_and_empty_names_are_other)
{
    cr_expect_eq(header_id_from("", 0), HEADER_OTHER);
    cr_expect_eq(header_id_from("accept", 6), HEADER_OTHER);
    cr_expect_eq(header_id_from("content_length", 14), HEADER_OTHER);
    cr_expect_eq(header_word(HEADER_OTHER).len, 0);
    cr_expect_eq(header_rules(HEADER_OTHER), HEADER_PLAIN);
}

Test(headers, what_frames_a_message_can_neither_be_nominated_nor_trail)
{
    for (int id = 1; id < HEADER_COUNT; id++) {
        unsigned rules = header_rules((enum header_id)id);
        if (rules & HEADER_FRAMING)
            cr_expect(rules & HEADER_FIXED && rules & HEADER_NO_TRAILER);
        if (rules & HEADER_HOP)
            cr_expect(rules & HEADER_NO_TRAILER, "%s", header_word((enum header_id)id).data);
    }
    cr_expect_not(header_rules(HEADER_GRPC_STATUS) & HEADER_NO_TRAILER);
    cr_expect_not(header_rules(HEADER_GRPC_MESSAGE) & HEADER_NO_TRAILER);
}
