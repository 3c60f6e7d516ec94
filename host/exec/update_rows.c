// SPDX-License-Identifier: Apache-2.0
// What a phase's update does of tables with `rows`: the lists of gradients that its plans left are summed
// by row, the sums are part of the gradient's norm, and the optimizer updates those rows.
#include "host/exec/program_private.h"

bool co_phase_trains_rows(const co_program *program, const co_phase *p, int64_t entry) {
  return program->store->entries[entry].info.rows && p->units[0].plan->has_gradient[entry];
}

// An index that is the same for all rows of a batch is appended by each of its micro-batches; lists have
// room for one.
static co_status check_parts(const co_program *program) {
  const co_graph *graph = program->graph;
  bool cut = false;
  for (int64_t i = 0; i < program->options.class_count; i++)
    cut = cut || program->options.classes[i].rows > program->options.rows;
  for (int64_t i = 0; cut && i < graph->op_count; i++) {
    const co_graph_op *op = &graph->ops[i];
    if (op->op != CO_OP_EMBEDDING) continue;
    const co_value_info *table = &graph->values[op->in[CO_EMBEDDING_table]];
    if (table->storage == CO_STORAGE_PARAM && graph->params[table->index].rows &&
        graph->values[op->in[CO_EMBEDDING_index]].desc.shape.dim[0] != CO_DIM_N)
      return co_fail(CO_ERR_CONFIG,
                     "'%s' has update: rows and is read at places that the rows of a batch share, "
                     "which does not go with accumulate_grad_batches",
                     table->name);
  }
  return CO_OK;
}

co_status co_program_check_rows(const co_program *program) {
  const co_store *store = program->store;
  for (int64_t i = 0; i < store->count; i++)
    for (int64_t k = 0; k < program->options.phase_count; k++) {
      if (!co_phase_trains_rows(program, &program->phases[k], i)) continue;
      const co_phase_options *options = &program->phases[k].options;
      const char *layer = store->entries[i].info.layer;
      if (store->averaged)
        return co_fail(CO_ERR_CONFIG,
                       "layer '%s' has update: rows, but a moving average (ema_decay) "
                       "changes every row at every step",
                       layer);
      if (!options->optimizer->emit_rows)
        return co_fail(CO_ERR_CONFIG,
                       "layer '%s' has update: rows, which %s does not do; adam, adamw and sgd do",
                       layer, options->optimizer->name);
    }
  return check_parts(program);
}

static co_status add_block(const co_program *program, co_graph *graph, int64_t entry,
                           co_block block, co_value *out) {
  const co_store_entry *table = &program->store->entries[entry];
  const bool reals = block < CO_BLOCK_STEPS;
  co_shape shape = table->info.shape;
  if (block == CO_BLOCK_GRADIENT) shape.dim[0] = table->row_capacity;
  if (block == CO_BLOCK_STEPS) shape = co_shape_make(1, shape.dim[0]);
  if (block == CO_BLOCK_IDS) shape = co_shape_make(1, table->row_capacity);
  if (block == CO_BLOCK_COUNT) shape = co_shape_make(1, 1);
  return co_graph_add_rows(graph, table->info.name, block, reals ? CO_F32 : CO_I32, &shape, out);
}

static void clear(co_value *values) {
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    values[i] = CO_NO_VALUE;
}

static co_status sum_list(const co_program *program, co_graph *graph, int64_t entry,
                          co_value *list) {
  co_value in[CO_OP_MAX_OPERANDS], out[CO_OP_MAX_OPERANDS];
  clear(out);
  CO_RETURN_IF_FAILED(add_block(program, graph, entry, CO_BLOCK_IDS, &in[CO_SUM_ROWS_ids]));
  CO_RETURN_IF_FAILED(add_block(program, graph, entry, CO_BLOCK_GRADIENT, &in[CO_SUM_ROWS_rows]));
  CO_RETURN_IF_FAILED(add_block(program, graph, entry, CO_BLOCK_COUNT, &in[CO_SUM_ROWS_count]));
  graph->layer = program->store->entries[entry].info.layer;
  CO_RETURN_IF_FAILED(co_graph_add_op(graph, CO_OP_SUM_ROWS, NULL, in, out));
  list[0] = out[CO_SUM_ROWS_unique];
  list[1] = out[CO_SUM_ROWS_sums];
  return CO_OK;
}

