// SPDX-License-Identifier: Apache-2.0
// How scores of an output are: curves of a binary, confusion of classes, errors of a number.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "host/eval/calibration.h"
#include "host/output/chart.h"
#include "host/output/page.h"
#include "host/output/report.h"

// ---- binary ------------------------------------------------------------------------------------

// Points after each group of equal scores, from "nobody is taken" on.
typedef struct points {
  int64_t count;
  double *taken, *recall, *alarms, *precision, *lift, *profit; // shares, profit of a row
} points;

static co_status make_points(co_report *r, const co_binary_scores *s, points *p) {
  size_t room = (size_t)s->count + 1;
  double *block = co_alloc(r->ctx, 6 * room * sizeof *block);
  double hits = 0, alarms = 0, total = s->positives + s->negatives;
  memset(p, 0, sizeof *p);
  if (!block) return CO_ERR_MEMORY;
  *p = (points){s->count + 1,     block,           block + room, block + 2 * room, block + 3 * room,
                block + 4 * room, block + 5 * room};
  for (int64_t i = 0; i <= s->count; i++) {
    if (i) {
      hits += s->positive[i - 1];
      alarms += s->negative[i - 1];
    }
    p->taken[i] = (hits + alarms) / total;
    p->recall[i] = hits / s->positives;
    p->alarms[i] = alarms / s->negatives;
    p->precision[i] = i ? hits / (hits + alarms) : NAN;
    p->lift[i] = i && p->taken[i] >= 0.005 ? p->recall[i] / p->taken[i] : NAN;
    p->profit[i] = s->profit
                       ? (s->profit->true_positive * hits + s->profit->false_positive * alarms +
                          s->profit->false_negative * (s->positives - hits) +
                          s->profit->true_negative * (s->negatives - alarms)) /
                             total
                       : NAN;
  }
  return CO_OK;
}

static const double diagonal[] = {0, 1};
static const co_axis all_rows = {"share of rows, highest scores first", 0, 1, true};

static void draw_roc(co_report *r, const points *p, double auc) {
  char title[64];
  const co_axis x = {"false positive rate", 0, 1, true}, y = {"true positive rate", 0, 1, true};
  const co_series series[] = {
      {.name = "model",
       .colour = 'a',
       .area = true,
       .x = p->alarms,
       .y = p->recall,
       .count = p->count},
      {.name = "chance", .colour = 'm', .dashed = true, .x = diagonal, .y = diagonal, .count = 2}};
  snprintf(title, sizeof title, "ROC curve, AUC %s", co_show(auc).text);
  co_page_card(&r->page, title, "Positive rows found, by negative rows taken for positive.", false);
  co_chart_lines(&r->page, title, "Rises above the diagonal of chance.", &x, &y, series, 2);
  co_page_card_end(&r->page);
}

static void draw_pr(co_report *r, const points *p, double auc, double rate) {
  char title[64];
  const double level[] = {rate, rate};
  const co_axis x = {"recall", 0, 1, true}, y = {"precision", 0, 1, true};
  const co_series series[] = {
      {.name = "model", .colour = 'a', .x = p->recall, .y = p->precision, .count = p->count},
      {.name = "chance", .colour = 'm', .dashed = true, .x = diagonal, .y = level, .count = 2}};
  snprintf(title, sizeof title, "Precision and recall, AUC %s", co_show(auc).text);
  co_page_card(&r->page, title,
               "Share of right ones among those taken, by share of positives found.", false);
  co_chart_lines(&r->page, title, NULL, &x, &y, series, 2);
  co_page_card_end(&r->page);
}

