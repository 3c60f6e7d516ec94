// SPDX-License-Identifier: Apache-2.0
// cuDNN handles and backend descriptors. Which attributes a descriptor has, of what type and how
// many values, stands in one table; what is not in it is not modelled and aborts.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cudnn_double.h"

enum { FLOAT_OR_DOUBLE = -1, MESSAGE_BYTES = 256, NO_LIMIT = 64 };

typedef struct attribute_rule {
  cudnnBackendDescriptorType_t descriptor;
  cudnnBackendAttributeName_t name;
  int type;
  int64_t least, most;
  bool required;
} attribute_rule;

// The descriptor type and the name of one of its attributes.
// clang-format off
#define TENSOR(name) \
  CUDNN_BACKEND_TENSOR_DESCRIPTOR, CUDNN_ATTR_TENSOR_##name
#define CONVOLUTION(name) \
  CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_##name
#define POINTWISE(name) \
  CUDNN_BACKEND_POINTWISE_DESCRIPTOR, CUDNN_ATTR_POINTWISE_##name
#define FORWARD(name) \
  CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, \
  CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_##name
#define BACKWARD_DATA(name) \
  CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR, \
  CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_##name
#define BACKWARD_FILTER(name) \
  CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR, \
  CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_##name
#define OPERATION_POINTWISE(name) \
  CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, CUDNN_ATTR_OPERATION_POINTWISE_##name
#define DEVICE(name) \
  CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, CUDNN_ATTR_DEVICEPROP_##name
#define GRAPH(name) \
  CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, CUDNN_ATTR_OPERATIONGRAPH_##name
#define ENGINE(name) \
  CUDNN_BACKEND_ENGINE_DESCRIPTOR, CUDNN_ATTR_ENGINE_##name
#define HEURISTICS(name) \
  CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, CUDNN_ATTR_ENGINEHEUR_##name
#define CONFIG(name) \
  CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, CUDNN_ATTR_ENGINECFG_##name
#define PLAN(name) \
  CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, CUDNN_ATTR_EXECUTION_PLAN_##name
#define PACK(name) \
  CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, CUDNN_ATTR_VARIANT_PACK_##name
