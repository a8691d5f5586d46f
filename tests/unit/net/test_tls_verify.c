#include "tls_peer.h"

#include <mbedtls/ssl_ciphersuites.h>
#include <string.h>

static struct tls_world world;

static void open_world(void)
{
    world_open(&world);
}

static void close_world(void)
{
    world_close(&world);
}

TestSuite(tls_verify, .init = open_world, .fini = close_world);

/* One call, and what came of it; words that the detail must hold. */
static void expect(struct tls_client *client, const char *name, enum reason reason,
                   const char *words)
{
    struct caller caller;
    world_call(&world, &caller, client, name);
    cr_assert_eq(caller.reason, reason, "%s, because %s", reason_word(caller.reason),
                 stream_detail(&caller.stream));
    if (words != NULL) {
        cr_assert(strstr(stream_detail(&caller.stream), words) != NULL, "\"%s\" has no \"%s\"",
                  stream_detail(&caller.stream), words);
    }
    world_end_call(&world, &caller);
}

/* The same, by a client that only trusts the authority. */
static void expect_of(const struct identity *identity, enum reason reason, const char *words)
{
    struct tls_client *client = world_client(&world, NULL);
    world_serve(&world, &(struct peer_options){.identity = identity});
    expect(client, "api.test", reason, words);
    tls_client_unref(&client);
}

static struct identity_options by_authority(void)
{
    return (struct identity_options){.name = "api.test",
                                     .dns = "api.test",
                                     .issuer = &world.authority,
                                     .issuer_name = "Test Authority"};
}

Test(tls_verify, takes_a_good_certificate)
{
    expect_of(&world.server, REASON_NONE, NULL);
}

Test(tls_verify, refuses_another_name_and_says_both)
{
    struct tls_client *client = world_client(&world, NULL);
    world_serve(&world, &(struct peer_options){.identity = &world.server});
    expect(client, "payments", REASON_TLS_NAME_MISMATCH,
           "its certificate is for api.test, not for payments");
    tls_client_unref(&client);
}

Test(tls_verify, takes_the_configured_server_name_before_the_orders)
{
    struct tls_client *client =
        world_client(&world, &(struct tls_client_options){.server_name = "api.test"});
    world_serve(&world, &(struct peer_options){.identity = &world.server});
    expect(client, "payments", REASON_NONE, NULL);
    expect(client, NULL, REASON_NONE, NULL);
    tls_client_unref(&client);
}

Test(tls_verify, takes_a_name_with_a_trailing_dot_as_the_same_name)
{
    struct tls_client *client = world_client(&world, NULL);
    world_serve(&world, &(struct peer_options){.identity = &world.server});
    expect(client, "api.test.", REASON_NONE, NULL);
    tls_client_unref(&client);
}

Test(tls_verify, refuses_an_expired_certificate_with_its_date)
{
    struct identity_options options = by_authority();
    struct identity identity;
    options.until = "20260103000000";
    identity_make(&identity, &options);
    expect_of(&identity, REASON_TLS_EXPIRED, "expired 2026-01-03");
}

Test(tls_verify, refuses_a_certificate_before_its_time)
{
    struct identity_options options = by_authority();
    struct identity identity;
    options.from = "20900101000000";
    identity_make(&identity, &options);
    expect_of(&identity, REASON_TLS_EXPIRED, "not valid before 2090-01-01");
}

Test(tls_verify, refuses_a_self_signed_certificate)
{
    struct identity identity;
    identity_make(&identity, &(struct identity_options){.name = "api.test", .dns = "api.test"});
    expect_of(&identity, REASON_TLS_UNTRUSTED, "self-signed (api.test)");
}

Test(tls_verify, refuses_another_authority_and_names_it)
{
    struct identity other;
    struct identity identity;
    struct identity_options options = by_authority();
    identity_make(&other, &(struct identity_options){.name = "Other Authority", .is_ca = true});
    options.issuer = &other;
    options.issuer_name = "Other Authority";
    identity_make(&identity, &options);
    expect_of(&identity, REASON_TLS_UNTRUSTED, "CN=Other Authority");
}

Test(tls_verify, refuses_an_authority_that_only_has_the_name_of_ours)
{
    struct identity other;
    struct identity identity;
    struct identity_options options = by_authority();
    identity_make(&other, &(struct identity_options){.name = "Test Authority", .is_ca = true});
    options.issuer = &other;
    identity_make(&identity, &options);
    expect_of(&identity, REASON_TLS_UNTRUSTED, NULL);
}

Test(tls_verify, refuses_a_certificate_that_is_not_for_servers)
{
    struct identity_options options = by_authority();
    struct identity identity;
    options.is_for_clients_only = true;
    identity_make(&identity, &options);
    expect_of(&identity, REASON_TLS_UNTRUSTED, "not for servers");
}

Test(tls_verify, refuses_a_leaf_that_plays_authority)
{
    struct identity identity;
    struct identity_options options = by_authority();
    options.issuer = &world.server;
    options.issuer_name = "api.test";
    identity_make(&identity, &options);
    strncat(identity.cert, world.server.cert, sizeof(identity.cert) - strlen(identity.cert) - 1);
    expect_of(&identity, REASON_TLS_UNTRUSTED, NULL);
}

