/* fuzz_h2_head.c - any list of fields as a head, without nghttp2's checks before ours. A request
 * that we accept must go on by HTTP/1.1 as the same one: same method, target and host, nothing of
 * this hop, no field more. Trailers that we accept are lines. */
#include "codec/h2_head.h"
#include "h1_head_harness.h"

#include "codec/h1_write.h"
#include "http/bytes.h"

#define NAMED 128 /* lengths from here on stand for names that mean something */

static const char *const names[] = {
    ":method",        ":path",  ":authority", ":scheme",    ":status",           "host",
    "content-length", "te",     "cookie",     "connection", "transfer-encoding", "grpc-status",
    "content-type",   "expect", "upgrade",    "x"};

static struct span take(const uint8_t **data, size_t *len, size_t wanted)
{
    const size_t taken = wanted < *len ? wanted : *len;
    const struct span text = span_make((const char *)*data, taken);
    *data += taken;
    *len -= taken;
    return text;
}

static void read_list(struct h2_head *head, const uint8_t *data, size_t len)
{
    while (len > 2) {
        const size_t name_len = data[0];
        const size_t value_len = data[1];
        data += 2;
        len -= 2;
        const struct span name = name_len >= NAMED
                                     ? span_of(names[name_len % (sizeof names / sizeof *names)])
                                     : take(&data, &len, name_len);
        h2_head_add(head, name, take(&data, &len, value_len), value_len % 2 == 0);
    }
}

static void require_same_request(const struct message *got, const struct message *sent)
{
    require(span_is(got->method_name, sent->method_name));
    require(got->is_connect == sent->is_connect && got->framing == sent->framing);
    if (!got->is_connect)
        require(span_is(got->path, sent->path) && span_is(got->query, sent->query));
    if (got->authority.data != NULL)
        require(span_is(got->host, sent->host) && got->port == sent->port);
    require_no_hop_fields(sent);
    require(sent->header_count <= got->header_count + 8);
}

static void send_on(const struct message *got)
{
    const struct request_edit edit = {.via = SPAN("outrigger-1f2e"), .host = SPAN("upstream:80")};
    const struct h1_limits limits = {
        .max_line_bytes = 8192, .max_header_bytes = HARNESS_OUT_BYTES, .max_headers = 64};
    static char out[HARNESS_OUT_BYTES];
    static struct header scratch[64];
    struct message sent;
    struct h1_scan scan;
    size_t len = 0;
    require(h1_write_request(got, &edit, out, sizeof out, &len) == OK);
    h1_scan_init(&scan, MESSAGE_REQUEST);
    require(h1_scan_head(&scan, out, len, &limits).step == H1_DONE && scan.at == len);
    require(h1_parse_request(h1_scan_span(&scan, out), &limits, scratch, &sent).step == H1_DONE);
    require_same_request(got, &sent);
}

static void require_lines(struct span lines)
{
    struct span name;
    struct span value;
    size_t seen = 0;
    const struct span all = lines;
    while (bytes_next_line(&lines, &name, &value))
        seen += name.len + value.len + sizeof(": \r\n") - 1;
    require(lines.len == 0 && seen == all.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct h2_head *head;
    struct message msg;
    struct span lines;
    if (len < 1 || len > HARNESS_MAX_INPUT)
        return 0;
    if (head == NULL)
        head = h2_head_new(&harness_limits);
    require(head != NULL);
    const bool is_end = (data[0] & 1) != 0;
    h2_head_begin(head, MESSAGE_REQUEST);
    read_list(head, data + 1, len - 1);
    if (h2_head_request(head, is_end, &msg).step == H1_DONE)
        send_on(&msg);
    h2_head_begin(head, MESSAGE_RESPONSE);
    read_list(head, data + 1, len - 1);
    (void)h2_head_response(head, is_end, data[0] & 2 ? METHOD_HEAD : METHOD_GET, &msg);
    h2_head_begin(head, MESSAGE_REQUEST);
    read_list(head, data + 1, len - 1);
    if (h2_head_trailers(head, &lines).step == H1_DONE)
        require_lines(lines);
    return 0;
}
