// SPDX-License-Identifier: Apache-2.0
#include "host/output/study_page.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/output/chart.h"
#include "host/output/page.h"

enum { MOST_COLUMNS = 12, MOST_ROWS = 2000 };

static bool is_better(const co_study_page *p, double a, double b) {
  return p->maximize ? a > b : a < b;
}

static int64_t count_state(const co_study_page *p, co_trial_state state) {
  int64_t count = 0;
  for (int64_t i = 0; i < p->trials->count; i++)
    count += p->trials->item[i].state == state;
  return count;
}

// ---- overview and history ------------------------------------------------------------------------

// The trials that no other one beats in both goals.
static void add_front_table(co_study_page *p) {
  const char *heads[MOST_COLUMNS + 4] = {"trial of the front", p->metric, p->second};
  int64_t columns = p->space->count < MOST_COLUMNS ? p->space->count : MOST_COLUMNS;
  for (int64_t i = 0; i < columns; i++)
    heads[3 + i] = p->space->item[i].path;
  co_page_table(&p->page, NULL, heads);
  for (int64_t k = 0; k < p->front->count && k < MOST_ROWS; k++) {
    const co_trial *t = &p->trials->item[p->front->number[k]];
    char text[96];
    snprintf(text, sizeof text, "%lld", (long long)t->number);
    co_page_row(&p->page, text);
    co_page_cell(&p->page, "%s", co_show(t->value).text);
    co_page_cell(&p->page, "%s", co_show(t->second).text);
    for (int64_t i = 0; i < columns; i++) {
      co_parameter_print_value(text, &p->space->item[i], t->values[i]);
      co_page_cell(&p->page, "%s", text);
    }
    co_page_row_end(&p->page);
  }
  co_page_table_end(&p->page);
}

static void add_overview(co_study_page *p) {
  co_text *page = &p->page;
  char note[64];
  co_page_section(
      page, "overview", "What was found",
      "Measured on validation rows, which the search has seen as often as it had trials: "
      "on new rows the best one is rather worse.");
  co_page_tiles(page);
  if (p->best >= 0) {
    snprintf(note, sizeof note, "of trial %lld", (long long)p->best);
    co_page_tile(page, p->metric, co_show(p->trials->item[p->best].value).text, note);
  }
  co_page_tile(page, "trials", co_show((double)p->trials->count).text, NULL);
  co_page_tile(page, "complete", co_show((double)count_state(p, CO_TRIAL_COMPLETE)).text, NULL);
  co_page_tile(page, "pruned", co_show((double)count_state(p, CO_TRIAL_PRUNED)).text, NULL);
  co_page_tile(page, "failed", co_show((double)count_state(p, CO_TRIAL_FAIL)).text, NULL);
  co_page_tiles_end(page);
  if (p->best >= 0) {
    static const char *const heads[] = {"parameter of the best", "value", NULL};
    char text[96];
    co_page_table(page, NULL, heads);
    for (int64_t i = 0; i < p->space->count; i++) {
      co_parameter_print_value(text, &p->space->item[i], p->trials->item[p->best].values[i]);
      co_page_row(page, p->space->item[i].path);
      co_page_cell(page, "%s", text);
      co_page_row_end(page);
    }
    co_page_table_end(page);
  }
  if (p->second && p->front->count) add_front_table(p);
  co_page_section_end(page);
}

// The middle of the trials, so that one that went wrong does not flatten all others.
static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

// Of a goal, 0 or 1; NaN of a trial without.
static double value_of(const co_trial *t, int goal) {
  double value = goal ? t->second : t->value;
  return co_study_has_value(t) && isfinite(value) ? value : NAN;
}

