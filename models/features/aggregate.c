// SPDX-License-Identifier: Apache-2.0
// An aggregate by group: of the training rows that share a row's category, what they have in another
// column: mean, deviation, …, or how many they are.
#include "models/builder.h"
#include "models/features/groups.h"

typedef struct aggregate_options {
  co_group_options group;
  const char *of;
} aggregate_options;

static const char *const functions[] = {"mean", "std", "min", "max", "sum", "count", "share", NULL};

static const co_field preprocessing[] = {
    {"function", CO_FIELD_ENUM, offsetof(aggregate_options, group.function), "mean", 0, 0,
     functions, "count: of training rows; share: of all of them. Neither needs `of`.", NULL},
    {"of", CO_FIELD_STRING, offsetof(aggregate_options, of), "null", 0, 0, NULL,
     "The number that is aggregated.", NULL},
    {"smoothing", CO_FIELD_DOUBLE, offsetof(aggregate_options, group.smoothing), "0.0", 0, 1e9,
     NULL, "Of mean: so many rows with the overall mean are added to each group.", NULL},
    {.key = NULL}};

static co_status read(struct co_model_builder *b, const co_node *item, const char *path,
                      co_input_feature *feature) {
  const aggregate_options *options = feature->preprocessing;
  bool counts = options->group.function >= CO_GROUP_COUNT;
  const co_column *column;
  if (counts != !options->of)
    return co_node_problem(b->problems, item, NULL, "%s.preprocessing.of: %s", path,
                           counts ? "rows are counted, of no column"
                                  : "is required: which number is aggregated");
  if (counts) return CO_OK;
  CO_RETURN_IF_FAILED(co_model_find_column(b, item, path, options->of, &column));
  if (!column) return CO_OK;
  if (column->role == CO_ROLE_TARGET)
    return co_node_problem(b->problems, item, "type: category with encoding: target_mean does",
                           "%s.preprocessing.of: '%s' is a target, which its own rows would see",
                           path, options->of);
  if ((column->type != CO_COLUMN_NUMBER && column->type != CO_COLUMN_BINARY) ||
      co_model_column_events(b, column))
    return co_node_problem(b->problems, item, NULL, "%s.preprocessing.of: '%s' is no number", path,
                           options->of);
  return co_model_copy_column(b->model, column, &feature->learned);
}

static const co_input_class input = {.preprocessing = preprocessing,
                                     .preprocessing_size = sizeof(aggregate_options),
                                     .encoder = "passthrough",
                                     .read = read,
                                     .declare = co_group_declare,
                                     .is_fitted = co_group_is_fitted,
                                     .fit = &co_group_fit,
                                     .check = co_group_check,
                                     .describe = co_group_describe,
                                     .emit = co_group_emit};

extern const co_feature_class co_feature_aggregate;
const co_feature_class co_feature_aggregate = {
    .name = "aggregate",
    .doc = "Of type aggregate: a number of the training rows that have the same category.",
    .columns = 1u << CO_COLUMN_CATEGORY | 1u << CO_COLUMN_BINARY,
    .input = &input};
