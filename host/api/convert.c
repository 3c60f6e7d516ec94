// SPDX-License-Identifier: Apache-2.0
// cohort_convert: a model of Keras as a model of Cohort.
#include <stdlib.h>
#include <string.h>

#include "host/api/api.h"
#include "host/core/output.h"
#include "host/persist/keras/keras.h"
#include "host/persist/model_file.h"
#include "models/model.h"

typedef struct conversion {
  co_context *ctx;
  co_arena *arena;
  co_diagnostics *problems;
  const cohort_convert_options *options;
  co_keras_options wanted;
  co_keras_model keras;
  co_node *config;
  co_model *model;
  co_backend *backend;
  co_store *store;
  int64_t parameters;
} conversion;

// A number, or one by another: 0.5, 1/255.
static bool read_scale(const char *text, double *out) {
  char *end;
  *out = strtod(text, &end);
  if (end != text && *end == '/') {
    const char *below = end + 1;
    double divisor = strtod(below, &end);
    *out = end != below && divisor != 0 ? *out / divisor : 0;
  }
  return end != text && !*end && *out > -1e30 && *out < 1e30 && *out != 0;
}

// [NAME=]COLUMN[:SCALE]; a scale of --input alone.
static co_status read_name(conversion *c, const char *text, const char *option,
                           co_keras_name *out) {
  const char *equals = strchr(text, '='), *name = equals ? equals + 1 : text,
             *colon = strcmp(option, "--input") == 0 ? strrchr(name, ':') : NULL;
  *out = (co_keras_name){.layer = NULL};
  if (colon && !read_scale(colon + 1, &out->scale)) {
    co_status status = co_fail(CO_ERR_USAGE, "'%.200s': no number follows the colon", text);
    co_hint("--input COLUMN:SCALE, for example image:1/255");
    return status;
  }
  out->name = co_arena_strndup(c->arena, name, colon ? (size_t)(colon - name) : strlen(name));
  if (equals) out->layer = co_arena_strndup(c->arena, text, (size_t)(equals - text));
  if (!out->name || (equals && !out->layer)) return CO_ERR_MEMORY;
  return *out->name ? CO_OK : co_fail(CO_ERR_USAGE, "%s '%.200s': no column", option, text);
}

// All by Keras' names, each once, or all by their places: else one would stand for nothing.
static co_status check_names(const co_keras_name *names, int64_t count, const char *option) {
  for (int64_t i = 1; i < count; i++) {
    if (!names[i].layer != !names[0].layer) {
      co_status status = co_fail(CO_ERR_USAGE, "%s: some with NAME=, some without", option);
      co_hint("NAME=COLUMN for each, or all columns in the model's order");
      return status;
    }
    for (int64_t k = 0; names[i].layer && k < i; k++)
      if (strcmp(names[i].layer, names[k].layer) == 0) {
        co_status status = co_fail(CO_ERR_USAGE, "%s %.100s=%.100s: it is '%.100s' already", option,
                                   names[i].layer, names[i].name, names[k].name);
        co_hint("name each of the model's once");
        return status;
      }
  }
  return CO_OK;
}

// 20x3: extents from 1 on.
static bool read_shape(const char *text, co_shape *out) {
  char *end = (char *)(uintptr_t)text;
  *out = (co_shape){0};
  for (const char *at = text; out->rank < CO_MAX_RANK - 1; at = end + 1) {
    const long extent = strtol(at, &end, 10);
    if (end == at || extent < 1 || extent > 1 << 20) return false;
    out->dim[out->rank++] = extent;
    if (*end != 'x') break;
  }
  return !*end;
}

static co_status read_names(conversion *c, const char *const *texts, int64_t count,
                            const char *option, const co_keras_name **out, int64_t *out_count) {
  co_keras_name *names = co_arena_alloc(c->arena, (size_t)count + 1, sizeof *names);
  if (!names) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < count; i++) {
    CO_RETURN_IF_FAILED(read_name(c, texts[i], option, &names[i]));
    if (strcmp(option, "--input-shape") == 0 && !read_shape(names[i].name, &names[i].shape)) {
      co_status status = co_fail(CO_ERR_USAGE, "'%.200s' is no shape", texts[i]);
      co_hint("--input-shape [NAME=]20x3, of an image HEIGHTxWIDTHxCHANNELS");
      return status;
    }
  }
  CO_RETURN_IF_FAILED(check_names(names, count, option));
  *out = names;
  *out_count = count;
  return CO_OK;
}

// The model that the config describes: what it says no to, Cohort's layers do, where Keras' are not alike.
static co_status build(conversion *c) {
  const char *text = c->keras.config;
  CO_RETURN_IF_FAILED(
      co_yaml_parse(&c->config, c->arena, "config", text, strlen(text), c->problems));
  co_status status = co_model_create(&c->model, c->ctx, c->config, &c->keras.schema, c->problems);
  if (status != CO_ERR_CONFIG) return status;
  char *message = co_arena_strdup(c->arena, co_error_last()->message);
  if (!message) return CO_ERR_MEMORY;
  c->problems->count = 0;
  return co_fail_at(CO_ERR_MODEL, c->options->file, 0, 0, "it cannot be built: %s", message);
}

static co_status fill(conversion *c) {
  int64_t filled = 0;
  for (int64_t i = 0; i < c->keras.weight_count; i++) {
    const co_keras_weight *weight = &c->keras.weights[i];
    const int64_t entry = co_store_find(c->store, weight->name);
    if (entry < 0 || !co_shape_equal(&c->store->entries[entry].info.shape, &weight->shape))
      return co_fail_at(CO_ERR_MODEL, c->options->file, 0, 0,
                        "layer '%.100s': there is no place for its weight '%.200s'", weight->layer,
                        weight->name);
    c->parameters += co_shape_count(&weight->shape);
    CO_RETURN_IF_FAILED(co_store_write(c->store, entry, CO_BLOCK_PARAM, weight->values));
    filled++;
  }
  if (filled == c->store->count) return CO_OK;
  return co_fail(CO_ERR_INTERNAL, "%lld of %lld weights were converted", (long long)filled,
                 (long long)c->store->count);
}

