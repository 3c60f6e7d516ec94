// SPDX-License-Identifier: Apache-2.0
#include "host/graph/layer.h"

typedef struct machine_options {
  int64_t factors, field_size;
} machine_options;

static const co_field fields[] = {
    {"factors", CO_FIELD_INT, offsetof(machine_options, factors), "8", 1, 4096, NULL,
     "Length of each feature's vector.", NULL},
    {"field_size", CO_FIELD_INT, offsetof(machine_options, field_size), "0", 0, 4096, NULL,
     "So many features side by side are the vector of one field, and the products are of pairs of "
     "fields, without weights of their own; 0: each feature has a trained vector.",
     NULL},
    {.key = NULL}};

// Fields are vectors already: the weights that pick element d of each are 1 or 0.
static co_status pick_elements(co_graph *graph, int64_t features, int64_t size, co_value *out) {
  if (features % size != 0)
    return co_fail(CO_ERR_CONFIG,
                   "FactorizationMachine: %lld features are no fields of %lld; give all encoders "
                   "this width",
                   (long long)features, (long long)size);
  const co_shape shape = co_shape_make(2, features, size);
  float *weights = co_alloc_zero(graph->ctx, (size_t)(features * size), sizeof *weights);
  if (!weights) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < features; i++)
    weights[i * size + i % size] = 1;
  char *name = co_arena_format(graph->arena, "%s/elements", graph->layer);
  co_status status =
      name ? co_graph_add_constant(graph, name, CO_F32, &shape, weights, out) : CO_ERR_MEMORY;
  co_free(graph->ctx, weights);
  return status;
}

static co_status build(co_graph *graph, const void *options, const co_value *in, int count,
                       co_value *out) {
  const machine_options *o = options;
  (void)count;
  CO_RETURN_IF_FAILED(co_require_rank(graph, in[0], 2));
  const int64_t features = co_value_shape(graph, in[0])->dim[1], factors = o->factors;
  co_value operands[2] = {in[0], CO_NO_VALUE};
  if (o->field_size) {
    CO_RETURN_IF_FAILED(
        pick_elements(graph, features, o->field_size, &operands[CO_FACTORIZATION_v]));
    return co_emit(graph, CO_OP_FACTORIZATION, NULL, 2, operands, out);
  }
  co_param_info kernel = {.shape = co_shape_make(2, features, factors),
                          .init = CO_INIT_UNIFORM,
                          .fan_in = features,
                          .fan_out = factors,
                          .decay = 1};
  CO_RETURN_IF_FAILED(co_graph_add_param(graph, "kernel", &kernel, &operands[CO_FACTORIZATION_v]));
  return co_emit(graph, CO_OP_FACTORIZATION, NULL, 2, operands, out);
}

static const char *const weights[] = {"kernel", NULL};

extern const co_layer_class co_layer_factorization_machine;
const co_layer_class co_layer_factorization_machine = {
    .name = "FactorizationMachine",
    .doc =
        "One number a row: products of all pairs of features, weighted by the products of their "
        "trained vectors (Rendle 2010); of fields beside dense layers, DeepFM (Guo et al. 2017).",
    .fields = fields,
    .options_size = sizeof(machine_options),
    .shorthand = "factors",
    .inputs_min = 1,
    .inputs_max = 1,
    .build = build,
    .weights = weights};