static co_status value_range(const co_study_page *p, int goal, co_axis *axis) {
  const bool maximize = goal ? p->maximize_second : p->maximize;
  int64_t count = 0;
  axis->label = goal ? p->second : p->metric;
  double *values = co_alloc(p->ctx, (size_t)(p->trials->count + 1) * sizeof *values);
  if (!values) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < p->trials->count; i++)
    if (!isnan(value_of(&p->trials->item[i], goal)))
      values[count++] = value_of(&p->trials->item[i], goal);
  qsort(values, (size_t)count, sizeof *values, ascending);
  if (count) {
    double low = values[0], high = values[count - 1], quarter = values[count / 4],
           three = values[count - 1 - count / 4], reach = 4 * (three - quarter);
    if (maximize && reach > 0) low = fmax(low, quarter - reach);
    if (!maximize && reach > 0) high = fmin(high, three + reach);
    double room = 0.04 * (high - low);
    axis->low = low - room;
    axis->high = high + room;
  }
  co_free(p->ctx, values);
  return CO_OK;
}

static co_status add_history(co_study_page *p, const co_axis *y) {
  const int64_t count = p->trials->count;
  const co_axis x = {.label = "trial"};
  double best = NAN;
  double *room = co_alloc(p->ctx, (size_t)(3 * count + 1) * sizeof *room);
  if (!room) return CO_ERR_MEMORY;
  double *number = room, *value = room + count, *so_far = room + 2 * count;
  for (int64_t i = 0; i < count; i++) {
    const co_trial *t = &p->trials->item[i];
    number[i] = (double)i;
    value[i] = co_study_has_value(t) ? t->value : NAN;
    if (co_study_has_value(t) && (isnan(best) || is_better(p, t->value, best))) best = t->value;
    so_far[i] = best;
  }
  const co_series series[] = {
      {.name = "trial",
       .colour = 'm',
       .dots = true,
       .scattered = true,
       .x = number,
       .y = value,
       .count = count},
      {.name = "best so far", .colour = 'a', .x = number, .y = so_far, .count = count}};
  co_page_card(&p->page, "History", NULL, false);
  co_chart_lines(&p->page, "History", "The value of each trial, and the best so far.", &x, y,
                 series, 2);
  co_page_card_end(&p->page);
  co_free(p->ctx, room);
  return CO_OK;
}

// Values on the way, of each trial a line; the best one's stands out.
static co_status add_curves(co_study_page *p, const co_axis *y) {
  const co_axis x = {.label = "epoch"};
  int64_t steps = 0, lines = 0, at = 0;
  for (int64_t i = 0; i < p->trials->count; i++) {
    steps += p->trials->item[i].step_count;
    lines += p->trials->item[i].step_count > 1;
  }
  if (lines < 1 || lines > 1000) return CO_OK;
  double *room = co_alloc(p->ctx, (size_t)(2 * steps + 1) * sizeof *room);
  co_series *series = co_alloc_zero(p->ctx, (size_t)lines + 1, sizeof *series);
  lines = 0;
  for (int pass = 0; room && series && pass < 2; pass++)
    for (int64_t i = 0; i < p->trials->count; i++) {
      const co_trial *t = &p->trials->item[i];
      if (t->step_count < 2 || (i == p->best) != (pass == 1)) continue;
      for (int64_t k = 0; k < t->step_count; k++) {
        room[at + k] = (double)t->steps[k].step;
        room[steps + at + k] = t->steps[k].value;
      }
      series[lines++] = (co_series){.name = pass ? "the best trial" : NULL,
                                    .colour = pass ? 'a' : 'm',
                                    .dashed = !pass,
                                    .x = room + at,
                                    .y = room + steps + at,
                                    .count = t->step_count};
      at += t->step_count;
    }
  co_page_card(&p->page, "Values on the way",
               p->best >= 0 ? "By epoch; of the best trial in colour." : "By epoch.", false);
  if (room && series)
    co_chart_lines(&p->page, "Values on the way", "The metric of each trial by epoch.", &x, y,
                   series, (int)lines);
  co_page_card_end(&p->page);
  co_status status = room && series ? CO_OK : CO_ERR_MEMORY;
  co_free(p->ctx, series);
  co_free(p->ctx, room);
  return status;
}

// ---- parameters --------------------------------------------------------------------------------

