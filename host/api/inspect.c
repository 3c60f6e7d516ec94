// SPDX-License-Identifier: Apache-2.0
// cohort_inspect: what is in a dataset, model, checkpoint or run directory.
#include <string.h>

#include "host/api/api.h"
#include "host/core/file.h"
#include "host/core/h5.h"
#include "host/eval/estimator.h"
#include "host/eval/golden.h"
#include "host/eval/opening.h"
#include "host/feed/design.h"
#include "host/feed/fit_features.h"

static void render_column(cohort_result *result, const co_column *column, const char *table) {
  co_json *json = &result->json;
  char shape[96], picture[96];
  co_shape_print(&column->shape, shape, sizeof shape);
  co_json_open(json, '{');
  co_json_key(json, "name");
  co_json_string(json, column->name);
  if (table) {
    co_json_key(json, "table");
    co_json_string(json, table);
  }
  co_column_render(json, column);
  co_json_close(json);
  co_text_printf(&result->text, "  %-24s %-10s %-8s ", column->name,
                 co_column_type_name(column->type), co_role_name(column->role));
  co_shape_print(&column->picture, picture, sizeof picture);
  if (column->type == CO_COLUMN_CATEGORY)
    co_text_printf(&result->text, "%lld classes%s%s%s%s%s\n", (long long)column->category_count,
                   table ? " of " : "", table ? table : "",
                   column->picture.rank ? ", with pictures " : "",
                   column->picture.rank ? picture : "", column->described ? ", with texts" : "");
  else
    co_text_printf(&result->text, "%s%s%s\n", column->shape.rank ? shape : "",
                   column->shape.rank && table ? " of "
                   : table                     ? "of "
                                               : "",
                   table ? table : "");
}

// More than an entity and its samples.
static bool several_tables(const co_schema *schema) {
  return schema->table_count > 2;
}

static void render_schema(cohort_result *result, const co_schema *schema, bool tables) {
  co_json_key(&result->json, "columns");
  co_json_open(&result->json, '[');
  for (int64_t i = 0; i < schema->column_count; i++)
    render_column(result, &schema->columns[i], tables ? schema->columns[i].table : NULL);
  co_json_close(&result->json);
}

static void render_tables(cohort_result *result, const co_schema *schema) {
  co_json *json = &result->json;
  if (!several_tables(schema)) return;
  co_json_key(json, "tables");
  co_json_open(json, '[');
  co_text_printf(&result->text, "tables\n");
  for (int64_t i = 0; i < schema->table_count; i++) {
    const co_table *table = &schema->tables[i];
    co_json_open(json, '{');
    co_json_key(json, "name");
    co_json_string(json, table->name);
    co_json_key(json, "kind");
    co_json_string(json, co_table_kind_name(table->kind));
    co_json_key(json, "rows");
    co_json_int(json, table->rows);
    co_json_close(json);
    co_text_printf(&result->text, "  %-24s %-10s %lld\n", table->name,
                   co_table_kind_name(table->kind), (long long)table->rows);
  }
  co_json_close(json);
}

static co_status inspect_dataset(co_context *ctx, const char *path, cohort_result *result) {
  co_dataset *dataset;
  CO_RETURN_IF_FAILED(co_dataset_open(&dataset, ctx, path));
  co_json *json = &result->json;
  co_json_key(json, "kind");
  co_json_string(json, "dataset");
  co_json_key(json, "rows");
  co_json_int(json, co_dataset_rows(dataset));
  co_text_printf(&result->text, "dataset  %s\nrows     %lld\n", path,
                 (long long)co_dataset_rows(dataset));
  co_json_key(json, "splits");
  co_json_open(json, '{');
  co_status status = CO_OK;
  for (int split = 0; status == CO_OK && split < CO_SPLIT_COUNT; split++) {
    const int64_t *rows;
    int64_t count = 0;
    status = co_dataset_split(dataset, (co_split)split, &rows, &count);
    co_json_key(json, co_split_name((co_split)split));
    co_json_int(json, count);
    co_text_printf(&result->text, "  %-24s %lld\n", co_split_name((co_split)split),
                   (long long)count);
  }
  co_json_close(json);
  render_tables(result, co_dataset_schema(dataset));
  co_text_printf(&result->text, "columns\n");
  render_schema(result, co_dataset_schema(dataset), several_tables(co_dataset_schema(dataset)));
  co_json_key(json, "fingerprint");
  co_json_string(json, co_dataset_fingerprint(dataset));
  co_text_printf(&result->text, "sha256   %s\n", co_dataset_fingerprint(dataset));
  co_dataset_close(dataset);
  return status;
}

