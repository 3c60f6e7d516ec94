// SPDX-License-Identifier: Apache-2.0
// What finalizing a descriptor checks, and which operation graphs an engine can run.
#include <stdlib.h>
#include <string.h>

#include "cudnn_double.h"

static const int64_t *integers(const dn_descriptor *descriptor, int name) {
  return dn_find(descriptor, name)->data;
}

static int64_t count_of(const dn_descriptor *descriptor, int name) {
  return dn_find(descriptor, name)->count;
}

size_t dn_type_bytes(cudnnDataType_t type) {
  return type == CUDNN_DATA_FLOAT ? 4 : type == CUDNN_DATA_BFLOAT16 ? 2 : 0;
}

// ---- tensors

static cudnnStatus_t check_tensor(const dn_descriptor *d) {
  int64_t rank = count_of(d, CUDNN_ATTR_TENSOR_DIMENSIONS);
  if (count_of(d, CUDNN_ATTR_TENSOR_STRIDES) != rank)
    return dn_fail(CUDNN_STATUS_BAD_PARAM, "%lld extents and another number of strides",
                   (long long)rank);
  if (rank != DN_RANK) co_double_die("tensor of rank %lld not modelled", (long long)rank);
  int64_t type = dn_integer(d, CUDNN_ATTR_TENSOR_DATA_TYPE, 0);
  if (dn_type_bytes((cudnnDataType_t)type) == 0)
    co_double_die("tensor data type=%lld not modelled", (long long)type);
  int64_t alignment = dn_integer(d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, 0);
  if (alignment < 1 || (alignment & (alignment - 1)) != 0)
    return dn_fail(CUDNN_STATUS_BAD_PARAM, "alignment=%lld", (long long)alignment);
  const int64_t *extent = integers(d, CUDNN_ATTR_TENSOR_DIMENSIONS);
  const int64_t *stride = integers(d, CUDNN_ATTR_TENSOR_STRIDES);
  for (int i = 0; i < DN_RANK; i++)
    if (extent[i] < 1 || stride[i] < 1)
      return dn_fail(CUDNN_STATUS_BAD_PARAM, "extent or stride below 1 in dimension %d", i);
  const int64_t dense[DN_RANK] = {extent[1] * extent[2] * extent[3], 1, extent[1] * extent[3],
                                  extent[1]};
  for (int i = 0; i < DN_RANK; i++)
    if (extent[i] > 1 && stride[i] != dense[i])
      co_double_die(
          "tensor uid %lld: stride %lld of dimension %d not modelled, dense NHWC has %lld",
          (long long)dn_integer(d, CUDNN_ATTR_TENSOR_UNIQUE_ID, 0), (long long)stride[i], i,
          (long long)dense[i]);
  return CUDNN_STATUS_SUCCESS;
}

dn_tensor dn_resolve_tensor(const dn_descriptor *d) {
  const int64_t *extent = integers(d, CUDNN_ATTR_TENSOR_DIMENSIONS);
  return (dn_tensor){
      .uid = dn_integer(d, CUDNN_ATTR_TENSOR_UNIQUE_ID, 0),
      .type = (cudnnDataType_t)dn_integer(d, CUDNN_ATTR_TENSOR_DATA_TYPE, 0),
      .n = extent[0],
      .c = extent[1],
      .h = extent[2],
      .w = extent[3],
      .alignment = dn_integer(d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, 1),
      .is_virtual = dn_integer(d, CUDNN_ATTR_TENSOR_IS_VIRTUAL, 0) != 0,
  };
}

// ---- convolutions

static cudnnStatus_t check_convolution(const dn_descriptor *d) {
  int64_t mode = dn_integer(d, CUDNN_ATTR_CONVOLUTION_CONV_MODE, 0);
  int64_t type = dn_integer(d, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, 0);
  int64_t rank = dn_integer(d, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, 0);
  if (mode != CUDNN_CROSS_CORRELATION)
    co_double_die("convolution mode=%lld not modelled", (long long)mode);
  if (type != CUDNN_DATA_FLOAT) co_double_die("compute type=%lld not modelled", (long long)type);
  if (rank != 2) co_double_die("spatial dims=%lld not modelled", (long long)rank);
  static const struct {
    int name;
    int64_t least;
  } arrays[] = {{CUDNN_ATTR_CONVOLUTION_DILATIONS, 1},
                {CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, 1},
                {CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, 0},
                {CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, 0}};
  for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
    const int64_t *value = integers(d, arrays[i].name);
    if (count_of(d, arrays[i].name) != rank || value[0] < arrays[i].least ||
        value[1] < arrays[i].least)
      return dn_fail(CUDNN_STATUS_BAD_PARAM, "convolution attribute %d", arrays[i].name);
  }
  return CUDNN_STATUS_SUCCESS;
}

