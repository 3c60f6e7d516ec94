// SPDX-License-Identifier: Apache-2.0
// The input section of a model: the operations that make network inputs of stored rows, and what
// they need to be fed.
#include "models/feature.h"

// Adds an input of the section's graph with its feed.
static co_status add_feed(co_section_builder *b, const char *what, const co_feed *feed,
                          co_dtype dtype, const co_shape *shape, co_value *out) {
  co_section *section = b->section;
  co_graph *graph = section->graph;
  char *name = co_arena_format(graph->arena, "%s.%s", b->block->name, what);
  if (!name) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_grow(graph->ctx, (void **)&section->feeds.items, &section->feeds.capacity,
                              section->feeds.count, sizeof *section->feeds.items));
  co_feed *made = &section->feeds.items[section->feeds.count];
  *made = *feed;
  made->input = (int32_t)graph->input_count;
  CO_RETURN_IF_FAILED(co_graph_add_input(graph, name, dtype, shape, out));
  section->feeds.count++;
  return CO_OK;
}

static co_status list_fitted(co_section_builder *b, const char *name, co_fitted ***out) {
  co_fitted **fitted =
      co_arena_alloc(b->section->graph->arena, (size_t)b->block->count, sizeof *fitted);
  if (!fitted) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < b->block->count; i++)
    fitted[i] = co_feature_fitted(&b->block->features[i], name);
  *out = fitted;
  return CO_OK;
}

static co_status list_columns(co_section_builder *b, bool pivots, co_feed *feed) {
  co_arena *arena = b->section->graph->arena;
  const co_input_feature *features = b->block->features;
  size_t count = (size_t)b->block->count, most = 0;
  for (size_t i = 0; i < count; i++)
    most += (size_t)features[i].column_count;
  const co_column **columns = co_arena_alloc(arena, most, sizeof *columns);
  const co_derivation **derivations = co_arena_alloc(arena, count, sizeof *derivations);
  co_fitted **fitted = NULL;
  if (!columns || !derivations) return CO_ERR_MEMORY;
  feed->columns = columns;
  for (size_t i = 0; i < count; i++) {
    if ((derivations[i] = features[i].derivation)) feed->derivations = derivations;
    int64_t read = features[i].derivation ? features[i].column_count : 1;
    for (int64_t k = 0; k < read; k++)
      columns[feed->column_count++] = features[i].columns[k];
  }
  if (feed->derivations)
    feed->derivation_count = b->block->count;
  else if (pivots)
    CO_RETURN_IF_FAILED(list_fitted(b, "pivot", &fitted));
  feed->pivots = fitted;
  feed->event_table = b->block->event_table;
  return CO_OK;
}

// (rows, …) of the block's columns; scalars lie side by side.
static co_shape shape_of(const co_section_builder *b, int64_t rows) {
  const co_input_feature *feature = &b->block->features[0];
  const co_column *column = feature->column;
  if (feature->derivation)
    return co_shape_make(2, rows, b->block->count * co_feature_width(feature));
  co_shape shape = {.rank = column->shape.rank + 1, .dim = {rows}};
  for (int i = 0; i < column->shape.rank; i++)
    shape.dim[i + 1] = column->shape.dim[i];
  return shape.rank == 1 ? co_shape_make(2, rows, b->block->count) : shape;
}

co_status co_section_rows(co_section_builder *b, bool pivots, co_value *out) {
  co_dtype dtype = co_feature_dtype(&b->block->features[0]);
  co_shape shape = shape_of(b, b->rows), ids = co_shape_make(1, CO_DIM_N);
  co_feed feed = {.kind = CO_FEED_ROWS};
  co_value in[2];
  CO_RETURN_IF_FAILED(list_columns(b, pivots, &feed));
  if (b->rows == CO_DIM_N) return add_feed(b, "rows", &feed, dtype, &shape, out);
  feed.kind = CO_FEED_TABLE;
  CO_RETURN_IF_FAILED(add_feed(b, "table", &feed, dtype, &shape, &in[0]));
  feed.kind = CO_FEED_INDEX;
  CO_RETURN_IF_FAILED(add_feed(b, "index", &feed, CO_I64, &ids, &in[1]));
  return co_emit(b->section->graph, CO_OP_GATHER, NULL, 2, in, out);
}