static void draw_gain(co_report *r, const points *p, double rate) {
  const double ideal_x[] = {0, rate, 1}, ideal_y[] = {0, 1, 1};
  const co_axis y = {"share of positives found", 0, 1, true};
  const co_series series[] = {
      {.name = "model",
       .colour = 'a',
       .area = true,
       .x = p->taken,
       .y = p->recall,
       .count = p->count},
      {.name = "perfect", .colour = 'c', .dashed = true, .x = ideal_x, .y = ideal_y, .count = 3},
      {.name = "chance", .colour = 'm', .dashed = true, .x = diagonal, .y = diagonal, .count = 2}};
  co_page_card(&r->page, "Cumulative gain", "Positives found when the best so many rows are taken.",
               false);
  co_chart_lines(&r->page, "Cumulative gain", NULL, &all_rows, &y, series, 3);
  co_page_card_end(&r->page);
}

static void draw_lift(co_report *r, const points *p) {
  const double one[] = {1, 1};
  const co_axis y = {.label = "lift"};
  const co_series series[] = {
      {.name = "model", .colour = 'b', .x = p->taken, .y = p->lift, .count = p->count},
      {.name = "chance", .colour = 'm', .dashed = true, .x = diagonal, .y = one, .count = 2}};
  co_page_card(&r->page, "Lift", "Times as many positives as among rows taken at random.", false);
  co_chart_lines(&r->page, "Lift", NULL, &all_rows, &y, series, 2);
  co_page_card_end(&r->page);
}

static void draw_profit(co_report *r, const points *p, const co_binary_scores *s) {
  char note[192];
  co_cutoff best = co_best_profit(s);
  const double best_x = best.share, best_y = best.value;
  const co_axis y = {.label = "profit of a row"};
  const co_series series[] = {
      {.name = "profit",
       .colour = 'c',
       .area = true,
       .x = p->taken,
       .y = p->profit,
       .count = p->count},
      {.name = "best", .colour = 'b', .dots = true, .x = &best_x, .y = &best_y, .count = 1}};
  snprintf(note, sizeof note, "Best: take %s of the rows (scores from %s on), %s a row, %s in all.",
           co_show_percent(best.share).text, co_show(best.threshold).text, co_show(best.value).text,
           co_show(best.value * (s->positives + s->negatives)).text);
  co_page_card(&r->page, "Profit", note, false);
  co_chart_lines(&r->page, "Profit by share of rows taken", note, &all_rows, &y, series, 2);
  co_page_card_end(&r->page);
}

static int reliability(const co_binary_scores *s, double *score, double *rate) {
  co_decile deciles[CO_DECILES];
  co_deciles(deciles, s);
  for (int i = 0; i < CO_DECILES; i++) {
    score[i] = deciles[CO_DECILES - 1 - i].score;
    rate[i] = deciles[CO_DECILES - 1 - i].rate;
  }
  return CO_DECILES;
}

static co_status draw_calibration(co_report *r, int64_t output, const co_binary_scores *s) {
  double raw[2][CO_DECILES], after[2][CO_DECILES], temperature;
  char note[256];
  co_scores scaled;
  co_measured measured = {0};
  temperature = co_output_temperature(&r->predictor->model->outputs[output]);
  reliability(s, raw[0], raw[1]);
  co_status status = co_calibrated_scores(&scaled, &r->evaluation.scores[output], temperature);
  if (status == CO_OK) status = co_evaluation_measure(&measured, &r->evaluation, output, &scaled);
  if (status == CO_OK) {
    reliability(&measured.binary, after[0], after[1]);
    const co_metric_class *ece = co_metric_find("ece", CO_COLUMN_BINARY);
    snprintf(note, sizeof note,
             "Tenths of the rows by score. Calibration error %s; at temperature %s it is %s.",
             co_show(ece->binary_score(s)).text, co_show(temperature).text,
             co_show(ece->binary_score(&measured.binary)).text);
    const co_axis x = {"mean score", 0, 1, true}, y = {"share of positives", 0, 1, true};
    const co_series series[] = {{.name = "perfect",
                                 .colour = 'm',
                                 .dashed = true,
                                 .x = diagonal,
                                 .y = diagonal,
                                 .count = 2},
                                {.name = "calibrated",
                                 .colour = 'c',
                                 .dashed = true,
                                 .x = after[0],
                                 .y = after[1],
                                 .count = CO_DECILES},
                                {.name = "as scored",
                                 .colour = 'a',
                                 .dots = true,
                                 .x = raw[0],
                                 .y = raw[1],
                                 .count = CO_DECILES}};
    co_page_card(&r->page, "Calibration", note, false);
    co_chart_lines(&r->page, "Share of positives by mean score", note, &x, &y, series, 3);
    co_page_card_end(&r->page);
  }
  co_measured_free(&measured);
  co_free(r->ctx, scaled.score);
  return status;
}