#define CHILD       CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, 1
static const attribute_rule rules[] = {
  {TENSOR(UNIQUE_ID), CUDNN_TYPE_INT64, 1, 1, true},
  {TENSOR(DATA_TYPE), CUDNN_TYPE_DATA_TYPE, 1, 1, true},
  {TENSOR(DIMENSIONS), CUDNN_TYPE_INT64, 1, 8, true},
  {TENSOR(STRIDES), CUDNN_TYPE_INT64, 1, 8, true},
  {TENSOR(BYTE_ALIGNMENT), CUDNN_TYPE_INT64, 1, 1, true},
  {TENSOR(IS_VIRTUAL), CUDNN_TYPE_BOOLEAN, 1, 1, false},

  {CONVOLUTION(COMP_TYPE), CUDNN_TYPE_DATA_TYPE, 1, 1, true},
  {CONVOLUTION(CONV_MODE), CUDNN_TYPE_CONVOLUTION_MODE, 1, 1, true},
  {CONVOLUTION(SPATIAL_DIMS), CUDNN_TYPE_INT64, 1, 1, true},
  {CONVOLUTION(DILATIONS), CUDNN_TYPE_INT64, 1, 3, true},
  {CONVOLUTION(FILTER_STRIDES), CUDNN_TYPE_INT64, 1, 3, true},
  {CONVOLUTION(PRE_PADDINGS), CUDNN_TYPE_INT64, 1, 3, true},
  {CONVOLUTION(POST_PADDINGS), CUDNN_TYPE_INT64, 1, 3, true},

  {POINTWISE(MODE), CUDNN_TYPE_POINTWISE_MODE, 1, 1, true},
  {POINTWISE(MATH_PREC), CUDNN_TYPE_DATA_TYPE, 1, 1, true},
  {POINTWISE(NAN_PROPAGATION), CUDNN_TYPE_NAN_PROPOGATION, 1, 1, false},

  {FORWARD(CONV_DESC), CHILD, true},
  {FORWARD(X), CHILD, true},
  {FORWARD(W), CHILD, true},
  {FORWARD(Y), CHILD, true},
  {FORWARD(ALPHA), FLOAT_OR_DOUBLE, 1, 1, true},
  {FORWARD(BETA), FLOAT_OR_DOUBLE, 1, 1, true},

  {BACKWARD_DATA(CONV_DESC), CHILD, true},
  {BACKWARD_DATA(DX), CHILD, true},
  {BACKWARD_DATA(W), CHILD, true},
  {BACKWARD_DATA(DY), CHILD, true},
  {BACKWARD_DATA(ALPHA), FLOAT_OR_DOUBLE, 1, 1, true},
  {BACKWARD_DATA(BETA), FLOAT_OR_DOUBLE, 1, 1, true},

  {BACKWARD_FILTER(CONV_DESC), CHILD, true},
  {BACKWARD_FILTER(X), CHILD, true},
  {BACKWARD_FILTER(DW), CHILD, true},
  {BACKWARD_FILTER(DY), CHILD, true},
  {BACKWARD_FILTER(ALPHA), FLOAT_OR_DOUBLE, 1, 1, true},
  {BACKWARD_FILTER(BETA), FLOAT_OR_DOUBLE, 1, 1, true},

  {OPERATION_POINTWISE(PW_DESCRIPTOR), CHILD, true},
  {OPERATION_POINTWISE(XDESC), CHILD, true},
  {OPERATION_POINTWISE(BDESC), CHILD, false},
  {OPERATION_POINTWISE(YDESC), CHILD, false},
  {OPERATION_POINTWISE(DXDESC), CHILD, false},
  {OPERATION_POINTWISE(DYDESC), CHILD, false},

  {DEVICE(DEVICE_ID), CUDNN_TYPE_INT32, 1, 1, false}, // one of the two
  {DEVICE(JSON_REPRESENTATION), CUDNN_TYPE_CHAR, 2, 8192, false},

  {GRAPH(HANDLE), CUDNN_TYPE_HANDLE, 1, 1, false},
  {GRAPH(OPS), CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, NO_LIMIT, true},

  {ENGINE(OPERATION_GRAPH), CHILD, true},
  {ENGINE(GLOBAL_INDEX), CUDNN_TYPE_INT64, 1, 1, true},

  {HEURISTICS(OPERATION_GRAPH), CHILD, true},
  {HEURISTICS(MODE), CUDNN_TYPE_HEUR_MODE, 1, 1, true},
  {HEURISTICS(DEVICEPROP), CHILD, false},

  {CONFIG(ENGINE), CHILD, true},

  {PLAN(HANDLE), CUDNN_TYPE_HANDLE, 1, 1, false},
  {PLAN(DEVICEPROP), CHILD, false},
  {PLAN(ENGINE_CONFIG), CHILD, true},

  {PACK(UNIQUE_IDS), CUDNN_TYPE_INT64, 1, NO_LIMIT, true},
  {PACK(DATA_POINTERS), CUDNN_TYPE_VOID_PTR, 1, NO_LIMIT, true},
  {PACK(WORKSPACE), CUDNN_TYPE_VOID_PTR, 1, 1, false},
};
// clang-format on
enum { RULE_COUNT = sizeof rules / sizeof *rules };

static _Thread_local char last_message[MESSAGE_BYTES];

// ---- errors and versions

cudnnStatus_t dn_fail(cudnnStatus_t status, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(last_message, sizeof last_message, format, arguments);
  va_end(arguments);
  co_double_complain("%s", last_message);
  return status;
}

void cudnnGetLastErrorString(char *message, size_t size) {
  if (size > 0) snprintf(message, size, "%s", last_message);
}

const char *cudnnGetErrorString(cudnnStatus_t status) {
  switch ((int)status / 1000) {
  case 0:
    return "CUDNN_STATUS_SUCCESS";
  case 1:
    return "CUDNN_STATUS_NOT_INITIALIZED";
  case 2:
    return "CUDNN_STATUS_BAD_PARAM";
  case 3:
    return "CUDNN_STATUS_NOT_SUPPORTED";
  case 5:
    return "CUDNN_STATUS_EXECUTION_FAILED";
  default:
    return "CUDNN_STATUS unknown to the double";
  }
}

size_t cudnnGetVersion(void) {
  return (size_t)co_double_setting("COHORT_SIM_CUDNN", CUDNN_VERSION);
}

size_t cudnnGetCudartVersion(void) {
  return CUDART_VERSION;
}

// ---- handles

static cudnnHandle_t get_handle(cudnnHandle_t handle) {
  return co_double_object_get(CO_DOUBLE_CUDNN, handle, "handle");
}

