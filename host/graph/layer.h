// SPDX-License-Identifier: Apache-2.0
// Layers: each a file in host/layers with a field table and a build function that checks shapes,
// declares parameters and emits forward operations. layers.def lists them. A layer never knows
// mode, device or layout. Names and options are Keras'.
#ifndef COHORT_HOST_GRAPH_LAYER_H
#define COHORT_HOST_GRAPH_LAYER_H

#include "host/core/field.h"
#include "host/core/json.h"
#include "host/graph/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_layer_class {
  const char *name; // "Conv2D"
  const char *doc;  // one line
  const co_field *fields;
  size_t options_size;
  // The field that a bare scalar sets (`Dense: 64`), NULL if none.
  const char *shorthand;
  int inputs_min, inputs_max;
  // Emits the layer under graph->layer (set by co_layer_apply). Errors are CO_ERR_CONFIG.
  co_status (*build)(co_graph *graph, const void *options, const co_value *in, int count,
                     co_value *out);
  // Names of the parameters in Keras' order, NULL-terminated; NULL where there are none. Those that
  // depend on options are among them; what `build` declares is all here, in this order.
  const char *const *weights;
} co_layer_class;

const co_layer_class *co_layer_find(const char *name); // NULL if unknown
// All of them, NULL-terminated.
const co_layer_class *const *co_layer_list(void);

// Builds a layer named `path` ("encoder/conv2d") and records it in the graph's layer table, with a copy
// of its options. Calling a path again shares its weights.
co_status co_layer_apply(co_graph *graph, const co_layer_class *class_, const char *path,
                         const void *options, const co_value *in, int count, co_value *out);

// A layer's options as one JSON object, which reads back as the same options.
void co_layer_render_options(co_json *json, const co_layer_info *layer);

// ---- for layers --------------------------------------------------------------------------------
extern const char *const co_activation_words[];  // "linear", "relu", …
extern const char *const co_initializer_words[]; // "zeros", "glorot_uniform", …
#define CO_INITIALIZER_DOC                                                                         \
  "zeros, ones, {glorot, he, lecun}_{uniform, normal}, orthogonal, uniform, normal: as Keras; "    \
  "fan_in_uniform: within 1 / sqrt(fan_in), as PyTorch."
extern const char *const co_embedding_update_words[]; // "dense", "rows"
#define CO_EMBEDDING_UPDATE_DOC                                                                    \
  "rows: a step costs what the rows it reads do, however large the table (lazy Adam)."
co_init_kind co_initializer_kind(int word); // index into co_initializer_words
// Emits one operation with one output.
co_status co_emit(co_graph *graph, co_op op, const co_op_attr *attr, int count, const co_value *in,
                  co_value *out);
// scale x + offset, both (features); constants that this takes are called `path`/…
co_status co_emit_affine(co_graph *graph, const char *path, co_value x, co_value scale,
                         co_value offset, co_value *out);
// Emits an activation (index into co_activation_words); linear emits nothing.
co_status co_emit_activation(co_graph *graph, int activation, co_value x, co_value *out);
// What the random operation `op` of a layer draws by. Called again, the layer draws numbers of its own:
// the purpose counts the calls.
co_status co_purpose_of_call(const co_graph *graph, co_op op, const char *kind, uint32_t *out);
// For attr.max_length, by which draws over events do not depend on how far a batch is padded; 0 where x
// holds no sequences.
co_status co_greatest_length(const co_graph *graph, co_value x, int64_t *out);
const co_shape *co_value_shape(const co_graph *graph, co_value value);
// The operation whose first output a value is; NULL = none, until the graph grows.
const co_graph_op *co_value_maker(const co_graph *graph, co_value value);
// CO_ERR_CONFIG if the value holds sequences: for layers that would mix padding with events.
co_status co_refuse_sequences(const co_graph *graph, co_value value);
// CO_ERR_CONFIG unless the value has `rank` dimensions (N included) and holds no sequences.
co_status co_require_rank(const co_graph *graph, co_value value, int rank);

#ifdef __cplusplus
}
#endif
#endif
