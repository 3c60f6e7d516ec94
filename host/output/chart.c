// SPDX-License-Identifier: Apache-2.0
#include "host/output/chart.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "host/output/page.h"

enum { WIDTH = 460, HEIGHT = 270, LEFT = 50, RIGHT = 12, TOP = 10, BOTTOM = 42 };

static void open_svg(co_text *page, const char *title, const char *description, int width,
                     int height) {
  co_text_printf(page, "<svg viewBox=\"0 0 %d %d\" role=\"img\"><title>", width, height);
  co_page_text(page, title);
  co_text_printf(page, "</title><desc>");
  co_page_text(page, description ? description : "");
  co_text_printf(page, "</desc>\n");
}

// ---- axes --------------------------------------------------------------------------------------

typedef struct scale {
  double low, high, step;
  int from, to; // pixels
} scale;

// Ticks at 1, 2 or 5 times a power of ten (Heckbert, "Nice numbers for graph labels", 1990).
static double nice_step(double range, int ticks) {
  double raw = range / ticks, power = pow(10, floor(log10(raw))), digit = raw / power;
  return power * (digit <= 1 ? 1 : digit <= 2 ? 2 : digit <= 5 ? 5 : 10);
}

static scale make_scale(const co_axis *axis, double low, double high, int ticks, int from, int to) {
  if (axis->low != axis->high) {
    low = axis->low;
    high = axis->high;
  } else if (!(high > low)) {
    double about = isfinite(low) && low != 0 ? fabs(low) : 1;
    low = isfinite(low) ? low - about / 2 : 0;
    high = low + about;
  }
  double step = nice_step(high - low, ticks);
  if (axis->low == axis->high) {
    low = step * floor(low / step + 1e-9);
    high = step * ceil(high / step - 1e-9);
  }
  return (scale){low, high, step, from, to};
}

static double place(const scale *s, double value) {
  double share = (value - s->low) / (s->high - s->low);
  share = share < 0 ? 0 : share > 1 ? 1 : share;
  return s->from + share * (s->to - s->from);
}

static void tick_text(char out[32], const co_axis *axis, double value, double step) {
  if (fabs(value) < step / 1e6) value = 0;
  if (axis->percent)
    snprintf(out, 32, "%.*f%%", step < 0.0099 ? 1 : 0, 100 * value);
  else if (fabs(value) >= 1e9 || (value != 0 && fabs(value) < 1e-4))
    snprintf(out, 32, "%.3g", value);
  else if (fabs(value) >= 1e6 && step >= 1e5)
    snprintf(out, 32, "%.4gM", value / 1e6);
  else if (fabs(value) >= 1e4 && step >= 1e3)
    snprintf(out, 32, "%.4gk", value / 1e3);
  else
    snprintf(out, 32, "%.6g", value);
}

static void draw_axes(co_text *page, const scale *x, const scale *y, const co_axis *x_axis,
                      const co_axis *y_axis) {
  char text[32];
  for (double v = y->step * ceil(y->low / y->step - 1e-9); v <= y->high + y->step / 1e6;
       v += y->step) {
    double at = place(y, v);
    tick_text(text, y_axis, v, y->step);
    co_text_printf(page,
                   "<line class=\"gr\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/><text x=\"%d\" "
                   "y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
                   x->from, x->to, at, at, x->from - 7, at + 3.8, text);
  }
  for (double v = x->step * ceil(x->low / x->step - 1e-9); v <= x->high + x->step / 1e6;
       v += x->step) {
    tick_text(text, x_axis, v, x->step);
    co_text_printf(page, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n",
                   place(x, v), y->from + 16, text);
  }
  co_text_printf(page, "<line class=\"ax\" x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%d\"/>\n", x->from,
                 x->to, y->from, y->from);
  co_text_printf(page, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">", (x->from + x->to) / 2,
                 HEIGHT - 6);
  co_page_text(page, x_axis->label);
  co_text_printf(page,
                 "</text><text transform=\"translate(11 %d) rotate(-90)\" "
                 "text-anchor=\"middle\">",
                 (y->from + y->to) / 2);
  co_page_text(page, y_axis->label);
  co_text_printf(page, "</text>\n");
}

