// SPDX-License-Identifier: Apache-2.0
// `export onnx`: inputs by column, the input section, the network, outputs; what inputs and outputs
// mean stands in the model's metadata, as JSON.
#include <math.h>
#include <string.h>

#include "host/core/protobuf.h"
#include "host/output/onnx.h"
#include "models/feature.h"

enum { IR_VERSION = 8, OPSET = 17 };

// ---- inputs ------------------------------------------------------------------------------------

static void list_columns(co_json *json, const co_column *const *columns, int64_t count) {
  co_json_key(json, "columns");
  co_json_open(json, '[');
  for (int64_t i = 0; i < count; i++)
    co_json_string(json, columns[i]->name);
  co_json_close(json);
}

// Its description, once: {"name", "is", …}. `column`: what it is; `made_of`: what of.
static void describe(co_onnx *x, const char *name, const char *is, const co_column *column,
                     const co_input_feature *made_of) {
  co_json *json = &x->described;
  for (int64_t i = 0; i < x->input_count; i++)
    if (strcmp(x->input_names[i], name) == 0) return;
  co_json_open(json, '{');
  co_json_key(json, "name");
  co_json_string(json, name);
  co_json_key(json, "is");
  co_json_string(json, is);
  if (column && column->category_count) {
    co_json_key(json, "classes");
    co_json_open(json, '[');
    for (int64_t i = 0; i < column->category_count; i++)
      co_json_string(json, column->categories[i]);
    co_json_close(json);
  }
  if (made_of && made_of->derivation->column_count)
    list_columns(json, made_of->derivation->columns, made_of->derivation->column_count);
  else if (made_of && made_of->column)
    list_columns(json, &made_of->column, 1);
  co_json_close(json);
}

static const char *words_of(const co_column *column, int table) {
  if (table >= 0 && strcmp(column->name, "dt") == 0)
    return "days since the event before it, 0 of the first of a history";
  switch (column->type) {
  case CO_COLUMN_CATEGORY:
    return "the place of the class in `classes`, from 0; -1 where it is missing or unknown";
  case CO_COLUMN_BINARY:
    return "0 or 1, the place of the class in `classes` (0, 1 without); NaN where it is missing";
  case CO_COLUMN_IMAGE:
    return "pixels, 0 to 255: rows, height, width, channels";
  case CO_COLUMN_VECTOR:
    return "numbers";
  default:
    return "a number; NaN where it is missing";
  }
}

// (N, T) of a column of events, (N, 1) of a scalar, else (N, …).
static co_shape shape_of_column(const co_column *column, int table) {
  co_shape shape = {.rank = 1, .dim = {CO_DIM_N}};
  if (table >= 0) shape.dim[shape.rank++] = CO_DIM_T(table);
  for (int i = 0; i < column->shape.rank; i++)
    shape.dim[shape.rank++] = column->shape.dim[i];
  if (table < 0 && !column->shape.rank) shape.dim[shape.rank++] = 1;
  return shape;
}

// What a column brings: float, or int64 codes. Numbers far from zero come in double, and are float
// when what they differ from is taken off.
static const char *column_input(co_onnx *x, const co_column *column, int table,
                                const co_fitted *pivot) {
  static const co_onnx_attribute to_float[] = {{"to", 'i', .i = CO_ONNX_FLOAT}, {NULL}};
  const co_shape shape = shape_of_column(column, table), scalar = {.rank = 0};
  bool far = pivot && *(const double *)pivot->bytes != 0;
  int type = column->type == CO_COLUMN_CATEGORY ? CO_ONNX_INT64
             : column->type == CO_COLUMN_IMAGE  ? CO_ONNX_UINT8
             : far                              ? CO_ONNX_DOUBLE
                                                : CO_ONNX_FLOAT;
  describe(x, column->name, words_of(column, table), column, NULL);
  const char *value = co_onnx_input(x, column->name, type, &shape);
  if (table >= 0) value = co_onnx_node(x, "Unsqueeze", NULL, value, co_onnx_integer(x, -1), NULL);
  if (!far) return value;
  value = co_onnx_node(x, "Sub", NULL, value,
                       co_onnx_constant(x, NULL, CO_ONNX_DOUBLE, &scalar, pivot->bytes), NULL);
  return co_onnx_node(x, "Cast", to_float, value, NULL);
}

