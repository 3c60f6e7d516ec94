// SPDX-License-Identifier: Apache-2.0
// The `output_features` of a config.
#include <string.h>

#include "models/builder.h"

typedef struct output_options {
  const char *name, *type, *of;
  const co_node *loss, *decoder, *event_decoder, *decision;
  double weight;
  int64_t noise_size;
  int normalization;
} output_options;

enum { NONE, ZSCORE, AUTO };
static const char *const normalizations[] = {"none", "zscore", "auto", NULL};

const co_field co_output_fields[] = {
    {"name", CO_FIELD_STRING, offsetof(output_options, name), NULL, 0, 0, NULL,
     "A target column of the dataset; of what is no column's (reconstruction, generator, "
     "discriminator), any name.",
     "column"},
    {"type", CO_FIELD_STRING, offsetof(output_options, type), "null", 0, 0, NULL,
     "How the column is used; by its type if absent.", NULL},
    {"of", CO_FIELD_STRING, offsetof(output_options, of), "null", 0, 0, NULL,
     "For reconstruction: which input, or `all`.", NULL},
    {"loss", CO_FIELD_NODE, offsetof(output_options, loss), "null", 0, 0, NULL,
     "{type: …}; by the target's type if absent.", NULL},
    {"decoder", CO_FIELD_NODE, offsetof(output_options, decoder), "null", 0, 0, NULL,
     "Layers in place of one Dense layer, as an encoder: {type: graph, layers: […]}; of a "
     "reconstruction of all, before it; of a generator, from noise to image. Of next items, {type: "
     "copy}, {type: tied} or {type: catalogue}. Of a text, {type: rnn, cell_type: gru, units: 64}.",
     NULL},
    {"event_decoder", CO_FIELD_NODE, offsetof(output_options, event_decoder), "null", 0, 0, NULL,
     "Of a reconstruction of events: {cell_type: gru, units: 64}.", NULL},
    {"decision", CO_FIELD_NODE, offsetof(output_options, decision), "null", 0, 0, NULL,
     "Of a binary target: {threshold: …, profit: {…}}; scores then come with OUTPUT_label.", NULL},
    {"weight", CO_FIELD_DOUBLE, offsetof(output_options, weight), "1.0", 0, 1e9, NULL,
     "Factor of this output in the total loss.", NULL},
    {"normalization", CO_FIELD_ENUM, offsetof(output_options, normalization), "none", 0, 0,
     normalizations,
     "zscore, of a number: a network learns it less the training rows' mean, in standard "
     "deviations; scores and metrics are in its own units, `loss` in those. auto: zscore where "
     "type "
     "and loss take it.",
     NULL},
    {"noise_size", CO_FIELD_INT, offsetof(output_options, noise_size), "64", 1, 65536, NULL,
     "Of a generator: random numbers that an image is made of.", NULL},
    {.key = NULL}};

// Those of the loss itself stand beside them.
typedef struct loss_options {
  const char *type;
  const co_node *class_weights;
} loss_options;

const co_field co_loss_fields[] = {
    {"type", CO_FIELD_STRING, offsetof(loss_options, type), "null", 0, 0, NULL,
     "Which loss; by the target's type if absent. Its own options stand beside it.", NULL},
    {"class_weights", CO_FIELD_NODE, offsetof(loss_options, class_weights), "null", 0, 0, NULL,
     "What rows of a class count in training: {CLASS: factor}, others 1; or `balanced`: all "
     "classes alike.",
     "class_weight"},
    {.key = NULL}};

typedef struct decision_options {
  const char *threshold;
  const co_node *profit;
} decision_options;

const co_field co_decision_fields[] = {
    {"threshold", CO_FIELD_STRING, offsetof(decision_options, threshold), "0.5", 0, 0, NULL,
     "Probability from which a row is labelled positive; f1, profit: the best of the validation "
     "rows.",
     NULL},
    {"profit", CO_FIELD_NODE, offsetof(decision_options, profit), "null", 0, 0, NULL,
     "What a row brings: {true_positive: 10, false_positive: -1}, for the metrics profit and "
     "max_profit.",
     NULL},
    {.key = NULL}};

