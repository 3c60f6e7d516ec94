// SPDX-License-Identifier: Apache-2.0
// Engines and heuristics. Every supported graph has three engines:
//   0  tensor cores, much workspace, nondeterministic for both gradients
//   1  tensor cores, some workspace
//   2  the fallback: no tensor cores, no workspace
// The results of a nondeterministic engine differ in their last bits from run to run, so that a
// deterministic mode that chooses it fails its tests.
#include <string.h>

#include "cudnn_double.h"

int64_t dn_engine_workspace(int64_t engine) {
  static const int64_t bytes[DN_ENGINES] = {1 << 16, 1 << 12, 0};
  return bytes[engine];
}

static bool has_gradient(const dn_descriptor *graph) {
  const dn_attribute *operations = dn_find(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS);
  for (int64_t i = 0; i < operations->count; i++) {
    dn_operation op = dn_resolve_operation(((dn_descriptor **)operations->data)[i]);
    if (op.kind == DN_BACKWARD_DATA || op.kind == DN_BACKWARD_FILTER) return true;
  }
  return false;
}

bool dn_engine_nondeterministic(const dn_descriptor *graph, int64_t engine) {
  return engine == 0 && has_gradient(graph);
}

bool dn_engine_tf32(const dn_descriptor *graph, int64_t engine) {
  const dn_attribute *operations = dn_find(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS);
  dn_operation first = dn_resolve_operation(((dn_descriptor **)operations->data)[0]);
  return engine < DN_ENGINES - 1 && first.kind != DN_POINTWISE &&
         dn_resolve_tensor(first.x).type == CUDNN_DATA_FLOAT;
}

cudnnStatus_t dn_get_notes(const dn_descriptor *engine, int name, int64_t requested, int64_t *count,
                           void *array) {
  int notes[2], n = 0;
  int64_t index = dn_integer(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, 0);
  const dn_descriptor *graph = dn_child(engine, CUDNN_ATTR_ENGINE_OPERATION_GRAPH);
  if (name == CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE) {
    // Only single convolutions, and those with bias and relu, are precompiled; the double knows
    // no others, so nothing is noted.
    *count = 0;
    return CUDNN_STATUS_SUCCESS;
  }
  if (index < 2) notes[n++] = CUDNN_NUMERICAL_NOTE_TENSOR_CORE;
  if (dn_engine_nondeterministic(graph, index)) notes[n++] = CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC;
  *count = n;
  for (int i = 0; i < n && i < requested; i++)
    ((cudnnBackendNumericalNote_t *)array)[i] = (cudnnBackendNumericalNote_t)notes[i];
  return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t fill_config(dn_descriptor *config, const dn_descriptor *graph, int64_t index) {
  if (config->type != CUDNN_BACKEND_ENGINECFG_DESCRIPTOR)
    return dn_fail(CUDNN_STATUS_BAD_PARAM_DESCRIPTOR_TYPE,
                   "results need configuration descriptors");
  cudnnBackendDescriptor_t handle;
  cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINE_DESCRIPTOR, &handle);
  dn_descriptor *engine = dn_get(handle, "engine");
  dn_set_child(engine, CUDNN_ATTR_ENGINE_OPERATION_GRAPH, (dn_descriptor *)graph);
  dn_set_integer(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, index);
  engine->finalized = true;
  dn_set_child(config, CUDNN_ATTR_ENGINECFG_ENGINE, engine);
  config->finalized = true;
  return cudnnBackendDestroyDescriptor(handle); // the configuration holds it
}

cudnnStatus_t dn_get_heuristics(const dn_descriptor *heuristics, int64_t requested, int64_t *count,
                                void *array) {
  const dn_descriptor *graph = dn_child(heuristics, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
  int64_t mode = dn_integer(heuristics, CUDNN_ATTR_ENGINEHEUR_MODE, -1);
  if (mode != CUDNN_HEUR_MODE_INSTANT && mode != CUDNN_HEUR_MODE_A && mode != CUDNN_HEUR_MODE_B &&
      mode != CUDNN_HEUR_MODE_FALLBACK)
    co_double_die("heuristics mode=%lld not modelled", (long long)mode);
  int64_t first = mode == CUDNN_HEUR_MODE_FALLBACK ? DN_ENGINES - 1 : 0;
  const char *reason = dn_unsupported(graph);
  if (reason != NULL) co_double_complain("no engine: %s", reason);
  *count = reason != NULL ? 0 : DN_ENGINES - first;
  if (requested < 1) return CUDNN_STATUS_SUCCESS;
  if (*count > requested) *count = requested;
  for (int64_t i = 0; i < *count; i++) {
    dn_descriptor *config = dn_get(((void **)array)[i], "arrayOfElements");
    cudnnStatus_t status = fill_config(config, graph, first + i);
    if (status != CUDNN_STATUS_SUCCESS) return status;
  }
  return CUDNN_STATUS_SUCCESS;
}
