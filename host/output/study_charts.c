// SPDX-License-Identifier: Apache-2.0
// Charts of a study: its front, what two parameters do together, when trials ran.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host/output/chart.h"
#include "host/output/page.h"
#include "host/output/study_page.h"

// ---- the front ---------------------------------------------------------------------------------

// Sizes differ by orders of magnitude.
static bool wants_logarithm(const co_study_page *p) {
  double low = INFINITY, high = -INFINITY;
  for (int64_t i = 0; i < p->trials->count; i++) {
    const co_trial *t = &p->trials->item[i];
    if (!co_study_has_value(t) || !isfinite(t->second)) continue;
    low = fmin(low, t->second);
    high = fmax(high, t->second);
  }
  return low > 0 && high > 20 * low;
}

// The front goes by steps: between two trials of it, what both are at least as good as.
static int64_t draw_steps(const double *x, const double *y, int64_t count, double *step_x,
                          double *step_y) {
  int64_t steps = 0;
  for (int64_t i = 0; i < count; i++) {
    if (i) {
      step_x[steps] = x[i];
      step_y[steps++] = y[i - 1];
    }
    step_x[steps] = x[i];
    step_y[steps++] = y[i];
  }
  return steps;
}

co_status co_study_add_front(co_study_page *p) {
  const int64_t trials = p->trials->count, front = p->front->count;
  const bool log = wants_logarithm(p);
  char label[160];
  snprintf(label, sizeof label, log ? "log10 %s" : "%s", p->second);
  const co_axis x = {.label = p->metric}, y = {.label = label};
  double *room = co_alloc(p->ctx, 2 * (size_t)(trials + 3 * front + 1) * sizeof *room);
  if (!room) return CO_ERR_MEMORY;
  double *all_x = room, *all_y = all_x + trials, *front_x = all_y + trials,
         *front_y = front_x + front, *step_x = front_y + front, *step_y = step_x + 2 * front;
  for (int64_t i = 0; i < trials; i++) {
    const co_trial *t = &p->trials->item[i];
    all_x[i] = co_study_has_value(t) ? t->value : NAN;
    all_y[i] = log ? log10(t->second) : t->second;
  }
  for (int64_t i = 0; i < front; i++) {
    front_x[i] = all_x[p->front->number[i]];
    front_y[i] = all_y[p->front->number[i]];
  }
  const co_series series[] = {{.name = "trial",
                               .colour = 'm',
                               .dots = true,
                               .scattered = true,
                               .x = all_x,
                               .y = all_y,
                               .count = trials},
                              {.colour = 'a',
                               .x = step_x,
                               .y = step_y,
                               .count = draw_steps(front_x, front_y, front, step_x, step_y)},
                              {.name = "Pareto front",
                               .colour = 'a',
                               .dots = true,
                               .scattered = true,
                               .x = front_x,
                               .y = front_y,
                               .count = front}};
  co_page_card(&p->page, "Pareto front", "Trials that no other one beats in both goals.", false);
  co_chart_lines(&p->page, "Pareto front", "Both goals of each trial.", &x, &y, series, 3);
  co_page_card_end(&p->page);
  co_free(p->ctx, room);
  return CO_OK;
}

// ---- two parameters ----------------------------------------------------------------------------

// The axis of a parameter whose cells share it evenly; categories by their numbers.
static co_axis axis_of(const co_parameter *q, char label[160]) {
  snprintf(label, 160, q->log ? "log10 %s" : "%s", q->path);
  if (q->category_count) return (co_axis){label, -0.5, (double)q->category_count - 0.5, false};
  const double half = q->kind == CO_SPACE_INT ? q->step / 2 : 0;
  return q->log ? (co_axis){label, log10(q->lower - half), log10(q->upper + half), false}
                : (co_axis){label, q->lower - half, q->upper + half, false};
}

static double place_on(const co_axis *axis, const co_parameter *q, double value) {
  if (isnan(value)) return NAN;
  return q->category_count ? value
                           : axis->low + (axis->high - axis->low) * co_parameter_place(q, value);
}

