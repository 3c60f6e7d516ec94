// SPDX-License-Identifier: Apache-2.0
#include "models/model.h"

#include <string.h>

#include "models/builder.h"
#include "models/catalogue.h"
#include "models/features/category.h"
#include "models/features/scalar.h"
#include "models/text_output.h"

// Stored under the first feature that reads events.
static co_status declare_lengths(co_model *model) {
  if (!model->event_table_count) return CO_OK;
  const co_input_feature *feature = model->inputs;
  while (feature->event_table < 0)
    feature++;
  size_t values = (size_t)CO_MAX_LENGTHS * CO_MAX_EVENT_TABLES;
  model->lengths = co_arena_alloc(model->arena, 1, sizeof *model->lengths);
  if (!model->lengths) return CO_ERR_MEMORY;
  *model->lengths =
      (co_fitted){.feature = feature->name,
                  .name = "lengths",
                  .dtype = CO_I64,
                  .shape = co_shape_make(2, (int64_t)CO_MAX_LENGTHS, (int64_t)CO_MAX_EVENT_TABLES),
                  .bytes = co_arena_alloc(model->arena, values, sizeof(int64_t))};
  if (!model->lengths->bytes) return CO_ERR_MEMORY;
  model->fitted[model->fitted_count++] = model->lengths;
  return CO_OK;
}

// Fitted when all else is done.
static co_status declare_decided(co_model *model, co_output_feature *output) {
  if (!output->column ||
      (output->column->type != CO_COLUMN_BINARY && output->column->type != CO_COLUMN_CATEGORY))
    return CO_OK;
  double *values = co_arena_alloc(model->arena, 2, sizeof *values);
  output->decided = co_arena_alloc(model->arena, 1, sizeof *output->decided);
  if (!values || !output->decided) return CO_ERR_MEMORY;
  values[0] = 1;
  values[1] = output->decision.threshold;
  *output->decided = (co_fitted){.feature = output->name,
                                 .name = "decided",
                                 .dtype = CO_F64,
                                 .shape = co_shape_make(1, (int64_t)2),
                                 .bytes = values,
                                 .optional = true};
  model->fitted[model->fitted_count++] = output->decided;
  return CO_OK;
}

// Of the training rows; models of earlier versions have none.
static co_status declare_counts(co_model *model, co_input_feature *feature) {
  const co_fitted counts = {.name = "counts",
                            .dtype = CO_I64,
                            .shape = co_shape_make(1, (int64_t)CO_COUNT_ROOM),
                            .optional = true};
  return co_feature_declare(model, feature, &counts, 1);
}

static void list_text(co_model *model, const co_text_output *text) {
  co_fitted *const arrays[] = {text->vocabulary, text->size, text->most_frequent, text->log_share};
  for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
    model->fitted[model->fitted_count++] = arrays[i];
}

static void list_catalogue(co_model *model, const co_catalogue *c) {
  model->fitted[model->fitted_count++] = c->rows;
  if (c->numbers) model->fitted[model->fitted_count++] = c->numbers;
  if (c->edges) model->fitted[model->fitted_count++] = c->edges;
  for (int64_t k = 0; k < c->column_count; k++)
    if (c->codes[k]) model->fitted[model->fitted_count++] = c->codes[k];
}

static co_status declare_fitted(co_model *model) {
  int64_t count = 0;
  for (int64_t i = 0; i < model->input_count; i++) {
    co_input_feature *feature = &model->inputs[i];
    if (feature->class_->input->declare)
      CO_RETURN_IF_FAILED(feature->class_->input->declare(model, feature));
    if (feature->class_->input->check) CO_RETURN_IF_FAILED(declare_counts(model, feature));
    count += feature->fitted_count;
  }
  count += (7 + CO_NORMALIZATION_ARRAYS) * model->output_count;
  for (int64_t i = 0; i < model->output_count; i++)
    if (model->outputs[i].catalogue) count += 3 + model->outputs[i].catalogue->column_count;
  model->fitted = co_arena_alloc(model->arena, (size_t)count + 2, sizeof *model->fitted);
  if (!model->fitted) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < model->input_count; i++)
    for (int64_t k = 0; k < model->inputs[i].fitted_count; k++)
      model->fitted[model->fitted_count++] = &model->inputs[i].fitted[k];
  for (int64_t i = 0; i < model->output_count; i++) {
    CO_RETURN_IF_FAILED(declare_decided(model, &model->outputs[i]));
    if (model->outputs[i].class_weights)
      model->fitted[model->fitted_count++] = model->outputs[i].class_weights;
    if (model->outputs[i].bounds) model->fitted[model->fitted_count++] = model->outputs[i].bounds;
    for (int k = 0; model->outputs[i].normalization && k < CO_NORMALIZATION_ARRAYS; k++)
      model->fitted[model->fitted_count++] = &model->outputs[i].normalization[k];
    if (model->outputs[i].text) list_text(model, model->outputs[i].text);
    if (model->outputs[i].catalogue) list_catalogue(model, model->outputs[i].catalogue);
  }
  return CO_OK;
}