const co_field co_profit_fields[] = {
    {"true_positive", CO_FIELD_DOUBLE, offsetof(co_profit, true_positive), "0", -1e12, 1e12, NULL,
     "Of a positive row that is labelled so.", "tp"},
    {"false_positive", CO_FIELD_DOUBLE, offsetof(co_profit, false_positive), "0", -1e12, 1e12, NULL,
     "Of a negative row labelled positive.", "fp"},
    {"false_negative", CO_FIELD_DOUBLE, offsetof(co_profit, false_negative), "0", -1e12, 1e12, NULL,
     "Of a positive row labelled negative.", "fn"},
    {"true_negative", CO_FIELD_DOUBLE, offsetof(co_profit, true_negative), "0", -1e12, 1e12, NULL,
     "Of a negative row that is labelled so.", "tn"},
    {.key = NULL}};

static bool loss_takes(const co_loss_class *loss, co_column_type type) {
  return (type == CO_COLUMN_CATEGORY && loss->category) ||
         (type == CO_COLUMN_NUMBER && loss->number) || (type == CO_COLUMN_VECTOR && loss->vector) ||
         (type == CO_COLUMN_BINARY && loss->binary) || (type == CO_COLUMN_TEXT && loss->text);
}

// What another program calls a loss is no edit away from what it is called here.
static const char *nearest_loss(const char *name) {
  const char *names[64];
  int64_t count = 0;
  for (; co_loss_list()[count] && count < 64; count++) {
    names[count] = co_loss_list()[count]->name;
    for (int k = 0; co_loss_list()[count]->elsewhere && co_loss_list()[count]->elsewhere[k]; k++)
      if (strcmp(co_loss_list()[count]->elsewhere[k], name) == 0) return names[count];
  }
  return co_nearest(name, names, count);
}

static co_status unknown_loss(co_model_builder *b, const co_node *node, const char *path,
                              const char *name) {
  const char *near = nearest_loss(name);
  co_text known;
  co_text_init(&known, b->model->ctx);
  for (int i = 0; co_loss_list()[i]; i++)
    co_text_printf(&known, "%s%s", i ? ", " : "known: ", co_loss_list()[i]->name);
  const co_node *type = co_node_get(node, "type");
  co_status status = co_node_problem(
      b->problems, type ? type : node, known.data, "%s.type: unknown loss '%s'%s%s%s", path, name,
      near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
  co_text_free(&known);
  return status;
}

// A class by its name; of a binary without names, by 0 and 1.
static int64_t find_class(const co_column *column, const char *name) {
  static const char *const plain[] = {"0", "1"};
  const int64_t count = column->type == CO_COLUMN_BINARY ? 2 : column->category_count;
  const char *const *names = column->categories ? column->categories : plain;
  for (int64_t i = 0; i < count; i++)
    if (strcmp(names[i], name) == 0) return i;
  return -1;
}

static co_status read_class_weights(co_model_builder *b, const co_node *node, const char *path,
                                    co_output_feature *feature) {
  const co_column *column = feature->column;
  if (!node || node->kind == CO_NODE_NULL) return CO_OK;
  if (!column || (column->type != CO_COLUMN_BINARY && column->type != CO_COLUMN_CATEGORY))
    return co_node_problem(b->problems, node, NULL,
                           "%s.class_weights: '%s' has no classes, its type is %s", path,
                           feature->name, feature->class_->name);
  const int64_t count = column->type == CO_COLUMN_BINARY ? 2 : column->category_count;
  co_fitted *made = co_arena_alloc(b->model->arena, 1, sizeof *made);
  float *weights = co_arena_alloc(b->model->arena, (size_t)count + 1, sizeof *weights);
  if (!made || !weights) return CO_ERR_MEMORY;
  *made = (co_fitted){.feature = feature->name,
                      .name = "class_weights",
                      .dtype = CO_F32,
                      .shape = co_shape_make(1, count),
                      .bytes = weights,
                      .new_rows = column->new_classes};
  for (int64_t i = 0; i < count; i++)
    weights[i] = 1;
  feature->class_weights = made;
  feature->balanced = node->kind == CO_NODE_SCALAR && strcmp(node->text, "balanced") == 0;
  if (feature->balanced) return CO_OK;
  if (node->kind != CO_NODE_MAP)
    return co_node_problem(b->problems, node, "for example {yes: 5}",
                           "%s.class_weights: must be `balanced` or a map of classes", path);
  for (int64_t i = 0; i < node->count; i++) {
    double weight;
    int64_t class_ = find_class(column, node->keys[i]);
    if (class_ < 0)
      return co_node_problem(b->problems, node->items[i], NULL,
                             "%s.class_weights: '%s' has no class '%s'", path, feature->name,
                             node->keys[i]);
    if (!co_node_double(node->items[i], &weight) || !(weight >= 0 && weight <= 1e9))
      return co_node_problem(b->problems, node->items[i], NULL,
                             "%s.class_weights.%s: must be a number from 0 to 1e9", path,
                             node->keys[i]);
    weights[class_] = (float)weight;
  }
  return CO_OK;
}

// Until they are fitted, all classes are as likely.
static co_status declare_bounds(co_model *model, co_output_feature *feature,
                                const co_sampled_softmax_options *options) {
  const int64_t count = feature->column->category_count;
  co_fitted *made = co_arena_alloc(model->arena, 1, sizeof *made);
  int32_t *bounds = co_arena_alloc(model->arena, (size_t)count + 1, sizeof *bounds);
  if (!made || !bounds) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < count; i++)
    bounds[i] = (int32_t)((double)(i + 1) / (double)count * INT32_MAX);
  *made = (co_fitted){.feature = feature->name,
                      .name = "bounds",
                      .dtype = CO_I32,
                      .shape = co_shape_make(1, count),
                      .bytes = bounds};
  feature->sampling = options;
  feature->bounds = made;
  return CO_OK;
}

