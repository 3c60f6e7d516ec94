// SPDX-License-Identifier: Apache-2.0
#include "deviceless.h"

#include <stdio.h>

enum { MAX_CONFIGS = 16, MAX_JSON = 8192 };

static int complain(const char *what, cudnnStatus_t status) {
  char reason[512] = "";
  cudnnGetLastErrorString(reason, sizeof reason);
  fprintf(stderr, "deviceless: %s: %s: %s\n", what, cudnnGetErrorString(status), reason);
  return -1;
}

cudnnBackendDescriptor_t deviceless_device(const char *json_file) {
  char json[MAX_JSON];
  FILE *file = fopen(json_file, "r");
  if (file == NULL) {
    perror(json_file);
    return NULL;
  }
  size_t bytes = fread(json, 1, sizeof json, file);
  fclose(file);
  cudnnBackendDescriptor_t device = NULL;
  cudnnStatus_t status = cudnnBackendCreateDescriptor(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, &device);
  if (status == CUDNN_STATUS_SUCCESS)
    status = cudnnBackendSetAttribute(device, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION,
                                      CUDNN_TYPE_CHAR, (int64_t)bytes, json);
  if (status == CUDNN_STATUS_SUCCESS) status = cudnnBackendFinalize(device);
  if (status == CUDNN_STATUS_SUCCESS) return device;
  complain("device properties", status);
  cudnnBackendDestroyDescriptor(device);
  return NULL;
}

static cudnnStatus_t ask(cudnnBackendDescriptor_t heuristics, cudnnBackendDescriptor_t device,
                         cudnnBackendDescriptor_t graph, cudnnBackendHeurMode_t mode,
                         int64_t *count) {
  cudnnStatus_t status = cudnnBackendSetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH,
                                                  CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &graph);
  if (status == CUDNN_STATUS_SUCCESS)
    status = cudnnBackendSetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE,
                                      1, &mode);
  if (status == CUDNN_STATUS_SUCCESS)
    status = cudnnBackendSetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP,
                                      CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &device);
  if (status == CUDNN_STATUS_SUCCESS) status = cudnnBackendFinalize(heuristics);
  if (status != CUDNN_STATUS_SUCCESS) return status;
  cudnnBackendDescriptor_t configs[MAX_CONFIGS];
  int created = 0;
  while (created < MAX_CONFIGS && status == CUDNN_STATUS_SUCCESS) {
    status = cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, &configs[created]);
    created += status == CUDNN_STATUS_SUCCESS;
  }
  if (status == CUDNN_STATUS_SUCCESS)
    status = cudnnBackendGetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                      CUDNN_TYPE_BACKEND_DESCRIPTOR, MAX_CONFIGS, count, configs);
  while (created > 0)
    cudnnBackendDestroyDescriptor(configs[--created]);
  return status;
}

static int count_engines(cudnnBackendDescriptor_t device, cudnnBackendDescriptor_t graph,
                         cudnnBackendHeurMode_t mode) {
  cudnnBackendDescriptor_t heuristics = NULL;
  cudnnStatus_t status =
      cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, &heuristics);
  if (status != CUDNN_STATUS_SUCCESS) return complain("heuristics", status);
  int64_t count = 0;
  status = ask(heuristics, device, graph, mode, &count);
  cudnnBackendDestroyDescriptor(heuristics);
  return status == CUDNN_STATUS_SUCCESS ? (int)count : complain("heuristics", status);
}

int deviceless_conv_engines(cudnnBackendDescriptor_t device, conv_pass pass,
                            const conv_shape *shape, cudnnDataType_t type) {
  conv_graph built = conv_graph_build(pass, shape, type, NULL, 0);
  int engines;
  if (built.status != CUDNN_STATUS_SUCCESS) {
    engines = complain("operation graph", built.status);
  } else {
    engines = count_engines(device, built.graph, CUDNN_HEUR_MODE_A);
    if (engines == 0) engines = count_engines(device, built.graph, CUDNN_HEUR_MODE_FALLBACK);
  }
  conv_graph_free(&built);
  return engines;
}
