/* h1_scan.c - line by line. Invariant: everything before `at` has been looked at and is good; `at`
 * stands at the start of a line, inside one, or on a CR whose LF has not come. Limits are checked
 * at the byte that exceeds them, so that the verdict on a head is the verdict on its shortest bad
 * prefix. */
#include "codec/h1_scan.h"

#include "codec/h1_bytes.h"

/* Some old clients send an empty line after a body; more than a few are a way to keep a connection
 * busy for nothing. */
#define MAX_BLANK_LINES 4

#define CRLF_LEN 2

static struct h1_result refuse(const struct h1_scan *scan, enum reason reason, const char *detail);
static struct h1_result refuse_byte(const struct h1_scan *scan, char byte);
static const char *end_line(struct h1_scan *scan);

void h1_scan_init(struct h1_scan *scan, enum message_kind kind)
{
    *scan = (struct h1_scan){.kind = kind};
}

struct h1_result h1_scan_head(struct h1_scan *scan, const char *bytes, size_t len,
                              const struct h1_limits *limits)
{
    size_t max_bytes = limits->max_header_bytes;
    size_t available = len < max_bytes ? len : max_bytes;
    while (scan->at < available) {
        size_t line_end = (size_t)scan->line + limits->max_line_bytes + 1; /* room for the CR */
        size_t window = line_end < available ? line_end : available;
        if (scan->at == scan->line && (bytes[scan->at] == ' ' || bytes[scan->at] == '\t'))
            return refuse(scan, REASON_BAD_REQUEST, "a line starts with white space");
        scan->at += (uint32_t)h1_find_control(bytes + scan->at, window - scan->at);
        if (scan->at == line_end)
            return refuse(scan, REASON_HEADER_TOO_LARGE, "a line is too long");
        if (scan->at == window)
            break;
        if (bytes[scan->at] != '\r')
            return refuse_byte(scan, bytes[scan->at]);
        if (scan->at + 1 == available)
            break;
        if (bytes[scan->at + 1] != '\n')
            return refuse(scan, REASON_BAD_REQUEST, "a CR without LF");
        bool is_blank = scan->at == scan->line;
        if (is_blank && scan->lines > 0) {
            scan->at += CRLF_LEN;
            return (struct h1_result){.step = H1_DONE};
        }
        const char *fault = end_line(scan);
        if (fault)
            return refuse(scan, REASON_BAD_REQUEST, fault);
        if (scan->lines > limits->max_headers + 1)
            return refuse(scan, REASON_HEADER_TOO_LARGE, "too many header fields");
    }
    if (available == max_bytes)
        return refuse(scan, REASON_HEADER_TOO_LARGE, "the header is too large");
    return (struct h1_result){.step = H1_NEED_MORE};
}

/* Steps over the CRLF at `at`: of a line, or of an empty line before the start line. */
static const char *end_line(struct h1_scan *scan)
{
    bool is_blank = scan->at == scan->line;
    scan->at += CRLF_LEN;
    scan->line = scan->at;
    if (!is_blank) {
        scan->lines++;
        return NULL;
    }
    if (scan->kind == MESSAGE_RESPONSE)
        return "an empty line where the status line should be";
    if (++scan->blank_lines > MAX_BLANK_LINES)
        return "too many empty lines before the request line";
    scan->start = scan->at;
    return NULL;
}

static struct h1_result refuse_byte(const struct h1_scan *scan, char byte)
{
    return refuse(scan, REASON_BAD_REQUEST,
                  byte == '\0'   ? "a NUL byte in the header"
                  : byte == '\n' ? "a LF without CR"
                                 : "a control character in the header");
}

static struct h1_result refuse(const struct h1_scan *scan, enum reason reason, const char *detail)
{
    if (scan->kind == MESSAGE_RESPONSE)
        reason = REASON_PROTOCOL_ERROR;
    return (struct h1_result){.step = H1_ERROR, .reason = reason, .detail = detail};
}
