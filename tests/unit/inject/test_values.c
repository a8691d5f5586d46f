#include "inject/values.h"

#include <criterion/criterion.h>
#include <stdio.h>

static char why[VALUE_WHY_MAX];

static void expect(value_read_fn *read, const char *text, const char *wanted)
{
    struct text out;
    text_init(&out, 4096);
    cr_expect(read(span_of(text), &out, why), "%s: %s", text, why);
    cr_expect(span_is(text_span(&out), span_of(wanted)), "%s gave %.*s", text,
              SPAN_ARGS(text_span(&out)));
    text_fini(&out);
}

static void refuse(value_read_fn *read, const char *text, const char *said)
{
    struct text out;
    text_init(&out, 4096);
    why[0] = '\0';
    cr_expect_not(read(span_of(text), &out, why), "%s", text);
    cr_expect(strstr(why, said) != NULL, "%s: %s", text, why);
    text_fini(&out);
}

Test(values, that_are_no_ports_are_refused)
{
    refuse(value_read_port_ranges, "22,", "\"\" is no port");
    refuse(value_read_port_ranges, ",22", "\"\" is no port");
    refuse(value_read_port_ranges, ",", "\"\" is no port");
    refuse(value_read_port_ranges, "22,http", "\"http\" is no port");
    refuse(value_read_port_ranges, "65536", "is no port");
    refuse(value_read_port_ranges, "22 23", "\"22 23\" is no port");
    refuse(value_read_port_ranges, "22,23,22", "\"22\" is there twice");
    refuse(value_read_ports, "22-23", "is a range");
    refuse(value_read_ports, "-", "is no port");
}

Test(values, of_lists_lose_their_blanks)
{
    expect(value_read_port_ranges, "", "");
    expect(value_read_port_ranges, "  ", "");
    expect(value_read_port_ranges, " 22 ,\t9000-9010\n", "22,9000-9010");
    expect(value_read_ports, "25,3306", "25,3306");
    expect(value_read_cidrs, "10.0.0.0/8, fd00::/8,192.0.2.7", "10.0.0.0/8,fd00::/8,192.0.2.7");
    expect(value_read_config_maps, "payments, a.b-c.d0", "payments,a.b-c.d0");
}

Test(values, of_a_list_are_at_most_64)
{
    char list[VALUE_LIST_MAX * 8] = "1000";
    for (unsigned i = 1; i < VALUE_LIST_MAX; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), ",%u", 1000 + i);
    expect(value_read_ports, list, list);
    snprintf(list + strlen(list), sizeof list - strlen(list), ",9");
    refuse(value_read_ports, list, "\"9\" is one entry too many");
}

Test(values, that_are_no_networks_are_refused)
{
    refuse(value_read_cidrs, "10.0.0.1/8", "behind its prefix");
    refuse(value_read_cidrs, "example.com", "is no network");
    refuse(value_read_cidrs, "10.0.0.0/33", "no good prefix");
}

Test(values, that_are_no_names_of_config_maps_are_refused)
{
    static const char *const bad[] = {"A",    "a_b",  "-a",   "a-",  "a.",  ".a",      "a..b",
                                      "a.-b", "a-.b", "../x", "a/b", "a b", "\xC3\xA9"};
    char label[70];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refuse(value_read_config_maps, bad[i], "is no name of a ConfigMap");
    memset(label, 'a', 64);
    label[64] = '\0';
    refuse(value_read_config_maps, label, "is no name of a ConfigMap");
    expect(value_read_config_maps, label + 1, label + 1);
}

Test(values, that_are_no_images_are_refused)
{
    refuse(value_read_image, "", "1 to 512");
    refuse(value_read_image, "a b", "no blanks");
    refuse(value_read_image, "a\nb", "no blanks");
    refuse(value_read_image, "/a", "letters, digits");
    expect(value_read_image, "r.example.com:5000/a/b:1.0@sha256:00ff",
           "r.example.com:5000/a/b:1.0@sha256:00ff");
}

Test(values, of_cpu_and_memory_have_units_of_their_own)
{
    refuse(value_read_cpu, "1Gi", "amount of CPU");
    refuse(value_read_cpu, "-1", "amount of CPU");
    refuse(value_read_cpu, "1e3", "amount of CPU");
    refuse(value_read_cpu, "0", "nothing at all");
    refuse(value_read_cpu, "0.0004", "amount of CPU");
    refuse(value_read_cpu, "", "amount of CPU");
    refuse(value_read_memory, "128m", "amount of memory");
    refuse(value_read_memory, "1.Mi", "amount of memory");
    refuse(value_read_memory, "64MB", "amount of memory");
    refuse(value_read_memory, "9999999999999", "amount of memory");
    expect(value_read_cpu, "250m", "250m");
    expect(value_read_cpu, "0.5", "0.5");
    expect(value_read_cpu, "none", "");
    expect(value_read_memory, "1.5Gi", "1.5Gi");
    expect(value_read_memory, "1000000", "1000000");
}

Test(values, of_amounts_can_be_compared)
{
    cr_assert_eq(value_quantity(SPAN("250m")), 250);
    cr_assert_eq(value_quantity(SPAN("0.5")), 500);
    cr_assert_eq(value_quantity(SPAN("1.05")), 1050);
    cr_assert_eq(value_quantity(SPAN("1Ki")), 1024000);
    cr_assert_eq(value_quantity(SPAN("1.5Gi")), UINT64_C(1536) * 1024 * 1024 * 1000);
    cr_assert_eq(value_quantity(SPAN("999999999999Ti")), UINT64_MAX);
    cr_assert_lt(value_quantity(SPAN("128M")), value_quantity(SPAN("128Mi")));
}