enum { BINS = 20 };

static void draw_distribution(co_report *r, const co_binary_scores *s, const char *positive,
                              const char *negative) {
  double share[2][BINS] = {{0}}, edge[2 * BINS], y[2][2 * BINS];
  for (int64_t i = 0; i < s->count; i++) {
    int bin = (int)(s->score[i] * BINS);
    bin = bin < 0 ? 0 : bin >= BINS ? BINS - 1 : bin;
    share[0][bin] += s->negative[i] / s->negatives;
    share[1][bin] += s->positive[i] / s->positives;
  }
  for (int i = 0; i < 2 * BINS; i++) {
    edge[i] = (double)((i + 1) / 2) / BINS;
    for (int k = 0; k < 2; k++)
      y[k][i] = share[k][i / 2];
  }
  const co_axis x = {"score", 0, 1, true}, axis = {.label = "share of the class", .percent = true};
  const co_series series[] = {
      {.name = negative, .colour = 'a', .area = true, .x = edge, .y = y[0], .count = 2 * BINS},
      {.name = positive, .colour = 'b', .x = edge, .y = y[1], .count = 2 * BINS}};
  co_page_card(&r->page, "Scores by outcome", "Where the two overlap, scores cannot tell.", false);
  co_chart_lines(&r->page, "Distribution of scores by outcome", NULL, &x, &axis, series, 2);
  co_page_card_end(&r->page);
}

static void add_decisions(co_report *r, const co_binary_scores *s, const char *positive,
                          const char *negative) {
  char title[96];
  double hits = 0, alarms = 0;
  for (int64_t i = 0; i < s->count && s->score[i] >= s->threshold; i++) {
    hits += s->positive[i];
    alarms += s->negative[i];
  }
  const char *const names[] = {positive, negative};
  const double counts[] = {hits, s->positives - hits, alarms, s->negatives - alarms};
  snprintf(title, sizeof title, "At the threshold %s", co_show(s->threshold).text);
  co_page_card(&r->page, "Decisions", NULL, false);
  co_chart_confusion(&r->page, title, names, 2, counts);
  co_page_card_end(&r->page);
}

// Rows that tenths share, all alike: to a tenth where there are few.
static co_number_text show_share(double rows, bool whole) {
  co_number_text out;
  if (whole) return co_show(round(rows));
  snprintf(out.text, sizeof out.text, "%.1f", rows);
  return out;
}

static void add_deciles(co_report *r, const co_binary_scores *s) {
  static const char *const heads[] = {"tenth", "rows", "positives",  "rate",
                                      "lift",  "gain", "mean score", NULL};
  co_decile d[CO_DECILES];
  char name[16];
  co_deciles(d, s);
  bool whole = true;
  for (int i = 0; i < CO_DECILES; i++)
    whole = whole && d[i].rows == round(d[i].rows) && d[i].positives == round(d[i].positives);
  whole = whole || d[0].rows >= 1000;
  co_page_card(&r->page, "Tenths by score",
               "The first holds the highest scores; a tie on a border is divided.", true);
  co_page_table(&r->page, NULL, heads);
  for (int i = 0; i < CO_DECILES; i++) {
    snprintf(name, sizeof name, "%d", i + 1);
    co_page_row(&r->page, name);
    co_page_cell(&r->page, "%s", show_share(d[i].rows, whole).text);
    co_page_cell(&r->page, "%s", show_share(d[i].positives, whole).text);
    co_page_cell(&r->page, "%s", co_show_percent(d[i].rate).text);
    co_page_cell(&r->page, "%.2f", d[i].lift);
    co_page_cell(&r->page, "%s", co_show_percent(d[i].gain).text);
    co_page_cell(&r->page, "%.4f", d[i].score);
    co_page_row_end(&r->page);
  }
  co_page_table_end(&r->page);
  co_page_card_end(&r->page);
}

