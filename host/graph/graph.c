// SPDX-License-Identifier: Apache-2.0
#include "host/graph/graph.h"

#include <string.h>

co_status co_graph_create(co_graph **out, co_context *ctx) {
  *out = NULL;
  co_graph *graph = co_alloc_zero(ctx, 1, sizeof *graph);
  if (!graph) return CO_ERR_MEMORY;
  graph->ctx = ctx;
  graph->step = CO_NO_VALUE;
  co_status status = co_arena_create(&graph->arena, ctx);
  if (status != CO_OK) {
    co_free(ctx, graph);
    return status;
  }
  *out = graph;
  return CO_OK;
}

void co_graph_free(co_graph *graph) {
  if (!graph) return;
  co_context *ctx = graph->ctx;
  co_free(ctx, graph->values);
  co_free(ctx, graph->ops);
  co_free(ctx, graph->params);
  co_free(ctx, graph->layers);
  co_free(ctx, graph->losses);
  co_free(ctx, graph->metrics);
  co_free(ctx, graph->outputs);
  co_free(ctx, graph->inputs);
  co_free(ctx, graph->constants);
  co_free(ctx, graph->declared);
  co_arena_free(graph->arena);
  co_free(ctx, graph);
}

// Room for one more item in one of the graph's tables.
#define GROW(graph, table, count, capacity)                                                        \
  co_grow((graph)->ctx, (void **)&(graph)->table, &(graph)->capacity, (graph)->count,              \
          sizeof *(graph)->table)

// Of one row, or of a parameter. What is within can be multiplied by the rows of a batch and by the
// bytes of an element; nobody means what is beyond.
static co_status check_size(const char *name, const co_shape *shape) {
  static const int64_t most = (int64_t)1 << 36;
  co_shape row = *shape;
  char text[160];
  for (int i = 0; i < row.rank; i++)
    if (row.dim[i] < 0) row.dim[i] = 1; // symbolic
  int64_t count = co_shape_count(&row);
  if (count >= 0 && count <= most) return CO_OK;
  co_shape_print(shape, text, sizeof text);
  return co_fail(CO_ERR_CONFIG, "'%s' of shape %s is too large", name, text);
}

static co_status add_value(co_graph *graph, const char *name, const co_tensor_desc *desc,
                           co_storage storage, int64_t index, co_value *out) {
  if (storage == CO_STORAGE_ARENA || storage == CO_STORAGE_PARAM || storage == CO_STORAGE_STATE)
    CO_RETURN_IF_FAILED(check_size(name, &desc->shape));
  CO_RETURN_IF_FAILED(GROW(graph, values, value_count, value_capacity));
  char *copy = co_arena_strdup(graph->arena, name);
  if (!copy) return CO_ERR_MEMORY;
  co_value_info *value = &graph->values[graph->value_count];
  *value = (co_value_info){
      .name = copy, .desc = *desc, .storage = storage, .index = (int32_t)index, .observed = false};
  *out = (co_value)graph->value_count++;
  return CO_OK;
}

co_status co_graph_add_input(co_graph *graph, const char *name, co_dtype dtype,
                             const co_shape *shape, co_value *out) {
  if (co_graph_find_input(graph, name) != CO_NO_VALUE)
    return co_fail(CO_ERR_CONFIG, "input '%s' is declared twice", name);
  co_tensor_desc desc = {dtype, CO_LAYOUT_CANONICAL, *shape};
  CO_RETURN_IF_FAILED(GROW(graph, inputs, input_count, input_capacity));
  CO_RETURN_IF_FAILED(add_value(graph, name, &desc, CO_STORAGE_INPUT, graph->input_count, out));
  graph->inputs[graph->input_count++] = *out;
  return CO_OK;
}

co_value co_graph_find_input(const co_graph *graph, const char *name) {
  for (int64_t i = 0; i < graph->input_count; i++)
    if (strcmp(graph->values[graph->inputs[i]].name, name) == 0) return graph->inputs[i];
  return CO_NO_VALUE;
}

int32_t co_graph_find_param(const co_graph *graph, const char *full_name) {
  for (int64_t i = 0; i < graph->param_count; i++)
    if (strcmp(graph->params[i].name, full_name) == 0) return (int32_t)i;
  return -1;
}

int32_t co_graph_find_group(const co_graph *graph, const char *name) {
  for (int32_t i = 0; i < graph->group_count; i++)
    if (strcmp(graph->groups[i], name) == 0) return i;
  return -1;
}

