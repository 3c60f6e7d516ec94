// SPDX-License-Identifier: Apache-2.0
// What the data are like, and whether the model serves all groups of them alike.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "datasets/profile.h"
#include "host/eval/slices.h"
#include "host/output/chart.h"
#include "host/output/page.h"
#include "host/output/report.h"

// ---- groups ------------------------------------------------------------------------------------

enum { MOST_SLICED = 3, MOST_GROUPS = 12 };

static bool may_slice(const co_input_feature *feature) {
  const co_column *column = feature->column;
  if (feature->event_table >= 0) return false;
  return column->type == CO_COLUMN_BINARY ||
         (column->type == CO_COLUMN_CATEGORY && column->category_count <= MOST_GROUPS);
}

// The next most important column that makes few groups; -1 = none. Without importance, as they come.
static int64_t next_sliced(const co_report *r, const bool *used) {
  const co_model *model = r->predictor->model;
  int64_t best = -1;
  for (int64_t i = 0; i < model->input_count; i++) {
    if (used[i] || !may_slice(&model->inputs[i])) continue;
    if (best < 0 || (r->importance && r->importance[i].mean > r->importance[best].mean)) best = i;
  }
  return best;
}

static const char *const binary_heads[] = {
    "group", "rows", "positives", "mean score", "taken", "roc_auc", "log_loss", "ece", NULL};

static void add_binary_group(co_report *r, const co_slice *slice, const co_measured *m) {
  static const char *const names[] = {"roc_auc", "log_loss", "ece"};
  co_slice_rates rates = co_slice_rates_of(&m->binary);
  co_page_cell(&r->page, "%s", co_show((double)slice->rows).text);
  co_page_cell(&r->page, "%s", co_show_percent(rates.rate).text);
  co_page_cell(&r->page, "%.4f", rates.mean_score);
  co_page_cell(&r->page, "%s", co_show_percent(rates.selected).text);
  for (int i = 0; i < 3; i++)
    co_page_cell(&r->page, "%s",
                 co_show(co_measured_value(m, co_metric_find(names[i], m->type))).text);
}

static void add_other_group(co_report *r, const co_slice *slice, const co_measured *m) {
  co_page_cell(&r->page, "%s", co_show((double)slice->rows).text);
  for (int64_t k = 0; co_metric_list()[k]; k++)
    if (co_evaluation_has(&r->evaluation, 0, co_metric_list()[k]))
      co_page_cell(&r->page, "%s", co_show(co_measured_value(m, co_metric_list()[k])).text);
}

static co_status add_groups(co_report *r, const co_slices *slices, bool binary) {
  for (int64_t i = 0; i < slices->count; i++) {
    const co_slice *slice = &slices->slice[i];
    co_measured m = {0};
    co_status status = co_evaluation_measure(&m, &r->evaluation, 0, &slice->scores[0]);
    if (status == CO_OK && m.rows) {
      co_page_row(&r->page, slice->name);
      if (binary)
        add_binary_group(r, slice, &m);
      else
        add_other_group(r, slice, &m);
      co_page_row_end(&r->page);
    }
    co_measured_free(&m);
    CO_RETURN_IF_FAILED(status);
  }
  return CO_OK;
}

static co_status add_sliced(co_report *r, const co_input_feature *feature) {
  const char *heads[16] = {"group", "rows"};
  bool binary = r->evaluation.scores[0].type == CO_COLUMN_BINARY;
  int count = 2;
  for (int64_t k = 0; co_metric_list()[k] && count < 14; k++)
    if (co_evaluation_has(&r->evaluation, 0, co_metric_list()[k]))
      heads[count++] = co_metric_list()[k]->name;
  co_slices slices;
  co_status status = co_slices_create(&slices, &r->evaluation, r->dataset, feature->column->name,
                                      r->samples, r->count);
  if (status == CO_OK) {
    co_page_card(&r->page, feature->name, NULL, true);
    co_page_table(&r->page, NULL, binary ? binary_heads : heads);
    status = add_groups(r, &slices, binary);
    co_page_table_end(&r->page);
    co_page_card_end(&r->page);
  }
  co_slices_free(&slices);
  return status;
}