static co_status open_store(conversion *c) {
  CO_RETURN_IF_FAILED(co_ref_backend_open(&c->backend, c->ctx, NULL));
  CO_RETURN_IF_FAILED(co_store_create(&c->store, c->backend, CO_F32));
  CO_RETURN_IF_FAILED(co_store_add_graph(c->store, c->model->network));
  return co_store_allocate(c->store, false, 0);
}

static co_status write(conversion *c) {
  co_json config;
  co_json_init(&config, c->ctx, 0);
  co_node_render(&config, c->model->config);
  co_model_file_content content = {.schema = &c->model->schema,
                                   .fitted = c->model->fitted,
                                   .fitted_count = c->model->fitted_count,
                                   .store = c->store,
                                   .network = c->model->network,
                                   .config = config.text.data,
                                   .dataset_fingerprint = ""};
  co_status status = config.text.status;
  if (status == CO_OK) status = co_model_file_write(c->ctx, c->options->output, &content);
  co_json_free(&config);
  return status;
}

static co_status convert(conversion *c) {
  const cohort_convert_options *o = c->options;
  CO_RETURN_IF_FAILED(co_require(o->file, "convert", "a file"));
  CO_RETURN_IF_FAILED(co_require(o->output, "convert", "an output"));
  CO_RETURN_IF_FAILED(co_arena_create(&c->arena, c->ctx));
  co_keras_options *w = &c->wanted;
  CO_RETURN_IF_FAILED(
      read_names(c, o->inputs, o->input_count, "--input", &w->inputs, &w->input_count));
  CO_RETURN_IF_FAILED(
      read_names(c, o->outputs, o->output_count, "--output", &w->outputs, &w->output_count));
  CO_RETURN_IF_FAILED(read_names(c, o->input_shapes, o->input_shape_count, "--input-shape",
                                 &w->shapes, &w->shape_count));
  const char *const inputs[] = {o->file};
  const co_output wanted = {
      .path = o->output, .replace = o->force, .inputs = inputs, .input_count = 1};
  CO_RETURN_IF_FAILED(co_output_check(c->ctx, &wanted));
  CO_RETURN_IF_FAILED(co_keras_read(&c->keras, c->arena, o->file, &c->wanted));
  CO_RETURN_IF_FAILED(build(c));
  CO_RETURN_IF_FAILED(open_store(c));
  CO_RETURN_IF_FAILED(fill(c));
  return write(c);
}

static void report_column(co_json *json, co_text *text, const char *kind, const co_column *column) {
  char shape[96];
  co_shape_print(&column->shape, shape, sizeof shape);
  co_json_open(json, '{');
  co_json_key(json, "column");
  if (column->any)
    co_json_null(json);
  else
    co_json_string(json, column->name);
  co_json_key(json, "type");
  co_json_string(json, co_column_type_name(column->type));
  co_json_key(json, "shape");
  co_json_open(json, '[');
  for (int i = 0; i < column->shape.rank; i++)
    co_json_int(json, column->shape.dim[i]);
  co_json_close(json);
  co_json_close(json);
  co_text_printf(text, "%-8s %s, %s %s\n", kind,
                 column->any ? "the only input column" : column->name,
                 co_column_type_name(column->type), column->shape.rank ? shape : "");
}

static void report(const conversion *c, cohort_result *result) {
  co_json *json = &result->json;
  co_json_key(json, "file");
  co_json_string(json, c->options->file);
  co_json_key(json, "output");
  co_json_string(json, c->options->output);
  co_json_key(json, "keras_version");
  co_json_string(json, c->keras.version);
  co_json_key(json, "layers");
  co_json_int(json, c->keras.layer_count);
  co_json_key(json, "parameters");
  co_json_int(json, c->parameters);
  co_text_printf(&result->text, "model    Keras %s, %lld layers, %lld parameters\n",
                 c->keras.version, (long long)c->keras.layer_count, (long long)c->parameters);
  co_json_key(json, "inputs");
  co_json_open(json, '[');
  for (int64_t i = 0; i < c->model->input_count; i++)
    report_column(json, &result->text, "input", c->model->inputs[i].column);
  co_json_close(json);
  co_json_key(json, "targets");
  co_json_open(json, '[');
  for (int64_t i = 0; i < c->model->output_count; i++)
    report_column(json, &result->text, "target", c->model->outputs[i].column);
  co_json_close(json);
  co_json_key(json, "left_out");
  co_json_open(json, '[');
  for (int64_t i = 0; i < c->keras.left_out_count; i++) {
    co_json_string(json, c->keras.left_out[i]);
    co_text_printf(&result->text, "without  %s\n", c->keras.left_out[i]);
  }
  co_json_close(json);
}

cohort_status cohort_convert(cohort_context *context, const cohort_convert_options *options,
                             cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context));
  conversion c = {.ctx = context->ctx, .problems = &(*out)->errors, .options = options};
  co_status status = convert(&c);
  if (status == CO_OK) report(&c, *out);
  co_error error;
  co_error_copy(&error);
  co_store_free(c.store);
  if (c.backend) c.backend->api->free(c.backend);
  co_model_free(c.model);
  co_arena_free(c.arena);
  if (status != CO_OK) co_error_raise(&error);
  return co_result_finish(*out, "convert", status);
}