static int by_value(const void *a, const void *b) {
  double x = ((const co_bar *)a)->value, y = ((const co_bar *)b)->value;
  return (x < y) - (x > y);
}

// The end of its path, unless another one's has the same.
static const char *short_name(const co_space *space, int64_t i) {
  const char *name = co_parameter_name(&space->item[i]);
  for (int64_t k = 0; k < space->count; k++)
    if (k != i && strcmp(co_parameter_name(&space->item[k]), name) == 0) return space->item[i].path;
  return name;
}

static co_status add_importance(co_study_page *p, const char *title, const char *note,
                                const double *shares) {
  co_bar *bars = co_alloc_zero(p->ctx, (size_t)p->space->count, sizeof *bars);
  co_number_text *texts = co_alloc_zero(p->ctx, (size_t)p->space->count, sizeof *texts);
  if (bars && texts) {
    for (int64_t i = 0; i < p->space->count; i++) {
      texts[i] = co_show_percent(shares[i]);
      bars[i] =
          (co_bar){.name = short_name(p->space, i), .value = shares[i], .text = texts[i].text};
    }
    qsort(bars, (size_t)p->space->count, sizeof *bars, by_value);
    co_page_card(&p->page, title, note, false);
    co_chart_bars(&p->page, title, "The share of each parameter.", bars, (int)p->space->count, 'a');
    co_page_card_end(&p->page);
  }
  co_status status = bars && texts ? CO_OK : CO_ERR_MEMORY;
  co_free(p->ctx, bars);
  co_free(p->ctx, texts);
  return status;
}

static void fill_axes(const co_study_page *p, co_parallel_axis *axes, char (*text)[96],
                      const co_axis *y) {
  for (int64_t i = 0; i < p->space->count; i++) {
    const co_parameter *q = &p->space->item[i];
    co_parameter_print_value(text[2 * i], q, q->lower);
    co_parameter_print_value(text[2 * i + 1], q, q->upper);
    axes[i] = (co_parallel_axis){co_parameter_name(q), text[2 * i], text[2 * i + 1]};
  }
  for (int goal = 0; goal < (p->second ? 2 : 1); goal++) {
    char(*ends)[96] = text + 2 * (p->space->count + goal);
    snprintf(ends[0], 96, "%.4g", y[goal].low);
    snprintf(ends[1], 96, "%.4g", y[goal].high);
    axes[p->space->count + goal] = (co_parallel_axis){y[goal].label, ends[0], ends[1]};
  }
}

// Where a value lies between the ends, as the axis is labelled.
static double place_of(const co_parameter *q, double value) {
  if (q->category_count) return q->upper > 0 ? value / q->upper : 0.5;
  if (!(q->upper > q->lower)) return 0.5;
  return q->log ? (log(value) - log(q->lower)) / (log(q->upper) - log(q->lower))
                : (value - q->lower) / (q->upper - q->lower);
}

static double place_on(const co_axis *y, double value) {
  double at = y->high > y->low ? (value - y->low) / (y->high - y->low) : 0.5;
  return fmax(0, fmin(1, at));
}

// How dark its line is: by the goal, of two by whether it is of the front.
static double weight_of(const co_study_page *p, const co_trial *t, const co_axis *y) {
  double at = place_on(y, t->value), good = p->maximize ? at : 1 - at;
  if (!p->second) return good * good * good;
  for (int64_t i = 0; i < p->front->count; i++)
    if (p->front->number[i] == t->number) return 1;
  return 0;
}

