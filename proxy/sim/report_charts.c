/* report_charts.c - see report_charts.h. */
#include "sim/report_charts.h"

#include "base/check.h"
#include "sim/report_plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define POINTS_MAX 480 /* of a line: more of them nobody sees */
#define LABEL_LINE 15  /* least distance of two labels at the ends of lines, in pixels */
#define TEXT_BYTES 128

static const char *const colours[STUDY_CONTENDERS_MAX] = {"a", "b", "c", "d"};

static double seconds(dur_ns time)
{
    return (double)time / (double)NS_PER_S;
}

/* Without its folders: there is little room beside a line. */
static const char *short_name(const struct contender *contender)
{
    const char *slash = strrchr(contender->name, '/');
    return slash != NULL ? slash + 1 : contender->name;
}

/* ---- labels at the ends of lines --------------------------------------------------------------
 */

struct end_label {
    double y;
    const char *class;
    const char *text;
};

static int by_height(const void *a, const void *b)
{
    const double left = ((const struct end_label *)a)->y;
    const double right = ((const struct end_label *)b)->y;
    return (left > right) - (left < right);
}

/* Beside the right end of the frame, moved apart where they would lie upon each other: downwards,
 * and up again where they would leave the frame. */
static void write_labels(const struct plot *plot, struct end_label *labels, size_t count)
{
    double below = 0;
    double above = plot->top + plot->height;
    qsort(labels, count, sizeof *labels, by_height);
    for (size_t i = 0; i < count; i++) {
        labels[i].y = fmax(labels[i].y, below);
        below = labels[i].y + LABEL_LINE;
    }
    for (size_t i = count; i-- > 0;) {
        labels[i].y = fmin(labels[i].y, above);
        above = labels[i].y - LABEL_LINE;
        plot_label(plot, PLOT_WIDTH - PLOT_RIGHT + 8, labels[i].y + 4, labels[i].class, "start",
                   labels[i].text);
    }
}

/* ---- load against goodput ----------------------------------------------------------------------
 */

static void sweep_line(const struct plot *plot, const struct sweep_point *points, const char *class)
{
    double x[STUDY_SWEEP_STEPS];
    double y[STUDY_SWEEP_STEPS];
    for (size_t i = 0; i < STUDY_SWEEP_STEPS; i++) {
        x[i] = points[i].load;
        y[i] = points[i].goodput;
    }
    plot_line(plot, &(struct series){x, y, STUDY_SWEEP_STEPS}, class);
}

void chart_hysteresis(const struct study *study, FILE *out)
{
    double most = 0;
    struct end_label labels[STUDY_CONTENDERS_MAX];
    char class[16];
    for (size_t i = 0; i < study->contender_count; i++)
        for (size_t k = 0; k < STUDY_SWEEP_STEPS; k++)
            most = fmax(most,
                        fmax(study->contenders[i].up[k].load, study->contenders[i].down[k].load));
    most = most > 0 ? most : 1;
    const struct plot plot = {out, 30, 320, 0, most, 0, most};
    plot_open(out, 400, "offered load against goodput, load rising and falling");
    plot_axes(&plot, "calls/s offered", "good calls/s");
    const double ideal[] = {0, most};
    plot_line(&plot, &(struct series){ideal, ideal, 2}, "ideal");
    for (size_t i = study->contender_count; i-- > 0;) {
        const struct contender *contender = &study->contenders[i];
        sweep_line(&plot, contender->up, colours[i]);
        snprintf(class, sizeof class, "%s dashed", colours[i]);
        sweep_line(&plot, contender->down, class);
        labels[i] = (struct end_label){plot_y(&plot, contender->up[STUDY_SWEEP_STEPS - 1].goodput),
                                       colours[i], short_name(contender)};
    }
    write_labels(&plot, labels, study->contender_count);
    plot_close(out);
}

/* ---- the time line
 * ------------------------------------------------------------------------------- */

struct timeline { /* sums of buckets, few enough to be drawn */
    size_t count;
    size_t each; /* buckets in one point */
    double *at, *offered, *attempts, *good, *budget, *tokens;
    double *state[3]; /* shares: open, half open, closed */
    double most;
    double most_tokens;
};

static double *row_of(size_t count)
{
    double *row = calloc(count, sizeof *row);
    INVARIANT(row != NULL);
    return row;
}

