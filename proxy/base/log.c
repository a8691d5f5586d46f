/* log.c - levels, formats, and the way of a line to its descriptor (see log.h).
 *
 * The way is one of three: DIRECT, the caller writes (before log_start and after a clean log_stop);
 * QUEUED, through the ring to the writer thread; LOST, the writer had to be given up on a
 * descriptor that blocks, and lines are counted only. The writer sleeps on a semaphore; `is_asleep`
 * is set before it looks at the ring for the last time, and a caller publishes before it looks at
 * `is_asleep`, so that one of them always sees the other. */
#include "base/log.h"

#include "base/check.h"
#include "base/json.h"
#include "base/ring.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define RING_BYTES                                                                                 \
    ((size_t)256                                                                                   \
     << 10) /* some 800 lines: a burst of refusals passes, a blocked disk costs no more */
#define BATCH_BYTES ((size_t)32 << 10) /* what the writer gathers for one write */
#define DIRECT_WAIT_MS 1000 /* a start-up error is worth a second on a descriptor that is full */
#define SENTENCE_MAX                                                                               \
    ((size_t)300) /* event and message: both fit a line even when every byte is escaped */

enum way { WAY_DIRECT = 0, WAY_QUEUED, WAY_LOST };

static struct {
    int way;          /* enum way; atomic */
    int fd;           /* atomic */
    int format;       /* enum log_format; atomic */
    int is_tty;       /* of fd; -1: not asked yet; atomic */
    int is_asleep;    /* the writer; atomic */
    int is_ending;    /* atomic */
    uint64_t dropped; /* atomic */
    struct ring *ring;
    pthread_t writer;
    sem_t wake_up;
} state = {.fd = STDERR_FILENO, .is_tty = -1};

int log_threshold = LOG_INFO;

static const char *const level_words[] = {"debug", "info", "warn", "error"};
static const char *const format_words[] = {"auto", "text", "json"};

static int get(const int *value)
{
    return __atomic_load_n(value, __ATOMIC_SEQ_CST);
}

static void set(int *place, int value)
{
    __atomic_store_n(place, value, __ATOMIC_SEQ_CST);
}

static void drop(uint64_t lines)
{
    __atomic_fetch_add(&state.dropped, lines, __ATOMIC_RELAXED);
}

uint64_t log_dropped(void)
{
    return __atomic_load_n(&state.dropped, __ATOMIC_RELAXED);
}

void log_set_level(enum log_level level)
{
    __atomic_store_n(&log_threshold, (int)level, __ATOMIC_RELAXED);
}

void log_set_format(enum log_format format)
{
    set(&state.format, (int)format);
}

void log_set_fd(int fd)
{
    set(&state.fd, fd);
    set(&state.is_tty, -1);
}

bool log_is_json(void)
{
    int format = get(&state.format);
    if (format != LOG_FORMAT_AUTO) {
        return format == LOG_FORMAT_JSON;
    }
    int is_tty = get(&state.is_tty);
    if (is_tty < 0) {
        is_tty = isatty(get(&state.fd)) == 1;
        set(&state.is_tty, is_tty);
    }
    return !is_tty;
}

static int word_index(struct span word, const char *const *words, int count)
{
    for (int i = 0; i < count; i++) {
        if (span_is(word, span_of(words[i]))) {
            return i;
        }
    }
    return -1;
}

bool log_level_from(struct span word, enum log_level *level)
{
    int index = word_index(word, level_words, 4);
    if (index < 0) {
        return false;
    }
    *level = (enum log_level)index;
    return true;
}

bool log_format_from(struct span word, enum log_format *format)
{
    int index = word_index(word, format_words, 3);
    if (index < 0) {
        return false;
    }
    *format = (enum log_format)index;
    return true;
}

/* Writes all of it; false when the descriptor fails, or takes nothing for `wait_ms` (-1: however
 * long). */
static bool write_all(int fd, const char *bytes, size_t len, int wait_ms)
{
    while (len > 0) {
        ssize_t wrote = write(fd, bytes, len);
        if (wrote >= 0) {
            bytes += wrote;
            len -= (size_t)wrote;
            continue;
        }
        struct pollfd ready = {.fd = fd, .events = POLLOUT};
        if (errno != EINTR && (errno != EAGAIN || poll(&ready, 1, wait_ms) == 0)) {
            return false;
        }
    }
    return true;
}

static void enqueue(const char *line, size_t len)
{
    if (!ring_put(state.ring, line, len)) {
        drop(1);
        return;
    }
    if (get(&state.is_asleep) && __atomic_exchange_n(&state.is_asleep, 0, __ATOMIC_SEQ_CST)) {
        sem_post(&state.wake_up);
    }
}

void log_write_raw(const char *line, size_t len)
{
    int saved = errno;
    int way = get(&state.way);
    if (way == WAY_QUEUED) {
        enqueue(line, len);
    } else if (way == WAY_LOST || !write_all(get(&state.fd), line, len, DIRECT_WAIT_MS)) {
        drop(1);
    }
    errno = saved;
}

static void add_raw(struct log_line *line, const char *bytes, size_t len)
{
    memcpy(line->bytes + line->len, bytes, len);
    line->len += len;
}

/* A sentence for people: quotes stay, what could forge a line or drive a terminal does not. */
static void add_sentence(struct log_line *line, struct span text)
{
    size_t len = text.len < SENTENCE_MAX ? text.len : SENTENCE_MAX;
    for (size_t at = 0; at < len;) {
        char out[JSON_ESCAPE_MAX];
        size_t out_len;
        const char *from = text.data + at;
        at += json_escape(from, text.len - at, out, &out_len);
        bool is_quote = *from == '"' || *from == '\\';
        add_raw(line, is_quote ? from : out, is_quote ? 1 : out_len);
    }
}