cudnnStatus_t cudnnCreate(cudnnHandle_t *handle) {
  DOUBLE_ENTER();
  *handle = NULL;
  if (co_double_state() != cudaSuccess)
    return dn_fail(CUDNN_STATUS_NOT_INITIALIZED, "no usable device");
  *handle = co_double_object_new(CO_DOUBLE_CUDNN, sizeof **handle, NULL);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
  DOUBLE_ENTER();
  co_double_object_close(get_handle(handle));
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  DOUBLE_ENTER();
  co_double_need_stream(stream);
  get_handle(handle)->stream = stream;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnGetStream(cudnnHandle_t handle, cudaStream_t *stream) {
  DOUBLE_ENTER();
  *stream = get_handle(handle)->stream;
  return CUDNN_STATUS_SUCCESS;
}

// ---- descriptors

dn_descriptor *dn_get(const void *handle, const char *argument) {
  return co_double_object_get(CO_DOUBLE_CUDNN_DESCRIPTOR, handle, argument);
}

const dn_attribute *dn_find(const dn_descriptor *descriptor, int name) {
  for (int i = 0; i < descriptor->attribute_count; i++)
    if (descriptor->attributes[i].name == name) return &descriptor->attributes[i];
  return NULL;
}

const dn_descriptor *dn_child(const dn_descriptor *descriptor, int name) {
  const dn_attribute *attribute = dn_find(descriptor, name);
  return attribute == NULL ? NULL : *(dn_descriptor *const *)attribute->data;
}

int64_t dn_integer(const dn_descriptor *descriptor, int name, int64_t fallback) {
  const dn_attribute *attribute = dn_find(descriptor, name);
  if (attribute == NULL) return fallback;
  if (attribute->type == CUDNN_TYPE_INT64) return *(const int64_t *)attribute->data;
  if (attribute->type == CUDNN_TYPE_BOOLEAN) return *(const bool *)attribute->data;
  return *(const int *)attribute->data; // enumerations
}

static size_t value_bytes(int type) {
  switch (type) {
  case CUDNN_TYPE_INT64:
  case CUDNN_TYPE_DOUBLE:
  case CUDNN_TYPE_VOID_PTR:
  case CUDNN_TYPE_HANDLE:
  case CUDNN_TYPE_BACKEND_DESCRIPTOR:
    return 8;
  case CUDNN_TYPE_BOOLEAN:
    return sizeof(bool);
  case CUDNN_TYPE_CHAR:
    return 1;
  default:
    return sizeof(int); // enumerations and float
  }
}

static void clear_attribute(dn_attribute *attribute) {
  if (attribute->type == CUDNN_TYPE_BACKEND_DESCRIPTOR)
    for (int64_t i = 0; i < attribute->count; i++)
      co_double_object_release(((dn_descriptor **)attribute->data)[i]);
  free(attribute->data);
}

static void finish_descriptor(void *object) {
  dn_descriptor *descriptor = object;
  for (int i = 0; i < descriptor->attribute_count; i++)
    clear_attribute(&descriptor->attributes[i]);
}

static void set_attribute(dn_descriptor *descriptor, int name, int type, int64_t count,
                          const void *values) {
  size_t bytes = (size_t)count * value_bytes(type);
  void *data = malloc(bytes);
  if (data == NULL) abort();
  memcpy(data, values, bytes);
  if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR)
    for (int64_t i = 0; i < count; i++)
      co_double_object_retain(((dn_descriptor **)data)[i]);
  dn_attribute *attribute = (dn_attribute *)dn_find(descriptor, name);
  if (attribute != NULL) {
    clear_attribute(attribute);
  } else {
    if (descriptor->attribute_count == DN_MAX_ATTRIBUTES) abort();
    attribute = &descriptor->attributes[descriptor->attribute_count++];
  }
  *attribute = (dn_attribute){name, type, count, data};
}

void dn_set_child(dn_descriptor *descriptor, int name, dn_descriptor *child) {
  set_attribute(descriptor, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &child);
}

void dn_set_integer(dn_descriptor *descriptor, int name, int64_t value) {
  set_attribute(descriptor, name, CUDNN_TYPE_INT64, 1, &value);
}

