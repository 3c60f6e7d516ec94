// SPDX-License-Identifier: Apache-2.0
// Convolutions by cuDNN. What its engines do not take with a convolution (bias, relu, the gradient
// of the bias) is done by our own kernels.
#include <stdio.h>
#include <string.h>

#include "kernels/cuda/cudnn_api.h"

typedef struct conv {
  co_prepared base;
  co_cudnn_plan plan;
  bool fused;  // bias and relu, forward
  bool widens; // dw: cuDNN gives it in the type of x and dy, and f32 is asked for
  size_t sum_offset, widen_offset;
} conv;

// N H W C to N C H W, O last of KH KW C to O C KH KW.
static void image(const co_shape *shape, int64_t out[4]) {
  const int64_t *d = shape->dim;
  out[0] = d[0], out[1] = d[3], out[2] = d[1], out[3] = d[2];
}

static void kernel(const co_shape *shape, int64_t out[4]) {
  const int64_t *d = shape->dim;
  out[0] = d[3], out[1] = d[2], out[2] = d[0], out[3] = d[1];
}

// No engine of cuDNN 9 reads bf16 and writes a gradient of weights in f32.
static bool widens(const co_op_desc *desc) {
  return co_cuda_makes_kernel(desc->op) && desc->in[0].dtype == CO_BF16 &&
         desc->out[0].dtype == CO_F32;
}

// What an operation is to cuDNN, and which of its operands are the image, the kernel and the
// positions of that convolution: inputs from 0, outputs from OUT.
enum { OUT = CO_OP_MAX_OPERANDS };

typedef struct role {
  co_cudnn_pass pass;
  int x, w, y;
} role;

static role role_of(co_op op) {
  switch (op) {
  case CO_OP_CONV2D_BACKWARD_DATA:
    return (role){CO_CUDNN_BACKWARD_DATA, OUT + CO_CONV2D_BACKWARD_DATA_dx,
                  CO_CONV2D_BACKWARD_DATA_w, CO_CONV2D_BACKWARD_DATA_dy};
  case CO_OP_CONV2D_BACKWARD_WEIGHTS:
    return (role){CO_CUDNN_BACKWARD_WEIGHTS, CO_CONV2D_BACKWARD_WEIGHTS_x,
                  OUT + CO_CONV2D_BACKWARD_WEIGHTS_dw, CO_CONV2D_BACKWARD_WEIGHTS_dy};
  case CO_OP_CONV2D_TRANSPOSE:
    return (role){CO_CUDNN_BACKWARD_DATA, OUT + CO_CONV2D_TRANSPOSE_y, CO_CONV2D_TRANSPOSE_w,
                  CO_CONV2D_TRANSPOSE_x};
  case CO_OP_CONV2D_TRANSPOSE_BACKWARD_WEIGHTS:
    return (role){CO_CUDNN_BACKWARD_WEIGHTS, CO_CONV2D_TRANSPOSE_BACKWARD_WEIGHTS_dy,
                  OUT + CO_CONV2D_TRANSPOSE_BACKWARD_WEIGHTS_dw,
                  CO_CONV2D_TRANSPOSE_BACKWARD_WEIGHTS_x};
  default:
    return (role){CO_CUDNN_FORWARD, CO_CONV2D_x, CO_CONV2D_w, OUT + CO_CONV2D_y};
  }
}

static const co_shape *shape_at(const co_op_desc *desc, int at) {
  return at < OUT ? &desc->in[at].shape : &desc->out[at - OUT].shape;
}

static void *memory_at(const co_cuda_call *call, int at) {
  return at < OUT ? call->in[at] : call->out[at - OUT];
}

