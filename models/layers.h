// SPDX-License-Identifier: Apache-2.0
// Lists of layers as configs write them, to graph operations.
#ifndef COHORT_MODELS_LAYERS_H
#define COHORT_MODELS_LAYERS_H

#include "host/config/config.h"
#include "host/graph/layer.h"

#ifdef __cplusplus
extern "C" {
#endif

// A name that a layer's `inputs:` may refer to.
typedef struct co_named_value {
  const char *name;
  co_value value;
} co_named_value;

typedef struct co_named_values {
  const co_named_value *items;
  int64_t count;
} co_named_values;

typedef struct co_layer_list_options {
  const char *scope;           // path prefix of the layers, e.g. "image"
  const co_named_value *known; // values from outside
  int64_t known_count;
  co_value input; // what the first layer reads without `inputs:`, may be CO_NO_VALUE
  // Layers of another list, whose names may be used anew here. NULL = none.
  const struct co_named_values *outer;
  // The layers that were built, by their names, in the arena: who reads them later. NULL = nobody.
  struct co_named_values *built;
} co_layer_list_options;

// What may stand beside a layer's name, for help.
extern const co_field co_layer_item_fields[];

// Builds `layers:`. Each item is `Name`, `{Name: shorthand}` or `{Name: {options}}`, beside which
// may stand `name:`, `inputs: [a, b]`, `trainable: false`, `group: name`; or `{shared: layer, inputs:
// [a]}`, which calls an earlier layer again with its weights. *out is the last layer's value.
co_status co_layer_list_build(co_graph *graph, const co_node *layers, const char *path,
                              const co_layer_list_options *options, co_arena *arena,
                              co_diagnostics *problems, co_value *out);

#ifdef __cplusplus
}
#endif
#endif