// Of "encoder/conv2d/kernel" it is "encoder".
static co_status choose_group(co_graph *graph, const char *param, int32_t *out) {
  const char *given = graph->group ? graph->group : param;
  char *name =
      co_arena_strndup(graph->arena, given, graph->group ? strlen(given) : strcspn(given, "/"));
  if (!name) return CO_ERR_MEMORY;
  *out = co_graph_find_group(graph, name);
  if (*out >= 0) return CO_OK;
  *out = graph->group_count;
  if (graph->group_count < CO_MAX_GROUPS - 1) graph->groups[graph->group_count++] = name;
  return CO_OK;
}

co_status co_graph_add_param(co_graph *graph, const char *name, const co_param_info *info,
                             co_value *out) {
  const char *layer = graph->layer ? graph->layer : "";
  char *full = co_arena_format(graph->arena, "%s%s%s", layer, *layer ? "/" : "", name);
  if (!full) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(GROW(graph, declared, declared_count, declared_capacity));
  int32_t known = co_graph_find_param(graph, full);
  if (known >= 0) {
    if (!co_shape_equal(&graph->params[known].shape, &info->shape)) {
      char have[96], want[96];
      co_shape_print(&graph->params[known].shape, have, sizeof have);
      co_shape_print(&info->shape, want, sizeof want);
      return co_fail(CO_ERR_CONFIG, "'%s' is shared but has shape %s here and %s before", full,
                     want, have);
    }
    *out = graph->params[known].value;
    graph->declared[graph->declared_count++] = known;
    return CO_OK;
  }
  if (info->init == CO_INIT_ORTHOGONAL && info->shape.rank < 2)
    return co_fail(CO_ERR_CONFIG, "'%s' has one dimension: orthogonal is for matrices", full);
  co_tensor_desc desc = {CO_F32, CO_LAYOUT_CANONICAL, info->shape};
  int32_t group;
  CO_RETURN_IF_FAILED(choose_group(graph, full, &group));
  CO_RETURN_IF_FAILED(GROW(graph, params, param_count, param_capacity));
  CO_RETURN_IF_FAILED(add_value(graph, full, &desc,
                                info->state ? CO_STORAGE_STATE : CO_STORAGE_PARAM,
                                graph->param_count, out));
  graph->declared[graph->declared_count++] = (int32_t)graph->param_count;
  co_param_info *param = &graph->params[graph->param_count++];
  *param = *info;
  param->name = full;
  param->layer = layer;
  param->value = *out;
  param->group = group;
  param->trainable = !graph->frozen;
  if (param->rate == 0) param->rate = 1;
  return CO_OK;
}

// Fills a descriptor from the operation's inputs and those outputs that are given.
static void describe_inputs(const co_graph *graph, co_op_desc *desc, co_op op,
                            const co_op_attr *attr, const co_value *in) {
  memset(desc, 0, sizeof *desc);
  desc->op = op;
  if (attr) desc->attr = *attr;
  for (int i = 0; i < co_operand_count(co_op_get_info(op)->inputs); i++) {
    if (in[i] == CO_NO_VALUE) continue;
    desc->in[i] = graph->values[in[i]].desc;
    desc->has_in |= 1u << i;
  }
}

// Optional outputs of operations with gradients exist for their sake, saved for one or with one of
// their own; plans drop again what they do not need. One that the inference does not describe is of
// operations that plans make.
static bool read_by_backward(const co_op_info *info, const char *operand, size_t length) {
  const char *cursor = info->backward;
  co_rule rule;
  while (co_rule_next(&cursor, &rule))
    for (int i = 0; i < rule.inputs; i++) {
      const char *name = rule.in[i].name;
      if (rule.in[i].length == length && strncmp(name, operand, length) == 0) return true;
      if (rule.in[i].length == length + 1 && name[0] == 'd' &&
          strncmp(name + 1, operand, length) == 0)
        return true;
    }
  return false;
}

static co_status place_output(co_graph *graph, const co_op_desc *desc, int i, co_value *out) {
  const co_op_info *info = co_op_get_info(desc->op);
  bool wanted = *out == CO_WANTED_VALUE;
  if (wanted) *out = CO_NO_VALUE;
  if (*out != CO_NO_VALUE) {
    const co_tensor_desc *given = &graph->values[*out].desc;
    if (given->dtype != desc->out[i].dtype || !co_shape_equal(&given->shape, &desc->out[i].shape))
      return co_fail(CO_ERR_INTERNAL, "output %d of %s does not fit '%s'", i, info->name,
                     graph->values[*out].name);
    return CO_OK;
  }
  const char *operand;
  size_t length;
  bool optional;
  co_operand_get(info->outputs, i, &operand, &length, &optional);
  bool described = desc->out[i].shape.rank > 0;
  if (optional && !wanted && !(described && read_by_backward(info, operand, length))) return CO_OK;
  char *name = co_arena_format(graph->arena, "%s%s%s.%.*s", graph->layer ? graph->layer : "",
                               graph->layer ? "/" : "", info->name, (int)length, operand);
  if (!name) return CO_ERR_MEMORY;
  return add_value(graph, name, &desc->out[i], CO_STORAGE_ARENA, 0, out);
}