co_status co_report_slices(co_report *r) {
  const co_model *model = r->predictor->model;
  if (!model->output_count || !r->evaluation.collects[0]) return CO_OK;
  bool *used = co_alloc_zero(r->ctx, (size_t)model->input_count + 1, sizeof *used);
  if (!used) return CO_ERR_MEMORY;
  co_status status = CO_OK;
  int64_t at = next_sliced(r, used);
  if (at >= 0) {
    co_page_section(&r->page, "slices", "By group",
                    "Whether the model serves all alike, by the columns it relies on most among "
                    "those with few classes. For others: cohort evaluate --by COLUMN.");
    co_page_grid(&r->page, false);
    for (int i = 0; i < MOST_SLICED && at >= 0 && status == CO_OK; i++) {
      used[at] = true;
      status = add_sliced(r, &model->inputs[at]);
      at = next_sliced(r, used);
    }
    co_page_grid_end(&r->page);
    co_page_section_end(&r->page);
  }
  co_free(r->ctx, used);
  return status;
}

// ---- columns -----------------------------------------------------------------------------------

enum { BINS = 16, MOST_COLUMNS = 60 };

typedef struct looking {
  co_report *r;
  const int64_t *rows; // of the training
  int64_t count;
  bool by_class; // by the classes of a binary target
  co_view target;
} looking;

typedef struct histogram {
  double part[2][BINS]; // of all, or of negative rows and of positive ones; shares
  int bins;
  double low, high;
} histogram;

static int bin_of(const histogram *h, const co_view *view, double value) {
  if (view->column->type != CO_COLUMN_NUMBER && view->column->type != CO_COLUMN_DATE)
    return value < h->bins ? (int)value : h->bins - 1;
  int bin = (int)((value - h->low) / (h->high - h->low) * h->bins);
  return bin < 0 ? 0 : bin >= h->bins ? h->bins - 1 : bin;
}

static void fill(const looking *l, const co_view *view, histogram *h) {
  double total[2] = {0};
  for (int64_t i = 0; i < l->count; i++) {
    double value = co_view_at(view, l->rows[i]);
    double class_ = l->by_class ? co_view_at(&l->target, l->rows[i]) : 0;
    if (isnan(value) || isnan(class_)) continue;
    int k = class_ > 0.5;
    h->part[k][bin_of(h, view, value)]++;
    total[k]++;
  }
  for (int k = 0; k < 2; k++)
    for (int i = 0; i < h->bins && total[k] > 0; i++)
      h->part[k][i] /= total[k];
}

static void draw_histogram(const looking *l, const co_view *view, const co_profile *p,
                           const char *title) {
  const co_column *column = view->column;
  bool classes = column->type == CO_COLUMN_CATEGORY || column->type == CO_COLUMN_BINARY;
  histogram h = {.bins = BINS};
  char low[48], high[48];
  if (classes) {
    int64_t count = column->type == CO_COLUMN_BINARY ? 2 : column->category_count;
    h.bins = (int)(count < BINS ? count : BINS);
    snprintf(low, sizeof low, "%.40s", column->categories ? column->categories[0] : "0");
    snprintf(high, sizeof high, "%.40s",
             count > BINS         ? "others"
             : column->categories ? column->categories[count - 1]
                                  : "1");
  } else {
    h.low = p->quantile[0];
    h.high = p->quantile[CO_PROFILE_QUANTILES - 1];
    if (!(h.high > h.low)) {
      h.low = p->min;
      h.high = p->max > p->min ? p->max : p->min + 1;
    }
    snprintf(low, sizeof low, "%s", co_show(h.low).text);
    snprintf(high, sizeof high, "%s", co_show(h.high).text);
  }
  if (h.bins < 1) return;
  fill(l, view, &h);
  co_chart_columns(&l->r->page, title, "Shares of the training rows.", h.part[0],
                   l->by_class ? h.part[1] : NULL, h.bins, low, high);
}

