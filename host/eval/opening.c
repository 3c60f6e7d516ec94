// SPDX-License-Identifier: Apache-2.0
#include "host/eval/opening.h"

#include <string.h>

#include "host/core/file.h"
#include "host/device/backend.h"
#include "host/graph/metric/metric.h"
#include "models/catalogue.h"
#include "models/feature.h"
#include "models/text_output.h"

co_status co_check_batch_size(int64_t rows) {
  if (rows >= 0 && rows <= CO_MAX_BATCH_ROWS) return CO_OK;
  return co_fail(CO_ERR_USAGE, "batch size %lld is not between 1 and %d", (long long)rows,
                 (int)CO_MAX_BATCH_ROWS);
}

co_status co_open_backend(co_backend **out, co_context *ctx, const char *device, int threads,
                          co_precision precision, const co_choices *choices) {
  const co_backend_options options = {.threads = threads,
                                      .strict_f32 = precision == CO_PRECISION_F32,
                                      .ways = co_choices_ways(choices)};
  return co_backend_open_device(out, ctx, device, &options);
}

co_status co_choose_precision(co_precision *precision, const char *asked) {
  return asked ? co_precision_parse(precision, asked, "--precision") : CO_OK;
}

static bool same_shape(const co_column *a, const co_column *b) {
  return co_shape_equal(&a->shape, &b->shape);
}

static co_status check_column(const co_column *want, const co_dataset *dataset, const char *role) {
  const co_column *have = co_schema_find(co_dataset_schema(dataset), want->name);
  const char *path = co_dataset_path(dataset);
  if (!have)
    return co_fail_at(CO_ERR_DATA, path, 0, 0, "the model's %s '%s' is missing", role, want->name);
  if (have->type != want->type)
    return co_fail_at(CO_ERR_DATA, path, 0, 0, "column '%s' is of type %s, the model's is %s",
                      want->name, co_column_type_name(have->type), co_column_type_name(want->type));
  if (!same_shape(have, want)) {
    char a[96], b[96];
    co_shape_print(&have->shape, a, sizeof a);
    co_shape_print(&want->shape, b, sizeof b);
    return co_fail_at(CO_ERR_DATA, path, 0, 0, "column '%s' has shape %s, the model's has %s",
                      want->name, a, b);
  }
  if (have->category_count != want->category_count &&
      have->category_count != want->category_count + want->new_classes)
    return co_fail_at(CO_ERR_DATA, path, 0, 0, "column '%s' has %lld classes, the model has %lld",
                      want->name, (long long)have->category_count, (long long)want->category_count);
  for (int64_t i = 0; i < want->category_count; i++)
    if (strcmp(have->categories[i], want->categories[i]) != 0)
      return co_fail_at(CO_ERR_DATA, path, 0, 0,
                        "column '%s': class %lld is '%s', in the model it is '%s'", want->name,
                        (long long)i, have->categories[i], want->categories[i]);
  return CO_OK;
}

// The only column of a dataset that is an input; NULL where there are none or several.
static const co_column *only_input(const co_dataset *dataset) {
  const co_schema *schema = co_dataset_schema(dataset);
  const co_column *found = NULL;
  for (int64_t i = 0; i < schema->column_count; i++) {
    if (schema->columns[i].role != CO_ROLE_INPUT) continue;
    if (found) return NULL;
    found = &schema->columns[i];
  }
  return found;
}

// An input of any name is called as the dataset's only input is.
static co_status bind_any(const co_model *model, const co_dataset *dataset) {
  for (int64_t i = 0; i < model->input_count; i++) {
    const co_column *column = model->inputs[i].column, *only;
    if (!column || !column->any || co_schema_find(co_dataset_schema(dataset), column->name))
      continue;
    if (!(only = only_input(dataset))) {
      co_status status = co_fail_at(CO_ERR_DATA, co_dataset_path(dataset), 0, 0,
                                    "the model reads the only input column; there is not one");
      co_hint("cohort convert --input COLUMN names it");
      return status;
    }
    char *name = co_arena_strdup(model->arena, only->name);
    if (!name) return CO_ERR_MEMORY;
    ((co_column *)(uintptr_t)column)->name = name; // the model's own copy
  }
  return CO_OK;
}

co_status co_check_dataset(const co_model *model, const co_dataset *dataset, bool targets) {
  CO_RETURN_IF_FAILED(bind_any(model, dataset));
  for (int64_t i = 0; i < model->input_count; i++)
    for (int64_t k = 0; k < model->inputs[i].column_count; k++)
      CO_RETURN_IF_FAILED(check_column(model->inputs[i].columns[k], dataset, "input"));
  for (int64_t i = 0; targets && i < model->output_count; i++)
    if (model->outputs[i].column)
      CO_RETURN_IF_FAILED(check_column(model->outputs[i].column, dataset, "target"));
  return CO_OK;
}

co_status co_choose_batch_size(int64_t *rows, int64_t asked, const co_model_file *file,
                               const char *key, int64_t fallback) {
  CO_RETURN_IF_FAILED(co_check_batch_size(asked));
  *rows = asked ? asked : fallback;
  const co_node *trainer = co_node_get(file->config, "trainer");
  const co_node *node = trainer ? co_node_get(trainer, key) : NULL;
  if (asked || !node) return CO_OK;
  if (co_node_int(node, rows) && *rows >= 1 && *rows <= CO_MAX_BATCH_ROWS) return CO_OK;
  return co_fail_at(CO_ERR_MODEL, file->path, 0, 0,
                    "its stored config cannot be used: trainer.%s must be 1 to %d", key,
                    (int)CO_MAX_BATCH_ROWS);
}

