/* report_plot.c - see report_plot.h. */
#include "sim/report_plot.h"

#include <math.h>
#include <stdbool.h>

#define TICKS 6
#define TICK_ROOM 22

void html_text(const char *text, FILE *out)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '<': fputs("&lt;", out); break;
        case '>': fputs("&gt;", out); break;
        case '&': fputs("&amp;", out); break;
        case '"': fputs("&quot;", out); break;
        case '\'': fputs("&#39;", out); break;
        default: fputc(*text, out); break;
        }
    }
}

void plot_open(FILE *out, double height, const char *label)
{
    fprintf(out, "<svg viewBox=\"0 0 %d %.0f\" role=\"img\" aria-label=\"", PLOT_WIDTH, height);
    html_text(label, out);
    fputs("\">\n", out);
}

void plot_close(FILE *out)
{
    fputs("</svg>\n", out);
}

double plot_x(const struct plot *plot, double x)
{
    const double width = PLOT_WIDTH - PLOT_LEFT - PLOT_RIGHT;
    return PLOT_LEFT + (x - plot->x_from) / (plot->x_to - plot->x_from) * width;
}

double plot_y(const struct plot *plot, double y)
{
    return plot->top + plot->height -
           (y - plot->y_from) / (plot->y_to - plot->y_from) * plot->height;
}

double plot_round_up(double value)
{
    const double power = pow(10, floor(log10(value > 0 ? value : 1)));
    const double digits = value / power;
    return power * (digits <= 1 ? 1 : digits <= 2 ? 2 : digits <= 5 ? 5 : 10);
}

static double tick_of(double from, double to)
{
    return plot_round_up((to - from) / TICKS);
}

void plot_axes(const struct plot *plot, const char *x_unit, const char *y_unit)
{
    const double bottom = plot->top + plot->height;
    const double y_tick = tick_of(plot->y_from, plot->y_to);
    const double x_tick = tick_of(plot->x_from, plot->x_to);
    for (double y = plot->y_from; y <= plot->y_to + y_tick / 1e6; y += y_tick) {
        fprintf(plot->out, "<path class=\"grid\" d=\"M%d %.1fH%d\"/>", PLOT_LEFT, plot_y(plot, y),
                PLOT_WIDTH - PLOT_RIGHT);
        fprintf(plot->out,
                "<text class=\"tick\" text-anchor=\"end\" x=\"%d\" y=\"%.1f\">%g</text>\n",
                PLOT_LEFT - 8, plot_y(plot, y) + 4, y);
    }
    fprintf(plot->out, "<text class=\"unit\" x=\"0\" y=\"%.1f\">", plot->top - 10);
    html_text(y_unit, plot->out);
    fputs("</text>\n", plot->out);
    if (x_unit == NULL)
        return;
    for (double x = plot->x_from; x <= plot->x_to + x_tick / 1e6; x += x_tick)
        fprintf(plot->out,
                "<path class=\"grid\" d=\"M%.1f %.1fv5\"/><text class=\"tick\" "
                "text-anchor=\"middle\" x=\"%.1f\" y=\"%.1f\">%g</text>\n",
                plot_x(plot, x), bottom, plot_x(plot, x), bottom + TICK_ROOM, x);
    fprintf(plot->out, "<text class=\"unit\" x=\"%d\" y=\"%.1f\">", PLOT_WIDTH - PLOT_RIGHT + 24,
            bottom + TICK_ROOM);
    html_text(x_unit, plot->out);
    fputs("</text>\n", plot->out);
}

void plot_line(const struct plot *plot, const struct series *series, const char *class)
{
    bool is_down = false;
    fprintf(plot->out, "<path class=\"line %s\" d=\"", class);
    for (size_t i = 0; i < series->count; i++) {
        const bool is_there = isfinite(series->y[i]);
        if (is_there)
            fprintf(plot->out, "%c%.1f %.1f", is_down ? 'L' : 'M', plot_x(plot, series->x[i]),
                    plot_y(plot, series->y[i]));
        is_down = is_there;
    }
    fputs("\"/>\n", plot->out);
}

/* One closed piece, from `first` up to `end`. */
static void band_piece(const struct plot *plot, const struct series *low, const double *high,
                       size_t first, size_t end)
{
    for (size_t i = first; i < end; i++)
        fprintf(plot->out, "%c%.1f %.1f", i == first ? 'M' : 'L', plot_x(plot, low->x[i]),
                plot_y(plot, low->y[i]));
    for (size_t i = end; i-- > first;)
        fprintf(plot->out, "L%.1f %.1f", plot_x(plot, low->x[i]), plot_y(plot, high[i]));
    fputc('Z', plot->out);
}

void plot_band(const struct plot *plot, const struct series *low, const double *high,
               const char *class)
{
    fprintf(plot->out, "<path class=\"band %s\" d=\"", class);
    for (size_t i = 0; i < low->count;) {
        size_t end = i;
        while (end < low->count && isfinite(low->y[end]) && isfinite(high[end]))
            end++;
        if (end > i)
            band_piece(plot, low, high, i, end);
        i = end + 1;
    }
    fputs("\"/>\n", plot->out);
}

void plot_label(const struct plot *plot, double x, double y, const char *class, const char *anchor,
                const char *text)
{
    fprintf(plot->out, "<text class=\"%s\" text-anchor=\"%s\" x=\"%.1f\" y=\"%.1f\">", class,
            anchor, x, y);
    html_text(text, plot->out);
    fputs("</text>\n", plot->out);
}

void plot_span(const struct plot *plot, double from, double to, const char *text, size_t row)
{
    const double left = plot_x(plot, from);
    fprintf(plot->out,
            "<rect class=\"fault\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n", left,
            plot->top, plot_x(plot, to) - left, plot->height);
    plot_label(plot, left + 4, plot->top + 14 + 15 * (double)row, "name", "start", text);
}
