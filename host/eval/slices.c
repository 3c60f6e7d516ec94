// SPDX-License-Identifier: Apache-2.0
#include "host/eval/slices.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FIFTHS = 5, NAME_BYTES = 96 };

typedef struct grouping {
  co_context *ctx;
  const co_column *column;
  int64_t count; // of rows
  void *values;  // delivered by the dataset
  int32_t *group;
  int64_t groups;
  double edge[FIFTHS + 1]; // of a number: group k is [edge[k], edge[k + 1])
} grouping;

static bool makes_groups(const co_dataset *dataset, const co_column *column) {
  const co_table *table = co_schema_table(co_dataset_schema(dataset), column->table);
  if (table && table->kind == CO_TABLE_EVENTS) return false;
  return column->type == CO_COLUMN_BINARY || column->type == CO_COLUMN_CATEGORY ||
         column->type == CO_COLUMN_NUMBER;
}

co_status co_slices_check(const co_dataset *dataset, const char *name) {
  const co_schema *schema = co_dataset_schema(dataset);
  const co_column *column = co_schema_find(schema, name);
  const char *names[256], *near;
  int64_t count = 0;
  if (column && makes_groups(dataset, column)) return CO_OK;
  if (column)
    return co_fail(CO_ERR_USAGE, "--by %s: a column of type %s makes no groups", name,
                   co_column_type_name(column->type));
  for (int64_t i = 0; i < schema->column_count && count < 256; i++)
    names[count++] = schema->columns[i].name;
  near = co_nearest(name, names, count);
  co_status status = co_fail(CO_ERR_USAGE, "--by %s: the dataset has no such column", name);
  if (near) co_hint("did you mean '%s'?", near);
  return status;
}

static int by_value(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

// Group borders at fifths of the known values; fewer where values are frequent.
static co_status cut_number(grouping *g) {
  const float *values = g->values;
  int64_t known = 0;
  float *sorted = co_alloc(g->ctx, (size_t)(g->count + 1) * sizeof *sorted);
  if (!sorted) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < g->count; i++)
    if (!isnan(values[i])) sorted[known++] = values[i];
  qsort(sorted, (size_t)known, sizeof *sorted, by_value);
  for (int k = 0; k < FIFTHS && known; k++) {
    double edge = (double)sorted[known * k / FIFTHS];
    if (!g->groups || edge > g->edge[g->groups - 1]) g->edge[g->groups++] = edge;
  }
  if (known) g->edge[g->groups] = (double)sorted[known - 1];
  co_free(g->ctx, sorted);
  return CO_OK;
}

// -1 = missing.
static int32_t group_of(const grouping *g, int64_t row) {
  int32_t k = 0;
  if (g->column->type == CO_COLUMN_CATEGORY) return ((const int32_t *)g->values)[row];
  float value = ((const float *)g->values)[row];
  if (isnan(value)) return -1;
  if (g->column->type == CO_COLUMN_BINARY) return value > 0.5f;
  while (k + 1 < g->groups && (double)value >= g->edge[k + 1])
    k++;
  return k;
}

static co_status read_groups(grouping *g, co_dataset *dataset, const int64_t *samples) {
  g->values = co_alloc(g->ctx, (size_t)(g->count + 1) * sizeof(float)); // i32 or f32
  g->group = co_alloc(g->ctx, (size_t)(g->count + 1) * sizeof *g->group);
  if (!g->values || !g->group) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_dataset_gather(dataset, g->column->name, samples, g->count, g->values));
  if (g->column->type == CO_COLUMN_NUMBER) CO_RETURN_IF_FAILED(cut_number(g));
  if (g->column->type == CO_COLUMN_BINARY) g->groups = 2;
  if (g->column->type == CO_COLUMN_CATEGORY) g->groups = g->column->category_count;
  for (int64_t i = 0; i < g->count; i++) {
    int32_t k = group_of(g, i);
    g->group[i] = k < 0 ? (int32_t)g->groups : k;
  }
  return CO_OK;
}