static void draw_key(co_text *page, const co_series *series, int count) {
  int named = 0;
  for (int i = 0; i < count; i++)
    named += series[i].name != NULL;
  if (!named) return;
  co_text_printf(page, "<ul class=\"key\">");
  for (int i = 0; i < count; i++) {
    if (!series[i].name) continue;
    co_text_printf(page, "<li><i class=\"k%c\"></i>", series[i].colour);
    co_page_text(page, series[i].name);
    co_text_printf(page, "</li>");
  }
  co_text_printf(page, "</ul>\n");
}

// ---- lines -------------------------------------------------------------------------------------

// A path with as many points as can be told apart.
static void draw_path(co_text *page, const co_series *s, const scale *x, const scale *y,
                      bool closed) {
  double last_x = -1e9, last_y = -1e9, end_x = 0;
  bool begun = false;
  if (closed)
    co_text_printf(page, "<path class=\"ar\" d=\"");
  else
    co_text_printf(page, "<path class=\"ln%s s%c\" d=\"", s->dashed ? " da" : "", s->colour);
  for (int64_t i = 0; i < s->count; i++) {
    if (!isfinite(s->x[i]) || !isfinite(s->y[i])) continue;
    double px = place(x, s->x[i]), py = place(y, s->y[i]);
    if (begun && i + 1 < s->count && hypot(px - last_x, py - last_y) < 1) continue;
    if (!begun && closed) co_text_printf(page, "M%.1f %dL", px, y->from);
    co_text_printf(page, "%s%.1f %.1f", begun ? "L" : closed ? "" : "M", px, py);
    begun = true;
    last_x = end_x = px;
    last_y = py;
  }
  if (closed && begun) co_text_printf(page, "L%.1f %dZ", end_x, y->from);
  co_text_printf(page, "\"/>\n");
}

static void draw_dots(co_text *page, const co_series *s, const scale *x, const scale *y,
                      const co_axis *x_axis, const co_axis *y_axis) {
  char at[32], value[32];
  for (int64_t i = 0; i < s->count; i++) {
    if (!isfinite(s->x[i]) || !isfinite(s->y[i])) continue;
    tick_text(at, x_axis, s->x[i], 1e-3);
    tick_text(value, y_axis, s->y[i], 1e-3);
    co_text_printf(page,
                   "<circle class=\"f%c\" cx=\"%.1f\" cy=\"%.1f\" r=\"3.2\"><title>%s: %s"
                   "</title></circle>\n",
                   s->colour, place(x, s->x[i]), place(y, s->y[i]), at, value);
  }
}

void co_chart_lines(co_text *page, const char *title, const char *description, const co_axis *x,
                    const co_axis *y, const co_series *series, int count) {
  double low[2] = {INFINITY, INFINITY}, high[2] = {-INFINITY, -INFINITY};
  for (int i = 0; i < count; i++)
    for (int64_t k = 0; k < series[i].count; k++) {
      double point[2] = {series[i].x[k], series[i].y[k]};
      if (!isfinite(point[0]) || !isfinite(point[1])) continue;
      for (int d = 0; d < 2; d++) {
        low[d] = point[d] < low[d] ? point[d] : low[d];
        high[d] = point[d] > high[d] ? point[d] : high[d];
      }
    }
  scale sx = make_scale(x, low[0], high[0], 5, LEFT, WIDTH - RIGHT);
  scale sy = make_scale(y, low[1], high[1], 5, HEIGHT - BOTTOM, TOP);
  if (x->low == x->high && high[0] > low[0]) { // no room beside steps
    sx.low = low[0];
    sx.high = high[0];
  }
  open_svg(page, title, description, WIDTH, HEIGHT);
  draw_axes(page, &sx, &sy, x, y);
  for (int i = 0; i < count; i++) {
    if (series[i].area) draw_path(page, &series[i], &sx, &sy, true);
    if (!series[i].scattered) draw_path(page, &series[i], &sx, &sy, false);
    if (series[i].dots) draw_dots(page, &series[i], &sx, &sy, x, y);
  }
  co_text_printf(page, "</svg>\n");
  draw_key(page, series, count);
}