static const attribute_rule *find_rule(cudnnBackendDescriptorType_t descriptor, int name) {
  for (int i = 0; i < RULE_COUNT; i++)
    if (rules[i].descriptor == descriptor && (int)rules[i].name == name) return &rules[i];
  return NULL;
}

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type,
                                           cudnnBackendDescriptor_t *result) {
  DOUBLE_ENTER();
  bool known = false;
  for (int i = 0; i < RULE_COUNT; i++)
    known |= rules[i].descriptor == type;
  if (!known) co_double_die("descriptorType=%d not modelled", (int)type);
  dn_descriptor *descriptor =
      co_double_object_new(CO_DOUBLE_CUDNN_DESCRIPTOR, sizeof *descriptor, finish_descriptor);
  descriptor->type = type;
  *result = descriptor;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t handle) {
  DOUBLE_ENTER();
  if (handle != NULL) co_double_object_close(dn_get(handle, "descriptor"));
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t handle,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t count,
                                       const void *values) {
  DOUBLE_ENTER();
  dn_descriptor *descriptor = dn_get(handle, "descriptor");
  const attribute_rule *rule = find_rule(descriptor->type, (int)name);
  if (rule == NULL)
    co_double_die("attributeName=%d of descriptor type %d not modelled", (int)name,
                  (int)descriptor->type);
  if (descriptor->finalized)
    return dn_fail(CUDNN_STATUS_BAD_PARAM, "attribute %d of a finalized descriptor", (int)name);
  bool type_fits =
      rule->type == (int)type ||
      (rule->type == FLOAT_OR_DOUBLE && (type == CUDNN_TYPE_FLOAT || type == CUDNN_TYPE_DOUBLE));
  if (!type_fits)
    return dn_fail(CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE, "attribute %d has another type than %d",
                   (int)name, (int)type);
  if (values == NULL)
    return dn_fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "attribute %d: NULL", (int)name);
  if (count < rule->least || count > rule->most)
    return dn_fail(CUDNN_STATUS_BAD_PARAM, "attribute %d takes %lld to %lld values, not %lld",
                   (int)name, (long long)rule->least, (long long)rule->most, (long long)count);
  if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR)
    for (int64_t i = 0; i < count; i++)
      if (!dn_get(((void *const *)values)[i], "arrayOfElements")->finalized)
        return dn_fail(CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED, "attribute %d: descriptor %lld",
                       (int)name, (long long)i);
  if (type == CUDNN_TYPE_HANDLE) get_handle(*(const cudnnHandle_t *)values);
  set_attribute(descriptor, (int)name, (int)type, count, values);
  return CUDNN_STATUS_SUCCESS;
}

// The properties of a device that is there, with the fields in which cuDNN 9 writes them.
static cudnnStatus_t describe_device(dn_descriptor *descriptor) {
  char json[1024];
  struct cudaDeviceProp p;
  const dn_attribute *id = dn_find(descriptor, CUDNN_ATTR_DEVICEPROP_DEVICE_ID);
  if (dn_find(descriptor, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION)) return CUDNN_STATUS_SUCCESS;
  if (!id) return dn_fail(CUDNN_STATUS_BAD_PARAM, "device properties of no device");
  if (cudaGetDeviceProperties(&p, *(const int32_t *)id->data) != cudaSuccess)
    return dn_fail(CUDNN_STATUS_BAD_PARAM, "no such device");
  int length = snprintf(
      json, sizeof json,
      "{\"deviceName\":\"%s\",\"cudaDeviceId\":%d,\"deviceVer\":%d,\"multiProcessorCount\":%d,"
      "\"driverVer\":%d,\"totalGlobalMem\":%zu,\"maxGridSize\":[%d,%d,%d],"
      "\"maxBlockSize\":[%d,%d,%d],\"regsPerBlock\":%d,\"warpSize\":%d,"
      "\"maxSharedMemoryPerBlock\":%zu,\"maxSharedMemoryPerBlockOptin\":%zu,"
      "\"reservedSharedMemoryPerBlock\":%zu,\"maxSharedMemoryPerSM\":%zu,"
      "\"maxRegistersPerSM\":%d,\"maxCtasPerSM\":%d,\"maxThreadsPerBlock\":%d,"
      "\"maxThreadsPerSM\":%d,\"pciDeviceId\":0,\"isTccDriver\":0,\"supportCoopLaunch\":%d,"
      "\"smClockRateKHz\":1000000,\"memClockRateKHz\":1000000,\"l2CacheSize\":%d}",
      p.name, *(const int32_t *)id->data, 100 * p.major + 10 * p.minor, p.multiProcessorCount,
      CUDART_VERSION, p.totalGlobalMem, p.maxGridSize[0], p.maxGridSize[1], p.maxGridSize[2],
      p.maxThreadsDim[0], p.maxThreadsDim[1], p.maxThreadsDim[2], p.regsPerBlock, p.warpSize,
      p.sharedMemPerBlock, p.sharedMemPerBlockOptin, p.reservedSharedMemPerBlock,
      p.sharedMemPerMultiprocessor, p.regsPerMultiprocessor, p.maxBlocksPerMultiProcessor,
      p.maxThreadsPerBlock, p.maxThreadsPerMultiProcessor, p.cooperativeLaunch, p.l2CacheSize);
  set_attribute(descriptor, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, length + 1,
                json);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t handle) {
  DOUBLE_ENTER();
  dn_descriptor *descriptor = dn_get(handle, "descriptor");
  if (descriptor->finalized) return dn_fail(CUDNN_STATUS_BAD_PARAM, "finalized twice");
  for (int i = 0; i < RULE_COUNT; i++)
    if (rules[i].descriptor == descriptor->type && rules[i].required &&
        dn_find(descriptor, (int)rules[i].name) == NULL)
      return dn_fail(CUDNN_STATUS_BAD_PARAM, "descriptor type %d lacks attribute %d",
                     (int)descriptor->type, (int)rules[i].name);
  cudnnStatus_t status = descriptor->type == CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR
                             ? describe_device(descriptor)
                             : dn_check(descriptor);
  descriptor->finalized = status == CUDNN_STATUS_SUCCESS;
  return status;
}

