// SPDX-License-Identifier: Apache-2.0
#include "host/feed/design.h"

#include <string.h>

#include "host/core/memory.h"
#include "host/feed/pipeline.h"
#include "models/feature.h"

enum { BATCH = 1024 };

// ---- columns -----------------------------------------------------------------------------------

static const co_tensor_desc *input_of(const co_model *model, const co_input_block *block) {
  return &model->network->values[block->network_input].desc;
}

static bool is_code(const co_model *model, const co_input_block *block) {
  return input_of(model, block)->dtype == CO_I32;
}

// Values of one row of a block.
static int64_t width_of(const co_model *model, const co_input_block *block) {
  const co_shape *shape = &input_of(model, block)->shape;
  int64_t width = 1;
  for (int i = 1; i < shape->rank; i++)
    width *= shape->dim[i];
  return width;
}

co_status co_design_describe(co_design_columns *out, co_arena *arena, const co_model *model,
                             bool passes_events) {
  int64_t *rows = co_arena_alloc(arena, (size_t)model->block_count + 1, sizeof *rows);
  int64_t *first = co_arena_alloc(arena, (size_t)model->block_count + 1, sizeof *first);
  if (!rows || !first) return CO_ERR_MEMORY;
  *out = (co_design_columns){.code_rows = rows, .code_first = first};
  for (int64_t i = 0; i < model->block_count; i++) {
    const co_input_block *block = &model->blocks[i];
    if (block->event_table >= 0 && passes_events) continue;
    if (block->event_table >= 0) {
      co_status status =
          co_fail(CO_ERR_CONFIG, "input '%s' is of events; only networks read those", block->name);
      co_hint("without them: input_features: [{select: number}, {select: category}], … binary");
      return status;
    }
    if (is_code(model, block))
      rows[out->codes++] = block->class_->input->table_rows(block);
    else
      out->numbers += width_of(model, block);
  }
  out->count = out->numbers;
  for (int64_t k = 0; k < out->codes; k++) {
    first[k] = out->count;
    out->count += rows[k];
  }
  return CO_OK;
}

static char *number_name(co_arena *arena, const co_model *model, const co_input_block *block,
                         int64_t i) {
  int64_t width = width_of(model, block);
  if (width == block->count) return co_arena_strdup(arena, block->features[i].name);
  if (width == 2 * block->count) // with indicators behind the numbers
    return i < block->count
               ? co_arena_strdup(arena, block->features[i].name)
               : co_arena_format(arena, "%s=(missing)", block->features[i - block->count].name);
  return co_arena_format(arena, "%s[%lld]", block->name, (long long)i);
}

// Which class of a category has row i of its vocabulary; NULL where rows are no single classes.
static const char *class_of(const co_input_feature *feature, int64_t row) {
  const co_fitted *vocabulary = NULL;
  for (int64_t i = 0; i < feature->fitted_count; i++)
    if (strcmp(feature->fitted[i].name, "vocabulary") == 0) vocabulary = &feature->fitted[i];
  int64_t classes = feature->column->category_count;
  if (!vocabulary || feature->column_count > 1 || vocabulary->shape.dim[0] != classes + 1)
    return NULL;
  const char *found = NULL;
  for (int64_t i = 0; i < classes; i++) {
    if (((const int32_t *)vocabulary->bytes)[i + 1] != row) continue;
    if (found) return NULL;
    found = feature->column->categories[i];
  }
  return found;
}

static char *code_name(co_arena *arena, const co_input_block *block, int64_t row) {
  const char *name = block->features->name;
  const char *class_ = row ? class_of(block->features, row) : NULL;
  if (!row) return co_arena_format(arena, "%s=(other)", name);
  return class_ ? co_arena_format(arena, "%s=%s", name, class_)
                : co_arena_format(arena, "%s[%lld]", name, (long long)row);
}

char *co_design_column_name(const co_design_columns *columns, co_arena *arena,
                            const co_model *model, int64_t column) {
  int64_t number = 0, code = 0;
  for (int64_t i = 0; i < model->block_count; i++) {
    const co_input_block *block = &model->blocks[i];
    if (block->event_table >= 0) continue;
    if (!is_code(model, block)) {
      int64_t width = width_of(model, block);
      if (column >= number && column < number + width)
        return number_name(arena, model, block, column - number);
      number += width;
      continue;
    }
    int64_t row = column - columns->code_first[code];
    if (row >= 0 && row < columns->code_rows[code]) return code_name(arena, block, row);
    code++;
  }
  return NULL;
}

const co_input_feature *co_design_feature(const co_design_columns *columns, const co_model *model,
                                          int64_t column) {
  int64_t number = 0, code = 0;
  for (int64_t i = 0; i < model->block_count; i++) {
    const co_input_block *block = &model->blocks[i];
    if (block->event_table >= 0) continue;
    if (is_code(model, block)) {
      int64_t row = column - columns->code_first[code];
      if (row >= 0 && row < columns->code_rows[code]) return block->features;
      code++;
      continue;
    }
    int64_t width = width_of(model, block), at = column - number;
    number += width;
    if (at >= 0 && at < width) return co_input_block_feature(block, at);
  }
  return NULL;
}