co_status co_graph_add_op(co_graph *graph, co_op op, const co_op_attr *attr, const co_value *in,
                          co_value *out) {
  const co_op_info *info = co_op_get_info(op);
  co_op_desc desc;
  describe_inputs(graph, &desc, op, attr, in);
  co_status status = co_op_infer(&desc);
  if (status != CO_OK) {
    if (graph->layer) co_note("layer '%s'", graph->layer);
    return status;
  }
  CO_RETURN_IF_FAILED(GROW(graph, ops, op_count, op_capacity));
  co_graph_op node = {.op = op, .attr = desc.attr, .layer = graph->layer};
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    node.in[i] = node.out[i] = CO_NO_VALUE;
  for (int i = 0; i < co_operand_count(info->inputs); i++)
    node.in[i] = in[i];
  for (int i = 0; i < co_operand_count(info->outputs); i++) {
    CO_RETURN_IF_FAILED(place_output(graph, &desc, i, &out[i]));
    node.out[i] = out[i];
    // Metrics add up over runs until their owner clears them.
    if (out[i] != CO_NO_VALUE && graph->values[out[i]].storage == CO_STORAGE_METRIC)
      node.accumulate |= 1u << i;
  }
  graph->ops[graph->op_count++] = node;
  return CO_OK;
}

void co_graph_set_max_length(co_graph *graph, int event_table, int64_t length) {
  graph->max_length[event_table] = length;
}

co_status co_graph_add_constant(co_graph *graph, const char *name, co_dtype dtype,
                                const co_shape *shape, const void *bytes, co_value *out) {
  co_tensor_desc desc = {dtype, CO_LAYOUT_CANONICAL, *shape};
  size_t size = co_tensor_bytes(&desc);
  void *copy = co_arena_alloc(graph->arena, size ? size : 1, 1);
  if (!copy) return CO_ERR_MEMORY;
  memcpy(copy, bytes, size);
  return co_graph_add_variable(graph, name, dtype, shape, copy, out);
}

co_status co_graph_add_variable(co_graph *graph, const char *name, co_dtype dtype,
                                const co_shape *shape, const void *bytes, co_value *out) {
  co_tensor_desc desc = {dtype, CO_LAYOUT_CANONICAL, *shape};
  CO_RETURN_IF_FAILED(GROW(graph, constants, constant_count, constant_capacity));
  CO_RETURN_IF_FAILED(
      add_value(graph, name, &desc, CO_STORAGE_CONSTANT, graph->constant_count, out));
  graph->constants[graph->constant_count++] = (co_constant){bytes, co_tensor_bytes(&desc), dtype};
  return CO_OK;
}

co_status co_graph_add_block(co_graph *graph, co_block block, int64_t elements, co_value *out) {
  static const char *const names[] = {"parameters", "gradients", "slot 0",        "slot 1",
                                      "mirror",     "averages",  "gradients bf16"};
  co_dtype dtype = block == CO_BLOCK_MIRROR || block == CO_BLOCK_NARROW ? CO_BF16 : CO_F32;
  co_tensor_desc desc = {dtype, CO_LAYOUT_CANONICAL, co_shape_make(1, elements)};
  return add_value(graph, names[block], &desc, CO_STORAGE_BLOCK, block, out);
}

co_status co_graph_add_rows(co_graph *graph, const char *param, co_block block, co_dtype dtype,
                            const co_shape *shape, co_value *out) {
  const co_tensor_desc desc = {dtype, CO_LAYOUT_CANONICAL, *shape};
  return add_value(graph, param, &desc, CO_STORAGE_ROWS, block, out);
}

co_status co_graph_get_step(co_graph *graph, co_value *out) {
  if (graph->step == CO_NO_VALUE) {
    co_tensor_desc desc = {CO_U8, CO_LAYOUT_CANONICAL, co_shape_make(1, (int64_t)sizeof(co_step))};
    CO_RETURN_IF_FAILED(add_value(graph, "step", &desc, CO_STORAGE_STEP, 0, &graph->step));
  }
  *out = graph->step;
  return CO_OK;
}

co_status co_graph_add_metric_value(co_graph *graph, const char *name, int64_t doubles,
                                    co_value *out) {
  co_tensor_desc desc = {CO_F64, CO_LAYOUT_CANONICAL, co_shape_make(1, doubles)};
  CO_RETURN_IF_FAILED(add_value(graph, name, &desc, CO_STORAGE_METRIC, graph->metric_doubles, out));
  graph->metric_doubles += doubles;
  return CO_OK;
}