static void render_array(cohort_result *result, const char *name, const co_shape *shape) {
  char text[96];
  co_shape_print(shape, text, sizeof text);
  co_json_open(&result->json, '{');
  co_json_key(&result->json, "name");
  co_json_string(&result->json, name);
  co_json_key(&result->json, "shape");
  co_json_open(&result->json, '[');
  for (int d = 0; d < shape->rank; d++)
    co_json_int(&result->json, shape->dim[d]);
  co_json_close(&result->json);
  co_json_close(&result->json);
  co_text_printf(&result->text, "  %-48s %s\n", name, text);
}

// What a model that is no network has in place of layers.
static co_status render_arrays(co_context *ctx, const char *path, co_arena *arena,
                               cohort_result *result) {
  co_model_arrays arrays = {.items = NULL};
  int64_t total = 0;
  co_status status = co_model_file_read_arrays(&arrays, arena, path, CO_MODEL_PREDICTOR_GROUP);
  co_json_key(&result->json, "weights");
  co_json_open(&result->json, '[');
  co_text_printf(&result->text, "learned\n");
  for (int64_t i = 0; status == CO_OK && i < arrays.count; i++) {
    const co_fitted *array = &arrays.items[i];
    char *name = co_arena_format(arena, "%s/%s", array->feature, array->name);
    if (!name) status = CO_ERR_MEMORY;
    if (name) render_array(result, name, &array->shape);
    total += co_shape_count(&array->shape);
  }
  co_json_close(&result->json);
  co_json_key(&result->json, "parameters");
  co_json_int(&result->json, total);
  co_free(ctx, arrays.items);
  return status;
}

static void render_coefficient(cohort_result *result, const char *name, const double *values,
                               int64_t width) {
  co_json_key(&result->json, name);
  co_json_open(&result->json, '[');
  co_text_printf(&result->text, "  %-40s", name);
  for (int64_t k = 0; k < width; k++) {
    co_json_double(&result->json, values[k]);
    co_text_printf(&result->text, " %10.5g", values[k]);
  }
  co_json_close(&result->json);
  co_text_printf(&result->text, "\n");
}

// What the coefficients of a linear model are of.
static void render_output(co_model *model, const co_design_columns *columns, co_arena *arena,
                          const co_fitted *coefficients, cohort_result *result) {
  int64_t width = coefficients->shape.dim[1];
  const double *values = coefficients->bytes;
  co_json_key(&result->json, coefficients->feature);
  co_json_open(&result->json, '{');
  co_text_printf(&result->text, "coefficients of %s\n", coefficients->feature);
  for (int64_t i = 0; i < columns->count; i++) {
    const char *name = co_design_column_name(columns, arena, model, i);
    render_coefficient(result, name ? name : "", values + i * width, width);
  }
  co_json_close(&result->json);
}

static co_status render_coefficients(co_context *ctx, const char *file_path,
                                     cohort_result *result) {
  co_arena *arena;
  co_model *model = NULL;
  co_model_file file;
  co_diagnostics problems;
  co_design_columns columns;
  co_model_arrays arrays = {.items = NULL};
  char *path = NULL;
  CO_RETURN_IF_FAILED(co_arena_create(&arena, ctx));
  co_diagnostics_init(&problems, ctx);
  co_status status;
  CO_TRY(co_model_open(&model, &file, &path, arena, file_path, &problems));
  CO_TRY(co_design_describe(&columns, arena, model, false));
  CO_TRY(co_model_file_read_arrays(&arrays, arena, path, CO_MODEL_PREDICTOR_GROUP));
  co_json_key(&result->json, "coefficients");
  co_json_open(&result->json, '{');
  for (int64_t i = 0; i < arrays.count; i++) {
    const co_fitted *array = &arrays.items[i];
    if (strcmp(array->name, "coefficients") == 0 && array->dtype == CO_F64 &&
        array->shape.rank == 2 && array->shape.dim[0] == columns.count)
      render_output(model, &columns, arena, array, result);
  }
  co_json_close(&result->json);
cleanup:
  co_free(ctx, arrays.items);
  co_free(ctx, path);
  co_model_free(model);
  co_diagnostics_free(&problems);
  co_arena_free(arena);
  return status;
}

