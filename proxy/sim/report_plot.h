/* report_plot.h - the paper that charts are drawn on: a frame with two axes, lines, bands, labels,
 * as inline SVG. Colours are CSS classes, so that dark mode and print choose their own. Numbers
 * that are NAN break a line; nothing else than finite numbers is ever written. */
#ifndef OUTRIGGER_SIM_REPORT_PLOT_H
#define OUTRIGGER_SIM_REPORT_PLOT_H

#include <stddef.h>
#include <stdio.h>

#define PLOT_WIDTH 960
#define PLOT_LEFT 64
#define PLOT_RIGHT 190 /* room for labels at the ends of lines */

struct plot {
    FILE *out;
    double top, height;  /* of the frame, in pixels */
    double x_from, x_to; /* of the data */
    double y_from, y_to;
};

void html_text(const char *text, FILE *out);
/* Escaped for HTML, SVG and attributes. */

void plot_open(FILE *out, double height, const char *label);
/* An <svg> of PLOT_WIDTH by `height` with an accessible name. */

void plot_close(FILE *out);

void plot_axes(const struct plot *plot, const char *x_unit, const char *y_unit);
/* Grid lines and numbers at round values; no x numbers where `x_unit` is NULL. */

double plot_x(const struct plot *plot, double x);
double plot_y(const struct plot *plot, double y);

struct series {
    const double *x;
    const double *y;
    size_t count;
};

void plot_line(const struct plot *plot, const struct series *series, const char *class);

void plot_band(const struct plot *plot, const struct series *low, const double *high,
               const char *class);

void plot_label(const struct plot *plot, double x, double y, const char *class, const char *anchor,
                const char *text);
/* At pixels. */

void plot_span(const struct plot *plot, double from, double to, const char *text, size_t row);
/* A shaded part of the x axis with its name on top; `row` keeps names of overlapping spans apart.
 */

double plot_round_up(double value);
/* The next round number from there on: 1, 2 or 5 times a power of ten. */

#endif
