/* report.c - the page: its words, their order, its looks. See report.h. */
#include "sim/report.h"

#include "sim/report_charts.h"
#include "sim/report_plot.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define FOUND_BYTES 64
#define TRANSITIONS_SHOWN 200

static const char head[] =
    "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<meta name=\"color-scheme\" content=\"light dark\">\n";

static const char style[] =
    "<style>\n"
    ":root{--ink:#1b1f24;--soft:#5b6570;--paper:#fff;--grid:#dfe3e8;--fault:#f3ead9;--a:#0b62a8;"
    "--b:#c2500a;--c:#6b7f12;--d:#7a4fa3;--open:#c2500a;--half:#e3b341;--closed:#cfe3f3;"
    "--h0:#a63c06;--h1:#e08a4c;--h2:#f0d9b5;--h3:#a9cbe5;--h4:#2f7fbf}\n"
    "@media (prefers-color-scheme:dark){:root{--ink:#e6e9ed;--soft:#9aa5b1;--paper:#14181d;"
    "--grid:#2c333b;--fault:#33291a;--a:#6cb6f5;--b:#f59a58;--c:#b3c94f;--d:#c3a1e8;--open:#e0712f;"
    "--half:#d1a02b;--closed:#24425c}}\n"
    "body{margin:0 auto;max-width:1000px;padding:32px 20px "
    "60px;background:var(--paper);color:var(--ink);"
    "font:16px/1.5 system-ui,\"Segoe UI\",\"DejaVu Sans\",sans-serif}\n"
    "h1{font-size:16px;font-weight:600;color:var(--soft);margin:0}\n"
    "h2{font-size:19px;margin:44px 0 2px}\np{margin:4px 0 12px}\n.soft{color:var(--soft)}\n"
    ".verdict{font-size:27px;line-height:1.3;font-weight:600;margin:6px 0 14px}\n"
    ".big{font-size:76px;line-height:1;font-weight:700;color:var(--b);margin:10px 0 6px}\n"
    ".others{display:flex;gap:36px;flex-wrap:wrap}.others b{font-size:28px;display:block}\n"
    "ul.expect{list-style:none;padding:0;margin:0 0 8px}ul.expect li{padding:2px 0}\n"
    ".met::before{content:\"\\2713\\00a0 met\\00a0 \";color:var(--a);font-weight:700}\n"
    ".unmet::before{content:\"\\2717\\00a0 unmet\\00a0 \";color:var(--b);font-weight:700}\n"
    "svg{display:block;width:100%;height:auto;margin:6px 0;font-size:13px}\n"
    "svg text{fill:var(--ink)}svg .tick,svg .unit{fill:var(--soft)}svg .name{fill:var(--soft)}\n"
    ".grid{stroke:var(--grid);fill:none}.fault{fill:var(--fault)}\n"
    ".line{fill:none;stroke-width:2;stroke-linejoin:round}.band{opacity:.25;stroke:none}\n"
    ".line.a{stroke:var(--a)}.line.b{stroke:var(--b)}.line.c{stroke:var(--c)}.line.d{stroke:var(--"
    "d)}\n"
    ".band.a{fill:var(--a)}.band.b{fill:var(--b)}\n"
    "svg text.a{fill:var(--a)}svg text.b{fill:var(--b)}svg text.c{fill:var(--c)}svg "
    "text.d{fill:var(--d)}\n"
    ".line.dashed{stroke-dasharray:7 5}.line.ideal{stroke:var(--grid)}\n"
    ".line.offered{stroke:var(--soft);stroke-dasharray:2 3}svg text.offeredtext{fill:var(--soft)}\n"
    ".open{fill:var(--open)}.half{fill:var(--half)}.closed{fill:var(--closed)}\n"
    "svg text.opentext{fill:var(--open)}svg text.halftext{fill:var(--half)}"
    "svg text.closedtext{fill:var(--soft)}\n"
    ".bar{fill:var(--a)}.never{fill:var(--b);opacity:.8}\n"
    ".heat0{fill:var(--h0)}.heat1{fill:var(--h1)}.heat2{fill:var(--h2)}.heat3{fill:var(--h3)}"
    ".heat4{fill:var(--h4)}.ring{stroke:var(--ink);stroke-width:4}\n"
    "svg text.heattext0,svg text.heattext4{fill:#fff}svg text.heattext1,svg text.heattext2,"
    "svg text.heattext3{fill:#1b1f24}\n"
    "table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}\n"
    "th,td{text-align:right;padding:4px 10px;border-bottom:1px solid "
    "var(--grid);vertical-align:top}\n"
    "th:first-child,td:first-child{text-align:left}thead "
    "th{font-weight:600}.wide{overflow-x:auto}\n"
    ".moves td,.moves th{text-align:left;font-size:14px}\n"
    "section{break-inside:avoid}\n"
    "@media print{body{max-width:none;padding:0;font-size:12px}h2{margin-top:22px}}\n"
    "</style>\n";