static co_status read_loss(co_model_builder *b, const co_node *node, const char *path,
                           co_output_feature *feature) {
  static const char *const common[] = {"type", "class_weights", "class_weight", NULL};
  const char *fallback = feature->class_->output->loss;
  const co_loss_class *loss = feature->loss = co_loss_find(fallback);
  CO_RETURN_IF_FAILED(co_loss_attributes(loss, NULL, &feature->loss_attr));
  if (!node || node->kind == CO_NODE_NULL) return CO_OK;
  if (node->kind != CO_NODE_MAP)
    return co_node_problem(b->problems, node, "for example {type: huber}", "%s: must be a map",
                           path);
  co_arena *arena = b->model->arena;
  const co_node *type = co_node_get(node, "type");
  if (type && type->kind == CO_NODE_SCALAR) {
    if (!(loss = co_loss_find(type->text))) return unknown_loss(b, node, path, type->text);
  } else if (type && type->kind != CO_NODE_NULL) {
    return co_node_problem(b->problems, type, NULL, "%s.type: must be a name", path);
  }
  // A linear model or a forest predicts numbers, not a distribution's parameters, and draws nothing.
  const bool beside = strcmp(b->model->predictor, "network") == 0; // a baseline
  if ((loss->parameters || loss->sampled) && b->model->scored && !beside)
    return co_model_only_networks(b, node, loss->name);
  if (loss->parameters && b->model->scored) return CO_OK;
  feature->loss = loss;
  if (feature->class_ == &co_reconstruction_of_columns)
    return co_node_problem(b->problems, node, "leave it out",
                           "%s: the type of each input that is given back decides on its loss",
                           path);
  // What a reconstruction gives back are numbers, as those of a vector are.
  co_column_type target = feature->column ? feature->column->type : CO_COLUMN_VECTOR;
  const bool fits = co_is_adversary(feature) ? loss->pointwise == CO_POINTWISE_BINARY ||
                                                   loss->pointwise == CO_POINTWISE_SQUARED
                                             : loss_takes(loss, target);
  if (!fits)
    return co_node_problem(b->problems, node, NULL, "%s.type: %s does not fit the %s target '%s'",
                           path, loss->name, feature->class_->name, feature->name);
  const co_node *weights = co_node_get(node, "class_weights");
  CO_RETURN_IF_FAILED(
      read_class_weights(b, weights ? weights : co_node_get(node, "class_weight"), path, feature));
  static const co_field none[] = {{.key = NULL}};
  const co_node *own;
  void *options = co_arena_alloc(arena, 1, loss->options_size + 1);
  int64_t before = b->problems->count;
  if (!options) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_node_without(&own, arena, node, common));
  CO_RETURN_IF_FAILED(
      co_fields_parse(options, loss->fields ? loss->fields : none, own, path, arena, b->problems));
  if (b->problems->count > before) return CO_OK;
  if (loss->sampled) CO_RETURN_IF_FAILED(declare_bounds(b->model, feature, options));
  co_status status = co_loss_attributes(loss, options, &feature->loss_attr);
  if (status != CO_ERR_CONFIG) return status;
  return co_node_problem(b->problems, node, NULL, "%s: %s", path, co_error_last()->message);
}

