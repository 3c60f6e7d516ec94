// SPDX-License-Identifier: Apache-2.0
#include "host/graph/layer.h"

typedef struct rescaling_options {
  double scale, offset;
} rescaling_options;

static const co_field fields[] = {
    {"scale", CO_FIELD_DOUBLE, offsetof(rescaling_options, scale), NULL, -1e30, 1e30, NULL,
     "Factor of each value, for example 0.00392156862745098 (1/255) of pixels.", NULL},
    {"offset", CO_FIELD_DOUBLE, offsetof(rescaling_options, offset), "0.0", -1e30, 1e30, NULL,
     "What is added then.", NULL},
    {.key = NULL}};

static co_status add_constant(co_graph *graph, const char *path, const char *name, double value,
                              int64_t count, co_value *out) {
  const co_shape shape = co_shape_make(1, count);
  float *values = co_arena_alloc(graph->arena, (size_t)count, sizeof *values);
  char *full = co_arena_format(graph->arena, "%s/%s", path, name);
  if (!values || !full) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < count; i++)
    values[i] = (float)value;
  return co_graph_add_constant(graph, full, CO_F32, &shape, values, out);
}

// A batch normalisation whose statistics are constants: y = gamma (x - 0) / sqrt(3/4 + 1/4) + beta, which
// is exact.
co_status co_emit_affine(co_graph *graph, const char *path, co_value x, co_value scale,
                         co_value offset, co_value *out) {
  const co_shape *shape = co_value_shape(graph, x);
  const int64_t count = shape->dim[shape->rank - 1];
  const co_op_attr attr = {.epsilon = 0.25};
  co_value in[] = {x, scale, offset, CO_NO_VALUE, CO_NO_VALUE};
  CO_RETURN_IF_FAILED(add_constant(graph, path, "zero", 0, count, &in[3]));
  CO_RETURN_IF_FAILED(add_constant(graph, path, "variance", 0.75, count, &in[4]));
  return co_emit(graph, CO_OP_BATCH_NORM_INFERENCE, &attr, 5, in, out);
}

static co_status build(co_graph *graph, const void *options, const co_value *in, int count,
                       co_value *out) {
  const rescaling_options *o = options;
  co_value scale, offset;
  (void)count;
  CO_RETURN_IF_FAILED(co_refuse_sequences(graph, in[0]));
  const co_shape *x = co_value_shape(graph, in[0]);
  if (x->rank < 2) return co_fail(CO_ERR_CONFIG, "Rescaling needs a feature dimension");
  const int64_t features = x->dim[x->rank - 1];
  CO_RETURN_IF_FAILED(add_constant(graph, graph->layer, "scale", o->scale, features, &scale));
  CO_RETURN_IF_FAILED(add_constant(graph, graph->layer, "offset", o->offset, features, &offset));
  return co_emit_affine(graph, graph->layer, in[0], scale, offset, out);
}

extern const co_layer_class co_layer_rescaling;
const co_layer_class co_layer_rescaling = {.name = "Rescaling",
                                           .doc = "scale x + offset.",
                                           .fields = fields,
                                           .options_size = sizeof(rescaling_options),
                                           .shorthand = "scale",
                                           .inputs_min = 1,
                                           .inputs_max = 1,
                                           .build = build};
