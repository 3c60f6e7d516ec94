// SPDX-License-Identifier: Apache-2.0
// What the emitters of operations share (onnx_operations.c, onnx_events.c): names of operands, and nodes
// of one kind.
#ifndef COHORT_HOST_OUTPUT_ONNX_EMIT_H
#define COHORT_HOST_OUTPUT_ONNX_EMIT_H

#include "host/output/onnx.h"

typedef struct call {
  co_onnx *x;
  const co_plan *plan;
  const co_plan_op *op;
} call;

static inline const char *in(const call *c, int i) {
  return co_onnx_value(c->x, c->plan, c->op->in[i]);
}

// As it stands in the graph, with N and T.
static inline const co_shape *shape_of(const call *c, co_value value) {
  return &c->plan->graph->values[value].desc.shape;
}

static inline int64_t last_of(const call *c, co_value value) {
  const co_shape *shape = shape_of(c, value);
  return shape->dim[shape->rank - 1];
}

static inline void out(const call *c, const char *name) {
  co_onnx_name(c->x, c->plan, c->op->out[0], name);
}

static inline const char *one(const call *c, const char *op, const char *value) {
  return co_onnx_node(c->x, op, NULL, value, NULL);
}

static inline const char *two(const call *c, const char *op, const char *a, const char *b) {
  return co_onnx_node(c->x, op, NULL, a, b, NULL);
}

static inline const char *along(const call *c, const char *op, int64_t axis, const char *value) {
  const co_onnx_attribute attributes[] = {{"axis", 'i', .i = axis}, {NULL}};
  return co_onnx_node(c->x, op, attributes, value, NULL);
}

static inline const char *permute(const call *c, const char *value, int count,
                                  const int64_t *order) {
  const co_onnx_attribute attributes[] = {{"perm", 'l', .list = order, .count = count}, {NULL}};
  return co_onnx_node(c->x, "Transpose", attributes, value, NULL);
}

static inline const char *unsqueeze(const call *c, const char *value, int64_t axis) {
  return two(c, "Unsqueeze", value, co_onnx_integer(c->x, axis));
}

static inline const char *reduce_mean(const call *c, const char *value, int64_t first,
                                      int64_t count) {
  const int64_t axes[] = {first, first + 1};
  const co_onnx_attribute attributes[] = {
      {"axes", 'l', .list = axes, .count = count}, {"keepdims", 'i', .i = 0}, {NULL}};
  return co_onnx_node(c->x, "ReduceMean", attributes, value, NULL);
}

static inline const char *reduce_sum(const call *c, const char *value, int64_t axis, int64_t keep) {
  const co_onnx_attribute attributes[] = {{"keepdims", 'i', .i = keep}, {NULL}};
  return co_onnx_node(c->x, "ReduceSum", attributes, value, co_onnx_integer(c->x, axis), NULL);
}

static inline const char *einsum(const call *c, const char *equation, const char *a,
                                 const char *b) {
  const co_onnx_attribute attributes[] = {{"equation", 's', .s = equation}, {NULL}};
  return co_onnx_node(c->x, "Einsum", attributes, a, b, NULL);
}

static inline const char *cast(const call *c, const char *value, int64_t to) {
  const co_onnx_attribute attributes[] = {{"to", 'i', .i = to}, {NULL}};
  return co_onnx_node(c->x, "Cast", attributes, value, NULL);
}

static inline const char *clip(const call *c, const char *value) {
  return co_onnx_node(c->x, "Clip", NULL, value, co_onnx_number(c->x, 0), co_onnx_number(c->x, 1),
                      NULL);
}

// Room in the arena, NULL on failure, which is kept.
static inline void *room(const call *c, int64_t count, size_t size) {
  void *memory = co_arena_alloc(c->x->e->arena, (size_t)count + 1, size);
  if (!memory) co_onnx_fail(c->x, CO_ERR_MEMORY);
  return memory;
}

static inline const float *weights(const call *c, int i) {
  const float *values = NULL;
  co_onnx_fail(c->x, co_exported_weights(c->x->e, c->op->in[i], &values));
  return values;
}

// Weights in another order, under their own name; once, whoever shares them.
static inline const char *converted(const call *c, int operand, const co_shape *shape,
                                    const float *values) {
  co_value value = c->op->in[operand];
  const char *name = co_arena_strdup(c->x->e->arena, c->plan->values[value].info.name);
  if (!name || !values) {
    co_onnx_fail(c->x, CO_ERR_MEMORY);
    return "";
  }
  co_onnx_name(c->x, c->plan, value, co_onnx_constant(c->x, name, CO_ONNX_FLOAT, shape, values));
  return name;
}

static inline bool is_converted(const call *c, int operand) {
  return c->x->network_names[c->op->in[operand]] != NULL;
}

// ---- onnx_events.c -----------------------------------------------------------------------------

typedef void co_onnx_emit(const call *c);
co_onnx_emit co_onnx_recurrent, co_onnx_attention, co_onnx_pool_events, co_onnx_max_events,
    co_onnx_unfold_events, co_onnx_reverse_events, co_onnx_masked_softmax;

#endif
