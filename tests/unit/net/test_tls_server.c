/* The server's side of TLS, in memory: a client of mbedTLS on the other end of two buffers. */
#include "net/tls_engine.h"
#include "net/tls_mbed.h"
#include "net/tls_server.h"
#include "tls_peer.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WIRE_MAX (1u << 20)
#define LARGE 100000

struct wire { /* bytes on their way */
    uint8_t bytes[WIRE_MAX];
    size_t at, len;
};

static struct identity own;
static struct tls_server *server;
static struct tls_served *served;
static struct wire to_client, to_server, plain; /* plain: what the server has read */
static mbedtls_ssl_context client;
static mbedtls_ssl_config client_config;

static void put(struct wire *wire, const uint8_t *bytes, size_t len)
{
    cr_assert_leq(wire->len + len, WIRE_MAX);
    memcpy(wire->bytes + wire->len, bytes, len);
    wire->len += len;
}

static void on_records(void *context, const uint8_t *bytes, size_t len)
{
    cr_assert_eq(context, &own);
    put(&to_client, bytes, len);
}

static void on_plain(void *context, const uint8_t *bytes, size_t len)
{
    cr_assert_eq(context, &own);
    put(&plain, bytes, len);
}

static const struct tls_served_sink sink = {on_records, on_plain};

static int client_send(void *context, const unsigned char *bytes, size_t len)
{
    (void)context;
    put(&to_server, bytes, len);
    return (int)len;
}

static int client_recv(void *context, unsigned char *into, size_t len)
{
    (void)context;
    const size_t waiting = to_client.len - to_client.at;
    const size_t given = len < waiting ? len : waiting;
    if (given == 0)
        return MBEDTLS_ERR_SSL_WANT_READ;
    memcpy(into, to_client.bytes + to_client.at, given);
    to_client.at += given;
    return (int)given;
}

static void open_client(void)
{
    mbedtls_ssl_init(&client);
    mbedtls_ssl_config_init(&client_config);
    cr_assert_eq(mbedtls_ssl_config_defaults(&client_config, MBEDTLS_SSL_IS_CLIENT,
                                             MBEDTLS_SSL_TRANSPORT_STREAM,
                                             MBEDTLS_SSL_PRESET_DEFAULT),
                 0);
    mbedtls_ssl_conf_rng(&client_config, tls_random, NULL);
    tls_mbed_configure(&client_config, false);
    mbedtls_ssl_conf_authmode(&client_config, MBEDTLS_SSL_VERIFY_NONE);
    cr_assert_eq(mbedtls_ssl_setup(&client, &client_config), 0);
    mbedtls_ssl_set_bio(&client, NULL, client_send, client_recv, NULL);
}

static void set_up(void)
{
    struct tls_problem problem;
    cr_assert_eq(tls_start(), OK);
    identity_make(&own, &(struct identity_options){
                            .name = "hook", .dns = "hook.test", .until = "20400101000000"});
    const struct tls_pem cert = {.text = own.cert, .len = strlen(own.cert)};
    const struct tls_pem key = {.text = own.key, .len = strlen(own.key)};
    cr_assert_eq(tls_server_new(&cert, &key, &problem, &server), OK, "%s", problem.text);
    served = tls_served_new(server, &sink, &own);
    cr_assert_not_null(served);
    open_client();
}

static void tear_down(void)
{
    mbedtls_ssl_free(&client);
    mbedtls_ssl_config_free(&client_config);
    tls_served_free(&served);
    tls_server_unref(&server);
    tls_stop();
}

TestSuite(tls_server, .init = set_up, .fini = tear_down);

/* Hands the server what the client has sent, `piece` bytes a time. */
static enum tls_served_state deliver(size_t piece)
{
    enum tls_served_state state = TLS_SERVED_GREETING;
    while (to_server.at < to_server.len) {
        const size_t left = to_server.len - to_server.at;
        const size_t len = piece < left ? piece : left;
        state = tls_served_feed(served, to_server.bytes + to_server.at, len);
        to_server.at += len;
    }
    return state;
}

static enum tls_served_state shake_hands(size_t piece)
{
    enum tls_served_state state = TLS_SERVED_GREETING;
    for (int flight = 0; flight < 10; flight++) {
        const int status = mbedtls_ssl_handshake(&client);
        state = to_server.at < to_server.len ? deliver(piece) : state;
        if (status == 0)
            return state;
        cr_assert_eq(status, MBEDTLS_ERR_SSL_WANT_READ);
    }
    cr_assert_fail("no end to it");
    return state;
}

