// SPDX-License-Identifier: Apache-2.0
// What a model relies on: permutation importance, and attributions of rows.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "host/output/chart.h"
#include "host/output/page.h"
#include "host/output/report.h"

enum { MOST_BARS = 20, MOST_SWARMS = 12, SWARM_ROWS = 200 };

// Keeps the largest, in falling order; `order` tells which are kept.
static int insert(co_bar *bars, int *order, int count, const co_bar *bar, int which) {
  int at = count;
  if (isnan(bar->value)) return count;
  while (at > 0 && bars[at - 1].value < bar->value)
    at--;
  if (at == MOST_BARS) return count;
  if (count < MOST_BARS) count++;
  memmove(&bars[at + 1], &bars[at], (size_t)(count - 1 - at) * sizeof *bars);
  memmove(&order[at + 1], &order[at], (size_t)(count - 1 - at) * sizeof *order);
  bars[at] = *bar;
  order[at] = which;
  return count;
}

static void draw_bars(co_report *r, const char *title, const char *note, const co_bar *bars,
                      int count) {
  co_page_card(&r->page, title, note, false);
  co_chart_bars(&r->page, title, note, bars, count, 'a');
  co_page_card_end(&r->page);
}

static void draw_permutation(co_report *r) {
  const co_model *model = r->predictor->model;
  co_bar bars[MOST_BARS];
  int order[MOST_BARS], count = 0;
  char note[256];
  for (int64_t i = 0; i < model->input_count; i++) {
    const co_importance *it = &r->importance[i];
    const co_bar bar = {model->inputs[i].name, it->mean, it->mean - it->error, it->mean + it->error,
                        NULL};
    count = insert(bars, order, count, &bar, (int)i);
  }
  if (count < 1) return;
  snprintf(note, sizeof note,
           "How much worse %s gets when a column's values are permuted among the rows: mean of "
           "three permutations with its standard error.%s",
           r->importance_metric, count == MOST_BARS ? " The 20 largest." : "");
  draw_bars(r, "Permutation importance", note, bars, count);
}

// The unit that effects are in.
static const char *unit_of(const co_output_feature *output) {
  return output->column->type == CO_COLUMN_BINARY     ? "log-odds"
         : output->column->type == CO_COLUMN_CATEGORY ? "the likeliest class's logit"
                                                      : "the number predicted";
}

static co_status draw_swarms(co_report *r, const int *order, int count) {
  const co_shares *s = &r->shares;
  const char *names[MOST_SWARMS];
  const int rows = s->rows < SWARM_ROWS ? (int)s->rows : SWARM_ROWS;
  size_t room = (size_t)(rows * count) * sizeof(double);
  double *values = co_alloc(r->ctx, room), *tones = co_alloc(r->ctx, room);
  char note[384];
  for (int row = 0; values && tones && row < rows; row++)
    for (int i = 0; i < count; i++) {
      int64_t from = row * s->rows / rows * s->parts + order[i];
      values[row * count + i] = s->shares[from];
      tones[row * count + i] = s->values[from];
      names[i] = s->names[order[i]];
    }
  if (values && tones) {
    snprintf(note, sizeof note,
             "A dot is a row: how far a column moves its score, in %s, from the mean training "
             "row's. To the right it raises the score. Blue: a low value of the column among these "
             "rows; orange: a high one; grey: between, or without order.",
             unit_of(s->output));
    co_page_card(&r->page, "Direction of effects", note, false);
    co_chart_swarms(&r->page, "Direction of effects", note, names, count, values, tones, rows);
    co_page_card_end(&r->page);
  }
  co_status status = values && tones ? CO_OK : CO_ERR_MEMORY;
  co_free(r->ctx, values);
  co_free(r->ctx, tones);
  return status;
}

static co_status draw_shares(co_report *r, int *order, int *count) {
  const co_shares *s = &r->shares;
  co_bar bars[MOST_BARS];
  char title[160], note[384];
  for (int64_t i = 0; i < s->parts; i++) {
    const co_bar bar = {s->names[i], s->mean[i], s->mean[i], s->mean[i], NULL};
    *count = insert(bars, order, *count, &bar, (int)i);
  }
  const bool only = r->predictor->model->output_count == 1;
  snprintf(title, sizeof title, "Mean effect%s%.100s", only ? "" : " on ",
           only ? "" : s->output->name);
  snprintf(note, sizeof note,
           "How far each column moves a row's score from the mean training row's, in %s: mean "
           "size over %lld rows, by %s.%s",
           unit_of(s->output), (long long)s->rows, s->method,
           *count == MOST_BARS ? " The 20 largest." : "");
  draw_bars(r, title, note, bars, *count);
  return CO_OK;
}

co_status co_report_importance(co_report *r) {
  int order[MOST_BARS], count = 0;
  char note[512];
  if (!r->importance) return CO_OK;
  snprintf(
      note, sizeof note,
      "Permutation importance tells what the model's quality rests on: of columns that tell "
      "the same, each alone may look unimportant. Effects tell what moves single scores.%s%.200s",
      r->no_shares ? " There are none here: " : "", r->no_shares ? r->no_shares : "");
  co_page_section(&r->page, "importance", "What it relies on", note);
  co_page_grid(&r->page, false);
  draw_permutation(r);
  if (r->shares.rows) CO_RETURN_IF_FAILED(draw_shares(r, order, &count));
  if (r->shares.rows)
    CO_RETURN_IF_FAILED(draw_swarms(r, order, count < MOST_SWARMS ? count : MOST_SWARMS));
  co_page_grid_end(&r->page);
  co_page_section_end(&r->page);
  return CO_OK;
}