static co_status read_profit(co_model_builder *b, const co_node *node, const char *path,
                             co_output_feature *feature) {
  co_profit *profit = co_arena_alloc(b->model->arena, 1, sizeof *profit);
  char *at = co_arena_format(b->model->arena, "%s.profit", path);
  if (!profit || !at) return CO_ERR_MEMORY;
  feature->decision.profit = profit;
  return co_fields_parse(profit, co_profit_fields, node, at, b->model->arena, b->problems);
}

static co_status read_threshold(co_model_builder *b, const co_node *node, const char *path,
                                const char *text, co_decision *out) {
  const co_node *at = co_node_get(node, "threshold");
  const co_node number = {.kind = CO_NODE_SCALAR, .text = text};
  out->rule = strcmp(text, "f1") == 0       ? CO_THRESHOLD_F1
              : strcmp(text, "profit") == 0 ? CO_THRESHOLD_PROFIT
                                            : CO_THRESHOLD_GIVEN;
  if (out->rule == CO_THRESHOLD_PROFIT && !out->profit)
    return co_node_problem(b->problems, at, "add profit: {true_positive: 10, false_positive: -1}",
                           "%s.threshold: profit needs to know what a row brings", path);
  if (out->rule != CO_THRESHOLD_GIVEN) return CO_OK;
  if (co_node_double(&number, &out->threshold) && out->threshold >= 0 && out->threshold <= 1)
    return CO_OK;
  return co_node_problem(b->problems, at, "give a probability, f1 or profit",
                         "%s.threshold: '%s' is neither a number within [0, 1] nor a rule", path,
                         text);
}

static co_status read_decision(co_model_builder *b, const co_node *node, const char *path,
                               co_output_feature *feature) {
  decision_options options;
  int64_t before = b->problems->count;
  feature->decision.threshold = 0.5;
  if (!node || node->kind == CO_NODE_NULL) return CO_OK;
  if (!feature->column || feature->column->type != CO_COLUMN_BINARY)
    return co_node_problem(b->problems, node, NULL, "%s: is for binary targets, which '%s' is not",
                           path, feature->name);
  feature->decision.labels = true;
  CO_RETURN_IF_FAILED(
      co_fields_parse(&options, co_decision_fields, node, path, b->model->arena, b->problems));
  if (b->problems->count > before) return CO_OK;
  if (options.profit) CO_RETURN_IF_FAILED(read_profit(b, options.profit, path, feature));
  return read_threshold(b, node, path, options.threshold, &feature->decision);
}

// What a reconstruction is of: the input named, the only one, or all of them. Images and vectors are
// given back value by value, columns by their types.
static co_status find_original(co_model_builder *b, const co_node *item, const char *path,
                               const char *of, co_output_feature *feature) {
  const co_model *model = b->model;
  if (of && strcmp(of, "all") == 0) {
    feature->class_ = &co_reconstruction_of_columns;
    return CO_OK;
  }
  for (int64_t i = 0; i < model->input_count; i++)
    if (of ? strcmp(model->inputs[i].name, of) == 0 : model->input_count == 1)
      feature->reconstructs = &model->inputs[i];
  if (feature->reconstructs && !feature->reconstructs->column->shape.rank)
    feature->class_ = &co_reconstruction_of_columns;
  if (feature->reconstructs) return CO_OK;
  const co_node *at = co_node_get(item, "of") ? co_node_get(item, "of") : item;
  return co_node_problem(b->problems, at, "name one of input_features, or `all`",
                         of ? "%s.of: there is no input '%s'"
                            : "%s.of: is required where there are several inputs",
                         path, of);
}

