// SPDX-License-Identifier: Apache-2.0
// A category: one of a column's classes. As an input a row of a table (by a vocabulary, or hashed), or
// numbers by group: its share of the training rows, or the mean of a target.
#include <string.h>

#include "host/core/rng.h"
#include "models/builder.h"
#include "models/features/category.h"
#include "models/features/groups.h"
#include "models/features/vocabulary.h"

// ---- options -----------------------------------------------------------------------------------

typedef enum encoding { INDEX, TARGET_MEAN, FREQUENCY } encoding;

typedef struct category_options {
  co_vocabulary_options vocabulary;
  int encoding;
  double smoothing;
  int64_t folds, buckets; // buckets: of hashing, 0 = none
  const char *target;
  const co_node *hashing;
} category_options;

static const char *const encodings[] = {"index", "target_mean", "frequency", NULL};

static const co_field preprocessing[] = {
    CO_VOCABULARY_FIELDS,
    {"hashing", CO_FIELD_NODE, offsetof(category_options, hashing), "null", 0, 0, NULL,
     "{buckets: n}: in place of a vocabulary, classes share n rows by a hash of their names.",
     NULL},
    {"encoding", CO_FIELD_ENUM, offsetof(category_options, encoding), "index", 0, 0, encodings,
     "index: a row of a table; target_mean: the target's mean in the training rows of the class, "
     "for "
     "those themselves without their fold; frequency: the share of the training rows.",
     NULL},
    {"target", CO_FIELD_STRING, offsetof(category_options, target), "null", 0, 0, NULL,
     "Of target_mean, where there are several.", NULL},
    {"smoothing", CO_FIELD_DOUBLE, offsetof(category_options, smoothing), "10.0", 0, 1e9, NULL,
     "Of target_mean: so many rows with the overall mean are added to each class.", NULL},
    {"folds", CO_FIELD_INT, offsetof(category_options, folds), "5", 2, 100, NULL, "Of target_mean.",
     NULL},
    {.key = NULL}};

typedef struct hashing_options {
  int64_t buckets;
} hashing_options;

const co_field co_hashing_fields[] = {{"buckets", CO_FIELD_INT, offsetof(hashing_options, buckets),
                                       NULL, 1, 1 << 24, NULL, "Rows that classes share.", NULL},
                                      {.key = NULL}};

static const category_options *options_of(const co_input_feature *feature) {
  return feature->preprocessing;
}

// ---- numbers by group --------------------------------------------------------------------------

static const co_input_class by_group = {.encoder = "passthrough",
                                        .declare = co_group_declare,
                                        .is_fitted = co_group_is_fitted,
                                        .fit = &co_group_fit,
                                        .check = co_group_check,
                                        .describe = co_group_describe,
                                        .emit = co_group_emit};
static const co_feature_class category_by_group = {.name = "category", .input = &by_group};

static co_status find_target(struct co_model_builder *b, const co_node *item, const char *path,
                             const char *name, const co_column **out) {
  const co_schema *schema = b->schema;
  int64_t found = 0;
  *out = NULL;
  for (int64_t i = 0; i < schema->column_count; i++) {
    const co_column *column = &schema->columns[i];
    if (column->role != CO_ROLE_TARGET || (name && strcmp(name, column->name) != 0)) continue;
    *out = column;
    found++;
  }
  bool fits = found == 1 && ((*out)->type == CO_COLUMN_NUMBER || (*out)->type == CO_COLUMN_BINARY ||
                             (*out)->type == CO_COLUMN_CATEGORY);
  if (fits) return CO_OK;
  const char *problem = found > 1 ? "says which of several targets"
                        : found   ? "has no mean"
                                  : "must be a target";
  *out = NULL;
  return co_node_problem(b->problems, item, NULL, "%s.preprocessing.target: %s", path, problem);
}

static co_status read_groups(struct co_model_builder *b, const co_node *item, const char *path,
                             co_input_feature *feature) {
  const category_options *options = options_of(feature);
  co_group_options *group = co_arena_alloc(b->model->arena, 1, sizeof *group);
  if (!group) return CO_ERR_MEMORY;
  *group = (co_group_options){.function = CO_GROUP_SHARE};
  if (options->encoding == TARGET_MEAN) {
    *group = (co_group_options){CO_GROUP_MEAN, options->smoothing, options->folds};
    const co_column *target;
    CO_RETURN_IF_FAILED(find_target(b, item, path, options->target, &target));
    if (!target) return CO_OK;
    CO_RETURN_IF_FAILED(co_model_copy_column(b->model, target, &feature->learned));
  }
  feature->preprocessing = group;
  feature->class_ = &category_by_group;
  return CO_OK;
}

// ---- hashing -----------------------------------------------------------------------------------