void co_design_write(const co_design_columns *columns, const co_model *model,
                     const void *const *inputs, int64_t rows, float *numbers, int32_t *codes) {
  int64_t number = 0, code = 0;
  for (int64_t i = 0; i < model->block_count; i++) {
    const co_input_block *block = &model->blocks[i];
    if (block->event_table >= 0) continue;
    const void *from = inputs[model->network->values[block->network_input].index];
    if (is_code(model, block)) {
      for (int64_t row = 0; row < rows; row++)
        codes[row * columns->codes + code] = ((const int32_t *)from)[row];
      code++;
      continue;
    }
    int64_t width = width_of(model, block);
    for (int64_t row = 0; row < rows; row++)
      memcpy(numbers + row * columns->numbers + number, (const float *)from + row * width,
             (size_t)width * sizeof(float));
    number += width;
  }
}

// ---- reading -----------------------------------------------------------------------------------

static co_status check_memory(const co_design_columns *columns, const co_model *model,
                              const co_design_request *request) {
  double row = (double)(columns->numbers + columns->codes) * 4 + (double)model->output_count * 8 +
               (double)request->extra_bytes;
  double bytes = row * (double)request->count, limit = (double)co_memory_limit(NULL);
  char needed[32], there[32];
  if (bytes + (double)co_memory_anonymous() <= limit) return CO_OK;
  co_status status =
      co_fail(CO_ERR_MEMORY, "%lld rows of %lld inputs as one matrix need %s, there are %s",
              (long long)request->count, (long long)(columns->numbers + columns->codes),
              co_memory_print(needed, bytes), co_memory_print(there, limit));
  co_hint("train a network, which reads them in batches, or on fewer rows or columns");
  return status;
}

static co_status allocate(co_design *out, const co_model *model, int64_t rows) {
  co_context *ctx = model->ctx;
  size_t count = (size_t)rows + 1, outputs = (size_t)model->output_count;
  out->numbers = co_alloc(ctx, count * (size_t)(out->columns->numbers + 1) * sizeof(float));
  out->codes = co_alloc(ctx, count * (size_t)(out->columns->codes + 1) * sizeof(int32_t));
  out->target = co_alloc_zero(ctx, outputs + 1, sizeof *out->target);
  out->weight = co_alloc_zero(ctx, outputs + 1, sizeof *out->weight);
  if (!out->numbers || !out->codes || !out->target || !out->weight) return CO_ERR_MEMORY;
  for (; out->outputs < model->output_count; out->outputs++) {
    float **target = &out->target[out->outputs], **weight = &out->weight[out->outputs];
    *target = co_alloc(ctx, count * sizeof(float));
    *weight = co_alloc(ctx, count * sizeof(float));
    if (!*target || !*weight) return CO_ERR_MEMORY;
  }
  return CO_OK;
}

static void add_targets(co_design *out, const co_model *model, const co_view *view) {
  for (int64_t i = 0; i < model->feeds.count; i++) {
    const co_feed *feed = &model->feeds.items[i];
    if (feed->kind != CO_FEED_TARGET && feed->kind != CO_FEED_WEIGHT) continue;
    int64_t output = 0;
    while (model->outputs[output].loss_index != feed->loss)
      output++;
    const void *from = view->inputs[feed->input];
    co_dtype dtype = model->network->values[model->network->inputs[feed->input]].desc.dtype;
    float *to = (feed->kind == CO_FEED_TARGET ? out->target : out->weight)[output] + out->rows;
    for (int64_t row = 0; row < view->valid; row++)
      to[row] = dtype == CO_I32 ? (float)((const int32_t *)from)[row] : ((const float *)from)[row];
  }
}

static co_status read_all(co_design *out, co_pipeline *pipeline, const co_model *model,
                          const co_design_request *request) {
  const co_design_columns *columns = out->columns;
  co_view view;
  bool done;
  for (;;) {
    CO_RETURN_IF_FAILED(co_pipeline_next(pipeline, &view, &done));
    if (done) return CO_OK;
    co_design_write(columns, model, view.inputs, view.valid,
                    out->numbers + out->rows * columns->numbers,
                    out->codes + out->rows * columns->codes);
    add_targets(out, model, &view);
    out->rows += view.valid;
    co_pipeline_release(pipeline, &view);
    if (co_watch_stopped(request->watch)) return co_fail(CO_INTERRUPTED, "stopped reading rows");
  }
}

co_status co_design_read(co_design *out, const co_design_columns *columns, co_model *model,
                         co_dataset *dataset, const co_design_request *request) {
  co_pipeline *pipeline;
  *out = (co_design){.columns = columns};
  const co_pipeline_options options = {.samples = request->samples,
                                       .sample_count = request->count,
                                       .batch_rows = BATCH,
                                       .learned = request->learned,
                                       .targets = true,
                                       .epochs = 1,
                                       .workers = request->workers > 0 ? request->workers : 1};
  CO_RETURN_IF_FAILED(check_memory(columns, model, request));
  CO_RETURN_IF_FAILED(allocate(out, model, request->count));
  if (!request->count) return CO_OK;
  CO_RETURN_IF_FAILED(co_pipeline_create(&pipeline, model, dataset, &options));
  co_status status = read_all(out, pipeline, model, request);
  co_pipeline_free(pipeline);
  return status;
}

void co_design_free(co_design *design, co_context *ctx) {
  for (int64_t i = 0; design->target && design->weight && i <= design->outputs; i++) {
    co_free(ctx, design->target[i]); // NULL behind the last
    co_free(ctx, design->weight[i]);
  }
  co_free(ctx, design->target);
  co_free(ctx, design->weight);
  co_free(ctx, design->numbers);
  co_free(ctx, design->codes);
  *design = (co_design){.columns = NULL};
}