Test(tls_verify, refuses_rsa_below_2048_bits)
{
    struct identity_options options = by_authority();
    struct identity identity;
    options.rsa_bits = 1024;
    identity_make(&identity, &options);
    expect_of(&identity, REASON_TLS_UNTRUSTED, "too weak");
}

Test(tls_verify, takes_rsa_with_2048_bits)
{
    struct identity_options options = by_authority();
    struct identity identity;
    options.rsa_bits = 2048;
    identity_make(&identity, &options);
    expect_of(&identity, REASON_NONE, NULL);
}

Test(tls_verify, refuses_a_signature_with_sha_1)
{
    struct identity_options options = by_authority();
    struct identity identity;
    options.hash = MBEDTLS_MD_SHA1;
    identity_make(&identity, &options);
    expect_of(&identity, REASON_TLS_UNTRUSTED, "SHA-1");
}

Test(tls_verify, checks_an_ip_address_against_the_certificates_addresses)
{
    struct tls_client *client = world_client(&world, NULL);
    const unsigned char ip[] = {10, 1, 2, 3};
    struct identity_options options = by_authority();
    struct identity identity;
    options.ip = ip;
    options.ip_len = 4;
    identity_make(&identity, &options);
    world_serve(&world, &(struct peer_options){.identity = &identity});
    expect(client, "10.1.2.3", REASON_NONE, NULL);
    expect(client, "10.1.2.4", REASON_TLS_NAME_MISMATCH,
           "for api.test, 10.1.2.3, not for 10.1.2.4");
    expect(client, "::1", REASON_TLS_NAME_MISMATCH, NULL);
    tls_client_unref(&client);
}

Test(tls_verify, does_not_take_a_dns_name_for_an_address)
{
    struct tls_client *client = world_client(&world, NULL);
    struct identity_options options = by_authority();
    struct identity identity;
    options.name = "10.1.2.3";
    options.dns = "10.1.2.3";
    identity_make(&identity, &options);
    world_serve(&world, &(struct peer_options){.identity = &identity});
    expect(client, "10.1.2.3", REASON_TLS_NAME_MISMATCH, NULL);
    tls_client_unref(&client);
}

static struct tls_client *client_for(const char *san, const char *other)
{
    const char *const names[] = {san, other, NULL};
    return world_client(&world, &(struct tls_client_options){.subject_alt_names = names});
}

Test(tls_verify, checks_subject_alt_names_in_place_of_the_host)
{
    struct identity_options options = by_authority();
    struct identity identity;
    options.dns = NULL;
    options.uri = "spiffe://td/ns/shop/sa/api";
    identity_make(&identity, &options);
    world_serve(&world, &(struct peer_options){.identity = &identity});
    struct tls_client *client = client_for("spiffe://td/ns/shop/sa/api", NULL);
    expect(client, "whatever", REASON_NONE, NULL);
    tls_client_unref(&client);
    client = client_for("spiffe://td/ns/shop/sa/other", "spiffe://td/ns/shop/sa/api");
    expect(client, "10.0.0.1", REASON_NONE, NULL);
    tls_client_unref(&client);
    client = client_for("spiffe://td/ns/shop/sa/apis", NULL);
    expect(client, "api.test", REASON_TLS_NAME_MISMATCH, "not for spiffe://td/ns/shop/sa/apis");
    tls_client_unref(&client);
    client = client_for("spiffe://td/ns/shop/sa/ap", "SPIFFE://td/ns/shop/sa/api");
    expect(client, "api.test", REASON_TLS_NAME_MISMATCH, NULL);
    tls_client_unref(&client);
}

Test(tls_verify, does_not_fall_back_to_the_host_when_no_subject_alt_name_fits)
{
    world_serve(&world, &(struct peer_options){.identity = &world.server});
    struct tls_client *client = client_for("spiffe://td/ns/shop/sa/api", NULL);
    expect(client, "api.test", REASON_TLS_NAME_MISMATCH, NULL);
    tls_client_unref(&client);
    client = client_for("api.test", NULL);
    expect(client, "another", REASON_NONE, NULL);
    tls_client_unref(&client);
}

Test(tls_verify, skips_all_of_this_only_when_told_to)
{
    struct identity identity;
    identity_make(&identity,
                  &(struct identity_options){.name = "other", .until = "20210101000000"});
    world_serve(&world, &(struct peer_options){.identity = &identity});
    struct tls_client *client =
        world_client(&world, &(struct tls_client_options){.skips_verification = true});
    expect(client, "api.test", REASON_NONE, NULL);
    tls_client_unref(&client);
}

/* ---- what is spoken ---- */

Test(tls_verify, refuses_tls_1_1)
{
    struct tls_client *client = world_client(&world, NULL);
    world_serve(&world,
                &(struct peer_options){.identity = &world.server, .speaks_tls_1_1_only = true});
    expect(client, "api.test", REASON_TLS_FAILURE, "TLS 1.2");
    tls_client_unref(&client);
}