static int64_t buckets_and_one(const co_input_block *block) {
  return 1 + options_of(&block->features[0])->buckets;
}

static co_status declare_hashed(co_model *model, co_input_feature *feature) {
  const co_column *column = feature->column;
  CO_RETURN_IF_FAILED(co_vocabulary_declare(model, feature, column->category_count));
  int32_t *vocabulary = co_feature_fitted(feature, "vocabulary")->bytes;
  for (int64_t i = 0; i < column->category_count; i++)
    vocabulary[i + 1] = 1 + (int32_t)(co_purpose("category", column->categories[i]) %
                                      (uint32_t)options_of(feature)->buckets);
  return CO_OK;
}

static const co_input_class hashed = {.encoder = "embedding",
                                      .table_rows = buckets_and_one,
                                      .declare = declare_hashed,
                                      .check = co_vocabulary_check,
                                      .describe = co_vocabulary_describe,
                                      .emit = co_vocabulary_emit};
static const co_feature_class category_hashed = {.name = "category", .input = &hashed};

static co_status read_hashing(struct co_model_builder *b, const char *path,
                              co_input_feature *feature) {
  category_options *options = feature->preprocessing;
  char *own = co_arena_format(b->model->arena, "%s.preprocessing.hashing", path);
  hashing_options hashing;
  int64_t before = b->problems->count;
  if (!own) return CO_ERR_MEMORY;
  if (options->encoding != INDEX || options->vocabulary.min_frequency > 1 ||
      options->vocabulary.max_size)
    return co_node_problem(b->problems, options->hashing, "leave out one of them",
                           "%s: there is no vocabulary to cut, and no other encoding beside it",
                           own);
  CO_RETURN_IF_FAILED(co_fields_parse(&hashing, co_hashing_fields, options->hashing, own,
                                      b->model->arena, b->problems));
  if (b->problems->count > before) return CO_OK;
  options->buckets = hashing.buckets;
  feature->class_ = &category_hashed;
  return CO_OK;
}

// ---- input -------------------------------------------------------------------------------------

static co_status read(struct co_model_builder *b, const co_node *item, const char *path,
                      co_input_feature *feature) {
  const category_options *options = options_of(feature);
  if (options->hashing && options->hashing->kind != CO_NODE_NULL)
    return read_hashing(b, path, feature);
  return options->encoding == INDEX ? CO_OK : read_groups(b, item, path, feature);
}

static co_status declare(co_model *model, co_input_feature *feature) {
  return co_vocabulary_declare(model, feature, feature->column->category_count);
}

static const co_input_class input = {.preprocessing = preprocessing,
                                     .preprocessing_size = sizeof(category_options),
                                     .encoder = "embedding",
                                     .read = read,
                                     .table_rows = co_vocabulary_rows,
                                     .declare = declare,
                                     .is_fitted = co_vocabulary_is_fitted,
                                     .fit = &co_vocabulary_fit,
                                     .check = co_vocabulary_check,
                                     .describe = co_vocabulary_describe,
                                     .emit = co_vocabulary_emit};

// ---- output ------------------------------------------------------------------------------------

static int64_t classes(const co_output_feature *output) {
  return output->column->category_count;
}

// OUTPUT, OUTPUT_score, then OUTPUT:CLASS for each class.
static int64_t cells(const co_output_feature *output) {
  return 2 + classes(output);
}

static char *cell_name(co_context *ctx, const co_output_feature *output, int64_t i) {
  if (i == 0) return co_strdup(ctx, output->name);
  if (i == 1) return co_format(ctx, "%s_score", output->name);
  return co_format(ctx, "%s:%s", output->name, output->column->categories[i - 2]);
}

static co_score_cell cell(const co_output_feature *output, const float *scores, int64_t i) {
  if (i > 1) return (co_score_cell){NULL, (double)scores[i - 2]};
  int64_t best = 0;
  for (int64_t k = 1; k < classes(output); k++)
    if (scores[k] > scores[best]) best = k;
  if (i == 0) return (co_score_cell){output->column->categories[best], 0};
  return (co_score_cell){NULL, (double)scores[best]};
}

static const co_output_class output = {.loss = "softmax_cross_entropy",
                                       .head = "logits",
                                       .prediction = "probability",
                                       .activation = CO_OP_SOFTMAX,
                                       .target = CO_I32,
                                       .width = classes,
                                       .cells = cells,
                                       .cell_name = cell_name,
                                       .cell = cell};

extern const co_feature_class co_feature_category;
const co_feature_class co_feature_category = {.name = "category",
                                              .doc = "Of type category: one of several classes.",
                                              .columns = 1u << CO_COLUMN_CATEGORY,
                                              .input = &input,
                                              .output = &output};