Test(tls_server, shakes_hands_and_reads_what_the_peer_says)
{
    cr_assert_eq(shake_hands(SIZE_MAX), TLS_SERVED_OPEN);
    cr_assert_str_eq(mbedtls_ssl_get_version(&client), "TLSv1.2");
    cr_assert_eq(mbedtls_ssl_write(&client, (const uint8_t *)"hello", 5), 5);
    cr_assert_eq(deliver(SIZE_MAX), TLS_SERVED_OPEN);
    cr_assert(plain.len == 5 && memcmp(plain.bytes, "hello", 5) == 0);
}

Test(tls_server, takes_bytes_however_they_are_cut)
{
    cr_assert_eq(shake_hands(1), TLS_SERVED_OPEN);
    cr_assert_eq(mbedtls_ssl_write(&client, (const uint8_t *)"hello", 5), 5);
    cr_assert_eq(deliver(1), TLS_SERVED_OPEN);
    cr_assert(plain.len == 5 && memcmp(plain.bytes, "hello", 5) == 0);
}

Test(tls_server, sends_and_reads_more_than_a_record)
{
    static uint8_t large[LARGE], back[LARGE];
    for (size_t i = 0; i < LARGE; i++)
        large[i] = (uint8_t)(i * 31);
    cr_assert_eq(shake_hands(SIZE_MAX), TLS_SERVED_OPEN);
    cr_assert_eq(tls_served_send(served, large, LARGE), TLS_SERVED_OPEN);
    for (size_t got = 0; got < LARGE;) {
        const int read = mbedtls_ssl_read(&client, back + got, LARGE - got);
        cr_assert_gt(read, 0);
        got += (size_t)read;
    }
    cr_assert_arr_eq(large, back, LARGE);
    for (size_t sent = 0; sent < LARGE;)
        sent += (size_t)mbedtls_ssl_write(&client, large + sent, LARGE - sent);
    cr_assert_eq(deliver(7777), TLS_SERVED_OPEN);
    cr_assert_eq(plain.len, LARGE);
    cr_assert_arr_eq(plain.bytes, large, LARGE);
}

Test(tls_server, knows_when_the_peer_has_ended)
{
    cr_assert_eq(shake_hands(SIZE_MAX), TLS_SERVED_OPEN);
    cr_assert_eq(mbedtls_ssl_close_notify(&client), 0);
    cr_assert_eq(deliver(SIZE_MAX), TLS_SERVED_ENDED);
}

Test(tls_server, says_its_own_end)
{
    uint8_t byte;
    cr_assert_eq(shake_hands(SIZE_MAX), TLS_SERVED_OPEN);
    tls_served_end(served);
    cr_assert_eq(mbedtls_ssl_read(&client, &byte, 1), MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY);
}

Test(tls_server, breaks_on_bytes_that_are_no_tls_and_says_why)
{
    static const uint8_t http[] = "POST /inject HTTP/1.1\r\n\r\n";
    cr_assert_eq(tls_served_feed(served, http, sizeof http - 1), TLS_SERVED_BROKEN);
    cr_assert_gt(strlen(tls_served_why(served)), 10);
    cr_assert_eq(tls_served_feed(served, http, sizeof http - 1), TLS_SERVED_BROKEN);
}

Test(tls_server, breaks_on_a_record_that_was_changed)
{
    cr_assert_eq(shake_hands(SIZE_MAX), TLS_SERVED_OPEN);
    cr_assert_eq(mbedtls_ssl_write(&client, (const uint8_t *)"hello", 5), 5);
    to_server.bytes[to_server.len - 1] ^= 1;
    cr_assert_eq(deliver(SIZE_MAX), TLS_SERVED_BROKEN);
    cr_assert_eq(plain.len, 0);
}

Test(tls_server, a_session_keeps_the_certificate_that_it_began_with)
{
    tls_server_unref(&server);
    cr_assert_eq(shake_hands(SIZE_MAX), TLS_SERVED_OPEN);
}

Test(tls_server, says_when_its_certificate_expires)
{
    cr_assert_eq(tls_server_not_after(server), 2208988800); /* 2040-01-01T00:00:00Z */
}

Test(tls_server, a_key_of_another_certificate_is_said)
{
    struct identity other;
    struct tls_server *none = NULL;
    struct tls_problem problem;
    identity_make(&other, &(struct identity_options){.name = "other"});
    const struct tls_pem cert = {.text = own.cert, .len = strlen(own.cert)};
    const struct tls_pem key = {.text = other.key, .len = strlen(other.key)};
    cr_assert_eq(tls_server_new(&cert, &key, &problem, &none), ERR_INVALID);
    cr_assert_not_null(strstr(problem.text, "is not the one of the certificate"));
    cr_assert_null(none);
}