// ---- surfaces ----------------------------------------------------------------------------------

enum { STEPS = 8 };

static int step_of(const co_surface_chart *c, int row, int column) {
  int step = (int)(c->weight[(int64_t)row * c->wide + column] * STEPS);
  return step < STEPS ? step : STEPS - 1;
}

// Neighbours of one colour are one rectangle.
static void draw_cells(co_text *page, const co_surface_chart *c, const scale *x, const scale *y) {
  const double wide = (double)(x->to - x->from) / c->wide,
               tall = (double)(y->from - y->to) / c->high;
  for (int row = 0; row < c->high; row++)
    for (int column = 0, end; column < c->wide; column = end) {
      const int step = step_of(c, row, column);
      for (end = column + 1; end < c->wide && step_of(c, row, end) == step; end++) {
      }
      co_text_printf(page,
                     "<rect style=\"fill:rgba(var(--heat),%.2f)\" shape-rendering=\"crispEdges\" "
                     "x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\"/>\n",
                     0.06 + 0.84 * step / (STEPS - 1.0), x->from + column * wide,
                     y->from - (row + 1) * tall, (end - column) * wide, tall);
    }
}

void co_chart_surface(co_text *page, const co_surface_chart *c) {
  const scale x = make_scale(c->x, 0, 1, 5, LEFT, WIDTH - RIGHT),
              y = make_scale(c->y, 0, 1, 5, HEIGHT - BOTTOM, TOP);
  open_svg(page, c->title, c->description, WIDTH, HEIGHT);
  draw_axes(page, &x, &y, c->x, c->y);
  draw_cells(page, c, &x, &y);
  for (int64_t i = 0; i < c->count; i++) {
    if (!isfinite(c->across[i]) || !isfinite(c->up[i])) continue;
    co_text_printf(page, "<circle class=\"fb\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.4\"><title>",
                   place(&x, c->across[i]), place(&y, c->up[i]));
    co_page_text(page, c->text[i]);
    co_text_printf(page, "</title></circle>\n");
  }
  co_text_printf(page, "</svg>\n");
}

// ---- spans -------------------------------------------------------------------------------------

void co_chart_spans(co_text *page, const char *title, const char *description, const co_axis *x,
                    const co_axis *y, const co_span *spans, int64_t count, const co_series *key,
                    int key_count) {
  double last = 0;
  for (int64_t i = 0; i < count; i++)
    if (isfinite(spans[i].end)) last = fmax(last, spans[i].end);
  const co_axis lines = {.label = y->label, .low = -0.5, .high = (double)count - 0.5};
  scale across = make_scale(x, 0, last, 5, LEFT, WIDTH - RIGHT),
        up = make_scale(&lines, 0, 1, 5, HEIGHT - BOTTOM, TOP);
  up.step = fmax(up.step, 1);
  open_svg(page, title, description, WIDTH, HEIGHT);
  draw_axes(page, &across, &up, x, &lines);
  for (int64_t i = 0; i < count; i++) {
    if (!isfinite(spans[i].start)) continue;
    double from = place(&across, spans[i].start), to = place(&across, spans[i].end);
    double top = place(&up, (double)i + 0.4), bottom = place(&up, (double)i - 0.4);
    co_text_printf(page,
                   "<rect class=\"f%c\" x=\"%.1f\" y=\"%.2f\" width=\"%.1f\" "
                   "height=\"%.2f\"><title>",
                   spans[i].colour, from, top, fmax(to - from, 0.8), fmax(bottom - top, 0.6));
    co_page_text(page, spans[i].text);
    co_text_printf(page, "</title></rect>\n");
  }
  co_text_printf(page, "</svg>\n");
  draw_key(page, key, key_count);
}

// ---- bars --------------------------------------------------------------------------------------