static void sum_point(const struct result *result, struct timeline *line, size_t point)
{
    const size_t busiest = result_busiest(result);
    const double length = seconds(result->bucket) * (double)line->each;
    double breakers = 0;
    for (size_t i = point * line->each; i < (point + 1) * line->each && i < result->bucket_count;
         i++) {
        const struct result_bucket *bucket = &result->buckets[i];
        const uint32_t open =
            bucket->breakers[BREAKER_OPEN] + bucket->breakers[BREAKER_FORCED_OPEN];
        line->offered[point] += bucket->offered / length;
        line->good[point] += bucket->good / length;
        line->attempts[point] += result->upstreams[busiest].attempts_by_bucket[i] / length;
        line->state[0][point] += open;
        line->state[1][point] += bucket->breakers[BREAKER_HALF_OPEN];
        line->state[2][point] += bucket->breakers[BREAKER_CLOSED];
        line->budget[point] = bucket->budget_left < 0 ? (double)NAN : bucket->budget_left;
        line->tokens[point] = bucket->tokens_left < 0 ? (double)NAN : bucket->tokens_left;
    }
    for (size_t k = 0; k < 3; k++)
        breakers += line->state[k][point];
    for (size_t k = 0; k < 3; k++)
        line->state[k][point] = breakers > 0 ? line->state[k][point] / breakers : 0;
    line->at[point] = ((double)point + 0.5) * length;
    line->most = fmax(line->most, fmax(line->offered[point], line->attempts[point]));
    line->most_tokens = fmax(line->most_tokens, fmax(line->budget[point], line->tokens[point]));
}

static void timeline_make(const struct result *result, struct timeline *line)
{
    *line = (struct timeline){.each = (result->bucket_count + POINTS_MAX - 1) / POINTS_MAX};
    line->count = (result->bucket_count + line->each - 1) / line->each;
    double **const rows[] = {&line->at,       &line->offered,  &line->attempts,
                             &line->good,     &line->budget,   &line->tokens,
                             &line->state[0], &line->state[1], &line->state[2]};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        *rows[i] = row_of(line->count);
    for (size_t i = 0; i < line->count; i++)
        sum_point(result, line, i);
}

static void timeline_free(struct timeline *line)
{
    double *const rows[] = {line->at,       line->offered,  line->attempts,
                            line->good,     line->budget,   line->tokens,
                            line->state[0], line->state[1], line->state[2]};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        free(rows[i]);
}

static void draw_faults(const struct plot *plot, const struct scenario *scenario)
{
    for (size_t i = 0; i < scenario->fault_count; i++) {
        const struct scenario_fault *fault = &scenario->faults[i];
        char text[TEXT_BYTES];
        snprintf(text, sizeof text, "%s of %s", fault_kind_word(fault->kind),
                 scenario->upstreams[fault->upstream_index].name);
        plot_span(plot, seconds(fault->at),
                  fmin(seconds(fault->at + fault->lasts), seconds(scenario->duration)), text,
                  i % 4);
    }
}

static void draw_ribbon(const struct plot *like, const struct timeline *line, double top)
{
    static const char *const classes[] = {"open", "half", "closed"};
    const double width = plot_x(like, line->at[1 % line->count]) - plot_x(like, line->at[0]);
    for (size_t i = 0; i < line->count; i++) {
        double y = top;
        for (size_t k = 0; k < 3; k++) {
            const double height = 26 * line->state[k][i];
            if (height > 0)
                fprintf(like->out,
                        "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.2f\" height=\"%.1f\"/>",
                        classes[k], plot_x(like, line->at[i]) - width / 2, y, fmax(width + 0.3, 1),
                        height);
            y += height;
        }
    }
    fputc('\n', like->out);
    plot_label(like, 0, top + 17, "unit", "start", "breakers");
    plot_label(like, PLOT_WIDTH - PLOT_RIGHT + 8, top + 8, "opentext", "start",
               "\xe2\x96\xa0 open");
    plot_label(like, PLOT_WIDTH - PLOT_RIGHT + 8, top + 21, "halftext", "start",
               "\xe2\x96\xa0 half open");
    plot_label(like, PLOT_WIDTH - PLOT_RIGHT + 8, top + 34, "closedtext", "start",
               "\xe2\x96\xa0 closed");
}

