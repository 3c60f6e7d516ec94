// SPDX-License-Identifier: Apache-2.0
// From a convolution to a plan of cuDNN: the operation graph, the choice of an engine.
#include <string.h>

#include "kernels/cuda/cudnn_api.h"

typedef cudnnBackendDescriptor_t descriptor;

// Unique ids of tensors; a gradient has the id of what it is the gradient of.
enum { X = 1, W, Y, BIAS, SUM, BIASED };

enum { MOST_ENGINES = 64, MOST_NOTES = 32, TENSOR_ALIGNMENT = 16 };

// ---- parts; after a failure every further call does nothing

typedef struct builder {
  const co_cudnn *dnn;
  co_cudnn_plan *plan;
  cudnnStatus_t status; // of the first call that failed
} builder;

static void note(builder *b, cudnnStatus_t status) {
  if (b->status == CUDNN_STATUS_SUCCESS) b->status = status;
}

static descriptor begin(builder *b, cudnnBackendDescriptorType_t type) {
  descriptor d = NULL;
  if (b->status != CUDNN_STATUS_SUCCESS) return NULL;
  note(b, b->dnn->create_descriptor(type, &d));
  if (d) b->plan->parts[b->plan->part_count++] = d;
  return d;
}

static void set(builder *b, descriptor d, cudnnBackendAttributeName_t name,
                cudnnBackendAttributeType_t type, int64_t count, const void *values) {
  if (b->status == CUDNN_STATUS_SUCCESS)
    note(b, b->dnn->set_attribute(d, name, type, count, values));
}

static void set_child(builder *b, descriptor d, cudnnBackendAttributeName_t name,
                      descriptor child) {
  set(b, d, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &child);
}

static descriptor end(builder *b, descriptor d) {
  if (b->status == CUDNN_STATUS_SUCCESS) note(b, b->dnn->finalize(d));
  return d;
}