static co_cudnn_problem problem_of(const co_op_desc *desc) {
  const co_op_attr *attr = &desc->attr;
  const role at = role_of(desc->op);
  const co_shape *x = shape_at(desc, at.x), *w = shape_at(desc, at.w);
  const co_shape *y = shape_at(desc, at.y);
  co_cudnn_problem p;
  memset(&p, 0, sizeof p);
  p.pass = at.pass;
  if (desc->op == CO_OP_CONV2D) {
    p.bias = co_cuda_has_in(desc, CO_CONV2D_b);
    p.relu = attr->activation == CO_ACTIVATION_RELU;
  }
  image(x, p.x);
  kernel(w, p.w);
  image(y, p.y);
  p.bf16 = desc->in[0].dtype == CO_BF16;
  p.accumulate = co_cuda_accumulates(desc, 0) && !widens(desc);
  for (int axis = 0; axis < 2; axis++) {
    int64_t reach = (p.w[2 + axis] - 1) * attr->dilation[axis] + 1;
    p.stride[axis] = attr->stride[axis];
    p.dilation[axis] = attr->dilation[axis];
    p.pad_begin[axis] = p.pad_end[axis] = attr->pad_begin[axis];
    // Engines like even padding; where it gives as many positions, it gives the same result.
    int64_t positions =
        (p.x[2 + axis] + 2 * attr->pad_begin[axis] - reach) / attr->stride[axis] + 1;
    if (positions != p.y[2 + axis]) p.pad_end[axis] = attr->pad_end[axis];
  }
  return p;
}

static co_status failed(const co_cuda *cuda, const co_cudnn *dnn, cudnnStatus_t status) {
  if (status == CUDNN_STATUS_SUCCESS) return CO_OK;
  return cuda->host.fail(CO_ERR_DEVICE, "%s: cuDNN: %s", cuda->name, dnn->get_error_string(status));
}

// ---- run ---------------------------------------------------------------------------------------

static co_status run_plan(co_cuda *cuda, const conv *self, const co_cuda_call *call, void *w,
                          void *bias) {
  const role at = role_of(self->base.desc.op);
  return failed(cuda, cuda->cudnn,
                co_cudnn_plan_run(cuda->cudnn, &self->plan, memory_at(call, at.x), w,
                                  memory_at(call, at.y), bias, call->workspace, call->stream));
}

// A convolution or a transposed one; the latter is never fused.
static co_status run_forward(co_cuda *cuda, co_prepared *prepared, const co_cuda_call *call) {
  const conv *self = (conv *)prepared;
  const co_op_desc *desc = &prepared->desc;
  void *bias = call->in[CO_CONV2D_b], *result = call->out[CO_CONV2D_y];
  CO_RETURN_IF_FAILED(run_plan(cuda, self, call, call->in[CO_CONV2D_w], self->fused ? bias : NULL));
  if (self->fused || (!bias && desc->attr.activation == CO_ACTIVATION_NONE)) return CO_OK;
  const co_shape *y = &desc->out[CO_CONV2D_y].shape;
  return co_cuda_check(cuda,
                       co_cuda_bias_activation(result, bias, desc->out[CO_CONV2D_y].dtype,
                                               co_cuda_count(y), co_cuda_last(y),
                                               desc->attr.activation, call->stream),
                       "conv2d");
}

static co_status run_backward_data(co_cuda *cuda, co_prepared *prepared, const co_cuda_call *call) {
  return run_plan(cuda, (conv *)prepared, call, call->in[CO_CONV2D_BACKWARD_DATA_w], NULL);
}

static co_status run_backward_weights(co_cuda *cuda, co_prepared *prepared,
                                      const co_cuda_call *call) {
  const conv *self = (conv *)prepared;
  const co_op_desc *desc = &prepared->desc;
  enum { dy = CO_CONV2D_BACKWARD_WEIGHTS_dy };
  enum { dw = CO_CONV2D_BACKWARD_WEIGHTS_dw, db = CO_CONV2D_BACKWARD_WEIGHTS_db };
  char *workspace = call->workspace;
  void *made = self->widens ? workspace + self->widen_offset : call->out[dw];
  CO_RETURN_IF_FAILED(run_plan(cuda, self, call, made, NULL));
  if (self->widens)
    CO_RETURN_IF_FAILED(
        co_cuda_check(cuda,
                      co_cuda_widen(call->out[dw], made, co_cuda_count(&desc->out[dw].shape),
                                    co_cuda_accumulates(desc, dw), call->stream),
                      "weight gradient"));
  if (call->out[db] == NULL) return CO_OK;
  const co_shape *rows = &desc->in[dy].shape;
  int64_t channels = co_cuda_last(rows);
  return co_cuda_check(cuda,
                       co_cuda_column_sum(call->out[db], call->in[dy], desc->in[dy].dtype,
                                          co_cuda_count(rows) / channels, channels,
                                          co_cuda_accumulates(desc, db),
                                          workspace + self->sum_offset, call),
                       "bias gradient");
}

