/* tls_schema.c - the fields of the `tls` block, one row each; see schema.h for the columns. */
#include "config/tls_config.h"

#include "config/policy_checks.h"
#include "config/policy_schema.h"

#define MAX_FILE_BYTES 4096
#define MAX_NAME_BYTES 253
#define MAX_NAMES 64

static const struct word mode_words[] = {
    {"simple", TLS_MODE_SIMPLE}, {"mutual", TLS_MODE_MUTUAL}, {"off", TLS_MODE_OFF}, {NULL, 0}};
static const struct word version_words[] = {{"1.2", 12}, {"1.3", 13}, {NULL, 0}};

static const struct word alpn_words[] = {
    {"h2", TLS_PROTOCOL_HTTP2}, {"http/1.1", TLS_PROTOCOL_HTTP1}, {NULL, 0}};

static const struct field tls_fields[] = {
    {.name = "mode",
     .type = FIELD_ENUM,
     FIELD_AT(struct tls_config, mode),
     .words = mode_words,
     .preset = "simple",
     .absent = "off",
     .doc = "simple verifies the upstream; mutual shows it a certificate of ours, too"},
    {.name = "caFile",
     .type = FIELD_STRING,
     FIELD_AT(struct tls_config, ca_file),
     .min = 1,
     .max = MAX_FILE_BYTES,
     .doc =
         "PEM file of the authorities that are trusted, from the policy file's folder; left out: "
         "those of the system"},
    {.name = "certFile",
     .type = FIELD_STRING,
     FIELD_AT(struct tls_config, cert_file),
     .min = 1,
     .max = MAX_FILE_BYTES,
     .doc = "PEM file of our certificate and its intermediates; read again when it changes"},
    {.name = "keyFile",
     .type = FIELD_STRING,
     FIELD_AT(struct tls_config, key_file),
     .min = 1,
     .max = MAX_FILE_BYTES,
     .doc = "PEM file of its key, not encrypted; read again when it changes"},
    {.name = "serverName",
     .type = FIELD_STRING,
     FIELD_AT(struct tls_config, server_name),
     .min = 1,
     .max = MAX_NAME_BYTES,
     .doc = "the name that the certificate must be for, and that is asked for (SNI); left out: the "
            "target's host"},
    {.name = "subjectAltNames",
     .type = FIELD_TEXTS,
     FIELD_AT(struct tls_config, subject_alt_names),
     .max = MAX_NAMES,
     .doc = "names of which the certificate must have one, letter for letter, instead of "
            "serverName: SPIFFE ids such as spiffe://cluster.local/ns/shop/sa/pay, DNS names, IP "
            "addresses"},
    {.name = "minVersion",
     .type = FIELD_ENUM,
     FIELD_AT(struct tls_config, min_version),
     .words = version_words,
     .preset = "1.2",
     .doc = "the oldest TLS that is spoken; 1.3 needs a build with mbedTLS 3"},
    {.name = "alpn",
     .type = FIELD_FLAGS,
     FIELD_AT(struct tls_config, alpn),
     .words = alpn_words,
     .preset = "[h2, http/1.1]",
     .doc = "what is offered where `protocol` is auto; the server chooses, HTTP/2 is preferred"},
    {.name = "insecureSkipVerify",
     .type = FIELD_BOOL,
     FIELD_AT(struct tls_config, skips_verification),
     .preset = "false",
     .doc = "takes any certificate: whoever is in between reads and changes everything; for tests"},
};
const struct block tls_block = {
    .name = "tls",
    BLOCK_FIELDS(tls_fields),
    .finish = tls_finish,
    .doc = "Encrypts connections to the upstream, with TLS 1.2 or newer. Which HTTP is spoken is "
           "agreed on (ALPN) where `protocol` is auto. CONNECT tunnels are left alone."};

static void needs(struct decoder *decoder, const struct node *node, const char *name,
                  const char *file)
{
    if (file == NULL)
        decode_error(decoder, DIAG_MISSING, node, name,
                     "mode: mutual shows a certificate: %s is "
                     "missing",
                     name);
}

void tls_finish(struct decoder *decoder, const struct node *node, void *out, bool is_good)
{
    const struct tls_config *cfg = out;
    if (!is_good || cfg->mode == TLS_MODE_OFF)
        return;
    if (cfg->mode == TLS_MODE_MUTUAL) {
        needs(decoder, node, "certFile", cfg->cert_file);
        needs(decoder, node, "keyFile", cfg->key_file);
    } else if (cfg->cert_file != NULL || cfg->key_file != NULL) {
        decode_refuse(decoder, DIAG_CONTRADICTION, node, cfg->cert_file ? "certFile" : "keyFile",
                      "mode: mutual", "a certificate of ours is shown in mode: mutual only");
    }
    if (cfg->alpn == 0)
        decode_refuse(decoder, DIAG_MISSING, node, "alpn", "h2, http/1.1 or both",
                      "nothing is offered");
    if (cfg->skips_verification && (cfg->ca_file != NULL || cfg->subject_alt_names != NULL))
        decode_refuse(decoder, DIAG_CONTRADICTION, node, "insecureSkipVerify", "leave it out",
                      "nothing is verified, so what is trusted says nothing");
}