int64_t co_bound_rows(const co_model *model, int64_t rows) {
  int64_t classes = 0;
  for (int64_t i = 0; i < model->output_count; i++) {
    const co_output_feature *output = &model->outputs[i];
    const bool catalogue = output->column && output->column->type == CO_COLUMN_CATEGORY &&
                           output->width > CO_METRIC_CLASSES;
    if (catalogue) classes += output->width;
    if (output->text) classes += co_text_output_classes(output->text); // logits of a step
    for (int64_t k = 0; output->text && k < output->text->memory_count; k++)
      classes += model->event_tables[output->text->memory[k].event_table].most_events *
                 output->text->units;
  }
  if (!classes) return rows;
  const int64_t most = CO_CLASS_BYTES / (int64_t)sizeof(float) / classes;
  return rows < most ? rows : most > 1 ? most : 1;
}

static co_status append_classes(co_column *column, co_arena *arena, const co_new_classes *classes) {
  const int64_t count = column->category_count;
  const char **names = co_arena_alloc(arena, (size_t)(count + classes->count) + 1, sizeof *names);
  if (!names) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < count + classes->count; i++)
    names[i] = i < count ? column->categories[i] : classes->names[i - count];
  column->categories = names;
  column->category_count = count + classes->count;
  column->new_classes = classes->count;
  return CO_OK;
}

static co_status declare_new_classes(co_model_file *file, co_arena *arena,
                                     const co_new_classes *classes) {
  if (!classes || !classes->column) return CO_OK;
  co_column *columns =
      co_arena_alloc(arena, (size_t)file->schema.column_count + 1, sizeof *columns);
  if (!columns) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < file->schema.column_count; i++) {
    columns[i] = file->schema.columns[i];
    if (strcmp(columns[i].name, classes->column) == 0) columns[i].new_classes = classes->count;
    if (classes->target && strcmp(columns[i].name, classes->target) == 0)
      CO_RETURN_IF_FAILED(append_classes(&columns[i], arena, classes));
  }
  file->schema.columns = columns;
  return CO_OK;
}

static void take_new_items(co_catalogue *c, const co_new_classes *classes) {
  for (int64_t k = 0; k < c->column_count; k++) {
    const void *values = NULL;
    for (int64_t i = 0; i < classes->value_count; i++)
      if (strcmp(classes->values[i].column, c->columns[k]->column->name) == 0)
        values = classes->values[i].values;
    co_catalogue_take_column(c, k, values);
  }
}

static void take_new_classes(co_model *model, const co_new_classes *classes) {
  if (!classes || !classes->column) return;
  const co_class_members members = {classes->pictures, classes->descriptions};
  for (int64_t i = 0; i < model->input_count; i++) {
    co_input_feature *feature = &model->inputs[i];
    if (feature->class_->input->take_new_classes && feature->column->new_classes)
      feature->class_->input->take_new_classes(feature, &members);
  }
  for (int64_t i = 0; i < model->output_count; i++)
    if (model->outputs[i].catalogue && classes->target)
      take_new_items(model->outputs[i].catalogue, classes);
}

co_status co_model_open(co_model **out, co_model_file *file, char **path, co_arena *arena,
                        const char *model, co_diagnostics *problems) {
  return co_model_open_with(out, file, path, arena, model, NULL, problems);
}

static co_status check_texts(const co_model *model, const char *path) {
  for (int64_t i = 0; i < model->output_count; i++)
    if (model->outputs[i].text && !co_text_output_is_sound(model->outputs[i].text))
      return co_fail_at(CO_ERR_MODEL, path, 0, 0, "it is damaged: the vocabulary of output '%s'",
                        model->outputs[i].name);
  return CO_OK;
}

// Of a run's folder, what it has written last may be all that there is.
static void warn_of_unfinished(co_context *ctx, const char *given, const char *path) {
  if (!co_path_is_directory(given) || !strstr(path, "/checkpoints/")) return;
  co_log(ctx, CO_LOG_WARN, "model",
         "%s is not finished: %s is its last checkpoint, without what a training ends with (best "
         "weights, calibration, baselines); go on with cohort train --resume %s",
         given, path, given);
}

co_status co_model_open_with(co_model **out, co_model_file *file, char **path, co_arena *arena,
                             const char *model, const co_new_classes *classes,
                             co_diagnostics *problems) {
  co_context *ctx = co_arena_context(arena);
  CO_RETURN_IF_FAILED(co_model_file_find(path, ctx, model));
  CO_RETURN_IF_FAILED(co_model_file_read(file, arena, *path));
  warn_of_unfinished(ctx, model, *path);
  CO_RETURN_IF_FAILED(declare_new_classes(file, arena, classes));
  co_status status = co_model_create(out, ctx, file->config, &file->schema, problems);
  if (status == CO_ERR_CONFIG)
    return co_fail_at(CO_ERR_MODEL, *path, 0, 0, "its stored config cannot be used: %s",
                      co_error_last()->message);
  CO_RETURN_IF_FAILED(status);
  CO_RETURN_IF_FAILED(co_model_file_read_fitted(ctx, *path, (*out)->fitted, (*out)->fitted_count));
  CO_RETURN_IF_FAILED(check_texts(*out, *path));
  take_new_classes(*out, classes);
  return co_model_file_check_weights(ctx, *path, (*out)->network);
}