static void release(co_cuda *cuda, co_prepared *prepared) {
  co_cudnn_plan_free(cuda->cudnn, &((conv *)prepared)->plan);
}

// ---- plan --------------------------------------------------------------------------------------

static void library(const co_cuda *cuda, char *out, size_t size) {
  (void)snprintf(out, size, "cuDNN %zu", ((const co_cudnn *)cuda->cudnn)->get_version());
}

// The last candidates with bias and relu leave these to our own kernel.
static cudnnStatus_t create_candidate(const co_cuda *cuda, const co_cudnn *dnn,
                                      co_cudnn_problem problem, int candidate, conv *self) {
  self->fused = problem.bias || problem.relu;
  if (self->fused && candidate >= CO_CUDA_FUSED_CANDIDATES) {
    self->fused = problem.bias = problem.relu = false;
    candidate -= CO_CUDA_FUSED_CANDIDATES;
  }
  return co_cudnn_plan_create(cuda, dnn, &problem, false, candidate, &self->plan);
}

static cudnnStatus_t create(const co_cuda *cuda, const co_cudnn *dnn, co_cudnn_problem problem,
                            int candidate, conv *self) {
  cudnnStatus_t status = create_candidate(cuda, dnn, problem, candidate, self);
  if (status == CUDNN_STATUS_SUCCESS || candidate) return status;
  if (self->fused) {
    self->fused = problem.bias = problem.relu = false;
    status = co_cudnn_plan_create(cuda, dnn, &problem, false, 0, &self->plan);
    if (status == CUDNN_STATUS_SUCCESS) return status;
  }
  return co_cudnn_plan_create(cuda, dnn, &problem, true, 0, &self->plan);
}

// Without a device: what cuDNN says of one that it is told the properties of. What it can say of an
// opened one only, or where it is not installed, is taken for granted.
static void create_planned(const co_cuda *cuda, const co_cudnn *dnn, co_cudnn_problem problem,
                           conv *self) {
  if (dnn && create(cuda, dnn, problem, 0, self) == CUDNN_STATUS_SUCCESS) return;
  memset(&self->plan, 0, sizeof self->plan);
  self->fused = problem.bias || problem.relu;
  self->plan.workspace = cuda->conv_workspace;
}

static size_t aligned(size_t bytes) {
  return (bytes + CO_CUDA_ALIGNMENT - 1) / CO_CUDA_ALIGNMENT * CO_CUDA_ALIGNMENT;
}

static void count_launches(const conv *self, const co_op_desc *desc, bool timed,
                           co_op_choice *choice) {
  bool forward = desc->op == CO_OP_CONV2D || desc->op == CO_OP_CONV2D_TRANSPOSE;
  bool follows = forward && !self->fused &&
                 (co_cuda_has_in(desc, 2) || desc->attr.activation != CO_ACTIVATION_NONE);
  choice->launches = follows ? 2 : 1;
  if (follows)
    choice->why = timed ? "bias and relu by our own kernel: faster than an engine with them"
                        : "bias and relu by our own kernel: cuDNN has no engine with them";
  if (self->widens) {
    choice->launches++;
    choice->why = "cuDNN writes weight gradients in bf16: one launch widens them";
  }
  if (!co_cuda_makes_kernel(desc->op) || !co_cuda_has_out(desc, 1)) return;
  choice->launches++;
  choice->why = self->widens ? "cuDNN writes weight gradients in bf16, and adds no bias gradient"
                             : "bias gradient by our own kernel: cuDNN has none";
}