static const char *double_number(co_onnx *x, double value) {
  const co_shape scalar = {.rank = 0};
  return co_onnx_constant(x, NULL, CO_ONNX_DOUBLE, &scalar, &value);
}

// Where `value` lies beyond a bound (`op` Less or Greater) the bound, or NaN. Not by Max and Min,
// which do not pass NaN on everywhere.
static const char *bounded(co_onnx *x, const char *value, const char *op, double bound,
                           bool clips) {
  if (isinf(bound)) return value;
  const char *beyond = co_onnx_node(x, op, NULL, value, double_number(x, bound), NULL);
  return co_onnx_node(x, "Where", NULL, beyond, double_number(x, clips ? bound : (double)NAN),
                      value, NULL);
}

// log(1 + value)
static const char *log1p_of(co_onnx *x, const char *value) {
  value = co_onnx_node(x, "Add", NULL, double_number(x, 1), value, NULL);
  return co_onnx_node(x, "Log", NULL, value, NULL);
}

// The column itself, of which the graph makes what Cohort makes on the host, in double.
static const char *formula_input(co_onnx *x, const co_input_feature *feature) {
  static const co_onnx_attribute to_double[] = {{"to", 'i', .i = CO_ONNX_DOUBLE}, {NULL}},
                                 to_float[] = {{"to", 'i', .i = CO_ONNX_FLOAT}, {NULL}};
  const co_scalar_formula *formula = feature->derivation->formula;
  const char *value = column_input(x, feature->column, feature->event_table, NULL);
  value = co_onnx_node(x, "Cast", to_double, value, NULL);
  value = bounded(x, value, "Less", formula->bounds[0], formula->clips);
  value = bounded(x, value, "Greater", formula->bounds[1], formula->clips);
  if (formula->function == CO_FORMULA_LOG1P) {
    const char *none = co_onnx_node(x, "LessOrEqual", NULL, value, double_number(x, -1), NULL);
    value = log1p_of(
        x, co_onnx_node(x, "Where", NULL, none, double_number(x, *formula->minimum), value, NULL));
  } else if (formula->function == CO_FORMULA_SIGNED_LOG1P) {
    const char *size = log1p_of(x, co_onnx_node(x, "Abs", NULL, value, NULL));
    value = co_onnx_node(x, "Mul", NULL, co_onnx_node(x, "Sign", NULL, value, NULL), size, NULL);
  }
  if (*formula->pivot != 0)
    value = co_onnx_node(x, "Sub", NULL, value, double_number(x, *formula->pivot), NULL);
  return co_onnx_node(x, "Cast", to_float, value, NULL);
}

// Whether float keeps what the graph needs of a column: not where pivots are taken off.
static bool is_in_graph(const co_input_feature *feature) {
  const co_scalar_formula *formula = feature->derivation->formula;
  return formula && feature->event_table < 0 && *formula->pivot == 0;
}

// What Cohort makes of columns on the host, under the feature's name.
static const char *derived_input(co_onnx *x, const co_input_feature *feature) {
  const co_derivation *d = feature->derivation;
  if (is_in_graph(feature)) return formula_input(x, feature);
  const bool sequence = d->derive_sequence;
  const co_shape shape =
      co_shape_make(2, CO_DIM_N, sequence ? CO_DIM_T(feature->event_table) : d->width);
  describe(x, feature->name,
           sequence
               ? "made of a text before scoring, as the model's config says: rows of the vocabulary"
           : d->dtype == CO_I32
               ? "made of columns before scoring, as the model's config says: a code; -1 is missing"
               : "made of columns before scoring, as the model's config says: numbers",
           NULL, feature);
  if (!x->e->made_inputs++) x->e->made_input = feature->name;
  return co_onnx_input(x, feature->name, d->dtype == CO_I32 ? CO_ONNX_INT64 : CO_ONNX_FLOAT,
                       &shape);
}