// Several features may read one column.
static void list_column(co_model *model, co_column *columns, const co_column *column) {
  for (int64_t i = 0; i < model->schema.column_count; i++)
    if (strcmp(columns[i].name, column->name) == 0) return;
  columns[model->schema.column_count++] = *column;
}

static co_status list_schema(co_model *model) {
  int64_t most = model->output_count + 1;
  for (int64_t i = 0; i < model->input_count; i++)
    most += model->inputs[i].column_count + 1;
  co_column *columns = co_arena_alloc(model->arena, (size_t)most, sizeof *columns);
  if (!columns) return CO_ERR_MEMORY;
  co_table *tables =
      co_arena_alloc(model->arena, (size_t)model->event_table_count + 1, sizeof *tables);
  if (!tables) return CO_ERR_MEMORY;
  model->schema.columns = columns;
  model->schema.tables = tables;
  for (int64_t i = 0; i < model->event_table_count; i++)
    if (!model->event_tables[i].of_text)
      tables[model->schema.table_count++] =
          (co_table){.name = model->event_tables[i].name, .kind = CO_TABLE_EVENTS};
  for (int64_t i = 0; i < model->input_count; i++)
    for (int64_t k = 0; k < model->inputs[i].column_count; k++)
      list_column(model, columns, model->inputs[i].columns[k]);
  for (int64_t i = 0; i < model->output_count; i++)
    if (model->outputs[i].column) list_column(model, columns, model->outputs[i].column);
  for (int64_t i = 0; i < model->input_count; i++)
    if (model->inputs[i].learned) list_column(model, columns, model->inputs[i].learned);
  return CO_OK;
}

// The network takes the weights of a target's rows by a name of their own.
static co_status check_input_names(co_model_builder *b) {
  static const char end[] = ".weight";
  const co_model *model = b->model;
  for (int64_t i = 0; i < model->input_count; i++)
    for (int64_t k = 0; k < model->output_count; k++) {
      const char *input = model->inputs[i].name, *output = model->outputs[k].name;
      size_t length = strlen(output);
      if (strncmp(input, output, length) == 0 && strcmp(input + length, end) == 0)
        CO_RETURN_IF_FAILED(co_node_problem(
            b->problems, NULL, "give the column another name in the dataset",
            "input_features: an input cannot be called '%s', beside a target '%s'", input, output));
    }
  return CO_OK;
}

// What only a network has, in the config of something else.
static co_status check_no_network(co_model_builder *b) {
  const co_model *model = b->model;
  const co_node *combiner = co_node_get(model->config, "combiner");
  const co_node *bottleneck = co_node_get(model->config, "bottleneck");
  if (combiner && combiner->kind != CO_NODE_NULL)
    CO_RETURN_IF_FAILED(co_model_only_networks(b, combiner, "combiner"));
  if (bottleneck && bottleneck->kind != CO_NODE_NULL)
    CO_RETURN_IF_FAILED(co_model_only_networks(b, bottleneck, "bottleneck"));
  for (int64_t i = 0; i < model->input_count; i++)
    if (model->inputs[i].encoder)
      CO_RETURN_IF_FAILED(
          co_model_only_networks(b, model->inputs[i].encoder, "input_features[].encoder"));
  for (int64_t i = 0; i < model->output_count; i++)
    if (model->outputs[i].decoder)
      CO_RETURN_IF_FAILED(
          co_model_only_networks(b, model->outputs[i].decoder, "output_features[].decoder"));
  return CO_OK;
}

static const char *predictor_type(const co_node *config) {
  const co_node *section = co_node_get(config, "predictor");
  const co_node *type = section ? co_node_get(section, "type") : NULL;
  return type && type->kind == CO_NODE_SCALAR ? type->text : "network";
}

