// SPDX-License-Identifier: Apache-2.0
// The decoder `catalogue`: an item's score is the product of what a row is like with what its table tells of
// the item (two towers: Yi et al. 2019), so that one that training never saw is scored, too. The item's own
// row of a table is added to that, but left out now and then (DropoutNet: Volkovs et al. 2017), so that
// what is told of it learns to stand alone.
#include "models/catalogue.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/rng.h"
#include "models/builder.h"

typedef struct catalogue_options {
  const char *type, *of;
  const co_node *columns;
  int64_t embedding_size, units;
  double unknown_rate;
} catalogue_options;

const co_field co_catalogue_fields[] = {
    {"type", CO_FIELD_STRING, offsetof(catalogue_options, type), "null", 0, 0, NULL,
     "catalogue: items are scored by what their table says, new ones too.", NULL},
    {"columns", CO_FIELD_NODE, offsetof(catalogue_options, columns), NULL, 0, 0, NULL,
     "Inputs that are columns of the items: [price, kind].", NULL},
    {"of", CO_FIELD_STRING, offsetof(catalogue_options, of), "null", 0, 0, NULL,
     "The input with the events' items; absent: the one of the target's classes.", NULL},
    {"embedding_size", CO_FIELD_INT, offsetof(catalogue_options, embedding_size), "32", 1, 4096,
     NULL, "Of items, and of their categories.", NULL},
    {"units", CO_FIELD_INT, offsetof(catalogue_options, units), "64", 1, 4096, NULL,
     "Of the hidden layer between an item's columns and its embedding.", NULL},
    {"unknown_rate", CO_FIELD_DOUBLE, offsetof(catalogue_options, unknown_rate), "0.5", 0, 0.999,
     NULL, "Share of the items that in a step of training are known by their columns alone.", NULL},
    {.key = NULL}};

// ---- config ------------------------------------------------------------------------------------

static bool is_number(const co_catalogue *c, int64_t k) {
  return c->columns[k]->column->type == CO_COLUMN_NUMBER;
}

static bool chooses_from(const co_input_feature *input, const co_column *target) {
  const co_column *column = input->column;
  const int64_t known = target->category_count - target->new_classes;
  if (input->event_table < 0 || !column || column->type != CO_COLUMN_CATEGORY ||
      column->category_count != known || !input->class_->input->table_rows)
    return false;
  for (int64_t i = 0; i < known; i++)
    if (strcmp(column->categories[i], target->categories[i]) != 0) return false;
  return true;
}

static const co_input_feature *find_input(const co_model *model, const char *name) {
  for (int64_t i = 0; i < model->input_count; i++)
    if (strcmp(model->inputs[i].name, name) == 0) return &model->inputs[i];
  return NULL;
}

static co_status find_items(co_model_builder *b, const char *path, const char *of,
                            co_output_feature *feature, co_catalogue *c) {
  const co_model *model = b->model;
  for (int64_t i = 0; i < model->input_count && !c->items; i++)
    if ((!of || strcmp(model->inputs[i].name, of) == 0) &&
        chooses_from(&model->inputs[i], feature->column))
      c->items = &model->inputs[i];
  if (c->items) return CO_OK;
  return co_node_problem(b->problems, feature->decoder, "leave the decoder out",
                         "%s: no events of the classes of '%s' are an input%s%s", path,
                         feature->name, of ? " called " : "", of ? of : "");
}

static co_status take_name(co_model_builder *b, const co_node *node, const char *path,
                           co_catalogue *c) {
  const co_input_feature *input = node->text ? find_input(b->model, node->text) : NULL;
  const co_column_type type = input && input->column ? input->column->type : CO_COLUMN_TYPE_COUNT;
  const bool fits = input && input != c->items && c->items &&
                    input->event_table == c->items->event_table &&
                    (type == CO_COLUMN_NUMBER || type == CO_COLUMN_CATEGORY);
  if (!fits)
    return co_node_problem(
        b->problems, node, "columns that `import --join ITEMS.csv:ITEM` gave the events",
        "%s.columns: '%s' is no number or category of the events among input_features", path,
        node->text ? node->text : "");
  for (int64_t k = 0; k < c->column_count; k++)
    if (c->columns[k] == input)
      return co_node_problem(b->problems, node, "name each once", "%s.columns: '%s' is given twice",
                             path, node->text);
  if (c->column_count == CO_CATALOGUE_COLUMNS)
    return co_node_problem(b->problems, node, NULL, "%s.columns: more than %d", path,
                           (int)CO_CATALOGUE_COLUMNS);
  c->columns[c->column_count++] = input;
  c->number_count += type == CO_COLUMN_NUMBER;
  return CO_OK;
}

