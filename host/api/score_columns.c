// SPDX-License-Identifier: Apache-2.0
#include "host/api/score_columns.h"

#include <stdlib.h>
#include <string.h>

static bool is_category(const co_output_feature *output) {
  return output->column.type == CO_COLUMN_CATEGORY;
}

int64_t co_score_width(const co_output_feature *output) {
  if (is_category(output)) return output->column.category_count;
  return output->column.shape.rank ? output->column.shape.dim[0] : 1;
}

static const char *key_name(const co_dataset *dataset) {
  const co_schema *schema = co_dataset_schema(dataset);
  for (int64_t i = 0; i < schema->column_count; i++)
    if (schema->columns[i].role == CO_ROLE_KEY) return schema->columns[i].name;
  return "row";
}

// The k-th column of an output; those before its values have negative numbers.
static char *column_name(co_arena *arena, const co_output_feature *output, int64_t k) {
  if (k == -1) return co_arena_format(arena, "%s_score", output->name);
  if (k < 0 || (!is_category(output) && co_score_width(output) == 1))
    return co_arena_strdup(arena, output->name);
  if (is_category(output))
    return co_arena_format(arena, "%s:%s", output->name, output->column.categories[k]);
  return co_arena_format(arena, "%s_%lld", output->name, (long long)k);
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

co_status co_score_columns(char ***out, int64_t *count, co_arena *arena, const co_model *model,
                           const co_dataset *dataset) {
  *count = 1;
  for (int64_t i = 0; i < model->output_count; i++)
    *count += co_score_width(&model->outputs[i]) + (is_category(&model->outputs[i]) ? 2 : 0);
  char **names = *out = co_arena_alloc(arena, (size_t)*count, sizeof *names);
  if (!names || !(names[0] = co_arena_strdup(arena, key_name(dataset)))) return CO_ERR_MEMORY;
  int64_t at = 1;
  for (int64_t i = 0; i < model->output_count; i++) {
    const co_output_feature *output = &model->outputs[i];
    for (int64_t k = is_category(output) ? -2 : 0; k < co_score_width(output); k++)
      if (!(names[at++] = column_name(arena, output, k))) return CO_ERR_MEMORY;
  }
  return check_names(arena, names, *count, dataset);
}
