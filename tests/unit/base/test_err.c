#include "base/err.h"

#include <criterion/criterion.h>
#include <errno.h>

Test(err, has_a_text_for_every_value)
{
    cr_assert_str_eq(err_text(OK), "no error");
    for (enum err e = OK; e <= ERR_SYSTEM; e++)
        cr_assert_gt(strlen(err_text(e)), 5);
}

Test(err, outside_the_enum_has_a_text_too)
{
    cr_assert_str_eq(err_text((enum err)999), "unknown error");
}

Test(err, from_errno_finds_the_nearest)
{
    static const struct {
        int code;
        enum err wanted;
    } rows[] = {
        {0, OK},
        {ENOMEM, ERR_NO_MEMORY},
        {EMFILE, ERR_NO_FD},
        {ENFILE, ERR_NO_FD},
        {EADDRINUSE, ERR_ADDRESS_IN_USE},
        {EACCES, ERR_ACCESS},
        {EPERM, ERR_ACCESS},
        {ENOENT, ERR_NOT_FOUND},
        {EINVAL, ERR_INVALID},
        {EFBIG, ERR_TOO_LARGE},
        {EMSGSIZE, ERR_TOO_LARGE},
        {ENAMETOOLONG, ERR_TOO_LARGE},
        {EOVERFLOW, ERR_TOO_LARGE},
        {EAGAIN, ERR_FULL},
        {ENOBUFS, ERR_FULL},
        {ENOSPC, ERR_FULL},
        {EIO, ERR_SYSTEM},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_assert_eq(err_from_errno(rows[i].code), rows[i].wanted, "errno %d", rows[i].code);
}
