/* reply.c - see reply.h. */
#include "admin/reply.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NOTE_MAX 2048

struct page { /* lives in the request's pool */
    h2o_generator_t super;
    struct text text;
};

static void page_dispose(void *page)
{
    text_fini(&((struct page *)page)->text);
}

static const char *status_text(int status)
{
    static const struct {
        int status;
        const char *text;
    } texts[] = {{200, "OK"},
                 {202, "Accepted"},
                 {400, "Bad Request"},
                 {401, "Unauthorized"},
                 {403, "Forbidden"},
                 {404, "Not Found"},
                 {405, "Method Not Allowed"},
                 {409, "Conflict"},
                 {413, "Payload Too Large"},
                 {500, "Internal Server Error"},
                 {503, "Service Unavailable"}};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (texts[i].status == status) {
            return texts[i].text;
        }
    }
    return "Other";
}

bool request_is(const h2o_req_t *req, const char *method)
{
    return h2o_memis(req->input.method.base, req->input.method.len, method, strlen(method));
}

struct span request_header(h2o_req_t *req, const char *name)
{
    ssize_t at = h2o_find_header_by_str(&req->headers, name, strlen(name), -1);
    if (at < 0) {
        return SPAN_NONE;
    }
    h2o_iovec_t value = req->headers.entries[at].value;
    return span_make(value.base, value.len);
}

void reply_text(h2o_req_t *req, int status, const char *content_type, struct text *body)
{
    if (body->is_broken) {
        text_fini(body);
        reply_note(req, 500, "the reply would have been too large, or there was no memory for it");
        return;
    }
    struct page *page = h2o_mem_alloc_shared(&req->pool, sizeof(*page), page_dispose);
    page->super = (h2o_generator_t){NULL, NULL};
    page->text = *body;
    text_init(body, body->limit);
    req->res.status = status;
    req->res.reason = status_text(status);
    req->res.content_length = page->text.len;
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL, content_type,
                   strlen(content_type));
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CACHE_CONTROL, NULL,
                   H2O_STRLIT("no-store"));
    h2o_iovec_t bytes = {page->text.data, page->text.len};
    bool has_body = bytes.len > 0 && !request_is(req, "HEAD");
    h2o_start_response(req, &page->super);
    h2o_send(req, &bytes, has_body ? 1 : 0, H2O_SEND_STATE_FINAL);
}

void reply_note(h2o_req_t *req, int status, const char *format, ...)
{
    char note[NOTE_MAX];
    struct text body;
    va_list args;
    va_start(args, format);
    vsnprintf(note, sizeof(note), format, args);
    va_end(args);
    text_init(&body, NOTE_MAX + 1);
    text_put(&body, note);
    text_char(&body, '\n');
    if (body.is_broken) {
        text_fini(&body); /* no memory even for this: the status alone */
    }
    reply_text(req, status, "text/plain; charset=utf-8", &body);
}