// Bytes of a name that fit, whole characters only.
static void short_name(char out[64], const char *name, size_t most) {
  size_t bytes = 0, characters = 0, last = 0;
  while (name[bytes] && bytes < 56 && characters < most) {
    do
      bytes++;
    while (((unsigned char)name[bytes] & 0xC0) == 0x80);
    last = ++characters < most ? bytes : last;
  }
  snprintf(out, 64, name[bytes] ? "%.*s…" : "%.*s", (int)(name[bytes] ? last : bytes), name);
}

void co_chart_bars(co_text *page, const char *title, const char *description, const co_bar *bars,
                   int count, char colour) {
  enum { ROW = 24, NAMES = 150, ROOM = 62 };
  double low = 0, high = 0;
  char name[64];
  for (int i = 0; i < count; i++) {
    low = fmin(low, fmin(bars[i].value, bars[i].low));
    high = fmax(high, fmax(bars[i].value, bars[i].high));
  }
  if (!(high > low)) high = low + 1;
  scale x = {low, high, 1, NAMES, WIDTH - ROOM};
  open_svg(page, title, description, WIDTH, count * ROW + 4);
  for (int i = 0; i < count; i++) {
    double zero = place(&x, 0), end = place(&x, bars[i].value), y = i * ROW + 4;
    short_name(name, bars[i].name, 22);
    co_text_printf(page, "<text class=\"lb\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\"><title>",
                   NAMES - 8, y + 13);
    co_page_text(page, bars[i].name);
    co_text_printf(page, "</title>");
    co_page_text(page, name);
    co_text_printf(page,
                   "</text><rect class=\"f%c\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
                   "height=\"14\" rx=\"2\"/>",
                   colour, fmin(zero, end), y + 2, fmax(fabs(end - zero), 0.6));
    double edge = fmax(zero, end);
    if (bars[i].high > bars[i].low) {
      double a = place(&x, bars[i].low), b = place(&x, bars[i].high);
      co_text_printf(page,
                     "<line class=\"sm\" stroke-width=\"1.5\" x1=\"%.1f\" x2=\"%.1f\" "
                     "y1=\"%.1f\" y2=\"%.1f\"/>",
                     a, b, y + 9, y + 9);
      edge = fmax(edge, b);
    }
    co_text_printf(page, "<text x=\"%.1f\" y=\"%.1f\">", edge + 6, y + 13);
    co_page_text(page, bars[i].text ? bars[i].text : co_show(bars[i].value).text);
    co_text_printf(page, "</text>\n");
  }
  co_text_printf(page, "</svg>\n");
}

// ---- swarms ------------------------------------------------------------------------------------

// By the share of rows with a lower tone, ties half: orange for the upper third, blue for the lower.
static char colour_of(const double *tones, int count, int rows, double tone) {
  double below = 0, all = 0;
  for (int row = 0; row < rows; row++) {
    double other = tones[row * count];
    below += other < tone ? 1 : other == tone ? 0.5 : 0;
    all += !isnan(other);
  }
  if (isnan(tone)) return 'm';
  return 3 * below > 2 * all ? 'b' : 3 * below < all ? 'a' : 'm';
}

// Dots at the same place go above and below each other, as far as there is room.
static void draw_swarm(co_text *page, const scale *x, const double *values, const double *tones,
                       int count, int rows, double middle, double room) {
  enum { CELL = 3 };
  for (const char *colour = "mab"; *colour; colour++) {
    int there[WIDTH / CELL + 1] = {0};
    bool begun = false;
    for (int row = 0; row < rows; row++) {
      double at = place(x, values[row * count]);
      int n = there[(int)at / CELL]++;
      double off = fmin((n + 1) / 2 * 2.6, room);
      if (colour_of(tones, count, rows, tones[row * count]) != *colour) continue;
      if (!begun) co_text_printf(page, "<path class=\"dt s%c\" d=\"", *colour);
      co_text_printf(page, "M%.1f %.1fh0", at, n % 2 ? middle - off : middle + off);
      begun = true;
    }
    if (begun) co_text_printf(page, "\"/>\n");
  }
}