static co_status add_binary(co_report *r, int64_t output, const co_measured *m) {
  static const char *const plain[] = {"0", "1"};
  const co_column *column = r->predictor->model->outputs[output].column;
  const char *const *names = column->categories ? column->categories : plain;
  const co_binary_scores *s = &m->binary;
  points p;
  if (!(s->positives > 0 && s->negatives > 0)) {
    co_text_printf(&r->page, "<p>All rows are of one class: there is nothing to tell apart.</p>\n");
    return CO_OK;
  }
  CO_RETURN_IF_FAILED(make_points(r, s, &p));
  double rate = s->positives / (s->positives + s->negatives);
  co_page_grid(&r->page, false);
  draw_roc(r, &p, co_measured_value(m, co_metric_find("roc_auc", m->type)));
  draw_pr(r, &p, co_measured_value(m, co_metric_find("pr_auc", m->type)), rate);
  draw_gain(r, &p, rate);
  draw_lift(r, &p);
  co_status status = draw_calibration(r, output, s);
  draw_distribution(r, s, names[1], names[0]);
  if (s->profit) draw_profit(r, &p, s);
  add_decisions(r, s, names[1], names[0]);
  add_deciles(r, s);
  co_page_grid_end(&r->page);
  co_free(r->ctx, p.taken);
  return status;
}

// ---- classes -----------------------------------------------------------------------------------

enum { MOST_SHOWN = 40 };

static co_status add_classes(co_report *r, int64_t output, const co_measured *m) {
  const co_class_scores *s = &m->classes;
  const co_column *column = r->predictor->model->outputs[output].column;
  size_t classes = (size_t)s->classes;
  if (s->classes > MOST_SHOWN) {
    co_text_printf(&r->page, "<p>%lld classes are too many for a table.</p>\n",
                   (long long)s->classes);
    return CO_OK;
  }
  double *counts = co_alloc_zero(r->ctx, classes * classes + 1, sizeof *counts);
  if (!counts) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < s->count; i++)
    counts[s->target[i] * s->classes + s->best[i]] += s->weight[i];
  co_page_grid(&r->page, false);
  co_page_card(&r->page, "Confusion",
               "Rows by true class, and the class that was likeliest to the model.", true);
  co_chart_confusion(&r->page, "Darker is a larger share of the true class.", column->categories,
                     (int)s->classes, counts);
  co_page_card_end(&r->page);
  co_page_grid_end(&r->page);
  co_free(r->ctx, counts);
  return CO_OK;
}

// ---- numbers -----------------------------------------------------------------------------------

enum { MOST_DOTS = 400 };

static void draw_errors(co_report *r, const co_number_scores *s) {
  double x[MOST_DOTS], y[MOST_DOTS], low = INFINITY, high = -INFINITY;
  int count = (int)(s->count < MOST_DOTS ? s->count : MOST_DOTS);
  for (int i = 0; i < count; i++) { // evenly by prediction
    int64_t row = s->by_prediction[i * s->count / count];
    x[i] = s->prediction[row];
    y[i] = s->target[row];
    low = fmin(low, fmin(x[i], y[i]));
    high = fmax(high, fmax(x[i], y[i]));
  }
  const double ends[] = {low, high};
  const co_axis x_axis = {"predicted", low, high > low ? high : low + 1, false};
  const co_axis y_axis = {"true", x_axis.low, x_axis.high, false};
  const co_series series[] = {
      {.name = "rows",
       .colour = 'a',
       .dots = true,
       .scattered = true,
       .x = x,
       .y = y,
       .count = count},
      {.name = "perfect", .colour = 'm', .dashed = true, .x = ends, .y = ends, .count = 2}};
  co_chart_lines(&r->page, "True value by prediction", NULL, &x_axis, &y_axis, series, 2);
}