co_status co_section_events(co_section_builder *b, bool pivots, co_value *out) {
  co_dtype dtype = b->block->features[0].column->dtype;
  co_shape table = shape_of(b, b->rows), ids = co_shape_make(1, CO_DIM_N);
  co_shape padded = table;
  co_feed feed = {.kind = CO_FEED_ROWS};
  co_value in[3];
  CO_RETURN_IF_FAILED(list_columns(b, pivots, &feed));
  padded.rank++;
  for (int i = padded.rank; i-- > 2;)
    padded.dim[i] = table.dim[i - 1];
  padded.dim[0] = CO_DIM_N;
  padded.dim[1] = CO_DIM_T(b->block->event_table);
  if (b->rows == CO_DIM_N) return add_feed(b, "rows", &feed, dtype, &padded, out);
  feed.kind = CO_FEED_EVENTS;
  CO_RETURN_IF_FAILED(add_feed(b, "events", &feed, dtype, &table, &in[0]));
  feed.kind = CO_FEED_BEGIN;
  CO_RETURN_IF_FAILED(add_feed(b, "begin", &feed, CO_I64, &ids, &in[1]));
  feed.kind = CO_FEED_LENGTHS;
  CO_RETURN_IF_FAILED(add_feed(b, "lengths", &feed, CO_I32, &ids, &in[2]));
  const co_op_attr attr = {.shape = co_shape_make(1, padded.dim[1])};
  return co_emit(b->section->graph, CO_OP_GATHER_EVENTS, &attr, 3, in, out);
}

co_status co_section_sequence(co_section_builder *b, co_value *out) {
  const co_shape shape = co_shape_make(2, CO_DIM_N, CO_DIM_T(b->block->event_table));
  co_feed feed = {.kind = CO_FEED_ROWS};
  CO_RETURN_IF_FAILED(list_columns(b, false, &feed));
  return add_feed(b, "rows", &feed, CO_I32, &shape, out);
}

co_status co_section_fitted(co_section_builder *b, const char *name, co_value *out) {
  co_fitted **fitted;
  int64_t length = 0;
  CO_RETURN_IF_FAILED(list_fitted(b, name, &fitted));
  for (int64_t i = 0; i < b->block->count; i++)
    length += co_shape_count(&fitted[i]->shape);
  co_feed feed = {.kind = CO_FEED_FITTED, .fitted = fitted, .fitted_count = b->block->count};
  co_shape shape = co_shape_make(1, length);
  return add_feed(b, name, &feed, fitted[0]->dtype, &shape, out);
}

// What the section makes of a block must be what the network was built for.
static co_status check_fit(const co_section_builder *b, co_value value) {
  const co_tensor_desc *made = &b->section->graph->values[value].desc;
  const co_tensor_desc *wanted = &b->section->model->network->values[b->block->network_input].desc;
  if (made->dtype == wanted->dtype && co_shape_equal(&made->shape, &wanted->shape)) return CO_OK;
  return co_fail(CO_ERR_INTERNAL, "the input section makes another shape of '%s' than is read",
                 b->block->name);
}

co_status co_section_create(co_section **out, const co_model *model, const int64_t *rows) {
  *out = NULL;
  co_section *section = co_alloc_zero(model->ctx, 1, sizeof *section);
  if (!section) return CO_ERR_MEMORY;
  section->model = model;
  co_section_builder b = {.section = section};
  const co_input_block ids = {.name = "ids"};
  co_feed feed = {.kind = CO_FEED_IDS};
  co_shape shape = co_shape_make(1, CO_DIM_N);
  co_status status;
  CO_TRY(co_graph_create(&section->graph, model->ctx));
  b.block = &ids;
  CO_TRY(add_feed(&b, "sample", &feed, CO_I64, &shape, &b.ids));
  for (int64_t i = 0; i < model->block_count; i++) {
    const co_input_block *block = &model->blocks[i];
    co_value value;
    b.block = block;
    b.rows = rows[i];
    section->graph->layer = block->name;
    CO_TRY(block->class_->input->emit(&b, &value));
    CO_TRY(check_fit(&b, value));
    CO_TRY(co_graph_add_output(section->graph, block->name, value));
  }
  *out = section;
  return CO_OK;
cleanup:
  co_section_free(section);
  return status;
}

void co_section_free(co_section *section) {
  if (!section) return;
  co_context *ctx = section->model->ctx;
  co_free(ctx, section->feeds.items);
  co_graph_free(section->graph);
  co_free(ctx, section);
}