static const char *join(co_onnx *x, const char *joined, const char *more) {
  static const co_onnx_attribute last[] = {{"axis", 'i', .i = -1}, {NULL}};
  return joined ? co_onnx_node(x, "Concat", last, joined, more, NULL) : more;
}

static const co_input_block *block_of(const co_onnx *x, const char *input) {
  const co_model *model = x->e->model;
  for (int64_t i = 0; i < model->block_count; i++) {
    size_t length = strlen(model->blocks[i].name);
    if (strncmp(input, model->blocks[i].name, length) == 0 && strcmp(input + length, ".rows") == 0)
      return &model->blocks[i];
  }
  return NULL;
}

static void feed_rows(co_onnx *x, const co_feed *feed, co_value value) {
  const co_input_block *block = block_of(x, x->e->section->graph->values[value].name);
  const char *joined = NULL;
  if (!block) {
    co_onnx_fail(x, co_fail(CO_ERR_INTERNAL, "ONNX: rows of no block"));
    return;
  }
  for (int64_t k = 0; feed->derivations && k < block->count; k++)
    joined = join(x, joined, derived_input(x, &block->features[k]));
  for (int64_t k = 0; !feed->derivations && k < feed->column_count; k++)
    joined = join(x, joined,
                  column_input(x, feed->columns[k], block->event_table,
                               feed->pivots ? feed->pivots[k] : NULL));
  co_onnx_name(x, x->e->section_plan, value, joined);
}

static void feed_section(co_onnx *x) {
  const co_section *section = x->e->section;
  for (int64_t i = 0; x->status == CO_OK && i < section->feeds.count; i++) {
    const co_feed *feed = &section->feeds.items[i];
    co_value value = section->graph->inputs[feed->input];
    if (feed->kind == CO_FEED_ROWS) feed_rows(x, feed, value);
  }
}

// The extents of a table of events, and its lengths, which the network reads.
static void feed_events(co_onnx *x, int64_t table) {
  const co_model *model = x->e->model;
  const co_shape rows = co_shape_make(1, CO_DIM_N), scalar = {.rank = 0};
  const int64_t zero = 0, unit = 1;
  static const co_onnx_attribute first[] = {{"axis", 'i', .i = 0}, {NULL}};
  char *name = co_arena_format(x->e->arena, "%s_length", model->event_tables[table].name);
  const char *events = NULL;
  if (!name) {
    co_onnx_fail(x, CO_ERR_MEMORY);
    return;
  }
  char *is = co_arena_format(x->e->arena,
                             "int32: how many events a row has, at most its %s %lld; those "
                             "behind are padding (0)",
                             model->event_tables[table].of_text ? "first" : "last",
                             (long long)model->event_tables[table].most_events);
  if (!is) co_onnx_fail(x, CO_ERR_MEMORY);
  describe(x, name, is ? is : "", NULL, NULL);
  co_onnx_input(x, name, CO_ONNX_INT32, &rows);
  for (int64_t i = 0; i < model->block_count; i++) {
    const co_input_block *block = &model->blocks[i];
    if (block->event_table != table) continue;
    events = block->features[0].derivation ? block->name : block->features[0].column->name;
    if (block->lengths != CO_NO_VALUE) co_onnx_name(x, x->e->network, block->lengths, name);
  }
  const char *extents = co_onnx_node(x, "Shape", NULL, events, NULL);
  x->batch = co_onnx_node(x, "Shape", NULL, name, NULL);
  x->time[table] = co_onnx_node(x, "Gather", first, extents, co_onnx_integer(x, 1), NULL);
  const char *end = co_onnx_node(x, "Squeeze", NULL, x->time[table], co_onnx_integer(x, 0), NULL);
  x->positions[table] =
      co_onnx_node(x, "Range", NULL, co_onnx_constant(x, NULL, CO_ONNX_INT64, &scalar, &zero), end,
                   co_onnx_constant(x, NULL, CO_ONNX_INT64, &scalar, &unit), NULL);
}

// ---- linear models -----------------------------------------------------------------------------

static const char *cast(co_onnx *x, const char *value, int64_t to) {
  const co_onnx_attribute attributes[] = {{"to", 'i', .i = to}, {NULL}};
  return co_onnx_node(x, "Cast", attributes, value, NULL);
}