static co_status read_target(co_model_builder *b, const co_node *item, const char *path,
                             const output_options *options, co_output_feature *feature) {
  const co_column *column;
  if (options->of)
    return co_node_problem(b->problems, co_node_get(item, "of"), NULL,
                           "%s.of: is for outputs of type reconstruction", path);
  CO_RETURN_IF_FAILED(co_model_find_column(b, item, path, options->name, &column));
  if (!column) return CO_OK;
  if (column->role != CO_ROLE_TARGET)
    return co_node_problem(b->problems, item, NULL, "%s: '%s' is not a target but has role %s",
                           path, column->name, co_role_name(column->role));
  CO_RETURN_IF_FAILED(
      co_model_find_class(b, item, path, options->type, column, true, &feature->class_));
  if (!feature->class_) return CO_OK;
  CO_RETURN_IF_FAILED(co_model_copy_column(b->model, column, &feature->column));
  feature->name = feature->column->name;
  return CO_OK;
}

static co_status declare_normalization(co_model *model, co_output_feature *feature) {
  static const char *const names[] = {"mean", "std", "scale"};
  const int64_t width = feature->class_->output->width(feature);
  co_fitted *made = co_arena_alloc(model->arena, CO_NORMALIZATION_ARRAYS, sizeof *made);
  if (!made) return CO_ERR_MEMORY;
  for (int k = 0; k < CO_NORMALIZATION_ARRAYS; k++) {
    const int64_t count = k == CO_NORMALIZATION_scale ? 1 : width;
    float *values = co_arena_alloc(model->arena, (size_t)count, sizeof *values);
    if (!values) return CO_ERR_MEMORY;
    for (int64_t i = 0; i < count; i++)
      values[i] = k != CO_NORMALIZATION_mean;
    made[k] = (co_fitted){.feature = feature->name,
                          .name = names[k],
                          .dtype = CO_F32,
                          .shape = co_shape_make(1, count),
                          .bytes = values};
  }
  feature->normalization = made;
  return CO_OK;
}

static co_status refuse_normalization(co_model_builder *b, const co_node *item, const char *path,
                                      const co_output_feature *feature, bool number) {
  const co_node *at = co_node_get(item, "normalization");
  if (!number)
    return co_node_problem(b->problems, at, "leave it out",
                           "%s.normalization: zscore is of numbers, '%s' is %s", path,
                           feature->name, feature->class_->name);
  if (feature->loss->parameters || feature->loss->logit)
    return co_node_problem(b->problems, at, "leave it out",
                           "%s.normalization: zscore does not go with the loss %s, which needs "
                           "the numbers themselves",
                           path, feature->loss->name);
  return co_model_only_networks(b, at, "output_features[].normalization");
}

// As the config says: what is scored beside such a network has another loss.
static bool learns_distribution(const co_node *item) {
  const co_node *given = co_node_get(item, "loss");
  const co_node *type = given ? co_node_get(given, "type") : NULL;
  const co_loss_class *loss = type && type->text ? co_loss_find(type->text) : NULL;
  return loss && loss->parameters;
}

static co_status read_normalization(co_model_builder *b, const co_node *item, const char *path,
                                    int wanted, co_output_feature *feature) {
  const bool number = feature->column && feature->column->type == CO_COLUMN_NUMBER;
  if (number && !learns_distribution(item) && !feature->loss->logit &&
      strcmp(b->model->predictor, "network") == 0)
    return declare_normalization(b->model, feature);
  return wanted == AUTO ? CO_OK : refuse_normalization(b, item, path, feature, number);
}