// Of what is from 0 on, as spending and counts: whether tenths are worth what they were taken for.
static void draw_value_calibration(co_report *r, const co_number_scores *s) {
  co_value_decile d[CO_DECILES];
  double predicted[CO_DECILES], target[CO_DECILES], high = 0;
  const co_metric_class *error = co_metric_find("decile_error", CO_COLUMN_NUMBER);
  char note[192];
  co_value_deciles(d, s);
  for (int i = 0; i < CO_DECILES; i++) {
    predicted[i] = d[CO_DECILES - 1 - i].prediction;
    target[i] = d[CO_DECILES - 1 - i].target;
    high = fmax(high, fmax(predicted[i], target[i]));
  }
  const double ends[] = {0, high};
  const co_axis x = {"mean prediction", 0, high, false}, y = {"mean target", 0, high, false};
  const co_series series[] = {
      {.name = "perfect", .colour = 'm', .dashed = true, .x = ends, .y = ends, .count = 2},
      {.name = "tenths",
       .colour = 'a',
       .dots = true,
       .x = predicted,
       .y = target,
       .count = CO_DECILES}};
  snprintf(note, sizeof note, "Tenths of the rows by prediction. In sum they are off by %s.",
           co_show_percent(error->number_score(s)).text);
  co_page_card(&r->page, "Calibration", note, false);
  co_chart_lines(&r->page, "Mean target by mean prediction", note, &x, &y, series, 2);
  co_page_card_end(&r->page);
}

static bool from_zero(const co_number_scores *s) {
  double sum = 0;
  for (int64_t i = 0; i < s->count; i++) {
    if (s->target[i] < 0 || s->prediction[i] < 0) return false;
    sum += s->target[i];
  }
  return sum > 0;
}

static void add_number(co_report *r, const co_measured *m) {
  co_page_grid(&r->page, false);
  co_page_card(&r->page, "Predicted and true",
               m->number.count > MOST_DOTS ? "400 of the rows, evenly by prediction." : NULL,
               false);
  draw_errors(r, &m->number);
  co_page_card_end(&r->page);
  if (from_zero(&m->number)) draw_value_calibration(r, &m->number);
  co_page_grid_end(&r->page);
}

// ---- texts -------------------------------------------------------------------------------------

static void add_text(co_report *r, const co_text_scores *s) {
  enum { BARS = 5 };
  static const char *const names[BARS] = {"none", "one", "two or three", "up to seven", "more"};
  static const double most[BARS] = {0, 1, 3, 7, INFINITY};
  double weight[BARS] = {0}, total = 0;
  co_number_text share[BARS];
  co_bar bars[BARS];
  for (int64_t i = 0; i < s->count; i++) {
    int k = 0;
    while (s->edits[i] > most[k])
      k++;
    weight[k] += s->weight[i], total += s->weight[i];
  }
  for (int k = 0; k < BARS; k++) {
    share[k] = co_show_percent(weight[k] / total);
    bars[k] = (co_bar){.name = names[k], .value = weight[k] / total, .text = share[k].text};
  }
  co_page_grid(&r->page, false);
  co_page_card(&r->page, "Edits",
               "Rows by how many tokens lie between what is written and what is true.", false);
  co_chart_bars(&r->page, "Rows by edits", "Shares of the rows.", bars, BARS, 'a');
  co_page_card_end(&r->page);
  co_page_grid_end(&r->page);
}

// ---- all ---------------------------------------------------------------------------------------