// Coefficients of rows [first, first + count) of the design matrix.
static const char *part_of(co_onnx *x, const co_fitted *coefficients, int64_t first,
                           int64_t count) {
  int64_t width = coefficients->shape.dim[1];
  const co_shape shape = co_shape_make(2, count, width);
  return co_onnx_constant(x, NULL, CO_ONNX_DOUBLE, &shape,
                          (const double *)coefficients->bytes + first * width);
}

// z in double: intercepts, numbers times their coefficients, and those of the codes.
static const char *linear_heads(co_onnx *x, const co_fitted *coefficients,
                                const co_fitted *intercepts) {
  const co_exported *e = x->e;
  const co_design_columns *columns = &e->estimator->columns;
  const char *numbers = NULL,
             *z = co_onnx_constant(x, NULL, CO_ONNX_DOUBLE, &intercepts->shape, intercepts->bytes);
  int64_t code = 0;
  for (int64_t i = 0; i < e->model->block_count; i++) {
    if (e->model->blocks[i].event_table >= 0) continue; // beside a network
    co_value input = e->model->blocks[i].network_input;
    const char *value = co_onnx_value(x, e->network, input);
    const co_shape *shape = &e->model->network->values[input].desc.shape;
    if (e->model->network->values[input].desc.dtype == CO_I32) {
      const char *table =
          part_of(x, coefficients, columns->code_first[code], columns->code_rows[code]);
      value = co_onnx_node(x, "Squeeze", NULL, value, co_onnx_integer(x, 1), NULL);
      z = co_onnx_node(x, "Add", NULL, z, co_onnx_node(x, "Gather", NULL, table, value, NULL),
                       NULL);
      code++;
      continue;
    }
    co_shape flat = co_shape_make(2, CO_DIM_N, (int64_t)1);
    for (int k = 1; k < shape->rank; k++)
      flat.dim[1] *= shape->dim[k];
    numbers = join(x, numbers, shape->rank > 2 ? co_onnx_reshape(x, value, &flat) : value);
  }
  if (!numbers) return z;
  numbers = co_onnx_node(x, "MatMul", NULL, cast(x, numbers, CO_ONNX_DOUBLE),
                         part_of(x, coefficients, 0, columns->numbers), NULL);
  return co_onnx_node(x, "Add", NULL, z, numbers, NULL);
}

static co_status score_estimator(co_onnx *x) {
  co_exported *e = x->e;
  for (int64_t i = 0; i < e->model->output_count; i++) {
    const co_output_feature *output = &e->model->outputs[i];
    const co_shape matrix = co_shape_make(2, e->estimator->columns.count, output->width);
    const co_shape vector = co_shape_make(1, output->width);
    const co_fitted *coefficients, *intercepts;
    CO_RETURN_IF_FAILED(
        co_estimator_array(e->estimator, i, "coefficients", CO_F64, &matrix, &coefficients));
    CO_RETURN_IF_FAILED(
        co_estimator_array(e->estimator, i, "intercepts", CO_F64, &vector, &intercepts));
    co_onnx_name(x, e->network, e->model->network->inputs[output->head_input],
                 cast(x, linear_heads(x, coefficients, intercepts), CO_ONNX_FLOAT));
  }
  return x->status;
}

// ---- outputs -----------------------------------------------------------------------------------

static const char *suffix_of(const co_output_feature *output) {
  co_column_type type = output->column ? output->column->type : CO_COLUMN_NUMBER;
  return type == CO_COLUMN_BINARY ? "_score" : type == CO_COLUMN_CATEGORY ? "_probabilities" : "";
}

static void describe_output(co_onnx *x, co_json *json, const co_output_feature *output,
                            const char *name) {
  const co_column *column = output->column;
  (void)x;
  co_json_open(json, '{');
  co_json_key(json, "name");
  co_json_string(json, name);
  if (column && column->category_count) {
    co_json_key(json, "classes");
    co_json_open(json, '[');
    for (int64_t i = 0; i < column->category_count; i++)
      co_json_string(json, column->categories[i]);
    co_json_close(json);
  }
  if (column && column->type == CO_COLUMN_BINARY) {
    co_json_key(json, "threshold");
    co_json_double(json, co_output_threshold(output));
  }
  co_json_close(json);
}