static co_status create(co_model **out, co_context *ctx, const co_node *config,
                        const co_schema *schema, bool beside, co_diagnostics *problems) {
  *out = NULL;
  co_model *model = co_alloc_zero(ctx, 1, sizeof *model);
  if (!model) return CO_ERR_MEMORY;
  model->ctx = ctx;
  model->config = config;
  model->predictor = predictor_type(config);
  model->scored = beside || strcmp(model->predictor, "network") != 0;
  co_model_builder b = {.model = model, .schema = schema, .problems = problems};
  int64_t before = problems->count;
  co_status status;
  CO_TRY(co_arena_create(&model->arena, ctx));
  CO_TRY(co_graph_create(&model->network, ctx));
  CO_TRY(co_model_expand_config(&b));
  if (problems->count == before) {
    CO_TRY(co_model_read_inputs(&b));
    CO_TRY(co_model_group_inputs(model));
    CO_TRY(co_model_read_outputs(&b));
  }
  CO_TRY(check_input_names(&b));
  if (model->scored && !beside) CO_TRY(check_no_network(&b));
  CO_TRY(declare_fitted(model)); // of those that could be read: the network asks for it
  if (problems->count == before) CO_TRY(declare_lengths(model));
  if (problems->count == before) CO_TRY(list_schema(model));
  CO_TRY(co_model_build_network(&b));
  if (problems->count > before) CO_TRY(co_diagnostics_result(problems));
  *out = model;
  return CO_OK;
cleanup:
  // Callers look at the problems: what no part of the config was blamed for is among them too.
  if (status == CO_ERR_CONFIG && problems->count == before) co_diagnostics_add_last(problems);
  co_model_free(model);
  return status;
}

co_status co_model_create(co_model **out, co_context *ctx, const co_node *config,
                          const co_schema *schema, co_diagnostics *problems) {
  return create(out, ctx, config, schema, false, problems);
}

co_status co_model_create_beside(co_model **out, co_context *ctx, const co_node *config,
                                 const co_schema *schema, co_diagnostics *problems) {
  return create(out, ctx, config, schema, true, problems);
}

int64_t co_model_score_count(const co_model *model) {
  return model->output_count + model->extra_count;
}

int64_t co_model_score_width(const co_model *model, int64_t i) {
  return i < model->output_count ? model->outputs[i].width
                                 : model->extras[i - model->output_count].width;
}

// The values of each lie together; behind all of them may be an indicator of each.
const co_input_feature *co_input_block_feature(const co_input_block *block, int64_t place) {
  const int64_t width = co_feature_width(block->features), values = width * block->count;
  if (block->count == 1) return block->features;
  return &block->features[place < values ? place / width : (place - values) % block->count];
}

void co_model_free(co_model *model) {
  if (!model) return;
  co_graph_free(model->network);
  co_free(model->ctx, model->feeds.items);
  co_arena_free(model->arena);
  co_free(model->ctx, model);
}

// Tables of classes come behind the fixed ones.
static bool describe_class(int i, const char **path, const char **doc, const co_field **fields) {
  static const char *const paths[] = {"input_features.preprocessing",
                                      "input_features.augmentation"};
  for (int of = 0; of < 2; of++)
    for (int k = 0; co_feature_class_list()[k]; k++) {
      const co_feature_class *class_ = co_feature_class_list()[k];
      if (!class_->input) continue;
      *path = paths[of];
      *doc = class_->doc;
      *fields = of ? class_->input->augmentation : class_->input->preprocessing;
      if (*fields && i-- == 0) return true;
    }
  return false;
}

bool co_model_describe(int i, const char **path, const char **doc, const co_field **fields) {
  static const struct {
    const char *path, *doc;
    const co_field *fields;
  } tables[] = {
      {"input_features", "Columns that go in.", co_input_fields},
      {"input_features.select", "An item in place of `name`: many columns.", co_selector_fields},
      {"defaults.TYPE", "What is said of all features of a type.", co_default_fields},
      {"input_features.preprocessing.outliers", "Of numbers: values too far from the others.",
       co_outlier_fields},
      {"input_features.preprocessing.hashing", "Of categories, without a vocabulary.",
       co_hashing_fields},
      {"combiner", "What joins the encoded inputs.", co_combiner_fields},
      {"bottleneck", "A small layer behind the combiner.", co_bottleneck_fields},
      {"output_features", "Columns that are predicted.", co_output_fields},
      {"output_features.select", "An item in place of `name`: many targets.",
       co_target_selector_fields},
      {"output_features.loss", "`cohort help losses` lists them.", co_loss_fields},
      {"output_features.decoder", "Of next items: what they bought may come again.",
       co_copy_fields},
      {"output_features.decoder", "Of next items: their embedding is the output's table.",
       co_tied_fields},
      {"output_features.decoder", "Of next items: by what their table says.", co_catalogue_fields},
      {"output_features.decoder", "Of a text: what writes it.", co_text_decoder_fields},
      {"output_features.event_decoder", "Of a reconstruction of events: what goes through them.",
       co_event_decoder_fields},
      {"output_features.decision", "How scores of a binary target become labels.",
       co_decision_fields},
      {"output_features.decision.profit", "What a row brings, by label and truth.",
       co_profit_fields}};
  const int count = sizeof tables / sizeof *tables;
  if (i < 0) return false;
  if (i >= count) return describe_class(i - count, path, doc, fields);
  *path = tables[i].path;
  *doc = tables[i].doc;
  *fields = tables[i].fields;
  return true;
}