static int64_t most_important(const co_study_page *p, int64_t but) {
  int64_t most = -1;
  for (int64_t i = 0; i < p->space->count; i++)
    if (i != but && (most < 0 || p->explained[i] > p->explained[most])) most = i;
  return most;
}

static void name_categories(char *note, size_t size, const co_parameter *q) {
  size_t used = strlen(note);
  for (int64_t k = 0; k < q->category_count && used < size - 1; k++)
    used += (size_t)snprintf(note + used, size - used, "%s%lld: %.80s", k ? ", " : " ",
                             (long long)k, q->category[k]);
}

typedef struct drawing {
  const co_parameter *a, *b;
  int64_t cells;
  double *weight, *across, *up;
  char (*text)[96];
} drawing;

// More is better. *worst, *best: what the ends stand for.
static void weigh(const co_study_page *p, drawing *d, double *worst, double *best) {
  double low = INFINITY, high = -INFINITY;
  for (int64_t i = 0; i < d->cells; i++) {
    low = fmin(low, d->weight[i]);
    high = fmax(high, d->weight[i]);
  }
  for (int64_t i = 0; i < d->cells; i++) {
    double share = high > low ? (d->weight[i] - low) / (high - low) : 0.5;
    d->weight[i] = p->maximize ? share : 1 - share;
  }
  *worst = p->maximize ? low : high;
  *best = p->maximize ? high : low;
}

static void place_trials(const co_study_page *p, drawing *d, const co_axis *x, const co_axis *y) {
  const int64_t a = d->a - p->space->item, b = d->b - p->space->item;
  for (int64_t k = 0; k < p->trials->count; k++) {
    const co_trial *t = &p->trials->item[k];
    d->across[k] = co_study_has_value(t) ? place_on(x, d->a, t->values[a]) : NAN;
    d->up[k] = place_on(y, d->b, t->values[b]);
    snprintf(d->text[k], sizeof *d->text, "trial %lld: %.6g", (long long)t->number, t->value);
  }
}

static void draw_surface(co_study_page *p, drawing *d) {
  char note[600], label_x[160], label_y[160];
  double worst, best;
  const co_axis x = axis_of(d->a, label_x), y = axis_of(d->b, label_y);
  weigh(p, d, &worst, &best);
  place_trials(p, d, &x, &y);
  snprintf(note, sizeof note,
           "The mean over all other parameters, by the forest of fANOVA: from %s to %s, the "
           "stronger the "
           "colour, the better. Dots are trials.",
           co_show(worst).text, co_show(best).text);
  name_categories(note, sizeof note, d->a);
  name_categories(note, sizeof note, d->b);
  const co_surface_chart chart = {.title = "Contour",
                                  .description = "What two parameters do together.",
                                  .x = &x,
                                  .y = &y,
                                  .wide = (int)co_surface_cells(d->a),
                                  .high = (int)co_surface_cells(d->b),
                                  .weight = d->weight,
                                  .across = d->across,
                                  .up = d->up,
                                  .text = (const char(*)[96])d->text,
                                  .count = p->trials->count};
  co_page_card(&p->page, "The two most important together", note, false);
  co_chart_surface(&p->page, &chart);
  co_page_card_end(&p->page);
}

enum { MOST_CELLS = 10000 };

co_status co_study_add_surface(co_study_page *p) {
  if (!p->forest || p->space->count < 2) return CO_OK;
  const int64_t a = most_important(p, -1), b = most_important(p, a);
  const size_t trials = (size_t)p->trials->count + 1;
  drawing d = {.a = &p->space->item[a], .b = &p->space->item[b]};
  d.cells = co_surface_cells(d.a) * co_surface_cells(d.b);
  if (d.cells > MOST_CELLS) return CO_OK; // categories too many to be told apart
  d.weight = co_alloc(p->ctx, (size_t)d.cells * sizeof *d.weight);
  d.across = co_alloc(p->ctx, trials * sizeof *d.across);
  d.up = co_alloc(p->ctx, trials * sizeof *d.up);
  d.text = co_alloc(p->ctx, trials * sizeof *d.text);
  co_status status = d.weight && d.across && d.up && d.text ? CO_OK : CO_ERR_MEMORY;
  if (status == CO_OK) status = co_forest_surface(d.weight, p->forest, a, b);
  if (status == CO_OK) draw_surface(p, &d);
  co_free(p->ctx, d.weight);
  co_free(p->ctx, d.across);
  co_free(p->ctx, d.up);
  co_free(p->ctx, d.text);
  return status;
}