static co_status read_columns(co_model_builder *b, const co_node *list, const char *path,
                              co_catalogue *c) {
  if (list->kind != CO_NODE_LIST || !list->count)
    return co_node_problem(b->problems, list, "for example [price, kind]",
                           "%s.columns: must be a list of inputs", path);
  for (int64_t i = 0; i < list->count; i++)
    CO_RETURN_IF_FAILED(take_name(b, list->items[i], path, c));
  return CO_OK;
}

static co_status declare_array(const co_model *model, const co_output_feature *feature,
                               const char *name, co_dtype dtype, const co_shape *shape,
                               int64_t new_rows, co_fitted **out) {
  co_fitted *made = *out = co_arena_alloc(model->arena, 1, sizeof *made);
  void *bytes = co_arena_alloc(model->arena, (size_t)co_shape_count(shape), co_dtype_size(dtype));
  if (!made || !bytes || !name) return CO_ERR_MEMORY;
  *made = (co_fitted){.feature = feature->name,
                      .name = name,
                      .dtype = dtype,
                      .shape = *shape,
                      .bytes = bytes,
                      .new_rows = new_rows};
  return CO_OK;
}

static co_status declare(co_model *model, const co_output_feature *feature, co_catalogue *c) {
  const co_shape each = co_shape_make(1, c->classes);
  const co_shape numbers = co_shape_make(2, c->classes, 2 * c->number_count);
  const co_shape edges = co_shape_make(2, c->number_count, (int64_t)CO_CATALOGUE_EDGES);
  CO_RETURN_IF_FAILED(
      declare_array(model, feature, "item_rows", CO_I32, &each, c->new_classes, &c->rows));
  for (int64_t k = 0; k < c->column_count; k++)
    if (!is_number(c, k))
      CO_RETURN_IF_FAILED(declare_array(
          model, feature, co_arena_format(model->arena, "item_codes.%s", c->columns[k]->name),
          CO_I32, &each, c->new_classes, &c->codes[k]));
  if (!c->number_count) return CO_OK;
  CO_RETURN_IF_FAILED(
      declare_array(model, feature, "item_numbers", CO_F32, &numbers, c->new_classes, &c->numbers));
  return declare_array(model, feature, "item_edges", CO_F32, &edges, 0, &c->edges);
}

co_status co_model_read_catalogue(co_model_builder *b, const char *path,
                                  co_output_feature *feature) {
  catalogue_options options;
  const int64_t before = b->problems->count;
  char *at = co_arena_format(b->model->arena, "%s.decoder", path);
  co_catalogue *c = co_arena_alloc(b->model->arena, 1, sizeof *c);
  if (!at || !c) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_fields_parse(&options, co_catalogue_fields, feature->decoder, at,
                                      b->model->arena, b->problems));
  if (b->problems->count > before) return CO_OK;
  if (!feature->column || feature->column->type != CO_COLUMN_CATEGORY)
    return co_node_problem(b->problems, feature->decoder, "leave the decoder out",
                           "%s: '%s' is no category", at, feature->name);
  *c = (co_catalogue){.classes = feature->column->category_count,
                      .new_classes = feature->column->new_classes,
                      .embedding_size = options.embedding_size,
                      .units = options.units,
                      .unknown_rate = options.unknown_rate};
  CO_RETURN_IF_FAILED(find_items(b, at, options.of, feature, c));
  CO_RETURN_IF_FAILED(read_columns(b, options.columns, at, c));
  if (b->problems->count > before) return CO_OK;
  CO_RETURN_IF_FAILED(declare(b->model, feature, c));
  feature->catalogue = c;
  return CO_OK;
}

// ---- what is learned of items ------------------------------------------------------------------