void co_chart_swarms(co_text *page, const char *title, const char *description,
                     const char *const *names, int count, const double *values, const double *tones,
                     int rows) {
  enum { ROW = 30, NAMES = 150, BELOW = 24 };
  const co_axis axis = {.label = NULL};
  double low = 0, high = 0;
  char name[64], tick[32];
  for (int i = 0; i < rows * count; i++) {
    low = fmin(low, values[i]);
    high = fmax(high, values[i]);
  }
  scale x = make_scale(&axis, low, high, 5, NAMES, WIDTH - 8);
  open_svg(page, title, description, WIDTH, count * ROW + BELOW);
  for (double at = x.low; at <= x.high + x.step / 2; at += x.step) {
    double pixel = place(&x, at);
    tick_text(tick, &axis, at, x.step);
    co_text_printf(
        page,
        "<line class=\"%s\" x1=\"%.1f\" x2=\"%.1f\" y1=\"0\" y2=\"%d\"/><text x=\"%.1f\" "
        "y=\"%d\" text-anchor=\"middle\">%s</text>\n",
        fabs(at) < x.step / 2 ? "sm" : "gr", pixel, pixel, count * ROW, pixel, count * ROW + 16,
        tick);
  }
  for (int i = 0; i < count; i++) {
    double middle = i * ROW + ROW / 2.0;
    short_name(name, names[i], 22);
    co_text_printf(page, "<text class=\"lb\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\"><title>",
                   NAMES - 8, middle + 4);
    co_page_text(page, names[i]);
    co_text_printf(page, "</title>");
    co_page_text(page, name);
    co_text_printf(page, "</text>");
    draw_swarm(page, &x, values + i, tones + i, count, rows, middle, ROW / 2.0 - 3);
  }
  co_text_printf(page, "</svg>\n");
}

// ---- columns -----------------------------------------------------------------------------------

void co_chart_columns(co_text *page, const char *title, const char *description,
                      const double *first, const double *second, int count, const char *low,
                      const char *high) {
  enum { WIDE = 280, HIGH = 64, BELOW = 16 };
  double most = 0, step = count ? (double)WIDE / count : WIDE;
  for (int i = 0; i < count; i++)
    most = fmax(most, fmax(first[i], second ? second[i] : 0));
  open_svg(page, title, description, WIDE, HIGH + BELOW);
  for (int i = 0; i < count; i++)
    for (int k = 0; k < (second ? 2 : 1); k++) {
      double value = k ? second[i] : first[i], tall = most > 0 ? value / most * (HIGH - 2) : 0;
      double wide = second ? step * .42 : step * .86;
      if (!(value > 0)) continue;
      co_text_printf(page,
                     "<rect class=\"f%c\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
                     "height=\"%.1f\"/>",
                     k ? 'b' : 'a', i * step + step * .07 + k * step * .43, HIGH - fmax(tall, .8),
                     wide, fmax(tall, .8));
    }
  co_text_printf(page, "<line class=\"ax\" x1=\"0\" x2=\"%d\" y1=\"%d\" y2=\"%d\"/>", WIDE, HIGH,
                 HIGH);
  if (low) {
    co_text_printf(page, "<text x=\"0\" y=\"%d\">", HIGH + 13);
    co_page_text(page, low);
    co_text_printf(page, "</text>");
  }
  if (high) {
    co_text_printf(page, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">", WIDE, HIGH + 13);
    co_page_text(page, high);
    co_text_printf(page, "</text>");
  }
  co_text_printf(page, "</svg>\n");
}

// ---- parallel coordinates ------------------------------------------------------------------------

enum { PARALLEL_WIDTH = 960, PARALLEL_HEIGHT = 300, PARALLEL_TOP = 34, PARALLEL_BOTTOM = 22 };

static double axis_x(int axis, int count) {
  const double side = 60;
  return count < 2 ? PARALLEL_WIDTH / 2.0
                   : side + (PARALLEL_WIDTH - 2 * side) * axis / (double)(count - 1);
}