co_status co_graph_add_result(co_graph *graph, const char *name, int64_t doubles, co_value *out) {
  co_tensor_desc desc = {CO_F64, CO_LAYOUT_CANONICAL, co_shape_make(1, doubles)};
  CO_RETURN_IF_FAILED(add_value(graph, name, &desc, CO_STORAGE_RESULT, graph->result_doubles, out));
  graph->result_doubles += doubles;
  return CO_OK;
}

co_status co_graph_add_output(co_graph *graph, const char *name, co_value value) {
  CO_RETURN_IF_FAILED(GROW(graph, outputs, output_count, output_capacity));
  char *copy = co_arena_strdup(graph->arena, name);
  if (!copy) return CO_ERR_MEMORY;
  graph->values[value].observed = true;
  graph->outputs[graph->output_count++] = (co_output_info){copy, value, CO_NO_VALUE};
  return CO_OK;
}

bool co_graph_op_is_needed(const co_graph_op *op, const bool *needed) {
  for (int k = 0; k < CO_OP_MAX_OPERANDS; k++)
    if (op->out[k] != CO_NO_VALUE && needed[op->out[k]]) return true;
  return false;
}

void co_graph_mark_needed(const co_graph *graph, bool *needed) {
  for (int64_t i = graph->op_count - 1; i >= 0; i--) {
    const co_graph_op *op = &graph->ops[i];
    if (!co_graph_op_is_needed(op, needed)) continue;
    for (int k = 0; k < CO_OP_MAX_OPERANDS; k++)
      if (op->in[k] != CO_NO_VALUE) needed[op->in[k]] = true;
  }
}

co_status co_graph_add_loss(co_graph *graph, const co_loss_info *info) {
  if (graph->loss_count == CO_MAX_LOSSES)
    return co_fail(CO_ERR_CONFIG, "a model has at most %d losses", CO_MAX_LOSSES);
  CO_RETURN_IF_FAILED(GROW(graph, losses, loss_count, loss_capacity));
  graph->losses[graph->loss_count] = *info;
  graph->losses[graph->loss_count++].op = (int32_t)(graph->op_count - 1);
  return CO_OK;
}

co_status co_graph_add_metric(co_graph *graph, const co_metric_info *info) {
  CO_RETURN_IF_FAILED(GROW(graph, metrics, metric_count, metric_capacity));
  graph->metrics[graph->metric_count++] = *info;
  return CO_OK;
}

// A name that no layer before has, made of its own and of the number of the call.
static const char *find_id(co_graph *graph, const char *name) {
  const char *id = name;
  for (int64_t call = 0, i = 0; id && i < graph->layer_count; i++) {
    if (strcmp(graph->layers[i].id, id) != 0) continue;
    id = co_arena_format(graph->arena, "%s#%lld", name, (long long)++call);
    i = -1; // from the beginning
  }
  return id;
}

// The first call of a layer that has weights.
static int64_t find_weights(const co_graph *graph, const co_layer_info *layer) {
  for (int64_t i = 0; layer->weight_count && i < graph->layer_count; i++)
    if (graph->layers[i].weight_count && strcmp(graph->layers[i].name, layer->name) == 0) return i;
  return -1;
}

static void *copy_array(co_graph *graph, const void *from, int64_t count, size_t size) {
  void *copy = co_arena_alloc(graph->arena, (size_t)count + 1, size);
  if (copy && count) memcpy(copy, from, (size_t)count * size);
  return copy;
}

co_status co_graph_add_layer(co_graph *graph, const co_layer_info *info) {
  CO_RETURN_IF_FAILED(GROW(graph, layers, layer_count, layer_capacity));
  co_layer_info layer = *info;
  layer.name = co_arena_strdup(graph->arena, info->name);
  layer.inputs = copy_array(graph, info->inputs, info->input_count, sizeof *info->inputs);
  layer.weights = copy_array(graph, info->weights, info->weight_count, sizeof *info->weights);
  if (!layer.name || !layer.inputs || !layer.weights) return CO_ERR_MEMORY;
  layer.id = find_id(graph, layer.name);
  if (!layer.id) return CO_ERR_MEMORY;
  layer.weights_of = find_weights(graph, &layer);
  graph->layers[graph->layer_count++] = layer;
  return CO_OK;
}

int64_t co_graph_find_layer(const co_graph *graph, co_value value, int64_t before) {
  while (--before >= 0 && graph->layers[before].output != value)
    continue;
  return before;
}