void co_catalogue_take_counts(co_catalogue *c, const int64_t *counts) {
  int32_t *rows = c->rows->bytes;
  for (int64_t i = 0; i < c->classes; i++)
    rows[i] = counts[i] > 0 ? (int32_t)i + 1 : 0;
}

static int by_value(const void *a, const void *b) {
  const float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

// How far x is among ascending edges, from 0 to 1; in the middle of equal ones.
static double place_of(const float *edges, float x) {
  const int last = CO_CATALOGUE_EDGES - 1;
  int below = 0, until = 0;
  for (int i = 0; i <= last; i++) {
    below += edges[i] < x;
    until += edges[i] <= x;
  }
  if (!until) return 0;
  if (below > last) return 1;
  if (until > below) return (below + until - 1) / 2.0 / last;
  const double low = (double)edges[below - 1], high = (double)edges[below];
  return (below - 1 + ((double)x - low) / (high - low)) / last;
}

// Which of the numbers a column is.
static int64_t number_of(const co_catalogue *c, int64_t k) {
  int64_t number = 0;
  for (int64_t i = 0; i < k; i++)
    number += is_number(c, i);
  return number;
}

static void put_numbers(const co_catalogue *c, int64_t k, int64_t first, int64_t count,
                        const float *values) {
  const int64_t number = number_of(c, k);
  const float *edges = (const float *)c->edges->bytes + number * CO_CATALOGUE_EDGES;
  float *out = (float *)c->numbers->bytes + 2 * (first * c->number_count + number);
  for (int64_t i = 0; i < count; i++, out += 2 * c->number_count) {
    const bool missing = !values || isnan(values[i]);
    out[0] = missing ? 0 : (float)((2 * place_of(edges, values[i]) - 1) * sqrt(3));
    out[1] = missing;
  }
}

static co_status fit_numbers(co_catalogue *c, co_context *ctx, int64_t k, const float *values) {
  const int32_t *rows = c->rows->bytes;
  float *edges = (float *)c->edges->bytes + number_of(c, k) * CO_CATALOGUE_EDGES;
  float *sorted = co_alloc(ctx, (size_t)(c->classes + 1) * sizeof *sorted);
  int64_t count = 0;
  if (!sorted) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < c->classes; i++)
    if (rows[i] && !isnan(values[i])) sorted[count++] = values[i];
  qsort(sorted, (size_t)count, sizeof *sorted, by_value);
  for (int64_t i = 0; i < CO_CATALOGUE_EDGES; i++)
    edges[i] = count ? sorted[i * (count - 1) / (CO_CATALOGUE_EDGES - 1)] : 0;
  co_free(ctx, sorted);
  put_numbers(c, k, 0, c->classes, values);
  return CO_OK;
}

// Codes of items that training knew keep their rows.
static void put_codes(const co_catalogue *c, int64_t k, const uint8_t *known, int64_t first,
                      int64_t count, const int32_t *values) {
  int32_t *codes = (int32_t *)c->codes[k]->bytes + first;
  const int64_t most = c->columns[k]->column->category_count;
  for (int64_t i = 0; i < count; i++) {
    const int32_t code = values ? values[i] : -1;
    codes[i] = code >= 0 && code < most && (!known || known[code]) ? code + 1 : 0;
  }
}

static co_status fit_codes(co_catalogue *c, co_context *ctx, int64_t k, const int32_t *values) {
  const int32_t *rows = c->rows->bytes;
  const int64_t most = c->columns[k]->column->category_count;
  uint8_t *known = co_alloc_zero(ctx, (size_t)most + 1, sizeof *known);
  if (!known) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < c->classes; i++)
    if (rows[i] && values[i] >= 0 && values[i] < most) known[values[i]] = 1;
  put_codes(c, k, known, 0, c->classes, values);
  co_free(ctx, known);
  return CO_OK;
}

co_status co_catalogue_fit_column(co_catalogue *c, co_context *ctx, int64_t k, const void *values) {
  return is_number(c, k) ? fit_numbers(c, ctx, k, values) : fit_codes(c, ctx, k, values);
}

// A new item's category counts where one of the training has it.
static bool is_known(const co_catalogue *c, int64_t k, int32_t code) {
  const int32_t *codes = c->codes[k]->bytes;
  for (int64_t i = 0; i < c->classes - c->new_classes; i++)
    if (codes[i] == code + 1) return true;
  return false;
}