static char *name_group(const grouping *g, int64_t k) {
  static const char *const plain[] = {"0", "1"};
  const co_column *column = g->column;
  if (k == g->groups) return co_strdup(g->ctx, "(missing)");
  if (column->type != CO_COLUMN_NUMBER)
    return co_strdup(g->ctx, column->categories ? column->categories[k] : plain[k]);
  return co_format(g->ctx, "[%.6g, %.6g%c", g->edge[k], g->edge[k + 1],
                   k + 1 == g->groups ? ']' : ')');
}

// The scores of the rows in group `k`: they stand in the order of the samples, some left out.
static co_status take_scores(co_scores *out, const co_scores *from, const grouping *g, int64_t k,
                             const int64_t *samples, int64_t rows) {
  CO_RETURN_IF_FAILED(co_scores_create(out, from->ctx, from->type, from->width, from->kept, rows));
  out->exclude_seen = from->exclude_seen;
  out->trained = from->trained;
  for (int64_t i = 0, at = 0; i < from->count; i++, at++) {
    while (samples[at] != from->sample[i])
      at++;
    if (g->group[at] == k) co_scores_copy(out, from, i);
  }
  return CO_OK;
}

static co_status add_slice(co_slices *out, const co_evaluation *e, const grouping *g, int64_t k,
                           const int64_t *samples) {
  co_slice *slice = &out->slice[out->count];
  for (int64_t i = 0; i < g->count; i++)
    slice->rows += g->group[i] == k;
  if (!slice->rows) return CO_OK;
  out->count++;
  slice->name = name_group(g, k);
  slice->scores = co_alloc_zero(out->ctx, (size_t)out->outputs + 1, sizeof *slice->scores);
  if (!slice->name || !slice->scores) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < out->outputs; i++)
    if (e->collects[i])
      CO_RETURN_IF_FAILED(
          take_scores(&slice->scores[i], &e->scores[i], g, k, samples, slice->rows));
  return CO_OK;
}

co_status co_slices_create(co_slices *out, const co_evaluation *e, co_dataset *dataset,
                           const char *column, const int64_t *samples, int64_t count) {
  grouping g = {.ctx = e->model->ctx, .count = count};
  co_status status = CO_OK;
  *out = (co_slices){.ctx = g.ctx, .outputs = e->model->output_count};
  CO_RETURN_IF_FAILED(co_slices_check(dataset, column));
  g.column = co_schema_find(co_dataset_schema(dataset), column);
  CO_TRY(read_groups(&g, dataset, samples));
  out->slice = co_alloc_zero(g.ctx, (size_t)g.groups + 1, sizeof *out->slice);
  if (!out->slice) CO_TRY(CO_ERR_MEMORY);
  for (int64_t k = 0; k <= g.groups; k++)
    CO_TRY(add_slice(out, e, &g, k, samples));
cleanup:
  co_free(g.ctx, g.values);
  co_free(g.ctx, g.group);
  return status;
}

void co_slices_free(co_slices *s) {
  for (int64_t i = 0; i < s->count; i++) {
    for (int64_t k = 0; s->slice[i].scores && k < s->outputs; k++)
      co_scores_free(&s->slice[i].scores[k]);
    co_free(s->ctx, s->slice[i].scores);
    co_free(s->ctx, s->slice[i].name);
  }
  if (s->ctx) co_free(s->ctx, s->slice);
  memset(s, 0, sizeof *s);
}

co_slice_rates co_slice_rates_of(const co_binary_scores *s) {
  double total = s->positives + s->negatives, taken = 0, alarms = 0, sum = 0;
  for (int64_t i = 0; i < s->count; i++) {
    double size = s->positive[i] + s->negative[i];
    sum += size * s->score[i];
    if (s->score[i] < s->threshold) continue;
    taken += size;
    alarms += s->negative[i];
  }
  return (co_slice_rates){s->positives / total, taken / total,
                          s->negatives > 0 ? alarms / s->negatives : NAN, sum / total};
}
