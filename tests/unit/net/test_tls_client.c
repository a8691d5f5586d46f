#include "tls_peer.h"

#include "net/tls_mbed.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct tls_world world;

static void open_world(void)
{
    world_open(&world);
}

static void close_world(void)
{
    world_close(&world);
}

TestSuite(tls_client, .init = open_world, .fini = close_world);

static struct tls_pem text_of(const char *text)
{
    return (struct tls_pem){.text = text, .len = strlen(text)};
}

static void expect_problem(const struct tls_client_options *options, enum err error,
                           const char *field, const char *words)
{
    struct tls_client *client = NULL;
    struct tls_problem problem;
    cr_assert_eq(tls_client_new(options, &problem, &client), error, "%s: %s", problem.field,
                 problem.text);
    cr_assert_eq(client, NULL);
    cr_assert_str_eq(problem.field, field);
    cr_assert(strstr(problem.text, words) != NULL, "\"%s\" has no \"%s\"", problem.text, words);
}

/* A file that is gone when the test ends. */
static void write_file(char path[64], const char *text)
{
    snprintf(path, 64, "/tmp/outrigger-tls-XXXXXX");
    const int fd = mkstemp(path);
    cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

/* ---- authorities ---- */

Test(tls_client, says_which_file_is_missing)
{
    expect_problem(&(struct tls_client_options){.ca.path = "/nowhere/ca.pem"}, ERR_NOT_FOUND,
                   "caFile", "/nowhere/ca.pem cannot be opened");
    expect_problem(&(struct tls_client_options){.ca = text_of(world.authority.cert),
                                                .cert.path = "/nowhere/cert.pem",
                                                .key.path = "/nowhere/key.pem"},
                   ERR_NOT_FOUND, "certFile", "/nowhere/cert.pem cannot be opened");
    expect_problem(&(struct tls_client_options){.ca.path = "/tmp"}, ERR_SYSTEM, "caFile",
                   "/tmp cannot be read");
}

Test(tls_client, reads_files)
{
    char ca[64];
    char cert[64];
    char key[64];
    struct tls_client *client = NULL;
    struct tls_problem problem;
    write_file(ca, world.authority.cert);
    write_file(cert, world.server.cert);
    write_file(key, world.server.key);
    const struct tls_client_options options = {.ca.path = ca, .cert.path = cert, .key.path = key};
    cr_assert_eq(tls_client_new(&options, &problem, &client), OK, "%s", problem.text);
    struct tls_client *again = tls_client_ref(client);
    tls_client_unref(&again);
    tls_client_unref(&client);
    cr_assert_eq(client, NULL);
    unlink(ca);
    unlink(cert);
    unlink(key);
}

Test(tls_client, unrefs_nothing_as_nothing)
{
    struct tls_client *client = NULL;
    tls_client_unref(&client);
    char ca[64];
    write_file(ca, "");
    expect_problem(&(struct tls_client_options){.ca.path = ca}, ERR_INVALID, "caFile", "is empty");
    unlink(ca);
}

Test(tls_client, says_what_a_file_holds_in_place_of_certificates)
{
    expect_problem(&(struct tls_client_options){.ca = text_of("hello")}, ERR_INVALID, "caFile",
                   "no -----BEGIN CERTIFICATE-----");
    expect_problem(&(struct tls_client_options){.ca = text_of(world.server.key)}, ERR_INVALID,
                   "caFile", "it holds a private key");
    expect_problem(
        &(struct tls_client_options){.ca = text_of("-----BEGIN CERTIFICATE-----\nAAAA\n-----END "
                                                   "CERTIFICATE-----\n")},
        ERR_INVALID, "caFile", "can");
}

Test(tls_client, refuses_a_bundle_of_which_a_part_cannot_be_read)
{
    char bundle[8192];
    snprintf(bundle, sizeof(bundle),
             "%s-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
             world.authority.cert);
    expect_problem(&(struct tls_client_options){.ca = text_of(bundle)}, ERR_INVALID, "caFile",
                   "1 of the certificates");
}

Test(tls_client, takes_the_systems_authorities_when_none_are_given)
{
    struct tls_client *client = NULL;
    struct tls_problem problem;
    const enum err result = tls_client_new(&(struct tls_client_options){0}, &problem, &client);
    if (access(TLS_SYSTEM_CA, R_OK) == 0) {
        cr_assert_eq(result, OK, "%s", problem.text);
        tls_client_unref(&client);
    } else {
        cr_assert_eq(result, ERR_NOT_FOUND);
        cr_assert(strstr(problem.text, "install ca-certificates") != NULL, "%s", problem.text);
    }
}

/* ---- our own ---- */

static void expect_own(const char *cert, const char *key, const char *field, const char *words)
{
    expect_problem(&(struct tls_client_options){.ca = text_of(world.authority.cert),
                                                .cert = text_of(cert),
                                                .key = text_of(key)},
                   ERR_INVALID, field, words);
}

static const char encrypted_key[] =
    "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
    "MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgAAAAAAAAAAAICCAAw\n"
    "-----END ENCRYPTED PRIVATE KEY-----\n";

Test(tls_client, refuses_half_an_identity)
{
    expect_problem(&(struct tls_client_options){.ca = text_of(world.authority.cert),
                                                .cert = text_of(world.server.cert)},
                   ERR_INVALID, "keyFile", "only certFile is given");
    expect_problem(&(struct tls_client_options){.ca = text_of(world.authority.cert),
                                                .key = text_of(world.server.key)},
                   ERR_INVALID, "certFile", "only keyFile is given");
}

Test(tls_client, refuses_a_key_that_is_not_the_certificates)
{
    expect_own(world.server.cert, world.authority.key, "keyFile", "is not the one");
}

Test(tls_client, refuses_an_encrypted_key_and_says_what_to_do)
{
    expect_own(world.server.cert, encrypted_key, "keyFile", "openssl pkey");
}

Test(tls_client, refuses_what_is_no_key)
{
    expect_own(world.server.cert, "hello", "keyFile", "no private key in PEM");
    expect_own(world.server.cert, world.server.cert, "keyFile", "are the two files swapped?");
    expect_own(world.server.key, world.server.key, "certFile", "are the two files swapped?");
    expect_own(world.server.cert, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
               "keyFile", "cannot be used");
}

Test(tls_client, refuses_a_certificate_of_ours_out_of_its_time)
{
    struct identity own;
    identity_make(&own, &(struct identity_options){.name = "us", .until = "20210304000000"});
    expect_own(own.cert, own.key, "certFile", "expired 2021-03-04: renew it");
    identity_make(&own, &(struct identity_options){.name = "us", .from = "20900102000000"});
    expect_own(own.cert, own.key, "certFile", "not valid before 2090-01-02");
}

Test(tls_client, refuses_a_short_key_of_ours)
{
    struct identity own;
    identity_make(&own, &(struct identity_options){.name = "us", .rsa_bits = 1024});
    expect_own(own.cert, own.key, "keyFile", "RSA with 1024 bits");
}

/* ---- the rest ---- */

Test(tls_client, says_that_tls_1_3_is_not_to_be_had)
{
    if (TLS_MBED_HAS_1_3) {
        cr_skip_test("this mbedTLS has it");
    }
    expect_problem(
        &(struct tls_client_options){.ca = text_of(world.authority.cert), .min_version = TLS_1_3},
        ERR_INVALID, "minVersion", "leave minVersion at 1.2");
}

Test(tls_client, refuses_empty_and_endless_words)
{
    char word[300];
    memset(word, 'a', sizeof(word) - 1);
    word[sizeof(word) - 1] = '\0';
    const char *const empty[] = {"h2", "", NULL};
    const char *const endless[] = {word, NULL};
    expect_problem(&(struct tls_client_options){.ca = text_of(world.authority.cert), .alpn = empty},
                   ERR_INVALID, "alpn", "1 to 255 letters");
    expect_problem(&(struct tls_client_options){.ca = text_of(world.authority.cert),
                                                .subject_alt_names = endless},
                   ERR_INVALID, "subjectAltNames", "1 to 255 letters");
    expect_problem(
        &(struct tls_client_options){.ca = text_of(world.authority.cert), .server_name = word},
        ERR_TOO_LARGE, "serverName", "longer than 255 letters");
}