void co_catalogue_take_column(co_catalogue *c, int64_t k, const void *values) {
  const int64_t first = c->classes - c->new_classes;
  if (is_number(c, k)) {
    put_numbers(c, k, first, c->new_classes, values);
    return;
  }
  put_codes(c, k, NULL, first, c->new_classes, values);
  int32_t *codes = (int32_t *)c->codes[k]->bytes + first;
  for (int64_t i = 0; i < c->new_classes; i++)
    if (codes[i] && !is_known(c, k, codes[i] - 1)) codes[i] = 0;
}

// ---- network -----------------------------------------------------------------------------------

static co_status add_array(co_model *model, const co_fitted *array, co_value *out) {
  char *name = co_arena_format(model->arena, "%s/%s", array->feature, array->name);
  return name ? co_graph_add_variable(model->network, name, array->dtype, &array->shape,
                                      array->bytes, out)
              : CO_ERR_MEMORY;
}

// Which of the items are unknown is drawn anew for each step, for all of its micro-batches alike.
static co_status add_rows(co_model *model, const co_output_feature *feature, co_value rows,
                          co_value *out) {
  const co_catalogue *c = feature->catalogue;
  const co_op_attr attr = {
      .rate = c->unknown_rate, .draws = -1, .purpose = co_purpose("unknown items", feature->name)};
  co_value in[2] = {[CO_INDEX_DROPOUT_x] = rows};
  *out = rows;
  if (c->unknown_rate == 0) return CO_OK;
  CO_RETURN_IF_FAILED(co_graph_get_step(model->network, &in[CO_INDEX_DROPOUT_step]));
  return co_emit(model->network, CO_OP_INDEX_DROPOUT, &attr, 2, in, out);
}

// (classes, embedding_size). A bias of `told` would move all logits of a row alike: it has none.
static co_status add_items(co_model_builder *b, const co_output_feature *feature, co_value rows,
                           co_value *out) {
  co_model *model = b->model;
  const co_catalogue *c = feature->catalogue;
  co_named_value known[CO_CATALOGUE_COLUMNS + 2] = {{"rows", CO_NO_VALUE},
                                                    {"numbers", CO_NO_VALUE}};
  co_text layers, parts;
  int64_t count = 2;
  co_node *list;
  co_text_init(&layers, model->ctx);
  co_text_init(&parts, model->ctx);
  co_status status = add_rows(model, feature, rows, &known[0].value);
  if (status == CO_OK && c->numbers) status = add_array(model, c->numbers, &known[1].value);
  co_text_printf(&layers, "[");
  for (int64_t k = 0; status == CO_OK && k < c->column_count; k++) {
    if (!c->codes[k]) continue;
    known[count].name = co_arena_format(model->arena, "codes%lld", (long long)k);
    status = known[count].name ? add_array(model, c->codes[k], &known[count].value) : CO_ERR_MEMORY;
    co_text_printf(&layers,
                   "{Embedding: {input_dim: %lld, output_dim: %lld}, inputs: [codes%lld], "
                   "name: column%lld}, ",
                   (long long)c->columns[k]->column->category_count + 1,
                   (long long)c->embedding_size, (long long)k, (long long)k);
    co_text_printf(&parts, "%scolumn%lld", parts.length ? ", " : "", (long long)k);
    count++;
  }
  if (c->numbers) co_text_printf(&parts, "%snumbers", parts.length ? ", " : "");
  const bool several = strchr(parts.data ? parts.data : "", ',') != NULL;
  if (several) co_text_printf(&layers, "{Concatenate: {}, inputs: [%s]}, ", parts.data);
  co_text_printf(&layers, "{Dense: {units: %lld, activation: relu}%s%s%s}, ", (long long)c->units,
                 several ? "" : ", inputs: [", several ? "" : parts.data, several ? "" : "]");
  co_text_printf(&layers,
                 "{Dense: {units: %lld, use_bias: false}, name: told}, {Embedding: {input_dim: "
                 "%lld, output_dim: %lld, "
                 "zero_first: true}, inputs: [rows], name: own}, {Add: {}, inputs: [told, own]}]",
                 (long long)c->embedding_size, (long long)(c->classes - c->new_classes + 1),
                 (long long)c->embedding_size);
  if (status == CO_OK) status = layers.status != CO_OK ? layers.status : parts.status;
  char *scope = co_arena_format(model->arena, "%s/items", feature->name);
  char *text = status == CO_OK ? co_arena_strdup(model->arena, layers.data) : NULL;
  co_text_free(&layers);
  co_text_free(&parts);
  CO_RETURN_IF_FAILED(status);
  if (!scope || !text) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(
      co_yaml_parse(&list, model->arena, "decoder", text, strlen(text), b->problems));
  const co_layer_list_options options = {scope, known, count, CO_NO_VALUE, NULL, NULL};
  return co_layer_list_build(model->network, list, "decoder", &options, model->arena, b->problems,
                             out);
}