// Names of the attributes of the three convolution operations.
typedef struct convolution_names {
  cudnnBackendDescriptorType_t type;
  dn_operation_kind kind;
  int convolution, x, w, y, alpha, beta;
} convolution_names;

static const convolution_names convolutions[] = {
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, DN_FORWARD,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR, DN_BACKWARD_DATA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR, DN_BACKWARD_FILTER,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA},
};

static const convolution_names *names_of(const dn_descriptor *d) {
  for (size_t i = 0; i < sizeof convolutions / sizeof *convolutions; i++)
    if (convolutions[i].type == d->type) return &convolutions[i];
  return NULL;
}

static double real(const dn_descriptor *d, int name) {
  const dn_attribute *a = dn_find(d, name);
  return a->type == CUDNN_TYPE_FLOAT ? *(const float *)a->data : *(const double *)a->data;
}

static void copy_pair(int64_t to[2], const dn_descriptor *convolution, int name) {
  memcpy(to, integers(convolution, name), 2 * sizeof *to);
}

static dn_operation resolve_convolution(const dn_descriptor *d, const convolution_names *names) {
  dn_operation op = {
      .kind = names->kind,
      .x = dn_child(d, names->x),
      .w = dn_child(d, names->w),
      .y = dn_child(d, names->y),
      .alpha = real(d, names->alpha),
      .beta = real(d, names->beta),
  };
  const dn_descriptor *convolution = dn_child(d, names->convolution);
  copy_pair(op.padding, convolution, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS);
  copy_pair(op.padding_after, convolution, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS);
  copy_pair(op.stride, convolution, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES);
  copy_pair(op.dilation, convolution, CUDNN_ATTR_CONVOLUTION_DILATIONS);
  return op;
}

static int64_t output_extent(const dn_operation *op, int axis, int64_t input, int64_t filter) {
  int64_t reach = op->dilation[axis] * (filter - 1) + 1;
  return (input + op->padding[axis] + op->padding_after[axis] - reach) / op->stride[axis] + 1;
}

static cudnnStatus_t check_convolution_operation(const dn_operation *op) {
  dn_tensor x = dn_resolve_tensor(op->x), w = dn_resolve_tensor(op->w),
            y = dn_resolve_tensor(op->y);
  int64_t groups = x.c / w.c;
  if (x.n != y.n || w.n != y.c || x.c % w.c != 0 || w.n % groups != 0 ||
      y.h != output_extent(op, 0, x.h, w.h) || y.w != output_extent(op, 1, x.w, w.w))
    return dn_fail(CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH,
                   "convolution of x (%lld, %lld, %lld, %lld) with w (%lld, %lld, %lld, %lld) "
                   "does not give y (%lld, %lld, %lld, %lld)",
                   (long long)x.n, (long long)x.c, (long long)x.h, (long long)x.w, (long long)w.n,
                   (long long)w.c, (long long)w.h, (long long)w.w, (long long)y.n, (long long)y.c,
                   (long long)y.h, (long long)y.w);
  dn_tensor result = op->kind == DN_FORWARD ? y : op->kind == DN_BACKWARD_DATA ? x : w;
  if (result.is_virtual && op->beta != 0) co_double_die("beta with a virtual result not modelled");
  return CUDNN_STATUS_SUCCESS;
}

// ---- pointwise operations

static cudnnStatus_t check_pointwise(const dn_descriptor *d) {
  int64_t mode = dn_integer(d, CUDNN_ATTR_POINTWISE_MODE, -1);
  if (mode != CUDNN_POINTWISE_ADD && mode != CUDNN_POINTWISE_MUL &&
      mode != CUDNN_POINTWISE_RELU_FWD && mode != CUDNN_POINTWISE_RELU_BWD)
    co_double_die("pointwise mode=%lld not modelled", (long long)mode);
  if (dn_integer(d, CUDNN_ATTR_POINTWISE_MATH_PREC, -1) != CUDNN_DATA_FLOAT)
    co_double_die("pointwise math precision other than float not modelled");
  return CUDNN_STATUS_SUCCESS;
}

