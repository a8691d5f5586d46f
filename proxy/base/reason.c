/* reason.c - reason.def as a table. */
#include "base/reason.h"

#include "base/check.h"

static const struct row {
    const char *word;
    const char *text;
    const char *proxy_status;
    int http;
    int grpc;
    enum reason_group group;
} rows[REASON_COUNT] = {
    [REASON_NONE] = {"none", "nothing went wrong", "", 0, 0, REASON_GROUP_NONE},
#define REASON(name, word, http, grpc, group, proxy_status, text)                                  \
    [REASON_##name] = {#word, text, proxy_status, http, grpc, REASON_GROUP_##group},
#include "base/reason.def"
#undef REASON
};

static const struct row *row_of(enum reason reason)
{
    INVARIANT((unsigned)reason < REASON_COUNT);
    return &rows[reason];
}

const char *reason_word(enum reason reason)
{
    return row_of(reason)->word;
}

const char *reason_text(enum reason reason)
{
    return row_of(reason)->text;
}

int reason_http_status(enum reason reason)
{
    return row_of(reason)->http;
}

int reason_grpc_status(enum reason reason)
{
    return row_of(reason)->grpc;
}

enum reason_group reason_group(enum reason reason)
{
    return row_of(reason)->group;
}

const char *reason_proxy_status(enum reason reason)
{
    return row_of(reason)->proxy_status;
}