static void add_metrics(co_report *r, int64_t output) {
  static const char *const heads[] = {"metric", "value", "95 % from", "to", NULL};
  co_evaluation_value value;
  co_page_grid(&r->page, false);
  co_page_card(&r->page, "All metrics", "What each is: cohort help metrics.", true);
  co_page_table(&r->page, NULL, heads);
  for (int64_t k = 0; co_evaluation_metric(&r->evaluation, output, k, &value); k++) {
    co_page_row(&r->page, value.name);
    co_page_cell(&r->page, "%s", co_show(value.value).text);
    co_page_cell(&r->page, "%s", co_show(value.interval.low).text);
    co_page_cell(&r->page, "%s", co_show(value.interval.high).text);
    co_page_row_end(&r->page);
  }
  co_page_table_end(&r->page);
  co_page_card_end(&r->page);
  co_page_grid_end(&r->page);
}

// "0.9012 +": the baseline's value, and whether the model is better.
static void add_baseline_cell(co_report *r, int64_t baseline, int64_t output, int64_t k,
                              const co_evaluation_value *mine) {
  const co_paired *pair = &co_comparison_pairs(&r->comparison, baseline, output)[k];
  const double theirs = co_comparison_value(&r->comparison, baseline, output, k, mine);
  char sign = co_comparison_sign(pair, mine->higher_is_better);
  co_page_cell(&r->page, "%s %s", co_show(theirs).text,
               sign == '+'   ? "▲"
               : sign == '-' ? "▼"
                             : "\xe2\x80\x87"); // a space as wide as a digit
}

static void add_baselines(co_report *r, int64_t output) {
  const co_comparison *c = &r->comparison;
  const char *heads[CO_MOST_BASELINES + CO_MOST_TEXT_BASELINES + 4] = {"metric", "model"};
  int64_t named[CO_MOST_BASELINES + CO_MOST_TEXT_BASELINES], count = 0;
  co_evaluation_value mine;
  for (int64_t i = 0; i < c->count; i++)
    if (*co_comparison_name(c, i, output)) {
      heads[2 + count] = co_comparison_name(c, i, output);
      named[count++] = i;
    }
  if (!count) return;
  co_page_grid(&r->page, false);
  co_page_card(&r->page, "Beside baselines",
               "Fitted to the same training rows. ▲ the model is better, ▼ it is worse: the 95 % "
               "interval of their difference on these rows, paired, is without 0.",
               true);
  co_page_table(&r->page, NULL, heads);
  for (int64_t k = 0;
       k < CO_MOST_COMPARED && co_evaluation_metric(&r->evaluation, output, k, &mine); k++) {
    co_page_row(&r->page, mine.name);
    co_page_cell(&r->page, "%s", co_show(mine.value).text);
    for (int64_t i = 0; i < count; i++)
      add_baseline_cell(r, named[i], output, k, &mine);
    co_page_row_end(&r->page);
  }
  co_page_table_end(&r->page);
  co_page_card_end(&r->page);
  co_page_grid_end(&r->page);
}

co_status co_report_scores(co_report *r, int64_t output) {
  char id[32];
  co_measured m = {0};
  co_status status = CO_OK;
  snprintf(id, sizeof id, "scores-%lld", (long long)output);
  co_page_section(&r->page, id, r->predictor->model->outputs[output].name, NULL);
  if (r->evaluation.collects[output])
    status = co_evaluation_measure(&m, &r->evaluation, output, &r->evaluation.scores[output]);
  if (status == CO_OK && m.finite && m.rows)
    status = m.type == CO_COLUMN_BINARY     ? add_binary(r, output, &m)
             : m.type == CO_COLUMN_CATEGORY ? add_classes(r, output, &m)
             : m.type == CO_COLUMN_TEXT     ? (add_text(r, &m.texts), CO_OK)
                                            : (add_number(r, &m), CO_OK);
  co_measured_free(&m);
  add_metrics(r, output);
  add_baselines(r, output);
  co_page_section_end(&r->page);
  return status;
}