static dn_operation resolve_pointwise(const dn_descriptor *d) {
  const dn_descriptor *pointwise = dn_child(d, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR);
  dn_operation op = {
      .kind = DN_POINTWISE,
      .mode = (cudnnPointwiseMode_t)dn_integer(pointwise, CUDNN_ATTR_POINTWISE_MODE, -1),
      .propagates_nan = dn_integer(pointwise, CUDNN_ATTR_POINTWISE_NAN_PROPAGATION,
                                   CUDNN_NOT_PROPAGATE_NAN) == CUDNN_PROPAGATE_NAN,
      .x = dn_child(d, CUDNN_ATTR_OPERATION_POINTWISE_XDESC),
      .w = dn_child(d, CUDNN_ATTR_OPERATION_POINTWISE_BDESC),
      .y = dn_child(d, CUDNN_ATTR_OPERATION_POINTWISE_YDESC),
  };
  if (op.mode == CUDNN_POINTWISE_RELU_BWD) {
    op.w = dn_child(d, CUDNN_ATTR_OPERATION_POINTWISE_DYDESC);
    op.y = dn_child(d, CUDNN_ATTR_OPERATION_POINTWISE_DXDESC);
  }
  return op;
}

static bool fits(int64_t extent, int64_t result, bool broadcast) {
  return extent == result || (broadcast && extent == 1);
}

static bool tensor_fits(const dn_descriptor *operand, const dn_tensor *result, bool broadcast) {
  dn_tensor t = dn_resolve_tensor(operand);
  return fits(t.n, result->n, broadcast) && fits(t.c, result->c, broadcast) &&
         fits(t.h, result->h, broadcast) && fits(t.w, result->w, broadcast);
}

static cudnnStatus_t check_pointwise_operation(const dn_operation *op) {
  bool two_operands = op->mode != CUDNN_POINTWISE_RELU_FWD;
  if (op->y == NULL || (op->w != NULL) != two_operands)
    return dn_fail(CUDNN_STATUS_BAD_PARAM, "pointwise mode %d lacks or has too many operands",
                   (int)op->mode);
  dn_tensor y = dn_resolve_tensor(op->y);
  bool broadcast = op->mode == CUDNN_POINTWISE_ADD || op->mode == CUDNN_POINTWISE_MUL;
  if (!tensor_fits(op->x, &y, false) || (two_operands && !tensor_fits(op->w, &y, broadcast)))
    return dn_fail(CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH,
                   "pointwise operands do not fit a result (%lld, %lld, %lld, %lld)",
                   (long long)y.n, (long long)y.c, (long long)y.h, (long long)y.w);
  return CUDNN_STATUS_SUCCESS;
}

dn_operation dn_resolve_operation(const dn_descriptor *d) {
  const convolution_names *names = names_of(d);
  return names != NULL ? resolve_convolution(d, names) : resolve_pointwise(d);
}

// ---- graphs

static const dn_descriptor *result_of(const dn_operation *op) {
  return op->kind == DN_BACKWARD_DATA ? op->x : op->kind == DN_BACKWARD_FILTER ? op->w : op->y;
}

static dn_operation operation_at(const dn_descriptor *graph, int64_t i) {
  const dn_attribute *operations = dn_find(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS);
  return dn_resolve_operation(((dn_descriptor **)operations->data)[i]);
}

static bool same_tensor(const dn_descriptor *a, const dn_descriptor *b) {
  dn_tensor s = dn_resolve_tensor(a), t = dn_resolve_tensor(b);
  return s.type == t.type && s.n == t.n && s.c == t.c && s.h == t.h && s.w == t.w &&
         s.is_virtual == t.is_virtual;
}

static bool same_uid(const dn_descriptor *a, const dn_descriptor *b) {
  return dn_resolve_tensor(a).uid == dn_resolve_tensor(b).uid;
}

static bool made_before(const dn_descriptor *graph, int64_t end, const dn_descriptor *tensor) {
  for (int64_t i = 0; i < end; i++) {
    dn_operation op = operation_at(graph, i);
    if (same_uid(result_of(&op), tensor)) return true;
  }
  return false;
}

