/* settings.c - see settings.h. */
#include "inject/settings.h"

#include "config/scalar.h"

#include <stdlib.h>
#include <string.h>

#define VALUE_MAX ((size_t)16 << 10) /* bytes of one value: 64 entries of 253 fit */

struct setting {
    const char *name;
    const char *preset;
    value_read_fn *read; /* NULL: one of `words` */
    const char *words[5];
    const char *allowed;
    const char *help;
};

static const struct setting table[INJECT_KEY_COUNT] = {
    [INJECT_INJECT] = {"inject", "true", NULL, {"true", "false"}, "true or false", "inject at all"},
    [INJECT_POLICY] = {"policy",
                       "",
                       value_read_config_maps,
                       {NULL},
                       "names of ConfigMaps, such as payments,orders",
                       "ConfigMaps with policy files"},
    [INJECT_INTERCEPTION] = {"interception",
                             "redirect",
                             NULL,
                             {"redirect", "none"},
                             "redirect or none",
                             "none: by HTTP_PROXY, without NET_ADMIN"},
    [INJECT_SKIP_OUTBOUND_PORTS] = {"skip-outbound-ports",
                                    "",
                                    value_read_port_ranges,
                                    {NULL},
                                    "ports and ranges, such as 22,9000-9010",
                                    "ports that pass by the proxy"},
    [INJECT_INCLUDE_OUTBOUND_PORTS] = {"include-outbound-ports",
                                       "",
                                       value_read_port_ranges,
                                       {NULL},
                                       "ports and ranges, such as 80,8000-8999",
                                       "only these go through the proxy"},
    [INJECT_SKIP_OUTBOUND_CIDRS] = {"skip-outbound-cidrs",
                                    "",
                                    value_read_cidrs,
                                    {NULL},
                                    "networks, such as 10.0.0.0/8,fd00::/8",
                                    "networks that pass by the proxy"},
    [INJECT_OPAQUE_PORTS] = {"opaque-ports",
                             "",
                             value_read_ports,
                             {NULL},
                             "ports, such as 25,3306",
                             "ports of protocols other than HTTP"},
    [INJECT_NATIVE_SIDECAR] = {"native-sidecar",
                               "true",
                               NULL,
                               {"true", "false"},
                               "true or false",
                               "false: for Kubernetes before 1.29"},
    [INJECT_IMAGE] = {"image",
                      "outrigger:" OUTRIGGER_VERSION,
                      value_read_image,
                      {NULL},
                      "an image, such as registry.example.com/outrigger:1.0",
                      "image of the proxy"},
    [INJECT_IMAGE_PULL_POLICY] = {"image-pull-policy",
                                  "",
                                  NULL,
                                  {"Always", "IfNotPresent", "Never"},
                                  "Always, IfNotPresent or Never",
                                  "when the image is pulled"},
    [INJECT_LOG_LEVEL] = {"log-level",
                          "",
                          NULL,
                          {"debug", "info", "warn", "error"},
                          "debug, info, warn or error",
                          "what the proxy logs"},
    [INJECT_DRAIN] =
        {"drain", "", NULL, {"serve", "refuse"}, "serve or refuse", "what SIGTERM does"},
    [INJECT_CPU_REQUEST] = {"cpu-request",
                            "10m",
                            value_read_cpu,
                            {NULL},
                            "an amount such as 250m, or none",
                            "CPU that is reserved"},
    [INJECT_CPU_LIMIT] =
        {"cpu-limit", "", value_read_cpu, {NULL}, "an amount such as 1, or none", "CPU at most"},
    [INJECT_MEMORY_REQUEST] = {"memory-request",
                               "16Mi",
                               value_read_memory,
                               {NULL},
                               "an amount such as 32Mi, or none",
                               "memory that is reserved"},
    [INJECT_MEMORY_LIMIT] = {"memory-limit",
                             "128Mi",
                             value_read_memory,
                             {NULL},
                             "an amount such as 256Mi, or none",
                             "memory at most"},
};

enum err inject_settings_init(struct inject_settings *settings)
{
    struct inject_settings made = {.values = {NULL}};
    for (size_t i = 0; i < INJECT_KEY_COUNT; i++) {
        made.values[i] = strdup(table[i].preset);
        if (made.values[i] == NULL) {
            inject_settings_fini(&made);
            return ERR_NO_MEMORY;
        }
    }
    *settings = made;
    return OK;
}

