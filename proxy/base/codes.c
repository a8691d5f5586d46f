/* codes.c - names of methods and gRPC codes. */
#include "base/codes.h"

#include "base/check.h"

#include <stddef.h>
#include <string.h>

static const struct {
    const char *word;
    bool is_idempotent;
} methods[METHOD_COUNT] = {[METHOD_OTHER] = {"OTHER", false},
#define X(name, idempotent) [METHOD_##name] = {#name, idempotent},
                           METHOD_LIST(X)
#undef X
};

/* https://grpc.github.io/grpc/core/md_doc_statuscodes.html; the index is the code. */
static const char *const grpc_codes[] = {
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
};
#define GRPC_CODES (int)(sizeof grpc_codes / sizeof *grpc_codes)
#define GRPC_UNKNOWN 2

static bool is_word(const char *word, const char *name, size_t len)
{
    return strlen(word) == len && memcmp(word, name, len) == 0;
}

enum method method_from(const char *name, unsigned long len)
{
    for (int i = METHOD_OTHER + 1; i < METHOD_COUNT; i++)
        if (is_word(methods[i].word, name, len))
            return (enum method)i;
    return METHOD_OTHER;
}

const char *method_word(enum method method)
{
    INVARIANT((unsigned)method < METHOD_COUNT);
    return methods[method].word;
}

bool method_is_idempotent(enum method method)
{
    INVARIANT((unsigned)method < METHOD_COUNT);
    return methods[method].is_idempotent;
}

int grpc_code_from(const char *name, unsigned long len)
{
    for (int i = 0; i < GRPC_CODES; i++)
        if (is_word(grpc_codes[i], name, len))
            return i;
    return -1;
}

const char *grpc_code_word(int code)
{
    return grpc_codes[code >= 0 && code < GRPC_CODES ? code : GRPC_UNKNOWN];
}

int code_set_caller_status(const struct code_set *set)
{
    static const int temporary[] = {408, 409, 421, 423, 425, 429};
    for (int status = 400; status < 500; status++) {
        bool is_temporary = false;
        for (size_t i = 0; i < sizeof temporary / sizeof *temporary; i++)
            is_temporary |= temporary[i] == status;
        if (!is_temporary && code_set_has_http(set, status))
            return status;
    }
    return 0;
}

int code_set_caller_grpc(const struct code_set *set)
{
    static const int codes[] = {3, 5, 6, 7, 9, 11, 12, 16};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (code_set_has_grpc(set, codes[i]))
            return codes[i];
    return 0;
}