static cudnnStatus_t check_uids(const dn_descriptor *graph, int64_t end,
                                const dn_descriptor *tensor) {
  for (int64_t i = 0; i < end; i++) {
    dn_operation op = operation_at(graph, i);
    const dn_descriptor *others[] = {op.x, op.w, op.y};
    for (int t = 0; t < 3; t++)
      if (others[t] != NULL && same_uid(others[t], tensor) && !same_tensor(others[t], tensor))
        return dn_fail(CUDNN_STATUS_BAD_PARAM_DUPLICATED_ENTRIES, "two tensors with uid %lld",
                       (long long)dn_resolve_tensor(tensor).uid);
  }
  return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t check_graph(const dn_descriptor *graph) {
  int64_t count = count_of(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS);
  for (int64_t i = 0; i < count; i++) {
    dn_operation op = operation_at(graph, i);
    const dn_descriptor *tensors[] = {op.x, op.w, op.y};
    for (int t = 0; t < 3; t++) {
      if (tensors[t] == NULL) continue;
      cudnnStatus_t status = check_uids(graph, i + 1, tensors[t]);
      if (status != CUDNN_STATUS_SUCCESS) return status;
      dn_tensor tensor = dn_resolve_tensor(tensors[t]);
      if (tensors[t] != result_of(&op) && tensor.is_virtual && !made_before(graph, i, tensors[t]))
        return dn_fail(CUDNN_STATUS_BAD_PARAM, "virtual tensor uid %lld is read before it is made",
                       (long long)tensor.uid);
    }
    if (made_before(graph, i, result_of(&op)))
      return dn_fail(CUDNN_STATUS_BAD_PARAM, "tensor uid %lld is made twice",
                     (long long)dn_resolve_tensor(result_of(&op)).uid);
  }
  return CUDNN_STATUS_SUCCESS;
}

const char *dn_unsupported(const dn_descriptor *graph) {
  int64_t count = count_of(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS);
  for (int64_t i = 0; i < count; i++) {
    dn_operation op = operation_at(graph, i);
    if (op.kind == DN_POINTWISE) continue;
    // The real library has no engine for pointwise operations before dgrad, nor for two
    // convolutions in a graph.
    if (i > 0) return "a convolution must come first in its graph";
    dn_tensor x = dn_resolve_tensor(op.x), w = dn_resolve_tensor(op.w), y = dn_resolve_tensor(op.y),
              result = dn_resolve_tensor(result_of(&op));
    cudnnDataType_t input = op.kind == DN_FORWARD ? x.type : y.type;
    bool same = (op.kind == DN_BACKWARD_DATA || x.type == input) &&
                (op.kind == DN_BACKWARD_FILTER || w.type == input) &&
                (result.type == input || result.is_virtual);
    if (!same) return "tensors of a convolution have several data types";
    if (count > 1 && op.kind == DN_BACKWARD_FILTER) return "wgrad with an epilogue";
  }
  return NULL;
}

// ---- the rest

static cudnnStatus_t check_engine(const dn_descriptor *engine) {
  const char *reason = dn_unsupported(dn_child(engine, CUDNN_ATTR_ENGINE_OPERATION_GRAPH));
  if (reason != NULL) return dn_fail(CUDNN_STATUS_NOT_SUPPORTED_GRAPH_PATTERN, "%s", reason);
  int64_t index = dn_integer(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, 0);
  if (index < 0 || index >= DN_ENGINES)
    return dn_fail(CUDNN_STATUS_NOT_SUPPORTED, "engine %lld does not exist", (long long)index);
  return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t check_pack(const dn_descriptor *pack) {
  int64_t count = count_of(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
  if (count != count_of(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS))
    return dn_fail(CUDNN_STATUS_BAD_PARAM, "variant pack: %lld uids and %lld pointers",
                   (long long)count,
                   (long long)count_of(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS));
  const int64_t *uids = integers(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
  for (int64_t i = 0; i < count; i++)
    for (int64_t j = 0; j < i; j++)
      if (uids[i] == uids[j])
        return dn_fail(CUDNN_STATUS_BAD_PARAM_DUPLICATED_ENTRIES, "variant pack: uid %lld twice",
                       (long long)uids[i]);
  return CUDNN_STATUS_SUCCESS;
}

// In float the tensor cores round operands to TF32.
static cudnnStatus_t check_plan(const dn_descriptor *plan) {
  const dn_descriptor *engine = dn_child(dn_child(plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG),
                                         CUDNN_ATTR_ENGINECFG_ENGINE);
  const dn_descriptor *graph = dn_child(engine, CUDNN_ATTR_ENGINE_OPERATION_GRAPH);
  if (dn_engine_tf32(graph, dn_integer(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, 0)) &&
      co_double_setting("COHORT_SIM_NO_TF32", 0))
    co_double_die("a convolution that may round to TF32");
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t dn_check(const dn_descriptor *d) {
  switch ((int)d->type) {
  case CUDNN_BACKEND_TENSOR_DESCRIPTOR:
    return check_tensor(d);
  case CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR:
    return check_convolution(d);
  case CUDNN_BACKEND_POINTWISE_DESCRIPTOR:
    return check_pointwise(d);
  case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR:
  case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR:
  case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR: {
    dn_operation op = dn_resolve_operation(d);
    return check_convolution_operation(&op);
  }
  case CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR: {
    dn_operation op = dn_resolve_operation(d);
    return check_pointwise_operation(&op);
  }
  case CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR:
    return check_graph(d);
  case CUDNN_BACKEND_ENGINE_DESCRIPTOR:
    return check_engine(d);
  case CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR:
    return check_plan(d);
  case CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR:
    return check_pack(d);
  default:
    return CUDNN_STATUS_SUCCESS;
  }
}