static co_status plan(co_cuda *cuda, const co_cuda_impl *impl, const co_op_desc *desc,
                      co_cuda_answer *answer, co_prepared **out) {
  const co_cudnn *dnn = NULL;
  conv self;
  memset(&self, 0, sizeof self);
  // f32, and bf16 wherever the contract has it: query has checked that.
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    if ((co_cuda_has_in(desc, i) && !co_cuda_is_data(&desc->in[i])) ||
        (co_cuda_has_out(desc, i) && !co_cuda_is_data(&desc->out[i])))
      return co_cuda_refuse(answer, "f32 and bf16 only");
  if (desc->op == CO_OP_CONV2D_TRANSPOSE && desc->in[0].dtype == CO_BF16 &&
      co_cuda_has_in(desc, CO_CONV2D_TRANSPOSE_b))
    return co_cuda_refuse(answer, "cuDNN would round to bf16 before the bias is added");
  cudnnStatus_t made = CUDNN_STATUS_SUCCESS;
  if (cuda->planning) {
    CO_RETURN_IF_FAILED(co_cudnn_plan_get(cuda, &dnn));
    create_planned(cuda, dnn, problem_of(desc), &self);
  } else {
    CO_RETURN_IF_FAILED(co_cudnn_get(cuda, answer, &dnn));
    made = create(cuda, dnn, problem_of(desc), answer->candidate, &self);
  }
  if (made != CUDNN_STATUS_SUCCESS) {
    co_status refused =
        co_cuda_refuse(answer, "cuDNN has no engine for it: %s", dnn->get_error_string(made));
    answer->accumulate = co_cuda_accumulates(desc, 0);
    return refused;
  }
  bool weights = co_cuda_makes_kernel(desc->op);
  if (weights)
    answer->choice.out[0] = CO_CUDA_LAYOUT_OHWI;
  else
    answer->choice.in[1] = CO_CUDA_LAYOUT_OHWI;
  answer->choice.workspace = self.plan.workspace;
  answer->choice.engine = self.plan.engine;
  if (!cuda->planning)
    (void)snprintf(answer->way, sizeof answer->way, "%d: engine %lld, %d of %d%s",
                   answer->candidate, (long long)self.plan.engine.index, self.plan.engine.rank,
                   self.plan.engine.offered, self.fused ? ", fused" : "");
  answer->choice.narrow = weights && desc->out[0].dtype == CO_BF16;
  self.widens = widens(desc);
  if (self.widens) {
    self.widen_offset = aligned(answer->choice.workspace);
    answer->choice.workspace =
        self.widen_offset + (size_t)co_cuda_count(&desc->out[0].shape) * co_cuda_element(CO_BF16);
    answer->choice.implementation = "cudnn+widen";
  }
  answer->choice.planned = cuda->planning;
  count_launches(&self, desc, answer->candidate > 0, &answer->choice);
  if (weights && co_cuda_has_out(desc, 1)) {
    const co_shape *dy = &desc->in[1].shape;
    int64_t channels = co_cuda_last(dy);
    self.sum_offset = aligned(answer->choice.workspace);
    answer->choice.workspace =
        self.sum_offset + co_cuda_column_sum_scratch(co_cuda_count(dy) / channels, channels);
  }
  co_prepared *prepared = NULL;
  co_status status = CO_OK;
  if (out != NULL) status = co_cuda_prepared_create(cuda, impl, desc, sizeof self, &prepared);
  if (prepared == NULL) {
    co_cudnn_plan_free(dnn, &self.plan);
    return status;
  }
  self.base = *prepared;
  self.base.run = weights                                  ? run_backward_weights
                  : desc->op == CO_OP_CONV2D_BACKWARD_DATA ? run_backward_data
                                                           : run_forward;
  self.base.release = release;
  *(conv *)prepared = self;
  *out = prepared;
  return CO_OK;
}

const co_cuda_impl co_cuda_cudnn[] = {
    {.op = CO_OP_CONV2D, .name = "cudnn", .plan = plan, .library = library},
    {.op = CO_OP_CONV2D_BACKWARD_DATA, .name = "cudnn", .plan = plan, .library = library},
    {.op = CO_OP_CONV2D_BACKWARD_WEIGHTS, .name = "cudnn", .plan = plan, .library = library},
    {.op = CO_OP_CONV2D_TRANSPOSE, .name = "cudnn", .plan = plan, .library = library},
    {.op = CO_OP_CONV2D_TRANSPOSE_BACKWARD_WEIGHTS,
     .name = "cudnn",
     .plan = plan,
     .library = library},
    {.name = NULL},
};