// A column of that name may also be an input: then a tensor cannot be called so.
static const char *output_name(co_onnx *x, const co_output_feature *output) {
  const char *name = co_arena_format(x->e->arena, "%s%s", output->name, suffix_of(output));
  for (int64_t i = 0; name && i < x->input_count; i++)
    if (strcmp(x->input_names[i], name) == 0)
      name = co_arena_format(x->e->arena, "%s_output", output->name);
  if (!name) co_onnx_fail(x, CO_ERR_MEMORY);
  return name ? name : "";
}

static void give_outputs(co_onnx *x, const char *const *predictions, co_json *json) {
  const co_exported *e = x->e;
  for (int64_t i = 0; i < e->model->output_count; i++) {
    const co_output_feature *output = &e->model->outputs[i];
    co_value value = e->network->outputs[output->prediction];
    const char *name = output_name(x, output);
    co_onnx_output(x, name, CO_ONNX_FLOAT, &e->model->network->values[value].desc.shape,
                   predictions[i]);
    describe_output(x, json, output, name);
  }
}

// ---- the model ---------------------------------------------------------------------------------

static co_status run(co_onnx *x, const co_plan *plan) {
  for (int64_t i = 0; i < plan->op_count; i++)
    CO_RETURN_IF_FAILED(co_onnx_operation(x, plan, &plan->ops[i]));
  return x->status;
}

// What the section makes is what the network is fed.
static void hand_over(co_onnx *x) {
  const co_exported *e = x->e;
  for (int64_t i = 0; i < e->model->block_count; i++)
    co_onnx_name(x, e->network, e->model->blocks[i].network_input,
                 co_onnx_value(x, e->section_plan, e->section_plan->outputs[i]));
}

static co_status build_section(co_onnx *x) {
  x->section_names = co_arena_alloc(x->e->arena, (size_t)x->e->section_plan->value_count + 1,
                                    sizeof *x->section_names);
  x->network_names =
      co_arena_alloc(x->e->arena, (size_t)x->e->network->value_count + 1, sizeof *x->network_names);
  if (!x->section_names || !x->network_names) return CO_ERR_MEMORY;
  feed_section(x);
  for (int64_t i = 0; i < x->e->model->event_table_count; i++)
    feed_events(x, i);
  return run(x, x->e->section_plan);
}

// The prediction of each output, from what the section makes.
static co_status predict(co_onnx *x, const char **out) {
  co_exported *e = x->e;
  hand_over(x);
  if (e->estimator) CO_RETURN_IF_FAILED(score_estimator(x));
  CO_RETURN_IF_FAILED(run(x, e->network));
  for (int64_t i = 0; i < e->model->output_count; i++)
    out[i] = co_onnx_value(x, e->network, e->network->outputs[e->model->outputs[i].prediction]);
  return x->status;
}

// p = (1 - w) network + w baseline
static co_status mix(co_onnx *x, const char **predictions) {
  co_exported *e = x->e;
  const char **others =
      co_arena_alloc(e->arena, (size_t)e->model->output_count + 1, sizeof *others);
  x->network_names = co_arena_alloc(e->arena, (size_t)e->baseline->network->value_count + 1,
                                    sizeof *x->network_names);
  if (!others || !x->network_names) return CO_ERR_MEMORY;
  x->e = e->baseline;
  co_status status = predict(x, others);
  x->e = e;
  for (int64_t i = 0; status == CO_OK && i < e->model->output_count; i++) {
    const float weight = e->blend[i];
    const char *own =
        co_onnx_node(x, "Mul", NULL, predictions[i], co_onnx_number(x, (double)(1 - weight)), NULL);
    const char *other =
        co_onnx_node(x, "Mul", NULL, others[i], co_onnx_number(x, (double)weight), NULL);
    predictions[i] = co_onnx_node(x, "Add", NULL, own, other, NULL);
  }
  return status == CO_OK ? x->status : status;
}