static void expect_no_suite(int suite)
{
    const int suites[] = {suite, 0};
    struct tls_client *client = world_client(&world, NULL);
    world_serve(&world, &(struct peer_options){.identity = &world.server, .suites = suites});
    expect(client, "api.test", REASON_TLS_FAILURE, "handshake_failure");
    tls_client_unref(&client);
}

Test(tls_verify, refuses_cbc)
{
    expect_no_suite(MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256);
}

Test(tls_verify, speaks_each_of_its_ciphers)
{
    static const struct {
        int suite;
        const char *name;
    } rows[] = {
        {MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, "CHACHA20-POLY1305"},
        {MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, "AES-128-GCM"},
        {MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, "AES-256-GCM"},
    };
    struct tls_client *client = world_client(&world, NULL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const int suites[] = {rows[i].suite, 0};
        struct stream_tls_info info;
        struct caller caller;
        world_serve(&world, &(struct peer_options){.identity = &world.server, .suites = suites});
        world_call(&world, &caller, client, "api.test");
        cr_assert_eq(caller.reason, REASON_NONE, "%s", stream_detail(&caller.stream));
        stream_tls_info(&caller.stream, &info);
        cr_assert_str_eq(info.cipher, rows[i].name);
        cr_assert_str_eq(info.version, "TLSv1.2");
        world_end_call(&world, &caller);
        peer_stop(&world.peer);
        world.has_peer = false;
    }
    tls_client_unref(&client);
}

Test(tls_verify, agrees_on_a_protocol)
{
    static const char *both[] = {"h2", "http/1.1", NULL};
    static const char *old[] = {"http/1.1", NULL};
    static const char *none[] = {"gopher", NULL};
    struct tls_client *client = world_client(&world, &(struct tls_client_options){.alpn = both});
    struct caller caller;
    const char **rows[] = {both, old, NULL};
    const char *agreed[] = {"h2", "http/1.1", ""};
    for (size_t i = 0; i < 3; i++) {
        world_serve(&world, &(struct peer_options){.identity = &world.server, .alpn = rows[i]});
        world_call(&world, &caller, client, "api.test");
        cr_assert_eq(caller.reason, REASON_NONE);
        cr_assert_str_eq(stream_alpn(&caller.stream), agreed[i]);
        world_end_call(&world, &caller);
        peer_stop(&world.peer);
    }
    world_serve(&world, &(struct peer_options){.identity = &world.server, .alpn = none});
    expect(client, "api.test", REASON_TLS_FAILURE, "none of the protocols");
    tls_client_unref(&client);
}

Test(tls_verify, knows_an_answer_in_clear)
{
    struct tls_client *client = world_client(&world, NULL);
    world_serve(&world,
                &(struct peer_options){.says_in_clear = "HTTP/1.1 400 Bad Request\r\n\r\n"});
    expect(client, "api.test", REASON_TLS_FAILURE, "not TLS (first byte 0x48)");
    tls_client_unref(&client);
}

/* ---- our own certificate ---- */

static struct tls_client *client_with(const struct identity *own)
{
    return world_client(
        &world, &(struct tls_client_options){.cert = {.text = own->cert, .len = strlen(own->cert)},
                                             .key = {.text = own->key, .len = strlen(own->key)}});
}

static void make_own(struct identity *own, const struct identity *authority, const char *name)
{
    identity_make(own, &(struct identity_options){.name = "us",
                                                  .issuer = authority,
                                                  .issuer_name = name,
                                                  .is_for_clients_only = true});
}

Test(tls_verify, shows_its_certificate_to_who_asks)
{
    struct identity own;
    make_own(&own, &world.authority, "Test Authority");
    struct tls_client *client = client_with(&own);
    world_serve(&world, &(struct peer_options){.identity = &world.server,
                                               .client_ca = world.authority.cert});
    expect(client, "api.test", REASON_NONE, NULL);
    TURN_UNTIL(world.loop, atomic_load(&world.peer.handshakes) == 1);
    tls_client_unref(&client);
}

Test(tls_verify, says_that_a_certificate_of_ours_is_missing)
{
    struct tls_client *client = world_client(&world, NULL);
    world_serve(&world, &(struct peer_options){.identity = &world.server,
                                               .client_ca = world.authority.cert});
    expect(client, "api.test", REASON_TLS_CLIENT_CERT, "set certFile and keyFile");
    tls_client_unref(&client);
}

Test(tls_verify, says_that_our_certificate_was_refused)
{
    struct identity other;
    struct identity own;
    identity_make(&other, &(struct identity_options){.name = "Other Authority", .is_ca = true});
    make_own(&own, &other, "Other Authority");
    struct tls_client *client = client_with(&own);
    world_serve(&world, &(struct peer_options){.identity = &world.server,
                                               .client_ca = world.authority.cert});
    expect(client, "api.test", REASON_TLS_CLIENT_CERT, "refused our client certificate");
    tls_client_unref(&client);
}
