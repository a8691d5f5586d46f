/* http_get.c - see http_get.h. Whatever happens first closes the handle; only the close callback
 * ends the object. */
#include "cli/http_get.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

struct http_get {
    uv_tcp_t tcp;
    uv_connect_t connect;
    uv_write_t write;
    struct http_get_options options;
    char request[HTTP_GET_REQUEST_MAX];
    char bytes[4096];
};

static void on_closed(uv_handle_t *handle)
{
    struct http_get *get = handle->data;
    get->options.on_end(get->options.context);
    free(get);
}

void http_get_cancel(struct http_get *get)
{
    if (!uv_is_closing((uv_handle_t *)&get->tcp))
        uv_close((uv_handle_t *)&get->tcp, on_closed);
}

static void fail(struct http_get *get, int status)
{
    if (get->options.on_failed)
        get->options.on_failed(get->options.context, status);
    http_get_cancel(get);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct http_get *get = handle->data;
    (void)suggested;
    *buf = uv_buf_init(get->bytes, sizeof get->bytes);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf)
{
    struct http_get *get = stream->data;
    if (count == UV_EOF)
        http_get_cancel(get);
    else if (count < 0)
        fail(get, (int)count);
    else if (count > 0)
        get->options.on_bytes(get->options.context, buf->base, (size_t)count);
}

static void on_written(uv_write_t *write, int status)
{
    if (status < 0 && status != UV_ECANCELED)
        fail(write->handle->data, status);
}

static void on_connected(uv_connect_t *connect, int status)
{
    struct http_get *get = connect->handle->data;
    if (status < 0) {
        if (status != UV_ECANCELED)
            fail(get, status);
        return;
    }
    uv_buf_t whole = uv_buf_init(get->request, (unsigned)strlen(get->request));
    int problem = uv_read_start(connect->handle, on_alloc, on_read);
    if (problem == 0)
        problem = uv_write(&get->write, connect->handle, &whole, 1, on_written);
    if (problem < 0)
        fail(get, problem);
}

struct http_get *http_get_start(uv_loop_t *loop, const struct http_get_options *options)
{
    struct http_get *get = calloc(1, sizeof *get);
    size_t len = strlen(options->request);
    INVARIANT(get != NULL && len < sizeof get->request);
    get->options = *options;
    memcpy(get->request, options->request, len);
    INVARIANT(uv_tcp_init(loop, &get->tcp) == 0);
    get->tcp.data = get;

    const char *host = options->host ? options->host : "127.0.0.1";
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
    const struct sockaddr *address = (const struct sockaddr *)&ipv4;
    if (strchr(host, ':'))
        address = (const struct sockaddr *)&ipv6;
    INVARIANT((strchr(host, ':') ? uv_ip6_addr(host, options->port, &ipv6)
                                 : uv_ip4_addr(host, options->port, &ipv4)) == 0);
    const int problem = uv_tcp_connect(&get->connect, &get->tcp, address, on_connected);
    if (problem < 0)
        fail(get, problem);
    return get;
}
