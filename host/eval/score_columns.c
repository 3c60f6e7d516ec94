// SPDX-License-Identifier: Apache-2.0
#include "host/eval/score_columns.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/feature.h"

static const char *key_name(const co_dataset *dataset) {
  const co_column *key = co_dataset_key_column(dataset);
  return key ? key->name : "row";
}

static int by_name(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static co_status check_names(co_arena *arena, char *const *names, int64_t count,
                             const co_dataset *dataset) {
  char **sorted = co_arena_alloc(arena, (size_t)count, sizeof *sorted);
  if (!sorted) return CO_ERR_MEMORY;
  memcpy(sorted, names, (size_t)count * sizeof *sorted);
  qsort(sorted, (size_t)count, sizeof *sorted, by_name);
  for (int64_t i = 1; i < count; i++) {
    if (strcmp(sorted[i - 1], sorted[i]) != 0) continue;
    co_status status =
        co_fail_at(CO_ERR_DATA, co_dataset_path(dataset), 0, 0,
                   "scores would have two columns called '%.200s'%s", sorted[i],
                   strcmp(sorted[i], names[0]) == 0 ? ": the key's and an output's" : "");
    co_hint("give %s another name in the dataset",
            strcmp(sorted[i], names[0]) == 0 ? "the key" : "one of the targets");
    return status;
  }
  return CO_OK;
}

static co_status add_name(char ***names, int64_t *count, co_arena *arena, co_context *ctx,
                          const co_output_feature *output, int64_t k) {
  char *name = output->class_->output->cell_name(ctx, output, k);
  (*names)[*count] = name ? co_arena_strdup(arena, name) : NULL;
  co_free(ctx, name);
  return (*names)[(*count)++] ? CO_OK : CO_ERR_MEMORY;
}

// Cells of an output: as its class says, or a class and its score for each of the likeliest.
static int64_t top_of(const co_output_feature *output, int64_t top) {
  bool ranks = top && output->column && output->column->type == CO_COLUMN_CATEGORY;
  return !ranks ? 0 : top < output->width ? top : output->width;
}

static co_status add_top_names(char ***names, int64_t *count, co_arena *arena,
                               const co_output_feature *output, int64_t top) {
  for (int64_t k = 1; k <= top; k++)
    for (int score = 0; score < 2; score++) {
      char *name =
          co_arena_format(arena, "%s_%lld%s", output->name, (long long)k, score ? "_score" : "");
      if (!name) return CO_ERR_MEMORY;
      (*names)[(*count)++] = name;
    }
  return CO_OK;
}

co_status co_score_columns(char ***out, int64_t *count, co_arena *arena, const co_model *model,
                           const co_dataset *dataset, int64_t top) {
  int64_t room = 1, ranked = 0;
  for (int64_t i = 0; i < model->output_count; i++) {
    room += model->outputs[i].class_->output->cells(&model->outputs[i]) + 2 * top;
    ranked += top_of(&model->outputs[i], top);
  }
  if (top && !ranked)
    return co_fail(CO_ERR_USAGE, "--top-k: no output of the model is one of several classes");
  *out = co_arena_alloc(arena, (size_t)room, sizeof **out);
  if (!*out || !((*out)[0] = co_arena_strdup(arena, key_name(dataset)))) return CO_ERR_MEMORY;
  *count = 1;
  for (int64_t i = 0; i < model->output_count; i++) {
    const co_output_feature *output = &model->outputs[i];
    int64_t most = top_of(output, top);
    CO_RETURN_IF_FAILED(add_top_names(out, count, arena, output, most));
    for (int64_t k = 0; !most && k < output->class_->output->cells(output); k++)
      CO_RETURN_IF_FAILED(add_name(out, count, arena, model->ctx, output, k));
  }
  return check_names(arena, *out, *count, dataset);
}

// ---- cells -------------------------------------------------------------------------------------

void co_score_add_text(co_text *line, const char *text) {
  if (!strpbrk(text, ",\"\r\n")) {
    co_text_append(line, text, strlen(text));
    return;
  }
  co_text_append(line, "\"", 1);
  for (const char *at = text; *at; at++)
    co_text_append(line, *at == '"' ? "\"\"" : at, *at == '"' ? 2 : 1);
  co_text_append(line, "\"", 1);
}

static void add_number(co_text *line, double value) {
  char number[32]; // nine digits bring a float back exactly
  co_text_append(line, number, (size_t)snprintf(number, sizeof number, "%.9g", value));
}

// By falling score, of equal ones the class that is listed first.
static void add_top(co_text *line, const co_output_feature *output, const float *row, int64_t top) {
  int64_t last = -1;
  for (int64_t k = 0; k < top; k++) {
    int64_t best = -1;
    for (int64_t c = 0; c < output->width; c++) {
      bool left = last < 0 || row[c] < row[last] || (row[c] == row[last] && c > last);
      if (left && (best < 0 || row[c] > row[best])) best = c;
    }
    co_text_append(line, ",", 1);
    co_score_add_text(line, output->column->categories[best]);
    co_text_append(line, ",", 1);
    add_number(line, (double)row[best]);
    last = best;
  }
}

co_status co_score_add_output(co_text *line, const co_output_feature *output, const float *row,
                              const float *shown, int64_t sample, int64_t top) {
  const co_output_class *class_ = output->class_->output;
  for (int64_t k = 0; k < output->width; k++)
    if (!isfinite(row[k]))
      return co_fail(CO_ERR_MODEL, "row %lld: the model's score of '%s' is not a finite number",
                     (long long)sample, output->name);
  int64_t most = top_of(output, top);
  if (most) add_top(line, output, row, most);
  for (int64_t k = 0; !most && k < class_->cells(output); k++) {
    co_score_cell cell = class_->cell(output, row, k);
    if (!cell.text) cell = class_->cell(output, shown, k);
    co_text_append(line, ",", 1);
    if (cell.text)
      co_score_add_text(line, cell.text);
    else
      add_number(line, cell.number);
  }
  return line->status;
}