static co_status add_column(const looking *l, const co_column *column) {
  co_view view;
  co_profile p;
  char note[192];
  co_report *r = l->r;
  CO_RETURN_IF_FAILED(co_view_open(&view, r->dataset, column));
  CO_RETURN_IF_FAILED(co_profile_rows(&p, r->ctx, &view, l->rows, l->count));
  int length = snprintf(note, sizeof note, "%s%s", co_column_type_name(column->type),
                        column->role == CO_ROLE_TARGET ? ", target" : "");
  if (p.distinct >= 0)
    length += snprintf(note + length, sizeof note - (size_t)length, " · %s distinct",
                       co_show((double)p.distinct).text);
  length += snprintf(note + length, sizeof note - (size_t)length, " · %s missing",
                     p.missing ? co_show_percent((double)p.missing / (double)p.rows).text : "none");
  if (column->type == CO_COLUMN_NUMBER)
    snprintf(note + length, sizeof note - (size_t)length, " · mean %s, sd %s", co_show(p.mean).text,
             co_show(p.sd).text);
  co_page_card(&r->page, column->name, note, false);
  if (column->type == CO_COLUMN_NUMBER || column->type == CO_COLUMN_BINARY ||
      column->type == CO_COLUMN_CATEGORY)
    draw_histogram(l, &view, &p, column->name);
  co_page_card_end(&r->page);
  return CO_OK;
}

static bool is_shown(const co_report *r, const co_column *column) {
  const co_table *table = co_schema_table(co_dataset_schema(r->dataset), column->table);
  if (table && table->kind == CO_TABLE_EVENTS) return false;
  return co_view_exists(column) &&
         (column->role == CO_ROLE_INPUT || column->role == CO_ROLE_TARGET) &&
         column->type != CO_COLUMN_IMAGE;
}

static co_status open_target(looking *l) {
  const co_model *model = l->r->predictor->model;
  for (int64_t i = 0; i < model->output_count && !l->by_class; i++) {
    const co_column *column = model->outputs[i].column;
    if (!column || column->type != CO_COLUMN_BINARY) continue;
    column = co_schema_find(co_dataset_schema(l->r->dataset), column->name);
    CO_RETURN_IF_FAILED(co_view_open(&l->target, l->r->dataset, column));
    l->by_class = true;
  }
  return CO_OK;
}

co_status co_report_data(co_report *r) {
  const co_schema *schema = co_dataset_schema(r->dataset);
  looking l = {.r = r};
  char note[256];
  int64_t sizes[CO_SPLIT_COUNT], shown = 0, columns = 0;
  for (int i = 0; i < CO_SPLIT_COUNT; i++) {
    const int64_t *rows;
    CO_RETURN_IF_FAILED(co_dataset_split(r->dataset, (co_split)i, &rows, &sizes[i]));
    if (i == CO_SPLIT_TRAIN) l.rows = rows;
  }
  l.count = sizes[CO_SPLIT_TRAIN];
  CO_RETURN_IF_FAILED(open_target(&l));
  for (int64_t i = 0; i < schema->column_count; i++)
    columns += is_shown(r, &schema->columns[i]);
  int length = snprintf(note, sizeof note, "%s training, %s validation and %s test rows.",
                        co_show((double)sizes[0]).text, co_show((double)sizes[1]).text,
                        co_show((double)sizes[2]).text);
  if (columns)
    snprintf(note + length, sizeof note - (size_t)length,
             " Below: training rows%s%s; numbers from their 1st to 99th percentile.",
             l.by_class ? ", shares within each class: positive ones in orange" : "",
             columns > MOST_COLUMNS ? ", the first 60 columns" : "");
  co_page_section(&r->page, "data", "The data", note);
  co_page_grid(&r->page, true);
  for (int64_t i = 0; i < schema->column_count && shown < MOST_COLUMNS; i++) {
    if (!is_shown(r, &schema->columns[i])) continue;
    CO_RETURN_IF_FAILED(add_column(&l, &schema->columns[i]));
    shown++;
  }
  co_page_grid_end(&r->page);
  co_page_section_end(&r->page);
  return CO_OK;
}