static void draw_parallel_line(co_text *page, const double *place, int axes, double weight) {
  const double tall = PARALLEL_HEIGHT - PARALLEL_TOP - PARALLEL_BOTTOM;
  bool begun = false;
  co_text_printf(page, "<path class=\"ln sa\" style=\"stroke-width:1.2;opacity:%.2f\" d=\"",
                 0.08 + 0.8 * weight);
  for (int i = 0; i < axes; i++) {
    if (isfinite(place[i]))
      co_text_printf(page, "%s%.1f %.1f", begun ? "L" : "M", axis_x(i, axes),
                     PARALLEL_TOP + (1 - place[i]) * tall);
    begun = isfinite(place[i]);
  }
  co_text_printf(page, "\"/>\n");
}

static void draw_parallel_axis(co_text *page, const co_parallel_axis *axis, double x, int count) {
  char name[64];
  const int bottom = PARALLEL_HEIGHT - PARALLEL_BOTTOM;
  short_name(name, axis->name, count > 6 ? 12 : 22);
  co_text_printf(
      page,
      "<line class=\"sm\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/><text class=\"lb\" "
      "x=\"%.1f\" y=\"12\" text-anchor=\"middle\"><title>",
      x, x, PARALLEL_TOP, bottom, x);
  co_page_text(page, axis->name);
  co_text_printf(page, "</title>");
  co_page_text(page, name);
  co_text_printf(page, "</text><text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">", x,
                 PARALLEL_TOP - 7);
  co_page_text(page, axis->high);
  co_text_printf(page, "</text><text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">", x, bottom + 14);
  co_page_text(page, axis->low);
  co_text_printf(page, "</text>\n");
}

void co_chart_parallel(co_text *page, const char *title, const char *description,
                       const co_parallel_axis *axes, int axis_count, const double *place,
                       const double *weight, int64_t lines) {
  enum { LAYERS = 8 };
  open_svg(page, title, description, PARALLEL_WIDTH, PARALLEL_HEIGHT);
  for (int layer = 0; layer < LAYERS; layer++)
    for (int64_t i = 0; i < lines; i++) {
      int own = (int)(weight[i] * LAYERS);
      if ((own < LAYERS ? own : LAYERS - 1) == layer)
        draw_parallel_line(page, place + i * axis_count, axis_count, weight[i]);
    }
  for (int i = 0; i < axis_count; i++)
    draw_parallel_axis(page, &axes[i], axis_x(i, axis_count), axis_count);
  co_text_printf(page, "</svg>\n");
}

// ---- confusion ---------------------------------------------------------------------------------

void co_chart_confusion(co_text *page, const char *title, const char *const *names, int classes,
                        const double *counts) {
  char name[64];
  co_text_printf(page, "<div class=\"scroll\" tabindex=\"0\"><table><caption>");
  co_page_text(page, title);
  co_text_printf(page, "</caption><thead><tr><th scope=\"col\">true \\ predicted</th>");
  for (int k = 0; k < classes; k++) {
    short_name(name, names[k], 12);
    co_text_printf(page, "<th scope=\"col\">");
    co_page_text(page, name);
    co_text_printf(page, "</th>");
  }
  co_text_printf(page, "<th scope=\"col\">recall</th></tr></thead><tbody>\n");
  for (int i = 0; i < classes; i++) {
    double rows = 0;
    for (int k = 0; k < classes; k++)
      rows += counts[i * classes + k];
    co_page_row(page, names[i]);
    for (int k = 0; k < classes; k++) {
      double share = rows > 0 ? counts[i * classes + k] / rows : 0;
      co_text_printf(page, "<td class=\"h\" style=\"background:rgba(var(--heat),%.3f)\">%s</td>",
                     0.75 * share, co_show(counts[i * classes + k]).text);
    }
    co_page_cell(page, "%s", co_show_percent(rows > 0 ? counts[i * classes + i] / rows : NAN).text);
    co_page_row_end(page);
  }
  co_page_table_end(page);
}