static co_status add_parallel(co_study_page *p, const co_axis *y) {
  const int goals = p->second ? 2 : 1;
  int64_t axis_count = p->space->count + goals, lines = 0;
  if (axis_count > 24) return CO_OK; // too many to be read
  co_parallel_axis *axes = co_alloc_zero(p->ctx, (size_t)axis_count, sizeof *axes);
  char(*text)[96] = co_alloc_zero(p->ctx, 2 * (size_t)axis_count, sizeof *text);
  double *place = co_alloc(p->ctx, (size_t)(axis_count * p->trials->count + 1) * sizeof *place);
  double *weight = co_alloc(p->ctx, (size_t)(p->trials->count + 1) * sizeof *weight);
  co_status status = axes && text && place && weight ? CO_OK : CO_ERR_MEMORY;
  if (status == CO_OK) fill_axes(p, axes, text, y);
  for (int64_t k = 0; status == CO_OK && k < p->trials->count; k++) {
    const co_trial *t = &p->trials->item[k];
    if (isnan(value_of(t, 0)) || isnan(value_of(t, goals - 1))) continue;
    for (int64_t i = 0; i < p->space->count; i++)
      place[lines * axis_count + i] = place_of(&p->space->item[i], t->values[i]);
    for (int goal = 0; goal < goals; goal++)
      place[lines * axis_count + p->space->count + goal] = place_on(&y[goal], value_of(t, goal));
    weight[lines++] = weight_of(p, t, y);
  }
  if (status == CO_OK && lines) {
    co_page_card(&p->page, "Trials side by side",
                 p->second ? "Each line is a trial; those of the front are darker."
                           : "Each line is a trial; good ones are darker.",
                 true);
    co_chart_parallel(&p->page, "Parallel coordinates",
                      "Each trial's values and what came of them.", axes, (int)axis_count, place,
                      weight, lines);
    co_page_card_end(&p->page);
  }
  co_free(p->ctx, axes);
  co_free(p->ctx, text);
  co_free(p->ctx, place);
  co_free(p->ctx, weight);
  return status;
}

static co_status add_slice(co_study_page *p, int64_t i, int goal, const co_axis *y) {
  const co_parameter *q = &p->space->item[i];
  const int64_t count = p->trials->count;
  char label[160], title[320], note[200] = "";
  size_t used = 0;
  double *room = co_alloc(p->ctx, (size_t)(2 * count + 1) * sizeof *room);
  if (!room) return CO_ERR_MEMORY;
  for (int64_t k = 0; k < count; k++) {
    const co_trial *t = &p->trials->item[k];
    room[k] = q->log ? log10(t->values[i]) : t->values[i];
    room[count + k] = value_of(t, goal);
  }
  snprintf(title, sizeof title, p->second ? "%s: %s" : "%s", q->path, y->label);
  snprintf(label, sizeof label, q->log ? "log10 %s" : "%s", q->path);
  for (int64_t k = 0; k < q->category_count && used < sizeof note - 1; k++)
    used += (size_t)snprintf(note + used, sizeof note - used, "%s%lld: %s", k ? ", " : "",
                             (long long)k, q->category[k]);
  const co_axis x = {.label = label};
  const co_series series = {
      .colour = 'a', .dots = true, .scattered = true, .x = room, .y = room + count, .count = count};
  co_page_card(&p->page, title, *note ? note : NULL, false);
  co_chart_lines(&p->page, title, "The value of each trial by this parameter.", &x, y, &series, 1);
  co_page_card_end(&p->page);
  co_free(p->ctx, room);
  return CO_OK;
}

// ---- trials ------------------------------------------------------------------------------------

