// SPDX-License-Identifier: Apache-2.0
#include "host/eval/estimator.h"

#include <math.h>
#include <string.h>

#define CO_ESTIMATOR(symbol) extern const co_estimator_class symbol;
#include "host/eval/estimators.def"
#undef CO_ESTIMATOR

static const co_estimator_class *const all[] = {
#define CO_ESTIMATOR(symbol) &symbol,
#include "host/eval/estimators.def"
#undef CO_ESTIMATOR
    NULL};

const co_estimator_class *co_estimator_find(const char *name) {
  for (int i = 0; all[i]; i++)
    if (strcmp(all[i]->name, name) == 0) return all[i];
  return NULL;
}

const co_estimator_class *const *co_estimator_list(void) {
  return all;
}

// ---- config ------------------------------------------------------------------------------------

static co_status unknown_type(const co_node *type, co_diagnostics *problems) {
  const char *names[32] = {"network"};
  int64_t count = 1;
  co_text known;
  co_text_init(&known, problems->ctx);
  co_text_printf(&known, "known: network");
  for (int i = 0; all[i]; i++) {
    if (all[i]->baseline) continue;
    names[count++] = all[i]->name;
    co_text_printf(&known, ", %s", all[i]->name);
  }
  const char *name = type->kind == CO_NODE_SCALAR ? type->text : "";
  const char *near = co_nearest(name, names, count);
  co_status status =
      co_node_problem(problems, type, known.data, "predictor.type: unknown predictor '%s'%s%s%s",
                      name, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
  co_text_free(&known);
  return status;
}

co_status co_predictor_settings_parse(co_predictor_settings *out, const co_node *root,
                                      co_arena *arena, co_diagnostics *problems) {
  static const co_field none[] = {{.key = NULL}};
  const co_node *section = co_node_get(root, "predictor");
  const co_node *type = section ? co_node_get(section, "type") : NULL;
  const co_node *rest;
  static const char *const chosen[] = {"type", NULL}; // by it the table; the rest is the table's
  *out = (co_predictor_settings){NULL, NULL};
  if (!section || section->kind == CO_NODE_NULL) return CO_OK;
  if (section->kind != CO_NODE_MAP)
    return co_node_problem(problems, section, "for example {type: linear}",
                           "predictor: must be a map");
  if (!type)
    return co_node_problem(problems, section, "for example {type: linear}",
                           "predictor.type: is required");
  bool network = type->kind == CO_NODE_SCALAR && strcmp(type->text, "network") == 0;
  if (!network && type->kind == CO_NODE_SCALAR) out->class_ = co_estimator_find(type->text);
  if (!network && (!out->class_ || out->class_->baseline)) return unknown_type(type, problems);
  CO_RETURN_IF_FAILED(co_node_without(&rest, arena, section, chosen));
  out->options = co_arena_alloc(arena, 1, network ? 1 : out->class_->options_size);
  if (!out->options) return CO_ERR_MEMORY;
  return co_fields_parse(out->options, network ? none : out->class_->fields, rest, "predictor",
                         arena, problems);
}

void co_predictor_settings_render(co_json *json, const co_predictor_settings *settings) {
  co_json_key(json, "predictor");
  co_json_open(json, '{');
  co_json_key(json, "type");
  co_json_string(json, settings->class_->name);
  co_fields_render(json, settings->class_->fields, settings->options);
  co_json_close(json);
}

co_status co_estimator_choose_device(const char **device, const char *type) {
  const char *asked = *device;
  *device = "cpu";
  if (!asked || strcmp(asked, "auto") == 0 || strcmp(asked, "cpu") == 0) return CO_OK;
  co_status status =
      co_fail(CO_ERR_DEVICE, "a predictor of type %s runs on the CPU, not on %s", type, asked);
  co_hint("leave --device out");
  return status;
}

// ---- creating ----------------------------------------------------------------------------------

static co_status check_outputs(const co_estimator *e) {
  if (e->class_->reads_texts && !e->class_->reads_texts(e->model))
    return co_fail(CO_ERR_CONFIG, "%s: no input is a text", e->class_->name);
  if (e->class_->score_history && !e->class_->purchases && !co_history_is_there(e->model))
    return co_fail(CO_ERR_CONFIG,
                   "predictor %s needs events, and their items as classes of the one output",
                   e->class_->name);
  for (int64_t i = 0; i < e->model->output_count; i++) {
    const co_output_feature *output = &e->model->outputs[i];
    const char *reason = e->class_->refuses(output);
    if (reason)
      return co_fail(CO_ERR_CONFIG, "predictor %s cannot predict '%s': %s", e->class_->name,
                     output->name, reason);
  }
  return CO_OK;
}

static co_status default_options(co_estimator *e, const void **out) {
  co_diagnostics ignored; // of defaults there are no problems
  void *options = co_arena_alloc(e->arena, 1, e->class_->options_size);
  if (!options) return CO_ERR_MEMORY;
  *out = options;
  co_diagnostics_init(&ignored, e->ctx);
  co_status status =
      co_fields_parse(options, e->class_->fields, NULL, "predictor", e->arena, &ignored);
  co_diagnostics_free(&ignored);
  return status;
}

co_status co_estimator_create(co_estimator **out, const co_estimator_class *class_,
                              const void *options, co_model *model) {
  co_estimator *e = co_alloc_zero(model->ctx, 1, sizeof *e);
  *out = NULL;
  if (!e) return CO_ERR_MEMORY;
  e->class_ = class_;
  e->ctx = model->ctx;
  e->model = model;
  e->options = options;
  co_status status;
  CO_TRY(co_arena_create(&e->arena, e->ctx));
  if (class_->find_library) CO_TRY(class_->find_library());
  CO_TRY(check_outputs(e));
  CO_TRY(co_design_describe(&e->columns, e->arena, model, !options));
  if (!options) CO_TRY(default_options(e, &e->options));
  *out = e;
  return CO_OK;
cleanup:
  co_estimator_free(e);
  return status;
}

void co_estimator_free(co_estimator *e) {
  if (!e) return;
  if (e->class_->close && e->state) e->class_->close(e);
  co_free(e->ctx, e->arrays.items);
  co_arena_free(e->arena);
  co_free(e->ctx, e);
}

const char *co_estimator_takes_scalars(const co_output_feature *output) {
  if (!output->column || output->column->shape.rank)
    return "it predicts numbers, binaries and categories, not vectors or reconstructions";
  return output->column->type == CO_COLUMN_NUMBER && output->width != 1
             ? "it predicts one number of a target"
             : NULL;
}

co_status co_estimator_add(co_estimator *e, int64_t output, const char *name, co_dtype dtype,
                           const co_shape *shape, void **bytes) {
  co_fitted array = {
      .feature = e->model->outputs[output].name,
      .name = name,
      .dtype = dtype,
      .shape = *shape,
      .bytes = co_arena_alloc(e->arena, (size_t)co_shape_count(shape), co_dtype_size(dtype))};
  if (!array.bytes) return CO_ERR_MEMORY;
  *bytes = array.bytes;
  return co_model_arrays_add(&e->arrays, e->ctx, &array);
}

co_status co_estimator_array(const co_estimator *e, int64_t output, const char *name,
                             co_dtype dtype, const co_shape *shape, const co_fitted **out) {
  const char *feature = e->model->outputs[output].name;
  for (int64_t i = 0; i < e->arrays.count; i++) {
    const co_fitted *array = &e->arrays.items[i];
    if (strcmp(array->feature, feature) != 0 || strcmp(array->name, name) != 0) continue;
    bool fits = array->dtype == dtype && array->shape.rank == shape->rank;
    for (int d = 0; fits && d < shape->rank; d++)
      fits = shape->dim[d] < 0 || shape->dim[d] == array->shape.dim[d];
    if (!fits) break;
    *out = array;
    return CO_OK;
  }
  return co_fail(CO_ERR_MODEL, "predictor %s: '%s' of '%s' is not as its config says",
                 e->class_->name, name, feature);
}

// ---- fitting, reading --------------------------------------------------------------------------

static co_status open_state(co_estimator *e) {
  return e->class_->open ? e->class_->open(e) : CO_OK;
}

static bool has_target(const co_fit_data *data, int64_t output) {
  const co_design *rows = data->training;
  for (int64_t i = 0; data->history && i < data->sample_count; i++)
    if (data->history->target && data->history->target[data->samples[i]] >= 0) return true;
  for (int64_t i = 0; !data->history && i < rows->rows; i++)
    if (rows->weight[output][i] > 0) return true;
  return false;
}

co_status co_estimator_fit(co_estimator *e, const co_fit_data *data) {
  e->arrays.count = 0;
  e->iterations = 0;
  if (e->class_->purchases) CO_RETURN_IF_FAILED(co_history_check_times(data->history));
  for (int64_t i = 0; i < e->model->output_count; i++) {
    if (!e->class_->purchases && !has_target(data, i))
      return co_fail(CO_ERR_DATA, "no training row has the target '%s'", e->model->outputs[i].name);
    CO_RETURN_IF_FAILED(e->class_->fit(e, i, data));
  }
  return open_state(e);
}

co_status co_estimator_read(co_estimator *e, const char *path, const char *group) {
  CO_RETURN_IF_FAILED(co_model_file_read_arrays(&e->arrays, e->arena, path, group));
  co_status status = open_state(e);
  if (status == CO_ERR_MODEL) co_note("%s", path);
  return status;
}

// ---- scoring -----------------------------------------------------------------------------------

static co_status score(const co_estimator *e, const co_design *rows, float *const *heads) {
  for (int64_t i = 0; i < e->model->output_count; i++)
    CO_RETURN_IF_FAILED(e->class_->score(e, i, rows, heads[i]));
  return CO_OK;
}

co_status co_estimator_start(co_estimator_run *run, const co_estimator *estimator,
                             co_dataset *dataset) {
  *run = (co_estimator_run){.estimator = estimator, .dataset = dataset};
  if (estimator->class_->score_texts) // no row: texts are read before several threads want them
    return estimator->class_->score_texts(estimator, 0, dataset, NULL, 0, NULL);
  if (!estimator->class_->score_history) return CO_OK;
  CO_RETURN_IF_FAILED(co_history_open(&run->history, estimator->model, dataset));
  return estimator->class_->purchases ? co_history_check_times(&run->history) : CO_OK;
}

co_status co_estimator_fill_heads(void *user, const int64_t *samples, const void *const *inputs,
                                  int64_t rows, float *const *heads) {
  const co_estimator_run *run = user;
  const co_estimator *e = run->estimator;
  for (int64_t i = 0; e->class_->score_history && i < e->model->output_count; i++)
    CO_RETURN_IF_FAILED(e->class_->score_history(e, i, &run->history, samples, rows, heads[i]));
  for (int64_t i = 0; e->class_->score_texts && i < e->model->output_count; i++)
    CO_RETURN_IF_FAILED(e->class_->score_texts(e, i, run->dataset, samples, rows, heads[i]));
  if (e->class_->score_history || e->class_->score_texts) return CO_OK;
  size_t count = (size_t)rows;
  co_design design = {.columns = &e->columns, .rows = rows};
  design.numbers = co_alloc(e->ctx, count * (size_t)(e->columns.numbers + 1) * sizeof(float));
  design.codes = co_alloc(e->ctx, count * (size_t)(e->columns.codes + 1) * sizeof(int32_t));
  co_status status = design.numbers && design.codes ? CO_OK : CO_ERR_MEMORY;
  if (status == CO_OK) {
    co_design_write(&e->columns, e->model, inputs, rows, design.numbers, design.codes);
    status = score(e, &design, heads);
  }
  co_design_free(&design, e->ctx);
  return status;
}

// Where there is next to no difference, the slope at that place.
double co_mean_slope(co_head_function *function, const void *user, double from, double to) {
  static const double step = 1e-4;
  if (fabs(to - from) > step) return (function(user, to) - function(user, from)) / (to - from);
  return (function(user, from + step) - function(user, from - step)) / (2 * step);
}

void co_estimator_rescale(const co_estimator_attribution *asked, int64_t row,
                          co_head_function *head, const void *user) {
  const co_design_columns *columns = asked->rows->columns;
  const int64_t count = columns->numbers + columns->codes;
  const double slope = co_mean_slope(head, user, asked->reference[row], asked->value[row]);
  for (int64_t k = 0; k < count; k++)
    asked->shares[row * count + k] *= slope;
  asked->reference[row] = head(user, asked->reference[row]);
  asked->value[row] = head(user, asked->value[row]);
}