static void begin_text(struct log_line *line, enum log_level level, const char *event,
                       const char *time_text, const struct log_field *message)
{
    static const char *const names[] = {"DEBUG", "INFO ", "WARN ", "ERROR"};
    log_line_begin(line, false);
    add_raw(line, time_text, strlen(time_text));
    add_raw(line, " ", 1);
    add_raw(line, names[level], 5);
    add_raw(line, " ", 1);
    add_sentence(line, span_of(event));
    if (message) {
        add_raw(line, ": ", 2);
        add_sentence(line, message->text);
    }
}

static void begin_json(struct log_line *line, enum log_level level, const char *event,
                       const char *time_text)
{
    const struct log_field fields[] = {
        LOG_STR("time", time_text), LOG_STR("level", level_words[level]), LOG_STR("event", event)};
    log_line_begin(line, true);
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        log_line_add(line, &fields[i]);
    }
}

static void begin_line(struct log_line *line, enum log_level level, const char *event,
                       const struct log_field *message)
{
    struct timespec now;
    char time_text[LOG_TIME_SIZE];
    clock_gettime(CLOCK_REALTIME, &now);
    log_format_time((int64_t)now.tv_sec * NS_PER_S + now.tv_nsec, time_text);
    if (log_is_json()) {
        begin_json(line, level, event, time_text);
    } else {
        begin_text(line, level, event, time_text, message);
    }
}

/* The sentence that stands at the start of a line for people; in JSON it is a field like others. */
static const struct log_field *find_message(const struct log_field *fields, size_t count)
{
    for (size_t i = 0; i < count && !log_is_json(); i++) {
        if (fields[i].kind == LOG_FIELD_TEXT && fields[i].text.data) {
            return &fields[i];
        }
    }
    return NULL;
}

void log_write(enum log_level level, const char *event, const struct log_field *fields,
               size_t count)
{
    struct log_line line;
    const struct log_field *message = find_message(fields, count);
    begin_line(&line, level, event, message);
    for (size_t i = 0; i < count; i++) {
        if (&fields[i] != message) {
            log_line_add(&line, &fields[i]);
        }
    }
    struct span whole = log_line_end(&line);
    log_write_raw(whole.data, whole.len);
}

/* As many lines as are there, up to a batch; their number goes to `lines`. */
static size_t gather(char *batch, size_t *lines)
{
    size_t len = 0;
    *lines = 0;
    while (len <= BATCH_BYTES - LOG_LINE_MAX) {
        size_t got = ring_take(state.ring, batch + len, LOG_LINE_MAX);
        if (got == 0) {
            break;
        }
        len += got;
        ++*lines;
    }
    return len;
}

static void report_dropped(uint64_t *reported)
{
    uint64_t dropped = log_dropped();
    if (dropped == *reported) {
        return;
    }
    struct log_line line;
    begin_line(&line, LOG_WARN, "log_lines_dropped", NULL);
    log_line_add(&line, &LOG_UINT("count", dropped - *reported));
    struct span whole = log_line_end(&line);
    if (write_all(get(&state.fd), whole.data, whole.len, -1)) {
        *reported = dropped;
    }
}

static void flush(char *batch, uint64_t *reported)
{
    size_t lines;
    size_t len;
    while ((len = gather(batch, &lines)) > 0) {
        if (!write_all(get(&state.fd), batch, len, -1)) {
            drop(lines);
        }
    }
    report_dropped(reported);
}

static void *writer_main(void *unused)
{
    static char batch[BATCH_BYTES];
    uint64_t reported = log_dropped();
    (void)unused;
    for (;;) {
        flush(batch, &reported);
        set(&state.is_asleep, 1);
        if (!ring_is_empty(state.ring)) {
            set(&state.is_asleep, 0);
            continue;
        }
        if (get(&state.is_ending)) {
            return NULL;
        }
        while (sem_wait(&state.wake_up) != 0) {
            INVARIANT(errno == EINTR);
        }
    }
}

enum err log_start(int fd)
{
    INVARIANT(get(&state.way) != WAY_QUEUED);
    if (get(&state.way) == WAY_LOST) {
        return ERR_SYSTEM;
    }
    if (!state.ring && !(state.ring = ring_new(RING_BYTES))) {
        return ERR_NO_MEMORY;
    }
    log_set_fd(fd);
    set(&state.is_ending, 0);
    set(&state.is_asleep, 0);
    sem_init(&state.wake_up, 0, 0);
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all,
                    &before); /* signals belong to the loop; EPIPE comes as an error */
    int code = pthread_create(&state.writer, NULL, writer_main, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code != 0) {
        return ERR_SYSTEM;
    }
    set(&state.way, WAY_QUEUED);
    return OK;
}

void log_stop(dur_ns limit)
{
    if (get(&state.way) != WAY_QUEUED) {
        return;
    }
    set(&state.is_ending, 1);
    sem_post(&state.wake_up);
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t at = mono_add((int64_t)until.tv_sec * NS_PER_S + until.tv_nsec, limit);
    until.tv_sec = (time_t)(at / NS_PER_S);
    until.tv_nsec = (long)(at % NS_PER_S);
    if (pthread_clockjoin_np(state.writer, NULL, CLOCK_MONOTONIC, &until) != 0) {
        pthread_detach(state.writer);
        set(&state.way, WAY_LOST);
        return;
    }
    set(&state.way, WAY_DIRECT);
    char line[LOG_LINE_MAX];
    size_t len;
    while ((len = ring_take(state.ring, line, sizeof(line))) >
           0) { /* put in while the writer was on its way out */
        log_write_raw(line, len);
    }
}