static co_status build(co_onnx *x, co_json *outputs) {
  const char **predictions =
      co_arena_alloc(x->e->arena, (size_t)x->e->model->output_count + 1, sizeof *predictions);
  if (!predictions) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(build_section(x));
  CO_RETURN_IF_FAILED(predict(x, predictions));
  if (x->e->baseline) CO_RETURN_IF_FAILED(mix(x, predictions));
  give_outputs(x, predictions, outputs);
  return x->status;
}

// StringStringEntryProto: 1 key, 2 value.
static void put_metadata(co_text *out, co_context *ctx, const char *key, const char *value) {
  co_text entry;
  co_text_init(&entry, ctx);
  co_protobuf_string(&entry, 1, key);
  co_protobuf_string(&entry, 2, value);
  co_protobuf_message(out, 14, &entry);
}

// ModelProto: 1 ir_version, 2 producer_name, 3 producer_version, 7 graph, 8 opset_import, 14
// metadata_props. GraphProto: 1 node, 2 name, 5 initializer, 11 input, 12 output.
static void put_model(co_text *out, co_onnx *x, const co_json *outputs) {
  co_context *ctx = x->e->ctx;
  co_text graph, opset;
  const co_text *const parts[] = {&x->nodes, NULL, &x->initializers, &x->inputs, &x->outputs};
  co_text_init(&graph, ctx);
  co_text_init(&opset, ctx);
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    if (parts[i])
      co_text_append(&graph, parts[i]->length ? parts[i]->data : "", parts[i]->length);
    else
      co_protobuf_string(&graph, 2, "cohort");
  }
  co_protobuf_string(&opset, 1, "");
  co_protobuf_int(&opset, 2, OPSET);
  co_protobuf_int(out, 1, IR_VERSION);
  co_protobuf_string(out, 2, "cohort");
  co_protobuf_string(out, 3, COHORT_VERSION);
  co_protobuf_message(out, 7, &graph);
  co_protobuf_message(out, 8, &opset);
  put_metadata(out, ctx, "weights_sha256", x->e->file.weights_sha256);
  put_metadata(out, ctx, "inputs", x->described.text.data);
  put_metadata(out, ctx, "outputs", outputs->text.data);
  put_metadata(out, ctx, "config", x->e->file.config_text);
}

// One message has at most 2 GiB.
static co_status check_size(const co_onnx *x) {
  if (x->initializers.length < (size_t)1 << 30) return CO_OK;
  co_status status = co_fail_at(CO_ERR_MODEL, x->e->path, 0, 0,
                                "it has %lld bytes of weights, more than fit into an ONNX file",
                                (long long)x->initializers.length);
  co_hint("`cohort predict` scores with any model");
  return status;
}

static co_status first_failure(const co_onnx *x, const co_json *outputs) {
  const co_status all[] = {x->status,           x->nodes.status,   x->initializers.status,
                           x->inputs.status,    x->outputs.status, x->described.text.status,
                           outputs->text.status};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    if (all[i] != CO_OK) return all[i];
  return CO_OK;
}

co_status co_export_onnx(co_text *out, co_exported *exported) {
  CO_RETURN_IF_FAILED(co_exported_check(exported, "ONNX"));
  co_context *ctx = exported->ctx;
  co_onnx x = {.e = exported};
  co_json outputs;
  co_text *const texts[] = {&x.nodes, &x.initializers, &x.inputs, &x.outputs};
  for (int i = 0; i < 4; i++)
    co_text_init(texts[i], ctx);
  co_json_init(&x.described, ctx, 0);
  co_json_init(&outputs, ctx, 0);
  co_json_open(&x.described, '[');
  co_json_open(&outputs, '[');
  co_status status = build(&x, &outputs);
  co_json_close(&x.described);
  co_json_close(&outputs);
  if (status == CO_OK) status = first_failure(&x, &outputs);
  if (status == CO_OK) status = check_size(&x);
  if (status == CO_OK) {
    put_model(out, &x, &outputs);
    status = out->status;
  }
  for (int i = 0; i < 4; i++)
    co_text_free(texts[i]);
  co_json_free(&x.described);
  co_json_free(&outputs);
  co_free(ctx, x.input_names);
  return status;
}