static void say_time(dur_ns time, FILE *out)
{
    if (time == DUR_FOREVER)
        fputs("never", out);
    else if (time < NS_PER_S)
        fprintf(out, "%.0f ms", (double)time / (double)NS_PER_MS);
    else
        fprintf(out, "%.1f s", (double)time / (double)NS_PER_S);
}

static void section(const char *title, const char *text, FILE *out)
{
    fprintf(out, "<section>\n<h2>%s</h2>\n<p class=\"soft\">%s</p>\n", title, text);
}

/* ---- the verdict
 * ----------------------------------------------------------------------------------- */

static void say_recovery(const struct study *study, FILE *out)
{
    const struct scenario *scenario = study->scenario;
    const struct result *result = study->contenders[0].result;
    if (scenario->fault_count == 0)
        return;
    const size_t last = scenario->fault_count - 1;
    if (result->faults[last].recovery == DUR_FOREVER) {
        fputs("Never recovers from the ", out);
    } else {
        fputs("Recovers ", out);
        say_time(result->faults[last].recovery, out);
        fputs(" after the ", out);
    }
    fputs(fault_kind_word(scenario->faults[last].kind), out);
    fputs(" of ", out);
    html_text(scenario->upstreams[scenario->faults[last].upstream_index].name, out);
    fputs(". ", out);
}

static void say_verdict(const struct study *study, FILE *out)
{
    const struct result *result = study->contenders[0].result;
    fputs("<p class=\"verdict\">", out);
    say_recovery(study, out);
    fprintf(out, "%.1f %% of %" PRIu64 " calls end well, with %.2f attempts a call at ",
            100 * result_goodput(result, NULL), result->calls, result_amplification(result, NULL));
    html_text(result->upstreams[result_busiest(result)].name, out);
    fputs(".</p>\n<ul class=\"expect\">\n", out);
    for (size_t i = 0; i < study->scenario->expectation_count; i++) {
        char found[FOUND_BYTES];
        const bool is_met = expectation_is_met(result, i, found, sizeof found);
        fprintf(out, "<li class=\"%s\">", is_met ? "met" : "unmet");
        html_text(study->scenario->expectations[i].text, out);
        fputs(" <span class=\"soft\">(found: ", out);
        html_text(found, out);
        fputs(")</span></li>\n", out);
    }
    fputs("</ul>\n", out);
}

static void write_top(const struct study *study, FILE *out)
{
    fputs(head, out);
    fputs("<title>", out);
    html_text(study->scenario->name, out);
    fputs(" - Outrigger simulation</title>\n", out);
    fputs(style, out);
    fputs("</head>\n<body>\n<h1>", out);
    html_text(study->scenario->name, out);
    fputs(" under ", out);
    html_text(study->contenders[0].name, out);
    fputs("</h1>\n", out);
    say_verdict(study, out);
    if (study->scenario->description[0] != '\0') {
        fputs("<p>", out);
        html_text(study->scenario->description, out);
        fputs("</p>\n", out);
    }
    fprintf(out,
            "<p class=\"soft\">Simulated in virtual time with the policy engine of the proxy; "
            "%.0f s, seed %" PRIu64 ".</p>\n",
            (double)study->scenario->duration / (double)NS_PER_S,
            study->contenders[0].result->seed);
}