// Layers and weights straight from the Keras groups.
static co_status render_weights(co_h5 *file, co_arena *arena, cohort_result *result) {
  char **layers;
  int64_t layer_count, total = 0;
  CO_RETURN_IF_FAILED(
      co_h5_get_strings(file, "/model_weights", "layer_names", arena, &layers, &layer_count));
  co_json_key(&result->json, "weights");
  co_json_open(&result->json, '[');
  co_text_printf(&result->text, "weights\n");
  for (int64_t i = 0; i < layer_count; i++) {
    char **names;
    int64_t count;
    char *group = co_arena_format(arena, "/model_weights/%s", layers[i]);
    if (!group) return CO_ERR_MEMORY;
    CO_RETURN_IF_FAILED(co_h5_get_strings(file, group, "weight_names", arena, &names, &count));
    for (int64_t k = 0; k < count; k++) {
      co_h5_info info;
      char *path = co_arena_format(arena, "%s/%s", group, names[k]);
      if (!path) return CO_ERR_MEMORY;
      CO_RETURN_IF_FAILED(co_h5_get_info(file, path, &info));
      total += co_shape_count(&info.shape);
      render_array(result, path + strlen("/model_weights/"), &info.shape);
    }
  }
  co_json_close(&result->json);
  co_json_key(&result->json, "parameters");
  co_json_int(&result->json, total);
  co_text_printf(&result->text, "  %lld values in all\n", (long long)total);
  return CO_OK;
}

// What those of them that can be read have to say.
static co_status report_baselines(co_context *ctx, const co_model_file *file,
                                  cohort_result *result) {
  co_arena *arena;
  CO_RETURN_IF_FAILED(co_arena_create(&arena, ctx));
  co_status status = CO_OK;
  co_json_key(&result->json, "fits");
  co_json_open(&result->json, '{');
  for (int64_t i = 0; status == CO_OK && i < file->baseline_count; i++) {
    const co_estimator_class *class_ = co_estimator_find(file->baselines[i]);
    char *group = co_arena_format(arena, "%s/%s", CO_MODEL_BASELINES_GROUP, file->baselines[i]);
    co_model_arrays arrays = {.count = 0};
    if (!class_ || !class_->report) continue;
    if (!group) status = CO_ERR_MEMORY;
    if (status == CO_OK) status = co_model_file_read_arrays(&arrays, arena, file->path, group);
    if (status != CO_OK) break;
    co_json_key(&result->json, class_->name);
    co_json_open(&result->json, '{');
    co_text_printf(&result->text, "  %s: ", class_->name);
    class_->report(class_, &arrays, &result->json, &result->text);
    co_text_printf(&result->text, "\n");
    co_json_close(&result->json);
  }
  co_json_close(&result->json);
  co_arena_free(arena);
  return status;
}

static void render_baselines(cohort_result *result, const co_model_file *file) {
  co_json_key(&result->json, "baselines");
  co_json_open(&result->json, '[');
  for (int64_t i = 0; i < file->baseline_count; i++) {
    co_json_string(&result->json, file->baselines[i]);
    co_text_printf(&result->text, "%s%s", i ? ", " : "baselines ", file->baselines[i]);
  }
  co_json_close(&result->json);
  if (file->baseline_count) co_text_printf(&result->text, "\n");
}

