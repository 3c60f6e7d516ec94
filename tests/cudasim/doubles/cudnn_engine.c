// SPDX-License-Identifier: Apache-2.0
// Engines and heuristics. Every supported graph has the first three of these engines, and those in
// float the last one, too:
//   0  tensor cores, much workspace, nondeterministic for both gradients
//   1  tensor cores, some workspace
//   2  the fallback: no tensor cores, no workspace
//   3  operands in float are converted to bfloat16
// The heuristics name the last one first, and the fallback, in many variants, before the one with
// tensor cores that is deterministic. The results of a nondeterministic engine differ in their
// last bits from run to run, so that a deterministic mode that chooses it fails its tests.
#include <string.h>

#include "cudnn_double.h"

enum { NONDETERMINISTIC, TENSOR_CORES, FALLBACK, CONVERTS };
enum { VARIANTS = 16, MOST_NAMED = DN_ENGINES + VARIANTS };

int64_t dn_engine_workspace(int64_t engine) {
  const int64_t bytes[DN_ENGINES] = {
      1 << 16, (int64_t)co_double_setting("COHORT_SIM_CONV_WORKSPACE", 1 << 12), 0, 0};
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
  return engine == NONDETERMINISTIC && has_gradient(graph);
}

static bool is_float_convolution(const dn_descriptor *graph) {
  const dn_attribute *operations = dn_find(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS);
  dn_operation first = dn_resolve_operation(((dn_descriptor **)operations->data)[0]);
  return first.kind != DN_POINTWISE && dn_resolve_tensor(first.x).type == CUDNN_DATA_FLOAT;
}

dn_operands dn_engine_operands(const dn_descriptor *graph, int64_t engine) {
  if (engine == FALLBACK || !is_float_convolution(graph)) return DN_FLOAT;
  return engine == CONVERTS ? DN_BFLOAT16 : DN_TF32;
}

cudnnStatus_t dn_get_notes(const dn_descriptor *engine, int name, int64_t requested, int64_t *count,
                           void *array) {
  int notes[3], n = 0;
  int64_t index = dn_integer(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, 0);
  const dn_descriptor *graph = dn_child(engine, CUDNN_ATTR_ENGINE_OPERATION_GRAPH);
  if (name == CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE) {
    // Only single convolutions, and those with bias and relu, are precompiled; the double knows
    // no others, so nothing is noted.
    *count = 0;
    return CUDNN_STATUS_SUCCESS;
  }
  if (index != FALLBACK) notes[n++] = CUDNN_NUMERICAL_NOTE_TENSOR_CORE;
  if (index == CONVERTS) notes[n++] = CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS;
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
  const char *reason = dn_unsupported(graph);
  if (reason != NULL) co_double_complain("no engine: %s", reason);
  int64_t order[MOST_NAMED], named = 0;
  if (reason == NULL && mode != CUDNN_HEUR_MODE_FALLBACK) {
    if (is_float_convolution(graph)) order[named++] = CONVERTS;
    order[named++] = NONDETERMINISTIC;
    for (int i = 0; i < VARIANTS; i++)
      order[named++] = FALLBACK;
    order[named++] = TENSOR_CORES;
  }
  if (reason == NULL) order[named++] = FALLBACK;
  *count = named;
  if (requested < 1) return CUDNN_STATUS_SUCCESS;
  if (*count > requested) *count = requested;
  for (int64_t i = 0; i < *count; i++) {
    dn_descriptor *config = dn_get(((void **)array)[i], "arrayOfElements");
    cudnnStatus_t status = fill_config(config, graph, order[i]);
    if (status != CUDNN_STATUS_SUCCESS) return status;
  }
  return CUDNN_STATUS_SUCCESS;
}