// ---- the timeline ------------------------------------------------------------------------------

// Seconds of "2026-01-31 23:59:59.000000", as the database has times; NaN.
static double seconds_of(const char *text) {
  struct tm t = {.tm_year = 0};
  double seconds;
  if (!text || sscanf(text, "%d-%d-%d%*1[ T]%d:%d:%lf", &t.tm_year, &t.tm_mon, &t.tm_mday,
                      &t.tm_hour, &t.tm_min, &seconds) != 6)
    return NAN;
  t.tm_year -= 1900;
  t.tm_mon--;
  return (double)timegm(&t) + seconds;
}

static char colour_of(co_trial_state state) {
  static const char colours[] = {[CO_TRIAL_RUNNING] = 'c',
                                 [CO_TRIAL_COMPLETE] = 'a',
                                 [CO_TRIAL_PRUNED] = 'm',
                                 [CO_TRIAL_FAIL] = 'b',
                                 [CO_TRIAL_WAITING] = 'm'};
  return colours[state];
}

// From the first start on, in a unit in which there is not much to read. What still runs goes up to the
// last that is known. The unit's name; NULL where no trial has a time.
static const char *place_spans(const co_study_page *p, co_span *spans) {
  static const struct {
    const char *label;
    double seconds;
  } units[] = {{"seconds", 1}, {"minutes", 60}, {"hours", 3600}, {"days", 86400}};
  double first = INFINITY, last = -INFINITY;
  int unit = 0;
  for (int64_t i = 0; i < p->trials->count; i++) {
    const co_trial *t = &p->trials->item[i];
    co_span *s = &spans[i];
    *s = (co_span){seconds_of(t->started), seconds_of(t->ended), colour_of(t->state), ""};
    snprintf(s->text, sizeof s->text, "trial %lld, %s: %.6g s", (long long)t->number,
             co_trial_state_name(t->state), s->end - s->start);
    first = fmin(first, s->start);
    last = fmax(last, fmax(s->start, s->end));
  }
  if (!isfinite(first)) return NULL;
  while (unit < 3 && last - first > 3 * units[unit + 1].seconds)
    unit++;
  for (int64_t i = 0; i < p->trials->count; i++) {
    co_span *s = &spans[i];
    if (isnan(s->end)) s->end = last;
    s->start = (s->start - first) / units[unit].seconds;
    s->end = (s->end - first) / units[unit].seconds;
  }
  return units[unit].label;
}

co_status co_study_add_timeline(co_study_page *p) {
  static const co_series key[] = {{.name = "complete", .colour = 'a'},
                                  {.name = "pruned", .colour = 'm'},
                                  {.name = "failed", .colour = 'b'},
                                  {.name = "running", .colour = 'c'}};
  co_span *spans = co_alloc(p->ctx, (size_t)(p->trials->count + 1) * sizeof *spans);
  if (!spans) return CO_ERR_MEMORY;
  const co_axis x = {.label = place_spans(p, spans)}, y = {.label = "trial"};
  if (x.label) {
    co_page_card(&p->page, "Timeline", "When each trial ran, since the first one began.", false);
    co_chart_spans(&p->page, "Timeline", "When each trial began and ended.", &x, &y, spans,
                   p->trials->count, key, 4);
    co_page_card_end(&p->page);
  }
  co_free(p->ctx, spans);
  return CO_OK;
}