// Joined tables that scoring needs no source for.
static void render_carried(cohort_result *result, const co_model_file *file) {
  if (!file->carried_count) return;
  co_json_key(&result->json, "carried");
  co_json_open(&result->json, '[');
  for (int64_t i = 0; i < file->carried_count; i++) {
    co_json_string(&result->json, file->carried[i].name);
    co_text_printf(&result->text, "%s%s", i ? ", " : "carries  ", file->carried[i].name);
  }
  co_json_close(&result->json);
  co_text_printf(&result->text, "\n");
}

static void render_training(cohort_result *result, const co_training_state *state) {
  co_json *json = &result->json;
  co_json_key(json, "training");
  co_json_open(json, '{');
  co_json_key(json, "step");
  co_json_int(json, state->step);
  co_json_key(json, "epoch");
  co_json_int(json, state->epoch);
  co_json_key(json, "batch");
  co_json_int(json, state->batch);
  co_json_key(json, "seed");
  co_json_int(json, (int64_t)state->seed);
  co_json_key(json, "best");
  co_json_double(json, state->best);
  co_json_key(json, "best_step");
  co_json_int(json, state->best_step);
  co_json_key(json, "finished");
  co_json_bool(json, state->finished);
  co_json_close(json);
  co_text_printf(&result->text, "training step %lld, epoch %u, %s\n", (long long)state->step,
                 state->epoch, state->finished ? "finished" : "to be continued");
}

static co_status render_learned(co_context *ctx, const char *path, co_arena *arena,
                                cohort_result *result) {
  co_h5 *file;
  CO_RETURN_IF_FAILED(co_h5_open(&file, ctx, path, CO_ERR_MODEL));
  bool network = !co_h5_exists(file, CO_MODEL_PREDICTOR_GROUP);
  co_status status = network ? render_weights(file, arena, result) : CO_OK;
  co_h5_abandon(file);
  return network ? status : render_arrays(ctx, path, arena, result);
}

co_status co_inspect_weights(co_context *ctx, const char *path) {
  co_arena *arena;
  cohort_result ignored = {.ctx = ctx};
  CO_RETURN_IF_FAILED(co_arena_create(&arena, ctx));
  co_json_init(&ignored.json, ctx, 0);
  co_text_init(&ignored.text, ctx);
  co_json_open(&ignored.json, '{');
  co_status status = render_learned(ctx, path, arena, &ignored);
  co_json_free(&ignored.json);
  co_text_free(&ignored.text);
  co_arena_free(arena);
  return status;
}

// What the training rows had: of each input, as far as it was counted.
static co_status render_counts(co_h5 *file, co_arena *arena, const co_node *config,
                               cohort_result *result) {
  const co_node *inputs = co_node_get(config, "input_features");
  const co_shape shape = co_shape_make(1, (int64_t)CO_COUNT_ROOM);
  co_json_key(&result->json, "preprocessing");
  co_json_open(&result->json, '{');
  co_text_printf(&result->text, "of the training rows\n");
  for (int64_t i = 0; inputs && inputs->kind == CO_NODE_LIST && i < inputs->count; i++) {
    const co_node *name = co_node_get(inputs->items[i], "name");
    if (!name) name = co_node_get(inputs->items[i], "column");
    if (!name || name->kind != CO_NODE_SCALAR) continue;
    co_input_counts counts;
    char *path = co_arena_format(arena, "/cohort/preprocessing/%s/counts", name->text);
    if (!path) return CO_ERR_MEMORY;
    if (!co_h5_exists(file, path)) continue;
    CO_RETURN_IF_FAILED(co_h5_read(file, path, CO_I64, &shape, counts.of));
    co_render_input_count(&result->json, &result->text, name->text, &counts);
  }
  co_json_close(&result->json);
  return CO_OK;
}