/* ---- sections
 * ---------------------------------------------------------------------------------------- */

static void write_amplification(const struct study *study, FILE *out)
{
    section("Amplification",
            "Attempts that the busiest upstream gets for one call of the app, "
            "retries included. Below 1: calls were refused before they got there.",
            out);
    fprintf(out, "<p class=\"big\">%.2f</p>\n<div class=\"others\">",
            result_amplification(study->contenders[0].result, NULL));
    for (size_t i = 1; i < study->contender_count; i++) {
        fprintf(out, "<div><b>%.2f</b>", result_amplification(study->contenders[i].result, NULL));
        html_text(study->contenders[i].name, out);
        fputs("</div>", out);
    }
    fputs("</div>\n</section>\n", out);
}

static void write_charts(const struct study *study, FILE *out)
{
    if (study->contenders[0].has_sweep) {
        section("Load against goodput",
                "Load rises step by step (solid) and falls again (dashed), without a fault. Where "
                "the two part, an overload outlasts its cause.",
                out);
        chart_hysteresis(study, out);
        fputs("</section>\n", out);
    }
    section("What happened when", "Each call counts in the second in which the app made it.", out);
    chart_timeline(study, out);
    fputs("</section>\n", out);
    write_amplification(study, out);
    if (study->scenario->fault_count > 0) {
        section("Time to recover",
                "From the end of the last fault until 95 % of the calls end well again, for good. "
                "Median and range over the seeds.",
                out);
        chart_recovery(study, out);
        fputs("</section>\n", out);
    }
    if (study->has_heat) {
        section("Load and retries", "The same scenario with other loads and numbers of retries.",
                out);
        chart_heat(study, out);
        fputs("</section>\n", out);
    }
    if (study->contender_count > 1) {
        section("With equal luck",
                "Goodput with the same seeds: equal arrivals, equal chance. Line: "
                "median; band: lowest and highest of all seeds.",
                out);
        chart_band(study, out);
        fputs("</section>\n", out);
    }
    if (study->without != NULL)
        fprintf(out, "<p class=\"soft\">%s</p>\n", study->without);
}

/* ---- the table
 * ----------------------------------------------------------------------------------------- */

static void row_head(const char *name, FILE *out)
{
    fprintf(out, "<tr><td>%s</td>", name);
}

static void cell_share(uint64_t part, uint64_t whole, FILE *out)
{
    fprintf(out, "<td>%.2f %%</td>", whole > 0 ? 100.0 * (double)part / (double)whole : 0.0);
}

static void time_rows(const struct study *study, FILE *out)
{
    static const struct {
        const char *name;
        double share;
    } quantiles[] = {{"p50 of good calls", 0.5}, {"p99 of good calls", 0.99}};
    for (size_t k = 0; k < 2; k++) {
        row_head(quantiles[k].name, out);
        for (size_t i = 0; i < study->contender_count; i++) {
            fputs("<td>", out);
            say_time(latency_quantile(&study->contenders[i].result->took, quantiles[k].share), out);
            fputs("</td>", out);
        }
        fputs("</tr>\n", out);
    }
    for (size_t f = 0; f < study->scenario->fault_count; f++) {
        fprintf(out, "<tr><td>fault %zu: time to trip / to recover</td>", f + 1);
        for (size_t i = 0; i < study->contender_count; i++) {
            fputs("<td>", out);
            say_time(study->contenders[i].result->faults[f].trip, out);
            fputs(" / ", out);
            say_time(study->contenders[i].result->faults[f].recovery, out);
            fputs("</td>", out);
        }
        fputs("</tr>\n", out);
    }
}