static co_status add_trials(co_study_page *p) {
  const char *heads[MOST_COLUMNS + 5] = {"trial", "state", p->metric, p->second};
  int64_t columns = p->space->count < MOST_COLUMNS ? p->space->count : MOST_COLUMNS;
  for (int64_t i = 0; i < columns; i++)
    heads[(p->second ? 4 : 3) + i] = p->space->item[i].path;
  co_page_section(&p->page, "trials", "Trials", NULL);
  co_page_table(&p->page, NULL, heads);
  for (int64_t k = 0; k < p->trials->count && k < MOST_ROWS; k++) {
    const co_trial *t = &p->trials->item[k];
    char text[96];
    snprintf(text, sizeof text, "%lld%s", (long long)t->number, k == p->best ? " (best)" : "");
    co_page_row(&p->page, text);
    co_page_cell(&p->page, "%s", co_trial_state_name(t->state));
    if (t->reason && t->state == CO_TRIAL_FAIL)
      co_page_cell(&p->page, "%.200s", t->reason);
    else
      co_page_cell(&p->page, "%s", co_show(t->value).text);
    if (p->second) co_page_cell(&p->page, "%s", co_show(t->second).text);
    for (int64_t i = 0; i < columns; i++) {
      co_parameter_print_value(text, &p->space->item[i], t->values[i]);
      co_page_cell(&p->page, "%s", text);
    }
    co_page_row_end(&p->page);
  }
  co_page_table_end(&p->page);
  if (p->trials->count > MOST_ROWS)
    co_text_printf(&p->page, "<p>The first %d of %lld.</p>\n", MOST_ROWS,
                   (long long)p->trials->count);
  co_page_section_end(&p->page);
  return p->page.status;
}

// ---- the page ----------------------------------------------------------------------------------

static co_status add_charts(co_study_page *p) {
  const int goals = p->second ? 2 : 1;
  co_axis y[2] = {{.label = NULL}};
  for (int goal = 0; goal < goals; goal++)
    CO_RETURN_IF_FAILED(value_range(p, goal, &y[goal]));
  co_page_section(&p->page, "search", "How it went", NULL);
  co_page_grid(&p->page, false);
  if (p->second) CO_RETURN_IF_FAILED(co_study_add_front(p));
  CO_RETURN_IF_FAILED(add_history(p, y));
  CO_RETURN_IF_FAILED(add_curves(p, y));
  CO_RETURN_IF_FAILED(co_study_add_timeline(p));
  co_page_grid_end(&p->page);
  co_page_section_end(&p->page);
  co_page_section(&p->page, "parameters", "On what it depends", NULL);
  co_page_grid(&p->page, false);
  CO_RETURN_IF_FAILED(add_importance(
      p, "Importance among the best",
      "What decided whether a trial was among the best tenth (PED-ANOVA).", p->importance));
  if (p->forest)
    CO_RETURN_IF_FAILED(add_importance(
        p, "Importance over all",
        "What each parameter alone explains of the differences between trials (fANOVA).",
        p->explained));
  CO_RETURN_IF_FAILED(add_parallel(p, y));
  CO_RETURN_IF_FAILED(co_study_add_surface(p));
  for (int64_t i = 0; i < p->space->count; i++)
    for (int goal = 0; goal < goals; goal++)
      CO_RETURN_IF_FAILED(add_slice(p, i, goal, &y[goal]));
  co_page_grid_end(&p->page);
  co_page_section_end(&p->page);
  return p->page.status;
}

co_status co_study_page_render(co_study_page *p) {
  co_text *page = &p->page;
  co_page_open(page, p->name);
  co_text_printf(page, "<header>\n<h1>");
  co_page_text(page, p->name);
  co_text_printf(page, "</h1>\n<p class=\"lead\">%s of ", p->maximize ? "Largest" : "Least");
  co_page_text(page, p->metric);
  if (p->second) {
    co_text_printf(page, " and %s of ", p->maximize_second ? "largest" : "least");
    co_page_text(page, p->second);
  }
  co_text_printf(page, " over %lld %s</p>\n</header>\n<nav aria-label=\"Parts\"><div>",
                 (long long)p->space->count, p->space->count == 1 ? "parameter" : "parameters");
  co_text_printf(page,
                 "<a href=\"#overview\">What was found</a><a href=\"#search\">How it went</a>"
                 "<a href=\"#parameters\">On what it depends</a><a href=\"#trials\">Trials</a>"
                 "</div></nav>\n<main>\n");
  add_overview(p);
  CO_RETURN_IF_FAILED(add_charts(p));
  CO_RETURN_IF_FAILED(add_trials(p));
  co_text_printf(page,
                 "</main>\n<footer>Made by Cohort %s. This page asks for nothing else.</footer>\n",
                 p->version);
  co_page_close(page);
  return page->status;
}
