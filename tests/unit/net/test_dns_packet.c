#include "net/dns_packet.h"

#include <criterion/criterion.h>

#define HEAD(flags, counts) "\x12\x34" flags "\0" counts "\0\0\0\0\0\0"
#define NAME "\4shop\4test\0"
#define A_IN "\0\1\0\1"
#define QUERY HEAD("\1", "\0\1") NAME A_IN
#define BYTES(text) span_make(text, sizeof(text) - 1)
#define MORE "and more"

Test(dns_packet, that_is_no_query_is_not_taken_for_one)
{
    const struct span bad[] = {
        SPAN_NONE,
        BYTES("\x12\x34"),
        BYTES(HEAD("\x81", "\0\1") NAME A_IN),         /* a response */
        BYTES(HEAD("\1", "\0\0") NAME A_IN),           /* without a question */
        BYTES(HEAD("\1", "\0\2") NAME A_IN NAME A_IN), /* with two */
        BYTES(HEAD("\1", "\0\1")),                     /* cut */
        BYTES(HEAD("\1", "\0\1") "\4shop"),            /* cut in the name */
        BYTES(HEAD("\1", "\0\1") NAME "\0\1\0"),       /* cut in the class */
        BYTES(HEAD("\1", "\0\1") "\xc0\x0c" A_IN),     /* a pointer, to itself */
        BYTES(HEAD("\1", "\0\1") "\x40shop\0" A_IN),   /* a label of another kind */
        BYTES(HEAD("\1", "\0\1") "\x3fshop\0" A_IN),   /* a label beyond the end */
    };
    struct span key = BYTES("untouched");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect(!dns_query_parse(bad[i], &key), "%zu", i);
    cr_expect(span_is(key, SPAN("untouched")));
}

Test(dns_packet, names_end_at_255_bytes)
{
    char packet[DNS_HEADER_BYTES + 300] = "\x12\x34\1\0\0\1";
    struct span key;
    for (size_t label = 0; label < 4; label++)
        packet[DNS_HEADER_BYTES + label * 62] = 61;
    packet[DNS_HEADER_BYTES + 4 * 62] = 5; /* 248 bytes, 6, and the root: 255 */
    cr_expect(dns_query_parse(span_make(packet, sizeof packet), &key));
    cr_expect_eq(key.len, DNS_KEY_BYTES);
    packet[DNS_HEADER_BYTES + 4 * 62] = 6;
    cr_expect(!dns_query_parse(span_make(packet, sizeof packet), &key));
}

Test(dns_packet, a_query_is_known_by_its_beginning)
{
    struct span key;
    cr_assert(dns_query_parse(BYTES(QUERY MORE), &key));
    cr_expect(span_is(key, BYTES(QUERY)));
    cr_assert(dns_query_parse(BYTES(HEAD("\1", "\0\1") "\0" A_IN), &key), "the root has a name");
}

Test(dns_packet, only_the_answer_to_a_query_answers_it)
{
    const struct span bad[] = {
        SPAN_NONE,
        BYTES(QUERY),                                        /* itself */
        BYTES("\x12\x35\x81\0\0\1\0\0\0\0\0\0" NAME A_IN),   /* of another id */
        BYTES(HEAD("\x81", "\0\1") "\4shop\4tesu\0" A_IN),   /* of another name */
        BYTES(HEAD("\x81", "\0\1") "\4shop\5test\0\0" A_IN), /* of another length */
        BYTES(HEAD("\x81", "\0\1") NAME "\0\x1c\0\1"),       /* of another type */
        BYTES(HEAD("\x81", "\0\1") NAME "\0"),               /* cut */
        BYTES(HEAD("\x81", "\0\0")),                         /* of no question, and no refusal */
        BYTES(HEAD("\x81", "\0\2") NAME A_IN NAME A_IN),
    };
    struct span key;
    cr_assert(dns_query_parse(BYTES(QUERY), &key));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect(!dns_answers(bad[i], key), "%zu", i);
    cr_expect(dns_answers(BYTES(HEAD("\x81", "\0\1") NAME A_IN MORE), key));
    cr_expect(dns_answers(BYTES(HEAD("\x81", "\0\1") "\4SHOP\4tEst\0" A_IN), key));
    cr_expect(dns_answers(BYTES("\x12\x34\x81\1\0\0\0\0\0\0\0\0"), key), "FORMERR");
}

Test(dns_packet, a_failure_answers_its_query_and_says_nothing_else)
{
    char out[DNS_KEY_BYTES];
    struct span key;
    /* with an OPT record announced, which is not repeated */
    cr_assert(dns_query_parse(BYTES("\x12\x34\1\0\0\1\0\0\0\0\0\1" NAME A_IN MORE), &key));
    const size_t len = dns_failure(key, out);
    cr_expect(span_is(span_make(out, len), BYTES("\x12\x34\x81\x82\0\1\0\0\0\0\0\0" NAME A_IN)));
    cr_expect(dns_answers(span_make(out, len), key));
}
