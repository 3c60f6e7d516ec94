// SPDX-License-Identifier: Apache-2.0
// Charts as inline SVG, with a title and a description for those who do not see them. Colours come
// from the page's style: 'a' to 'd', 'm' for what stands back.
#ifndef COHORT_HOST_OUTPUT_CHART_H
#define COHORT_HOST_OUTPUT_CHART_H

#include <stdint.h>

#include "host/core/context.h"

typedef struct co_series {
  const char *name; // in the key; NULL = not there
  char colour;
  bool dashed, area, dots; // a filled area below; a dot at each point
  bool scattered;          // dots alone
  const double *x, *y;     // points that are not finite are left out
  int64_t count;
} co_series;

typedef struct co_axis {
  const char *label;
  double low, high; // equal = as the data have it
  bool percent;     // values are shares
} co_axis;

// Lines over numeric axes. `description` says what is to be seen.
void co_chart_lines(co_text *page, const char *title, const char *description, const co_axis *x,
                    const co_axis *y, const co_series *series, int count);

typedef struct co_bar {
  const char *name;
  double value, low, high; // low, high: a whisker; equal = none
  const char *text;        // behind the bar; NULL = the value
} co_bar;
// Horizontal bars from zero, longest first as given.
void co_chart_bars(co_text *page, const char *title, const char *description, const co_bar *bars,
                   int count, char colour);

// Beside each name a swarm of dots, (rows, count) `values` of which dots are drawn where they are, the
// higher the colour the higher its `tone` (rows, count) among those of the same name; without colour where
// that is NaN.
void co_chart_swarms(co_text *page, const char *title, const char *description,
                     const char *const *names, int count, const double *values, const double *tones,
                     int rows);

// Small columns side by side, of up to two series (each its own share of the same scale), for
// distributions. `low` and `high` are written below, may be NULL.
void co_chart_columns(co_text *page, const char *title, const char *description,
                      const double *first, const double *second, int count, const char *low,
                      const char *high);

// Vertical axes side by side, each line through its place on every one.
typedef struct co_parallel_axis {
  const char *name;       // above
  const char *low, *high; // written at its ends
} co_parallel_axis;
// `place` (lines, axes): from 0 at the bottom to 1; NaN = the line is broken there. `weight`: from 0,
// hardly to be seen, to 1; those of more weight are drawn above the others.
void co_chart_parallel(co_text *page, const char *title, const char *description,
                       const co_parallel_axis *axes, int axis_count, const double *place,
                       const double *weight, int64_t lines);

// A field of cells in steps of colour, the stronger for more, with dots above. Axes have a low and a high end.
typedef struct co_surface_chart {
  const char *title, *description;
  const co_axis *x, *y;
  int wide, high;
  const double *weight;      // (high, wide), from the lower left corner: from 0 to 1
  const double *across, *up; // of dots: where they are, as the axes say; not finite = left out
  const char (*text)[96];    // what each dot is
  int64_t count;
} co_surface_chart;
void co_chart_surface(co_text *page, const co_surface_chart *chart);

// A bar for each span, the first at the bottom, from its start to its end; one without a start has none.
typedef struct co_span {
  double start, end;
  char colour;
  char text[96]; // what it is
} co_span;
// `key`: series whose names and colours are told.
void co_chart_spans(co_text *page, const char *title, const char *description, const co_axis *x,
                    const co_axis *y, const co_span *spans, int64_t count, const co_series *key,
                    int key_count);

// A square of shares, one row a true class: darker is more. `counts` (classes, classes).
void co_chart_confusion(co_text *page, const char *title, const char *const *names, int classes,
                        const double *counts);

#endif
