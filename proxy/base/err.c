/* err.c - see err.h. */
#include "base/err.h"

#include <errno.h>
#include <stddef.h>

static const char *const texts[] = {[OK] = "no error",
#define X(name, text) [name] = text,
                                    ERR_LIST(X)
#undef X
};

const char *err_text(enum err e)
{
    return (size_t)e < sizeof texts / sizeof *texts ? texts[e] : "unknown error";
}

enum err err_from_errno(int code)
{
    switch (code) {
    case 0: return OK;
    case ENOMEM: return ERR_NO_MEMORY;
    case EMFILE:
    case ENFILE: return ERR_NO_FD;
    case EADDRINUSE: return ERR_ADDRESS_IN_USE;
    case EACCES:
    case EPERM: return ERR_ACCESS;
    case ENOENT: return ERR_NOT_FOUND;
    case EINVAL: return ERR_INVALID;
    case EFBIG:
    case EMSGSIZE:
    case ENAMETOOLONG:
    case EOVERFLOW: return ERR_TOO_LARGE;
    case EAGAIN:
    case ENOBUFS:
    case ENOSPC: return ERR_FULL;
    default: return ERR_SYSTEM;
    }
}