static co_status add_filled(co_model *model, const co_output_feature *feature, const char *what,
                            const co_shape *shape, float first, float rest, co_value *out) {
  const int64_t count = co_shape_count(shape);
  char *name = co_arena_format(model->arena, "%s/%s", feature->name, what);
  float *values = co_alloc(model->ctx, (size_t)count * sizeof *values);
  co_status status = name && values ? CO_OK : CO_ERR_MEMORY;
  for (int64_t i = 0; values && i < count; i++)
    values[i] = i ? rest : first;
  if (status == CO_OK)
    status = co_graph_add_constant(model->network, name, CO_F32, shape, values, out);
  co_free(model->ctx, values);
  return status;
}

// What no training row has as its target is no negative of training either: a column more of both factors, 1 in
// that of the rows, makes its logit -MASKED.
static co_status mask_new(co_model *model, const co_output_feature *feature, co_value index,
                          const co_value products[2], co_value masked[2]) {
  enum { MASKED = 30 };
  co_graph *graph = model->network;
  const co_catalogue *c = feature->catalogue;
  const co_shape masks = co_shape_make(2, c->classes - c->new_classes + 1, (int64_t)1);
  const co_shape kernel = co_shape_make(2, c->embedding_size, (int64_t)1);
  const co_shape bias = co_shape_make(1, (int64_t)1);
  co_value lookup[2] = {[CO_EMBEDDING_index] = index}, one[3] = {products[0]};
  co_value rows[2] = {products[0]}, items[2] = {products[1]};
  CO_RETURN_IF_FAILED(
      add_filled(model, feature, "masks", &masks, -MASKED, 0, &lookup[CO_EMBEDDING_table]));
  CO_RETURN_IF_FAILED(add_filled(model, feature, "zeros", &kernel, 0, 0, &one[CO_DENSE_w]));
  CO_RETURN_IF_FAILED(add_filled(model, feature, "one", &bias, 1, 1, &one[CO_DENSE_b]));
  CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_EMBEDDING, NULL, 2, lookup, &items[1]));
  CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_DENSE, NULL, 3, one, &rows[1]));
  CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_CONCAT, NULL, 2, rows, &masked[0]));
  return co_emit(graph, CO_OP_CONCAT, NULL, 2, items, &masked[1]);
}

co_status co_model_add_catalogue_head(co_model_builder *b, const co_output_feature *feature,
                                      co_value in, co_item_table *items, co_value *out) {
  co_graph *graph = b->model->network;
  const int64_t before = b->problems->count;
  co_value rows, products[2], masked[2];
  if (co_dim_members(co_value_shape(graph, in)->dim[0]))
    return co_node_problem(b->problems, feature->decoder, NULL,
                           "output_features.%s.decoder: not with members", feature->name);
  CO_RETURN_IF_FAILED(co_model_add_head(b, feature->name, "projection",
                                        feature->catalogue->embedding_size, in, &products[0]));
  CO_RETURN_IF_FAILED(add_array(b->model, feature->catalogue->rows, &rows));
  CO_RETURN_IF_FAILED(add_items(b, feature, rows, &products[1]));
  if (b->problems->count > before) return CO_OK;
  graph->layer = feature->name;
  CO_RETURN_IF_FAILED(mask_new(b->model, feature, rows, products, masked));
  CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_DENSE_BACKWARD_DATA, NULL, 2, masked, &items->trained));
  return co_emit(graph, CO_OP_DENSE_BACKWARD_DATA, NULL, 2, products, out);
}