static void draw_tokens(const struct plot *like, const struct timeline *line, double top)
{
    struct plot plot = *like;
    plot.top = top;
    plot.height = 70;
    plot.y_to = plot_round_up(line->most_tokens > 0 ? line->most_tokens : 1);
    plot_axes(&plot, NULL, "tokens left, a sidecar");
    plot_line(&plot, &(struct series){line->at, line->budget, line->count}, "c");
    plot_line(&plot, &(struct series){line->at, line->tokens, line->count}, "d");
    struct end_label labels[2];
    size_t count = 0;
    if (isfinite(line->budget[line->count - 1]))
        labels[count++] =
            (struct end_label){plot_y(&plot, line->budget[line->count - 1]), "c", "retry budget"};
    if (isfinite(line->tokens[line->count - 1]))
        labels[count++] =
            (struct end_label){plot_y(&plot, line->tokens[line->count - 1]), "d", "rate limit"};
    write_labels(&plot, labels, count);
}

void chart_timeline(const struct study *study, FILE *out)
{
    const struct result *result = study->contenders[0].result;
    struct timeline line;
    timeline_make(result, &line);
    const bool has_tokens =
        isfinite(line.budget[line.count - 1]) || isfinite(line.tokens[line.count - 1]);
    const struct plot plot = {out,
                              30,
                              260,
                              0,
                              seconds(study->scenario->duration),
                              0,
                              plot_round_up(line.most > 0 ? line.most : 1)};
    plot_open(out, has_tokens ? 510 : 390, "offered calls, attempts and good calls over time");
    plot_axes(&plot, "s", "a second");
    draw_faults(&plot, study->scenario);
    plot_line(&plot, &(struct series){line.at, line.offered, line.count}, "offered");
    plot_line(&plot, &(struct series){line.at, line.good, line.count}, "a");
    plot_line(&plot, &(struct series){line.at, line.attempts, line.count}, "b");
    struct end_label labels[] = {
        {plot_y(&plot, line.offered[line.count - 1]), "offeredtext", "calls offered"},
        {plot_y(&plot, line.good[line.count - 1]), "a", "good calls"},
        {plot_y(&plot, line.attempts[line.count - 1]), "b", "attempts upstream"}};
    write_labels(&plot, labels, 3);
    draw_ribbon(&plot, &line, 335);
    if (has_tokens)
        draw_tokens(&plot, &line, 410);
    plot_close(out);
    timeline_free(&line);
}

/* ---- time to recover
 * ------------------------------------------------------------------------------- */

static int by_time(const void *a, const void *b)
{
    const dur_ns left = *(const dur_ns *)a;
    const dur_ns right = *(const dur_ns *)b;
    return (left > right) - (left < right);
}

static double longest_recovery(const struct study *study)
{
    double most = 1;
    for (size_t i = 0; i < study->contender_count; i++)
        for (size_t k = 0; k < study->contenders[i].seed_count; k++)
            if (study->contenders[i].recovery[k] != DUR_FOREVER)
                most = fmax(most, seconds(study->contenders[i].recovery[k]));
    return plot_round_up(most * 1.6); /* `never` is longer than any of them */
}

static void recovery_bar(const struct plot *plot, const struct contender *contender, size_t row)
{
    const size_t seeds = contender->seed_count;
    const double y = 10 + 44 * (double)row;
    dur_ns *sorted = malloc(seeds * sizeof *sorted);
    char text[TEXT_BYTES];
    size_t never = 0;
    INVARIANT(sorted != NULL);
    memcpy(sorted, contender->recovery, seeds * sizeof *sorted);
    qsort(sorted, seeds, sizeof *sorted, by_time);
    for (size_t i = 0; i < seeds; i++)
        never += sorted[i] == DUR_FOREVER;
    const dur_ns median = sorted[seeds / 2];
    const double end = median == DUR_FOREVER ? plot->x_to : seconds(median);
    plot_label(plot, PLOT_LEFT, y + 10, "name", "start", contender->name);
    fprintf(plot->out,
            "<rect class=\"%s\" x=\"%d\" y=\"%.1f\" width=\"%.1f\" height=\"14\" rx=\"2\"/>\n",
            median == DUR_FOREVER ? "never" : "bar", PLOT_LEFT, y + 16,
            fmax(plot_x(plot, end) - PLOT_LEFT, 2));
    if (median == DUR_FOREVER)
        snprintf(text, sizeof text, "\xe2\x88\x9e never (%zu of %zu seeds)", never, seeds);
    else if (never > 0)
        snprintf(text, sizeof text, "%.1f s; never with %zu of %zu", end, never, seeds);
    else
        snprintf(text, sizeof text, "%.1f s (%.1f to %.1f)", end, seconds(sorted[0]),
                 seconds(sorted[seeds - 1]));
    plot_label(plot, plot_x(plot, end) + 8, y + 28, "value", "start", text);
    free(sorted);
}