// Which training rows it holds, and what of them somebody wrote.
static co_status render_golden(co_context *ctx, const char *path, co_arena *arena,
                               cohort_result *result) {
  co_model_golden golden = {.rounding = 0};
  co_json *json = &result->json;
  int64_t texts = 0;
  co_status status = co_model_file_read_golden(&golden, arena, path);
  const int64_t rows = status == CO_OK ? co_golden_rows(&golden) : 0;
  co_json_key(json, "golden");
  co_json_open(json, '{');
  co_json_key(json, "rows");
  co_json_int(json, rows);
  co_json_key(json, "texts");
  co_json_open(json, '[');
  if (rows)
    co_text_printf(&result->text, "golden   %lld training rows as they are", (long long)rows);
  for (int64_t i = 0; rows && i < golden.inputs.count; i++) {
    if (strcmp(golden.inputs.items[i].name, "texts") != 0) continue;
    co_json_string(json, golden.inputs.items[i].feature);
    co_text_printf(&result->text, "%s%s",
                   texts++ ? ", " : ", with what was written: ", golden.inputs.items[i].feature);
  }
  if (rows) co_text_printf(&result->text, "\n");
  co_json_close(json);
  co_json_close(json);
  co_golden_free(&golden, ctx);
  return status;
}

static co_status inspect_model(co_context *ctx, const char *path, cohort_result *result) {
  co_arena *arena;
  co_h5 *file = NULL;
  co_model_file model;
  CO_RETURN_IF_FAILED(co_arena_create(&arena, ctx));
  co_status status;
  CO_TRY(co_model_file_read(&model, arena, path));
  co_json_key(&result->json, "kind");
  co_json_string(&result->json, model.has_training ? "checkpoint" : "model");
  co_json_key(&result->json, "file");
  co_json_string(&result->json, path);
  co_text_printf(&result->text, "%-8s %s\n", model.has_training ? "checkpoint" : "model", path);
  if (model.has_training) render_training(result, &model.training);
  co_text_printf(&result->text, "columns\n");
  render_schema(result, &model.schema, model.schema.table_count > 1);
  render_carried(result, &model);
  CO_TRY(co_h5_open(&file, ctx, path, CO_ERR_MODEL));
  CO_TRY(render_counts(file, arena, model.config, result));
  CO_TRY(render_learned(ctx, path, arena, result));
  if (co_h5_exists(file, CO_MODEL_PREDICTOR_GROUP)) CO_TRY(render_coefficients(ctx, path, result));
  render_baselines(result, &model);
  CO_TRY(report_baselines(ctx, &model, result));
  CO_TRY(render_golden(ctx, path, arena, result));
  co_json_key(&result->json, "weights_sha256");
  co_json_string(&result->json, model.weights_sha256);
  co_json_key(&result->json, "dataset_fingerprint");
  co_json_string(&result->json, model.dataset_fingerprint);
  co_json_key(&result->json, "config");
  co_node_render(&result->json, model.config);
  co_text_printf(&result->text, "sha256   weights %s\n         dataset %s\n", model.weights_sha256,
                 model.dataset_fingerprint);
cleanup:
  co_h5_abandon(file);
  co_arena_free(arena);
  return status;
}

static co_status inspect(co_context *ctx, const char *path, cohort_result *result) {
  CO_RETURN_IF_FAILED(co_require(path, "inspect", "a file"));
  if (!co_path_exists(path))
    return co_fail_at(CO_ERR_DATA, path, 0, 0, "no such file or directory");
  if (!co_path_is_directory(path)) {
    co_h5 *file;
    bool says_model = co_h5_is_kind(path, CO_MODEL_FILE_KIND);
    CO_RETURN_IF_FAILED(co_h5_open(&file, ctx, path, says_model ? CO_ERR_MODEL : CO_ERR_DATA));
    bool model = co_h5_exists(file, "/cohort"), dataset = co_h5_has_attribute(file, "/", "format");
    co_h5_abandon(file);
    if (dataset) return inspect_dataset(ctx, path, result);
    if (model) return inspect_model(ctx, path, result);
    return co_fail_at(CO_ERR_DATA, path, 0, 0,
                      "an HDF5 file, but neither a Cohort dataset nor a Cohort model");
  }
  char *file;
  CO_RETURN_IF_FAILED(co_model_file_find(&file, ctx, path));
  co_status status = inspect_model(ctx, file, result);
  co_free(ctx, file);
  return status;
}

cohort_status cohort_inspect(cohort_context *context, const char *path, cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context));
  return co_result_finish(*out, "inspect", inspect(context->ctx, path, *out));
}