static co_status read_output(co_model_builder *b, const co_node *item, const char *path,
                             co_output_feature *feature) {
  output_options options;
  int64_t before = b->problems->count;
  CO_RETURN_IF_FAILED(
      co_fields_parse(&options, co_output_fields, item, path, b->model->arena, b->problems));
  if (b->problems->count > before) return CO_OK;
  const co_feature_class *class_ = options.type ? co_feature_class_find(options.type) : NULL;
  if (class_ && class_->output && !class_->columns) {
    feature->class_ = class_;
    feature->name = options.name;
    feature->decoder = options.decoder;
    feature->event_decoder = options.event_decoder;
    CO_RETURN_IF_FAILED(co_is_adversary(feature)
                            ? co_model_read_adversary(b, item, path, options.noise_size, feature)
                            : find_original(b, item, path, options.of, feature));
  } else {
    CO_RETURN_IF_FAILED(read_target(b, item, path, &options, feature));
  }
  if (b->problems->count == before && options.event_decoder &&
      feature->class_ != &co_reconstruction_of_columns)
    return co_node_problem(b->problems, options.event_decoder, "leave it out",
                           "%s.event_decoder: is of reconstructions of columns", path);
  if (b->problems->count > before) return CO_OK;
  feature->decoder = options.decoder;
  feature->weight = options.weight;
  if (feature->column && feature->column->type == CO_COLUMN_TEXT)
    CO_RETURN_IF_FAILED(co_model_read_text_output(b, item, options.decoder, path, feature));
  if (co_decoder_is(options.decoder, "catalogue"))
    CO_RETURN_IF_FAILED(co_model_read_catalogue(b, path, feature));
  if (b->problems->count > before) return CO_OK;
  char *loss = co_arena_format(b->model->arena, "%s.loss", path);
  char *decision = co_arena_format(b->model->arena, "%s.decision", path);
  if (!loss || !decision) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(read_decision(b, options.decision, decision, feature));
  CO_RETURN_IF_FAILED(read_loss(b, options.loss, loss, feature));
  // Items that no training row has as its target would become positives by it.
  if (feature->catalogue && feature->loss_attr.label_smoothing > 0)
    return co_node_problem(b->problems, options.loss, "leave label_smoothing out",
                           "%s.label_smoothing: does not go with the decoder `catalogue`", loss);
  return b->problems->count == before && options.normalization != NONE
             ? read_normalization(b, item, path, options.normalization, feature)
             : CO_OK;
}

static co_status too_many(co_model_builder *b, const co_node *item, const char *path) {
  const co_node *name = co_node_get(item, "name");
  return co_node_problem(
      b->problems, item, "leave some out, or train several models",
      "%s: '%s' is one output too many; a model has at most %d, each with its loss", path,
      name && name->text ? name->text : "", (int)CO_MAX_LOSSES);
}

co_status co_model_read_outputs(co_model_builder *b) {
  co_model *model = b->model;
  const co_node *list = co_node_get(model->config, "output_features");
  const int64_t count = list ? list->count : 0, problems = b->problems->count;
  model->outputs = co_arena_alloc(model->arena, (size_t)count + 1, sizeof *model->outputs);
  if (!model->outputs) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < count; i++) {
    char *path = co_arena_format(model->arena, "output_features[%lld]", (long long)i);
    if (!path) return CO_ERR_MEMORY;
    if (i == CO_MAX_LOSSES) return too_many(b, list->items[i], path);
    int64_t before = b->problems->count;
    co_output_feature *feature = &model->outputs[model->output_count];
    CO_RETURN_IF_FAILED(read_output(b, list->items[i], path, feature));
    for (int64_t k = 0; b->problems->count == before && k < model->output_count; k++)
      if (strcmp(model->outputs[k].name, feature->name) == 0)
        CO_RETURN_IF_FAILED(co_node_problem(b->problems, list->items[i], NULL,
                                            "%s: '%s' is listed twice", path, feature->name));
    if (b->problems->count == before) model->output_count++;
  }
  if (list && !count)
    return co_node_problem(b->problems, list, NULL, "output_features: there is no output");
  return b->problems->count == problems ? co_model_check_adversaries(b) : CO_OK;
}

const char *co_loss_metric(const co_output_feature *output) {
  const char *own = output->class_->metric;
  return own ? own : output->loss->metric;
}

double co_output_threshold(const co_output_feature *output) {
  return output->decided ? ((const double *)output->decided->bytes)[1] : 0.5;
}

double co_output_temperature(const co_output_feature *output) {
  return output->decided ? ((const double *)output->decided->bytes)[0] : 1;
}