// Extents N C H W of a tensor that lies N H W C; kernels likewise.
static descriptor tensor(builder *b, int64_t uid, cudnnDataType_t type, const int64_t extents[4],
                         bool is_virtual) {
  const int64_t c = extents[1], h = extents[2], w = extents[3], alignment = TENSOR_ALIGNMENT;
  const int64_t strides[4] = {c * h * w, 1, w * c, c};
  descriptor d = begin(b, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  set(b, d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &uid);
  set(b, d, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
  set(b, d, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, extents);
  set(b, d, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, strides);
  set(b, d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment);
  set(b, d, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &is_virtual);
  return end(b, d);
}

static descriptor convolution(builder *b, const co_cudnn_problem *p) {
  const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
  const cudnnDataType_t type = CUDNN_DATA_FLOAT;
  const int64_t rank = 2;
  descriptor d = begin(b, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  set(b, d, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
  set(b, d, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
  set(b, d, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &rank);
  set(b, d, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, p->pad_begin);
  set(b, d, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, p->pad_end);
  set(b, d, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, p->stride);
  set(b, d, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, p->dilation);
  return end(b, d);
}

typedef struct pass_names {
  cudnnBackendDescriptorType_t type;
  cudnnBackendAttributeName_t convolution, x, w, y, alpha, beta;
} pass_names;

static const pass_names names_of[] = {
    [CO_CUDNN_FORWARD] = {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
                          CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
                          CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
                          CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
                          CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
                          CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
                          CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA},
    [CO_CUDNN_BACKWARD_DATA] = {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
                                CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
                                CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
                                CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
                                CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
                                CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
                                CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA},
    [CO_CUDNN_BACKWARD_WEIGHTS] = {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
                                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
                                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
                                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
                                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
                                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
                                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA}};

static cudnnDataType_t data_type(const co_cudnn_problem *p) {
  return p->bf16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
}

static descriptor convolve(builder *b, const co_cudnn_problem *p, descriptor y) {
  const pass_names *names = &names_of[p->pass];
  const float alpha = 1, beta = p->accumulate ? 1 : 0;
  descriptor x = tensor(b, X, data_type(p), p->x, false);
  descriptor w = tensor(b, W, data_type(p), p->w, false), c = convolution(b, p);
  descriptor d = begin(b, names->type);
  set_child(b, d, names->convolution, c);
  set_child(b, d, names->x, x);
  set_child(b, d, names->w, w);
  set_child(b, d, names->y, y);
  set(b, d, names->alpha, CUDNN_TYPE_FLOAT, 1, &alpha);
  set(b, d, names->beta, CUDNN_TYPE_FLOAT, 1, &beta);
  return end(b, d);
}

static descriptor pointwise(builder *b, cudnnPointwiseMode_t mode, descriptor x, descriptor bias,
                            descriptor y) {
  const cudnnDataType_t precision = CUDNN_DATA_FLOAT;
  const cudnnNanPropagation_t propagation = CUDNN_PROPAGATE_NAN;
  descriptor p = begin(b, CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  set(b, p, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
  set(b, p, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &precision);
  if (mode == CUDNN_POINTWISE_RELU_FWD) // else relu may make 0 of NaN
    set(b, p, CUDNN_ATTR_POINTWISE_NAN_PROPAGATION, CUDNN_TYPE_NAN_PROPOGATION, 1, &propagation);
  end(b, p);
  descriptor d = begin(b, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  set_child(b, d, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, p);
  set_child(b, d, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x);
  if (bias) set_child(b, d, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, bias);
  set_child(b, d, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
  return end(b, d);
}

static descriptor operation_graph(builder *b, const co_cudnn_problem *p) {
  descriptor operations[3];
  int64_t count = 0;
  const cudnnDataType_t wide = CUDNN_DATA_FLOAT; // what is not stored
  descriptor y = tensor(b, Y, data_type(p), p->y, false), sum = y, biased = y;
  if (p->bias || p->relu) sum = tensor(b, SUM, wide, p->y, true);
  operations[count++] = convolve(b, p, sum);
  if (p->bias) {
    const int64_t extents[4] = {1, p->y[1], 1, 1};
    descriptor bias = tensor(b, BIAS, data_type(p), extents, false);
    if (p->relu) biased = tensor(b, BIASED, wide, p->y, true);
    operations[count++] = pointwise(b, CUDNN_POINTWISE_ADD, sum, bias, biased);
  }
  if (p->relu)
    operations[count++] = pointwise(b, CUDNN_POINTWISE_RELU_FWD, p->bias ? biased : sum, NULL, y);
  descriptor graph = begin(b, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  set(b, graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, count, operations);
  if (b->dnn->handle)
    set(b, graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &b->dnn->handle);
  return end(b, graph);
}

// ---- engines -----------------------------------------------------------------------------------

// A bit a note. Where they cannot be read, all: better not.
static uint32_t numerical_notes(const co_cudnn *dnn, descriptor engine) {
  cudnnBackendNumericalNote_t notes[MOST_NOTES];
  int64_t count = 0;
  uint32_t bits = 0;
  if (dnn->get_attribute(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                         MOST_NOTES, &count, notes) != CUDNN_STATUS_SUCCESS)
    return UINT32_MAX;
  for (int64_t i = 0; i < count && i < MOST_NOTES; i++)
    bits |= 1u << notes[i];
  return bits;
}

// Results equal in each run, sums in float, and in f32 no coarser operands than TF32, or not even
// these: tensor cores mean TF32 there.
static uint32_t unwelcome_notes(const co_cuda *cuda, bool bf16) {
  uint32_t notes = 1u << CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC |
                   1u << CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION;
  if (!bf16) notes |= 1u << CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS;
  if (!bf16 && cuda->strict_f32) notes |= 1u << CUDNN_NUMERICAL_NOTE_TENSOR_CORE;
  return notes;
}

static bool is_compiled_at_runtime(const co_cudnn *dnn, descriptor engine) {
  cudnnBackendBehaviorNote_t notes[MOST_NOTES];
  int64_t count = 0;
  if (dnn->get_attribute(engine, CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE,
                         MOST_NOTES, &count, notes) != CUDNN_STATUS_SUCCESS)
    return true;
  for (int64_t i = 0; i < count && i < MOST_NOTES; i++)
    if (notes[i] == CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION) return true;
  return false;
}

// Whether the configuration's engine will do; fills index and tensor_cores.
static bool is_welcome(const co_cuda *cuda, const co_cudnn *dnn, descriptor config, bool compile,
                       bool bf16, co_op_engine *out) {
  descriptor engine = NULL;
  int64_t count = 0;
  if (dnn->create_descriptor(CUDNN_BACKEND_ENGINE_DESCRIPTOR, &engine) != CUDNN_STATUS_SUCCESS)
    return false;
  bool welcome =
      dnn->get_attribute(config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
                         &count, &engine) == CUDNN_STATUS_SUCCESS &&
      dnn->get_attribute(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &count,
                         &out->index) == CUDNN_STATUS_SUCCESS;
  if (welcome) {
    uint32_t notes = numerical_notes(dnn, engine);
    out->tensor_cores = notes >> CUDNN_NUMERICAL_NOTE_TENSOR_CORE & 1;
    welcome =
        !(notes & unwelcome_notes(cuda, bf16)) && (compile || !is_compiled_at_runtime(dnn, engine));
  }
  (void)dnn->destroy_descriptor(engine);
  return welcome;
}

// Keeps plan and configuration in b->plan where the engine takes the problem.
static bool try_engine(builder *b, const co_cuda *cuda, descriptor config) {
  const co_cudnn *dnn = b->dnn;
  descriptor plan = NULL;
  int64_t count = 0, workspace = 0;
  cudnnStatus_t status = dnn->create_descriptor(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, &plan);
  if (status == CUDNN_STATUS_SUCCESS && dnn->handle)
    status = dnn->set_attribute(plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1,
                                &dnn->handle);
  if (status == CUDNN_STATUS_SUCCESS && !dnn->handle)
    status = dnn->set_attribute(plan, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP,
                                CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &dnn->device);
  if (status == CUDNN_STATUS_SUCCESS)
    status = dnn->set_attribute(plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG,
                                CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &config);
  if (status == CUDNN_STATUS_SUCCESS) status = dnn->finalize(plan);
  if (status == CUDNN_STATUS_SUCCESS)
    status = dnn->get_attribute(plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1,
                                &count, &workspace);
  if (status != CUDNN_STATUS_SUCCESS || (size_t)workspace > cuda->conv_workspace) {
    if (plan) (void)dnn->destroy_descriptor(plan);
    return false;
  }
  b->plan->parts[b->plan->part_count++] = config;
  b->plan->parts[b->plan->part_count++] = plan;
  b->plan->plan = plan;
  b->plan->workspace = (size_t)workspace;
  return true;
}

// Configurations in the order of cuDNN's heuristics, all MOST_ENGINES of them descriptors to be
// destroyed; returns how many count.
static int ask_heuristics(const co_cudnn *dnn, descriptor graph, cudnnBackendHeurMode_t mode,
                          descriptor configs[MOST_ENGINES]) {
  descriptor heuristics = NULL;
  int64_t count = 0;
  cudnnStatus_t status = dnn->create_descriptor(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, &heuristics);
  if (status == CUDNN_STATUS_SUCCESS)
    status = dnn->set_attribute(heuristics, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH,
                                CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &graph);
  if (status == CUDNN_STATUS_SUCCESS)
    status =
        dnn->set_attribute(heuristics, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
  if (status == CUDNN_STATUS_SUCCESS && !dnn->handle)
    status = dnn->set_attribute(heuristics, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP,
                                CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &dnn->device);
  if (status == CUDNN_STATUS_SUCCESS) status = dnn->finalize(heuristics);
  for (int i = 0; i < MOST_ENGINES && status == CUDNN_STATUS_SUCCESS; i++)
    status = dnn->create_descriptor(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, &configs[i]);
  if (status == CUDNN_STATUS_SUCCESS)
    status = dnn->get_attribute(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                CUDNN_TYPE_BACKEND_DESCRIPTOR, MOST_ENGINES, &count, configs);
  if (heuristics) (void)dnn->destroy_descriptor(heuristics);
  if (status != CUDNN_STATUS_SUCCESS) return 0;
  return count < MOST_ENGINES ? (int)count : MOST_ENGINES; // there may be more
}

static bool choose_engine(builder *b, const co_cuda *cuda, descriptor graph,
                          cudnnBackendHeurMode_t mode, bool compile, bool bf16, int candidate) {
  const co_cudnn *dnn = b->dnn;
  descriptor configs[MOST_ENGINES] = {NULL};
  co_op_engine engines[MOST_ENGINES] = {{0}};
  bool welcome[MOST_ENGINES] = {false};
  int count = ask_heuristics(dnn, graph, mode, configs), chosen = -1, seen = 0;
  for (int i = 0; i < count; i++)
    welcome[i] = is_welcome(cuda, dnn, configs[i], compile, bf16, &engines[i]);
  for (int plain = 0; plain < 2; plain++)
    for (int i = 0; i < count && chosen < 0; i++) {
      if (!welcome[i] || engines[i].tensor_cores == plain) continue;
      bool asked = candidate == 0 || candidate == seen;
      seen++;
      if (asked && try_engine(b, cuda, configs[i])) chosen = i;
    }
  for (int i = 0; i < MOST_ENGINES; i++)
    if (configs[i] && i != chosen) (void)dnn->destroy_descriptor(configs[i]);
  if (chosen < 0) return false;
  b->plan->engine = engines[chosen];
  b->plan->engine.rank = chosen + 1;
  b->plan->engine.offered = count;
  return true;
}

cudnnStatus_t co_cudnn_plan_create(const co_cuda *cuda, const co_cudnn *dnn,
                                   const co_cudnn_problem *problem, bool compile, int candidate,
                                   co_cudnn_plan *out) {
  memset(out, 0, sizeof *out);
  builder b = {.dnn = dnn, .plan = out, .status = CUDNN_STATUS_SUCCESS};
  descriptor graph = operation_graph(&b, problem);
  if (b.status == CUDNN_STATUS_SUCCESS &&
      !choose_engine(&b, cuda, graph, CUDNN_HEUR_MODE_A, compile, problem->bf16, candidate) &&
      (candidate ||
       !choose_engine(&b, cuda, graph, CUDNN_HEUR_MODE_FALLBACK, compile, problem->bf16, 0)))
    b.status = CUDNN_STATUS_NOT_SUPPORTED;
  if (b.status != CUDNN_STATUS_SUCCESS) co_cudnn_plan_free(dnn, out);
  return b.status;
}

void co_cudnn_plan_free(const co_cudnn *dnn, co_cudnn_plan *plan) {
  while (plan->part_count > 0)
    (void)dnn->destroy_descriptor(plan->parts[--plan->part_count]);
  plan->plan = NULL;
}

cudnnStatus_t co_cudnn_plan_run(const co_cudnn *dnn, const co_cudnn_plan *plan, void *x, void *w,
                                void *y, void *bias, void *workspace, cudaStream_t stream) {
  const int64_t uids[4] = {X, W, Y, BIAS}, count = bias ? 4 : 3;
  void *const pointers[4] = {x, w, y, bias};
  descriptor pack = NULL;
  cudnnStatus_t status = dnn->create_descriptor(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, &pack);
  if (status == CUDNN_STATUS_SUCCESS)
    status =
        dnn->set_attribute(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, count, uids);
  if (status == CUDNN_STATUS_SUCCESS)
    status = dnn->set_attribute(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR,
                                count, pointers);
  if (status == CUDNN_STATUS_SUCCESS)
    status = dnn->set_attribute(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1,
                                &workspace);
  if (status == CUDNN_STATUS_SUCCESS) status = dnn->finalize(pack);
  if (status == CUDNN_STATUS_SUCCESS) status = dnn->set_stream(dnn->handle, stream);
  if (status == CUDNN_STATUS_SUCCESS) status = dnn->execute(dnn->handle, plan->plan, pack);
  if (pack) (void)dnn->destroy_descriptor(pack);
  return status;
}