// Descriptors come back in those that the caller created empty.
static cudnnStatus_t get_engine(const dn_descriptor *config, int64_t requested, int64_t *count,
                                void *array) {
  *count = 1;
  if (requested < 1) return CUDNN_STATUS_SUCCESS;
  dn_descriptor *to = dn_get(*(void **)array, "arrayOfElements");
  const dn_descriptor *from = dn_child(config, CUDNN_ATTR_ENGINECFG_ENGINE);
  if (to->type != CUDNN_BACKEND_ENGINE_DESCRIPTOR)
    return dn_fail(CUDNN_STATUS_BAD_PARAM_DESCRIPTOR_TYPE, "an engine descriptor is needed");
  dn_set_child(to, CUDNN_ATTR_ENGINE_OPERATION_GRAPH,
               (dn_descriptor *)dn_child(from, CUDNN_ATTR_ENGINE_OPERATION_GRAPH));
  dn_set_integer(to, CUDNN_ATTR_ENGINE_GLOBAL_INDEX,
                 dn_integer(from, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, 0));
  to->finalized = true;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t const handle,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t requested,
                                       int64_t *count, void *array) {
  DOUBLE_ENTER();
  const dn_descriptor *descriptor = dn_get(handle, "descriptor");
  int64_t unused;
  if (count == NULL) count = &unused;
  if (!descriptor->finalized)
    return dn_fail(CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED, "attribute %d", (int)name);
  if (array == NULL) requested = 0;
  switch ((int)name) {
  case CUDNN_ATTR_ENGINEHEUR_RESULTS:
    return dn_get_heuristics(descriptor, requested, count, array);
  case CUDNN_ATTR_ENGINE_NUMERICAL_NOTE:
  case CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE:
    return dn_get_notes(descriptor, (int)name, requested, count, array);
  case CUDNN_ATTR_ENGINECFG_ENGINE:
    return get_engine(descriptor, requested, count, array);
  case CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE: {
    if (type != CUDNN_TYPE_INT64) return dn_fail(CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE, "size");
    const dn_descriptor *config = dn_child(descriptor, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
    const dn_descriptor *engine = dn_child(config, CUDNN_ATTR_ENGINECFG_ENGINE);
    *count = 1;
    if (requested > 0)
      *(int64_t *)array =
          dn_engine_workspace(dn_integer(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, 0));
    return CUDNN_STATUS_SUCCESS;
  }
  default:
    break;
  }
  const dn_attribute *attribute = dn_find(descriptor, (int)name);
  if (attribute == NULL || attribute->type == CUDNN_TYPE_BACKEND_DESCRIPTOR)
    co_double_die("attributeName=%d of descriptor type %d not modelled", (int)name,
                  (int)descriptor->type);
  if (attribute->type != (int)type)
    return dn_fail(CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE, "attribute %d", (int)name);
  *count = attribute->count;
  int64_t copied = requested < attribute->count ? requested : attribute->count;
  if (copied > 0) memcpy(array, attribute->data, (size_t)copied * value_bytes(attribute->type));
  return CUDNN_STATUS_SUCCESS;
}
