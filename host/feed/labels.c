// SPDX-License-Identifier: Apache-2.0
#include "host/feed/labels.h"

#include <math.h>

static bool is_missing(const co_column *column, const void *values, int64_t row) {
  if (column->dtype == CO_I32) return ((const int32_t *)values)[row] < 0;
  int64_t width = co_shape_count(&column->shape);
  for (int64_t i = 0; i < width; i++)
    if (isnan(((const float *)values)[row * width + i])) return true;
  return false;
}

// NULL: every row counts 1.
static const char *weight_column(const co_dataset *dataset) {
  const co_schema *schema = co_dataset_schema(dataset);
  for (int64_t i = 0; i < schema->column_count; i++)
    if (schema->columns[i].role == CO_ROLE_WEIGHT) return schema->columns[i].name;
  return NULL;
}

enum { CHUNK = 256 };

// Whether any of the rows counts: has this target (where `column` is NULL, none is needed) and a
// weight.
static co_status find_row(co_dataset *dataset, const co_column *column, const char *weight,
                          const int64_t *samples, int64_t count, void *values, bool *found) {
  float weights[CHUNK];
  *found = false;
  for (int64_t begin = 0; begin < count && !*found; begin += CHUNK) {
    int64_t rows = count - begin < CHUNK ? count - begin : CHUNK;
    if (column)
      CO_RETURN_IF_FAILED(co_dataset_gather(dataset, column->name, samples + begin, rows, values));
    if (weight)
      CO_RETURN_IF_FAILED(co_dataset_gather(dataset, weight, samples + begin, rows, weights));
    for (int64_t i = 0; i < rows && !*found; i++)
      *found = (!weight || weights[i] > 0) && !(column && is_missing(column, values, i));
  }
  return CO_OK;
}

static co_status nothing_found(co_dataset *dataset, co_split split, bool weighted) {
  const char *path = co_dataset_path(dataset), *name = co_split_name(split);
  if (!weighted)
    return co_fail_at(CO_ERR_DATA, path, 0, 0, "no %s row has a weight ('%s') above zero", name,
                      weight_column(dataset));
  return co_fail_at(CO_ERR_DATA, path, 0, 0, "no %s row has a target%s", name,
                    weight_column(dataset) ? " and a weight above zero" : "");
}

static co_status check_outputs(const co_model *model, co_dataset *dataset, co_split split,
                               const int64_t *samples, int64_t count, void *values) {
  const char *weight = weight_column(dataset);
  bool found, weighted = true;
  int64_t labelled = 0;
  for (int64_t i = 0; i < model->output_count; i++) {
    CO_RETURN_IF_FAILED(
        find_row(dataset, model->outputs[i].column, weight, samples, count, values, &found));
    labelled += found;
  }
  if (!labelled && weight)
    CO_RETURN_IF_FAILED(find_row(dataset, NULL, weight, samples, count, NULL, &weighted));
  if (!labelled) return nothing_found(dataset, split, weighted);
  for (int64_t i = 0; i < model->output_count && labelled < model->output_count; i++) {
    CO_RETURN_IF_FAILED(
        find_row(dataset, model->outputs[i].column, weight, samples, count, values, &found));
    if (!found)
      co_log(model->ctx, CO_LOG_WARN, "dataset", "no %s row has the target '%s'",
             co_split_name(split), model->outputs[i].name);
  }
  return CO_OK;
}

co_status co_check_labels(const co_model *model, co_dataset *dataset, co_split split) {
  const int64_t *samples;
  int64_t count;
  size_t row = 0;
  CO_RETURN_IF_FAILED(co_dataset_split(dataset, split, &samples, &count));
  if (!count) return CO_OK;
  for (int64_t i = 0; i < model->output_count; i++) {
    const co_column *column = model->outputs[i].column;
    if (!column) continue;
    size_t bytes = co_dtype_size(column->dtype) * (size_t)co_shape_count(&column->shape);
    if (bytes > row) row = bytes;
  }
  void *values = co_alloc_zero(model->ctx, CHUNK, row);
  if (!values) return CO_ERR_MEMORY;
  co_status status = check_outputs(model, dataset, split, samples, count, values);
  co_free(model->ctx, values);
  return status;
}