void chart_recovery(const struct study *study, FILE *out)
{
    const double height = 44 * (double)study->contender_count;
    const struct plot plot = {out, 0, height, 0, longest_recovery(study), 0, 1};
    plot_open(out, height + 20,
              "time to recover after the last fault, for each way to treat calls");
    for (size_t i = 0; i < study->contender_count; i++)
        recovery_bar(&plot, &study->contenders[i], i);
    plot_close(out);
}

/* ---- the heat map
 * ------------------------------------------------------------------------------------ */

static void heat_cell(const struct heat_map *heat, size_t row, size_t column, FILE *out)
{
    const double share = heat->goodput[row * heat->column_count + column];
    const double x = 150 + 84 * (double)column;
    const double y = 34 + 40 * (double)row;
    const bool is_users = row == heat->user_row && column == heat->user_column;
    fprintf(
        out,
        "<rect class=\"heat%d%s\" x=\"%.0f\" y=\"%.0f\" width=\"80\" height=\"36\" rx=\"3\"/>"
        "<text class=\"heattext%d\" text-anchor=\"middle\" x=\"%.0f\" y=\"%.0f\">%.0f %%</text>\n",
        (int)(share * 4.999), is_users ? " ring" : "", x, y, (int)(share * 4.999), x + 40, y + 23,
        share * 100);
}

void chart_heat(const struct study *study, FILE *out)
{
    const struct heat_map *heat = &study->heat;
    const struct plot plot = {.out = out};
    char text[TEXT_BYTES];
    plot_open(out, 40 * (double)heat->row_count + 74, "goodput by load and number of retries");
    for (size_t column = 0; column < heat->column_count; column++) {
        snprintf(text, sizeof text, "%.0f/s", heat->loads[column]);
        plot_label(&plot, 190 + 84 * (double)column, 24, "tick", "middle", text);
    }
    for (size_t row = 0; row < heat->row_count; row++) {
        snprintf(text, sizeof text, "%u %s", heat->attempts[row],
                 heat->attempts[row] == 1 ? "retry" : "retries");
        plot_label(&plot, 138, 57 + 40 * (double)row, "tick", "end", text);
        for (size_t column = 0; column < heat->column_count; column++)
            heat_cell(heat, row, column, out);
    }
    plot_label(
        &plot, 150, 40 * (double)heat->row_count + 60, "unit", "start",
        "share of the calls made after the last fault that ended well; ringed: as it is set");
    plot_close(out);
}

/* ---- A and B with bands
 * ------------------------------------------------------------------------------- */

void chart_band(const struct study *study, FILE *out)
{
    const struct result *result = study->contenders[0].result;
    const size_t count = result->bucket_count;
    double *at = row_of(count);
    double *low = row_of(count);
    double *high = row_of(count);
    double *middle = row_of(count);
    const struct plot plot = {out, 30, 240, 0, seconds(study->scenario->duration), 0, 100};
    struct end_label labels[2];
    for (size_t i = 0; i < count; i++)
        at[i] = ((double)i + 0.5) * seconds(result->bucket);
    plot_open(out, 320, "goodput over time, median and range over the seeds");
    plot_axes(&plot, "s", "goodput, %");
    draw_faults(&plot, study->scenario);
    for (size_t k = 2; k-- > 0;) {
        const struct contender *contender = &study->contenders[k];
        for (size_t i = 0; i < count; i++) {
            low[i] = contender->low[i] * 100;
            middle[i] = contender->median[i] * 100;
            high[i] = contender->high[i] * 100;
        }
        plot_band(&plot, &(struct series){at, low, count}, high, colours[k]);
        plot_line(&plot, &(struct series){at, middle, count}, colours[k]);
        const double last = isfinite(middle[count - 1]) ? middle[count - 1] : 0;
        labels[k] = (struct end_label){plot_y(&plot, last), colours[k], short_name(contender)};
    }
    write_labels(&plot, labels, 2);
    plot_close(out);
    free(at);
    free(low);
    free(high);
    free(middle);
}