// `sums` (R, D) as a gradient for the norm, all of it.
static co_status flatten(co_graph *graph, co_value sums, co_value *norm) {
  const int64_t elements = co_shape_count(&graph->values[sums].desc.shape);
  const co_segment all = {0, elements, 1, 0};
  const co_shape bytes = co_shape_make(1, (int64_t)sizeof all);
  const co_op_attr flat = {.shape = co_shape_make(1, elements)};
  co_value in[CO_OP_MAX_OPERANDS] = {sums}, out[CO_OP_MAX_OPERANDS];
  clear(out);
  CO_RETURN_IF_FAILED(co_graph_add_op(graph, CO_OP_RESHAPE, &flat, in, out));
  norm[CO_GRADIENT_NORM_g] = out[CO_RESHAPE_y];
  return co_graph_add_constant(graph, "all rows", CO_U8, &bytes, &all,
                               &norm[CO_GRADIENT_NORM_segments]);
}

// Adds the squares of `sums` to those that the norm begins with.
static co_status add_squares(co_graph *graph, co_value sums, co_value *norm) {
  const co_op_attr no_limit = {.clip_norm = 0};
  co_value in[CO_OP_MAX_OPERANDS], out[CO_OP_MAX_OPERANDS];
  clear(out);
  CO_RETURN_IF_FAILED(flatten(graph, sums, in));
  in[CO_GRADIENT_NORM_before] = norm[CO_GRADIENT_NORM_before];
  in[CO_GRADIENT_NORM_narrow] = CO_NO_VALUE;
  CO_RETURN_IF_FAILED(co_graph_add_op(graph, CO_OP_GRADIENT_NORM, &no_limit, in, out));
  norm[CO_GRADIENT_NORM_before] = out[CO_GRADIENT_NORM_sum];
  return CO_OK;
}

co_status co_phase_sum_rows(co_program *program, co_phase *p, co_value *lists, co_value *norm) {
  norm[CO_GRADIENT_NORM_before] = CO_NO_VALUE;
  for (int64_t i = 0; i < program->store->count; i++) {
    if (!co_phase_trains_rows(program, p, i)) continue;
    CO_RETURN_IF_FAILED(sum_list(program, p->update_graph, i, &lists[2 * i]));
    CO_RETURN_IF_FAILED(norm[CO_GRADIENT_NORM_g] == CO_NO_VALUE
                            ? flatten(p->update_graph, lists[2 * i + 1], norm)
                            : add_squares(p->update_graph, lists[2 * i + 1], norm));
  }
  p->update_graph->layer = NULL;
  return CO_OK;
}

static co_status update_table(co_program *program, co_phase *p, int64_t entry, const co_value *list,
                              const co_update_operands *operands) {
  co_graph *graph = p->update_graph;
  const co_param_info *info = &program->store->entries[entry].info;
  const int slots = p->options.optimizer->slots(p->optimizer_options);
  co_row_operands rows = {.steps = CO_NO_VALUE,
                          .ids = list[0],
                          .g = list[1],
                          .step = operands->step,
                          .gate = operands->gate,
                          .clip_value = operands->clip_value,
                          .rate = info->rate,
                          .decay = info->decay};
  CO_RETURN_IF_FAILED(add_block(program, graph, entry, CO_BLOCK_PARAM, &rows.w));
  for (int k = 0; k < slots; k++)
    CO_RETURN_IF_FAILED(
        add_block(program, graph, entry, (co_block)(CO_BLOCK_SLOT0 + k), &rows.slot[k]));
  if (slots) CO_RETURN_IF_FAILED(add_block(program, graph, entry, CO_BLOCK_STEPS, &rows.steps));
  graph->layer = info->layer;
  return p->options.optimizer->emit_rows(graph, p->optimizer_options, &rows);
}

co_status co_phase_update_rows(co_program *program, co_phase *p, const co_value *lists,
                               const co_update_operands *operands) {
  for (int64_t i = 0; i < program->store->count; i++)
    if (co_phase_trains_rows(program, p, i))
      CO_RETURN_IF_FAILED(update_table(program, p, i, &lists[2 * i], operands));
  p->update_graph->layer = NULL;
  return CO_OK;
}