enum err inject_settings_copy(const struct inject_settings *from, struct inject_settings *out)
{
    struct inject_settings made = *from;
    bool is_whole = true;
    for (size_t i = 0; i < INJECT_KEY_COUNT; i++) {
        made.values[i] = strdup(from->values[i]);
        is_whole = is_whole && made.values[i] != NULL;
    }
    if (!is_whole) {
        inject_settings_fini(&made);
        return ERR_NO_MEMORY;
    }
    *out = made;
    return OK;
}

void inject_settings_fini(struct inject_settings *settings)
{
    for (size_t i = 0; i < INJECT_KEY_COUNT; i++) {
        free(settings->values[i]);
        settings->values[i] = NULL;
    }
}

static enum err unknown_key(struct span name, char why[VALUE_WHY_MAX])
{
    const char *nearest = NULL;
    size_t best = SIZE_MAX, len;
    for (size_t i = 0; i < INJECT_KEY_COUNT; i++) {
        size_t distance;
        if (word_is_near(name, span_of(table[i].name), &distance) && distance < best) {
            best = distance;
            nearest = table[i].name;
        }
    }
    if (nearest) {
        snprintf(why, VALUE_WHY_MAX, "did you mean \"%s\"?", nearest);
        return ERR_NOT_FOUND;
    }
    snprintf(why, VALUE_WHY_MAX, "there are");
    for (size_t i = 0; i < INJECT_KEY_COUNT; i++) {
        len = strlen(why);
        snprintf(why + len, VALUE_WHY_MAX - len, "%s %s", i > 0 ? "," : "", table[i].name);
    }
    return ERR_NOT_FOUND;
}

static bool read_word(const struct setting *setting, struct span value, struct text *out,
                      char why[VALUE_WHY_MAX])
{
    for (size_t i = 0; i < sizeof setting->words / sizeof *setting->words; i++) {
        if (setting->words[i] == NULL || !span_is(value, span_of(setting->words[i])))
            continue;
        text_put(out, setting->words[i]);
        return true;
    }
    snprintf(why, VALUE_WHY_MAX, "allowed: %s", setting->allowed);
    return false;
}

static bool read_value(const struct setting *setting, struct span value, struct text *out,
                       char why[VALUE_WHY_MAX])
{
    if (setting->read == NULL)
        return read_word(setting, value, out, why);
    if (setting->read(value, out, why))
        return true;
    const size_t len = strlen(why);
    snprintf(why + len, VALUE_WHY_MAX - len, "; allowed: %s", setting->allowed);
    return false;
}

enum err inject_settings_set(struct inject_settings *settings, struct span name, struct span value,
                             char why[VALUE_WHY_MAX])
{
    size_t key = 0;
    while (key < INJECT_KEY_COUNT && !span_is(name, span_of(table[key].name)))
        key++;
    if (key == INJECT_KEY_COUNT)
        return unknown_key(name, why);
    struct text out;
    text_init(&out, VALUE_MAX);
    if (!read_value(&table[key], value, &out, why)) {
        text_fini(&out);
        return ERR_INVALID;
    }
    char *copy = out.is_broken ? NULL : calloc(out.len + 1, 1);
    if (copy && out.len > 0)
        memcpy(copy, out.data, out.len);
    const bool is_too_long = out.is_broken && value.len > VALUE_MAX;
    text_fini(&out);
    if (is_too_long)
        snprintf(why, VALUE_WHY_MAX, "it is longer than 16 KiB");
    if (copy == NULL)
        return is_too_long ? ERR_INVALID : ERR_NO_MEMORY;
    free(settings->values[key]);
    settings->values[key] = copy;
    return OK;
}

bool inject_settings_are(const struct inject_settings *settings, enum inject_key key,
                         const char *word)
{
    return strcmp(settings->values[key], word) == 0;
}

const char *inject_key_name(enum inject_key key)
{
    return table[key].name;
}

const char *inject_key_allowed(enum inject_key key)
{
    return table[key].allowed;
}

void inject_settings_help(FILE *out)
{
    for (size_t i = 0; i < INJECT_KEY_COUNT; i++)
        fprintf(out, "  %-22s %s%s%s%s\n", table[i].name, table[i].help,
                table[i].preset[0] ? " (" : "", table[i].preset, table[i].preset[0] ? ")" : "");
}