static void fate_rows(const struct study *study, FILE *out)
{
    for (size_t fate = 0; fate < FATE_COUNT; fate++) {
        uint64_t any = 0;
        for (size_t i = 0; i < study->contender_count; i++)
            any += study->contenders[i].result->fates[fate];
        if (any == 0)
            continue;
        row_head(fate_word((enum fate)fate), out);
        for (size_t i = 0; i < study->contender_count; i++)
            cell_share(study->contenders[i].result->fates[fate], study->contenders[i].result->calls,
                       out);
        fputs("</tr>\n", out);
    }
}

static uint32_t worst_queue(const struct result *result)
{
    uint32_t worst = 0;
    for (size_t i = 0; i < result->scenario->upstream_count; i++)
        if (result->upstreams[i].longest_queue > worst)
            worst = result->upstreams[i].longest_queue;
    return worst;
}

static void write_table(const struct study *study, FILE *out)
{
    section("Figures", "With the first seed; shares are of all calls.", out);
    fputs("<div class=\"wide\"><table>\n<thead><tr><th></th>", out);
    for (size_t i = 0; i < study->contender_count; i++) {
        fputs("<th>", out);
        html_text(study->contenders[i].name, out);
        fputs("</th>", out);
    }
    fputs("</tr></thead>\n<tbody>\n", out);
    row_head("calls", out);
    for (size_t i = 0; i < study->contender_count; i++)
        fprintf(out, "<td>%" PRIu64 "</td>", study->contenders[i].result->calls);
    fputs("</tr>\n", out);
    row_head("goodput", out);
    for (size_t i = 0; i < study->contender_count; i++)
        cell_share(study->contenders[i].result->good, study->contenders[i].result->calls, out);
    fputs("</tr>\n", out);
    fate_rows(study, out);
    time_rows(study, out);
    row_head("attempts a call", out);
    for (size_t i = 0; i < study->contender_count; i++)
        fprintf(out, "<td>%.3f</td>", result_amplification(study->contenders[i].result, NULL));
    fputs("</tr>\n", out);
    row_head("worst queue", out);
    for (size_t i = 0; i < study->contender_count; i++)
        fprintf(out, "<td>%u</td>", worst_queue(study->contenders[i].result));
    fputs("</tr>\n</tbody>\n</table></div>\n</section>\n", out);
}

static void write_transitions(const struct result *result, FILE *out)
{
    const size_t shown =
        result->transition_count < TRANSITIONS_SHOWN ? result->transition_count : TRANSITIONS_SHOWN;
    if (shown == 0)
        return;
    fputs(
        "<h2>Transitions</h2>\n<div class=\"wide\"><table class=\"moves\">\n<thead><tr><th>at</th>"
        "<th>sidecar</th><th>target</th><th>instance</th><th>from</th><th>to</th><th>why</th>"
        "<th>window</th></tr></thead>\n<tbody>\n",
        out);
    for (size_t i = 0; i < shown; i++) {
        const struct result_transition *move = &result->transitions[i];
        fprintf(out, "<tr><td>%.3f s</td><td>%u</td><td>", (double)move->at / (double)NS_PER_S,
                move->sidecar);
        html_text(move->target, out);
        fputs("</td><td>", out);
        html_text(move->instance, out);
        fprintf(
            out,
            "</td><td>%s</td><td>%s</td><td>%s</td><td>%u calls, %u failed, %u slow</td></tr>\n",
            breaker_state_word(move->from), breaker_state_word(move->to),
            breaker_cause_word(move->cause), move->calls, move->failures, move->slow);
    }
    fputs("</tbody>\n</table></div>\n", out);
    if (result->moves > shown)
        fprintf(out, "<p class=\"soft\">and %" PRIu64 " more</p>\n", result->moves - shown);
}

void report_write(const struct study *study, FILE *out)
{
    write_top(study, out);
    write_charts(study, out);
    write_table(study, out);
    write_transitions(study->contenders[0].result, out);
    fputs("</body>\n</html>\n", out);
}
