// SPDX-License-Identifier: Apache-2.0
// RECURRENT by cuDNN's recurrent layers: one layer, one direction, in float (bf16 is widened on the way
// in and rounded on the way out). dense_events.h says how ragged rows become dense ones. Never in TF32: a
// row's score must not depend on whether its batch is long enough for cuDNN. Algorithm STANDARD alone:
// whether the persistent ones can be recorded is not known without a GPU.
#include <stdio.h>
#include <string.h>

#include "kernels/cuda/cudnn_api.h"
#include "kernels/cuda/dense_events.h"

// Where nothing is measured: below so many events our own kernel, one launch, takes the place of three
// and of cuDNN's own for every event.
enum { LEAST_EVENTS = 8 };

typedef struct rnn {
  co_prepared base;
  cudnnRNNDescriptor_t cell;
  cudnnRNNDataDescriptor_t x, y;
  cudnnTensorDescriptor_t state;
  co_cuda_dense_events layer;
  bool training;
  size_t weight_bytes, library_bytes, reserve_bytes;
  // Where they lie in the scratch memory, behind cuDNN's; its end. In training the states lie behind the
  // reserve space, in what is saved.
  size_t xs, weights, ys, dys, dxs, dweights, bytes;
} rnn;

static size_t aligned(size_t bytes) {
  return (bytes + CO_CUDA_ALIGNMENT - 1) / CO_CUDA_ALIGNMENT * CO_CUDA_ALIGNMENT;
}

static size_t float_bytes(int64_t count) {
  return aligned((size_t)count * sizeof(float));
}

// ---- what cuDNN takes --------------------------------------------------------------------------

// cuDNN's number of a gate, in the order of ops.h: LSTM's i f g o are its 0 to 3; of GRU's z r n its
// update gate is 1, its reset gate 0 and its new memory 2. Those of h follow those of x.
static int gate_number(co_rnn_cell cell, int gate) {
  return cell == CO_CELL_GRU && gate < 2 ? 1 - gate : gate;
}

static cudnnRNNMode_t mode_of(co_rnn_cell cell) {
  return cell == CO_CELL_LSTM ? CUDNN_LSTM : cell == CO_CELL_GRU ? CUDNN_GRU : CUDNN_RNN_TANH;
}

static cudnnStatus_t describe_events(const co_cudnn *dnn, const co_cuda_dense_events *s,
                                     const int *lengths, int width, cudnnRNNDataDescriptor_t *out) {
  cudnnStatus_t status = dnn->create_rnn_data(out);
  if (status != CUDNN_STATUS_SUCCESS) return status;
  return dnn->set_rnn_data(*out, CUDNN_DATA_FLOAT, CUDNN_RNN_DATA_LAYOUT_SEQ_MAJOR_PACKED,
                           (int)s->T, (int)s->N, width, lengths, NULL);
}

static cudnnStatus_t describe_layer(const co_cudnn *dnn, co_rnn_cell cell, const int *lengths,
                                    rnn *self) {
  const co_cuda_dense_events *s = &self->layer;
  const int dim[] = {1, (int)s->N, s->U}, stride[] = {dim[1] * dim[2], dim[2], 1};
  cudnnStatus_t status = dnn->create_rnn(&self->cell);
  if (status == CUDNN_STATUS_SUCCESS) // GRU resets what the recurrent bias is in
    status =
        dnn->set_rnn(self->cell, CUDNN_RNN_ALGO_STANDARD, mode_of(cell),
                     cell == CO_CELL_GRU ? CUDNN_RNN_DOUBLE_BIAS : CUDNN_RNN_SINGLE_INP_BIAS,
                     CUDNN_UNIDIRECTIONAL, CUDNN_LINEAR_INPUT, CUDNN_DATA_FLOAT, CUDNN_DATA_FLOAT,
                     CUDNN_FMA_MATH, s->I, s->U, s->U, 1, NULL, CUDNN_RNN_PADDED_IO_DISABLED);
  if (status == CUDNN_STATUS_SUCCESS) status = describe_events(dnn, s, lengths, s->I, &self->x);
  if (status == CUDNN_STATUS_SUCCESS) status = describe_events(dnn, s, lengths, s->U, &self->y);
  if (status == CUDNN_STATUS_SUCCESS) status = dnn->create_tensor(&self->state);
  if (status == CUDNN_STATUS_SUCCESS)
    status = dnn->set_tensor(self->state, CUDNN_DATA_FLOAT, 3, dim, stride);
  return status;
}

// Where a matrix and its bias lie in the weight space, in floats. cuDNN only adds to the address.
static cudnnStatus_t find_weights(const co_cudnn *dnn, const rnn *self, int number, int64_t *matrix,
                                  int64_t *bias) {
  char *const space = (char *)(uintptr_t)CO_CUDA_ALIGNMENT; // NULL stands for "there is none"
  void *of_matrix = NULL, *of_bias = NULL;
  cudnnTensorDescriptor_t shape = NULL, bias_shape = NULL;
  cudnnStatus_t status = dnn->create_tensor(&shape);
  if (status == CUDNN_STATUS_SUCCESS) status = dnn->create_tensor(&bias_shape);
  if (status == CUDNN_STATUS_SUCCESS)
    status = dnn->weight_params(dnn->handle, self->cell, 0, self->weight_bytes, space, number,
                                shape, &of_matrix, bias_shape, &of_bias);
  if (shape) (void)dnn->destroy_tensor(shape);
  if (bias_shape) (void)dnn->destroy_tensor(bias_shape);
  *matrix = ((char *)of_matrix - space) / (int64_t)sizeof(float);
  *bias = of_bias ? ((char *)of_bias - space) / (int64_t)sizeof(float) : -1;
  return status == CUDNN_STATUS_SUCCESS && !of_matrix ? CUDNN_STATUS_INTERNAL_ERROR : status;
}

static cudnnStatus_t measure(const co_cudnn *dnn, co_rnn_cell cell, rnn *self) {
  co_cuda_dense_events *s = &self->layer;
  cudnnStatus_t status = dnn->weight_space(dnn->handle, self->cell, &self->weight_bytes);
  if (status == CUDNN_STATUS_SUCCESS)
    status = dnn->temp_space(dnn->handle, self->cell,
                             self->training ? CUDNN_FWD_MODE_TRAINING : CUDNN_FWD_MODE_INFERENCE,
                             self->x, &self->library_bytes, &self->reserve_bytes);
  for (int g = 0; g < s->gates && status == CUDNN_STATUS_SUCCESS; g++) {
    int number = gate_number(cell, g);
    status = find_weights(dnn, self, number, &s->at[g].x, &s->at[g].x_bias);
    if (status == CUDNN_STATUS_SUCCESS)
      status = find_weights(dnn, self, number + s->gates, &s->at[g].h, &s->at[g].h_bias);
  }
  return status;
}

// What cuDNN tells of an opened device only.
static void estimate(co_rnn_cell cell, rnn *self) {
  const co_cuda_dense_events *s = &self->layer;
  self->weight_bytes = float_bytes((int64_t)(s->I + s->U + 2) * s->gates * s->U);
  self->library_bytes = (size_t)8 << 20; // of its products, which :4096:2 is
  self->reserve_bytes = float_bytes(s->N * s->T * s->U * co_rnn_saved(cell));
}

static void release(co_cuda *cuda, co_prepared *prepared) {
  const co_cudnn *dnn = cuda->cudnn;
  const rnn *self = (rnn *)prepared;
  if (self->cell) (void)dnn->destroy_rnn(self->cell);
  if (self->x) (void)dnn->destroy_rnn_data(self->x);
  if (self->y) (void)dnn->destroy_rnn_data(self->y);
  if (self->state) (void)dnn->destroy_tensor(self->state);
}

static co_cuda_dense_events
layer_of(const co_op_desc *desc) { // places are the same in the backward
  const int64_t *x = desc->in[CO_RECURRENT_x].shape.dim;
  return (co_cuda_dense_events){.N = x[0],
                                .T = x[1],
                                .I = (int)x[2],
                                .U = (int)desc->in[CO_RECURRENT_recurrent].shape.dim[0],
                                .gates = (int)co_rnn_gates(desc->attr.cell),
                                .reverse = desc->attr.reverse != 0};
}

// ---- run ---------------------------------------------------------------------------------------

static co_status failed(const co_cuda *cuda, const co_cudnn *dnn, cudnnStatus_t status) {
  if (status == CUDNN_STATUS_SUCCESS) return CO_OK;
  return cuda->host.fail(CO_ERR_DEVICE, "%s: recurrent: cuDNN: %s", cuda->name,
                         dnn->get_error_string(status));
}

static co_status use_stream(const co_cuda *cuda, const co_cuda_call *call) {
  const co_cudnn *dnn = cuda->cudnn;
  return failed(cuda, dnn, dnn->set_stream(dnn->handle, call->stream));
}

static co_status run_forward(co_cuda *cuda, co_prepared *prepared, const co_cuda_call *call) {
  const co_cudnn *dnn = cuda->cudnn;
  const rnn *self = (rnn *)prepared;
  char *scratch = call->workspace, *saved = call->out[CO_RECURRENT_saved];
  float *xs = (float *)(scratch + self->xs), *weights = (float *)(scratch + self->weights);
  float *ys = (float *)(saved ? saved + aligned(self->reserve_bytes) : scratch + self->ys);
  CO_RETURN_IF_FAILED(co_cuda_check(
      cuda, co_cuda_dense_events_begin(call, &self->layer, xs, weights), "recurrent"));
  CO_RETURN_IF_FAILED(use_stream(cuda, call));
  CO_RETURN_IF_FAILED(failed(
      cuda, dnn,
      dnn->rnn_forward(
          dnn->handle, self->cell, saved ? CUDNN_FWD_MODE_TRAINING : CUDNN_FWD_MODE_INFERENCE, NULL,
          self->x, xs, self->y, ys, self->state, NULL, NULL, self->state, NULL, NULL,
          self->weight_bytes, weights, self->library_bytes, scratch, self->reserve_bytes, saved)));
  return co_cuda_check(cuda, co_cuda_dense_events_end(call, &self->layer, ys), "recurrent");
}

static co_status run_backward(co_cuda *cuda, co_prepared *prepared, const co_cuda_call *call) {
  const co_cudnn *dnn = cuda->cudnn;
  const rnn *self = (rnn *)prepared;
  char *scratch = call->workspace, *saved = call->in[CO_RECURRENT_BACKWARD_saved];
  const float *ys = (float *)(saved + aligned(self->reserve_bytes));
  const co_cuda_dense_gradients at = {.xs = (float *)(scratch + self->xs),
                                      .weights = (float *)(scratch + self->weights),
                                      .dys = (float *)(scratch + self->dys),
                                      .dxs = (float *)(scratch + self->dxs),
                                      .dweights = (float *)(scratch + self->dweights),
                                      .weight_floats =
                                          (int64_t)(self->weight_bytes / sizeof(float))};
  CO_RETURN_IF_FAILED(co_cuda_check(
      cuda, co_cuda_dense_events_backward_begin(call, &self->layer, &at), "recurrent"));
  CO_RETURN_IF_FAILED(use_stream(cuda, call));
  CO_RETURN_IF_FAILED(
      failed(cuda, dnn,
             dnn->rnn_backward_data(dnn->handle, self->cell, NULL, self->y, ys, at.dys, self->x,
                                    at.dxs, self->state, NULL, NULL, NULL, self->state, NULL, NULL,
                                    NULL, self->weight_bytes, at.weights, self->library_bytes,
                                    scratch, self->reserve_bytes, saved)));
  CO_RETURN_IF_FAILED(failed(
      cuda, dnn,
      dnn->rnn_backward_weights(dnn->handle, self->cell, CUDNN_WGRAD_MODE_ADD, NULL, self->x, at.xs,
                                self->state, NULL, self->y, ys, self->weight_bytes, at.dweights,
                                self->library_bytes, scratch, self->reserve_bytes, saved)));
  return co_cuda_check(cuda, co_cuda_dense_events_backward_end(call, &self->layer, &at),
                       "recurrent");
}

// ---- plan --------------------------------------------------------------------------------------

static void library(const co_cuda *cuda, char *out, size_t size) {
  const co_cudnn *dnn = cuda->cudnn;
  (void)snprintf(out, size, "cuDNN %zu", dnn ? dnn->get_version() : 0);
}

static bool is_forced(const co_cuda *cuda, const co_cuda_impl *impl) {
  return cuda->force[0] && strncmp(impl->name, cuda->force, strlen(cuda->force)) == 0;
}

// What cuDNN has no layer for, whatever would be faster.
static co_status check(const co_op_desc *desc, co_cuda_answer *answer) {
  for (int i = CO_RECURRENT_kernel; i <= CO_RECURRENT_recurrent; i++)
    if (desc->in[i].dtype != CO_F32) return co_cuda_refuse(answer, "f32 only");
  if (!co_cuda_is_data(&desc->in[CO_RECURRENT_x])) return co_cuda_refuse(answer, "f32 only");
  if (desc->attr.gates != CO_RNN_OWN || desc->attr.states != CO_RNN_OWN)
    return co_cuda_refuse(answer, "cuDNN has the cells' own functions alone");
  const int64_t *x = desc->in[CO_RECURRENT_x].shape.dim;
  if (x[0] > INT32_MAX || x[1] > INT32_MAX || x[2] > INT32_MAX ||
      x[0] * CO_RECURRENT_UNITS > INT32_MAX)
    return co_cuda_refuse(answer, "cuDNN counts in 32 bits");
  return CO_OK;
}

// *dnn is NULL only where it is planned for and cuDNN is not there.
static co_status create(co_cuda *cuda, const co_op_desc *desc, co_cuda_answer *answer, rnn *self,
                        const co_cudnn **dnn) {
  CO_RETURN_IF_FAILED(cuda->planning ? co_cudnn_plan_get(cuda, dnn)
                                     : co_cudnn_get(cuda, answer, dnn));
  self->layer = layer_of(desc);
  const co_rnn_cell cell = desc->attr.cell;
  cudnnStatus_t status = CUDNN_STATUS_SUCCESS;
  if (*dnn) {
    int *lengths = cuda->host.alloc_zero(cuda->base.ctx, (size_t)self->layer.N, sizeof *lengths);
    if (lengths == NULL) return CO_ERR_MEMORY;
    for (int64_t n = 0; n < self->layer.N; n++)
      lengths[n] = (int)self->layer.T;
    status = describe_layer(*dnn, cell, lengths, self);
    cuda->host.free(cuda->base.ctx, lengths);
  }
  if (cuda->planning)
    estimate(cell, self);
  else if (status == CUDNN_STATUS_SUCCESS)
    status = measure(*dnn, cell, self);
  if (status == CUDNN_STATUS_SUCCESS) return CO_OK;
  return co_cuda_refuse(answer, "cuDNN has no such layer: %s", (*dnn)->get_error_string(status));
}

static void place(rnn *self, bool backward) {
  const co_cuda_dense_events *s = &self->layer;
  const size_t events = float_bytes(s->N * s->T * s->I), states = float_bytes(s->N * s->T * s->U);
  self->xs = aligned(self->library_bytes);
  self->weights = self->xs + events;
  self->bytes = self->weights + aligned(self->weight_bytes);
  if (backward) {
    self->dys = self->bytes;
    self->dxs = self->dys + states;
    self->dweights = self->dxs + events;
    self->bytes = self->dweights + aligned(self->weight_bytes);
  } else if (!self->training) {
    self->ys = self->bytes;
    self->bytes += states;
  }
}

// Of what is saved.
static co_layout layout_of(const rnn *self) {
  const co_cuda_dense_events *s = &self->layer;
  const size_t bytes = aligned(self->reserve_bytes) + float_bytes(s->N * s->T * s->U);
  return CO_CUDA_LAYOUT_SAVED + (co_layout)(bytes / CO_CUDA_ALIGNMENT);
}

static co_status plan_library(co_cuda *cuda, const co_cuda_impl *impl, const co_op_desc *desc,
                              co_cuda_answer *answer, co_prepared **out) {
  const bool backward = desc->op == CO_OP_RECURRENT_BACKWARD;
  const co_cudnn *dnn = NULL;
  rnn self;
  memset(&self, 0, sizeof self);
  self.training = backward || co_cuda_has_out(desc, CO_RECURRENT_saved);
  co_prepared *prepared = NULL;
  co_status status = create(cuda, desc, answer, &self, &dnn);
  const co_layout saved = status == CO_OK && self.training ? layout_of(&self) : CO_LAYOUT_CANONICAL;
  const co_layout asked = backward ? desc->in[CO_RECURRENT_BACKWARD_saved].layout
                                   : desc->out[CO_RECURRENT_saved].layout;
  if (status == CO_OK && self.training && asked != CO_LAYOUT_ANY && asked != saved)
    status = co_cuda_refuse(answer, "what it saves is its own");
  if (status == CO_OK && out)
    status = co_cuda_prepared_create(cuda, impl, desc, sizeof self, &prepared);
  if (status != CO_OK || !out) {
    if (dnn) release(cuda, &self.base);
    return status;
  }
  place(&self, backward);
  self.base = *prepared;
  self.base.run = backward ? run_backward : run_forward;
  self.base.release = release;
  *(rnn *)prepared = self;
  *out = prepared;
  if (self.training)
    *(backward ? &answer->choice.in[CO_RECURRENT_BACKWARD_saved]
               : &answer->choice.out[CO_RECURRENT_saved]) = saved;
  answer->choice.workspace = self.bytes;
  answer->choice.launches = backward ? 4 : 3;
  answer->choice.why = "cuDNN gets rows of one length: our own kernels reverse, mask and pick";
  answer->choice.planned = cuda->planning;
  return CO_OK;
}

static co_status plan_own(co_cuda *cuda, const co_op_desc *desc, co_cuda_answer *answer,
                          co_prepared **out) {
  const co_cuda_impl *own = co_cuda_kernels;
  while (own->op != desc->op)
    own++;
  answer->choice.implementation = own->name;
  return own->plan(cuda, own, desc, answer, out);
}

static bool is_brief(const co_cuda *cuda, const co_cuda_impl *impl, const co_op_desc *desc) {
  return desc->in[CO_RECURRENT_x].shape.dim[1] < LEAST_EVENTS && !is_forced(cuda, impl);
}

// Candidate 0 is the way of the rule, 1 the other one.
static co_status plan(co_cuda *cuda, const co_cuda_impl *impl, const co_op_desc *desc,
                      co_cuda_answer *answer, co_prepared **out) {
  const bool brief = is_brief(cuda, impl, desc);
  CO_RETURN_IF_FAILED(check(desc, answer));
  if (brief && !cuda->tuning) return co_cuda_refuse(answer, "fewer than %d events", LEAST_EVENTS);
  if (answer->candidate > 1) return co_cuda_refuse(answer, "cuDNN or not: two ways");
  const co_cudnn *dnn; // its version is part of what is chosen
  if (cuda->tuning && !cuda->planning) CO_RETURN_IF_FAILED(co_cudnn_get(cuda, answer, &dnn));
  const bool by_library = brief == (answer->candidate == 1);
  (void)snprintf(answer->way, sizeof answer->way, "%d: %s", answer->candidate,
                 by_library ? "cuDNN" : "our own kernel");
  return by_library ? plan_library(cuda, impl, desc, answer, out)
                    : plan_own(cuda, desc, answer, out);
}

// Whoever has saved the values reads them.
static co_status plan_backward(co_cuda *cuda, const co_cuda_impl *impl, const co_op_desc *desc,
                               co_cuda_answer *answer, co_prepared **out) {
  const co_layout saved = desc->in[CO_RECURRENT_BACKWARD_saved].layout;
  if (saved == CO_LAYOUT_CANONICAL || (saved == CO_LAYOUT_ANY && is_brief(cuda, impl, desc)))
    return co_cuda_refuse(answer, "the values saved are our own kernel's");
  CO_RETURN_IF_FAILED(check(desc, answer));
  return plan_library(cuda, impl, desc, answer, out);
}

const co_cuda_impl co_cuda_cudnn_rnn[] = {
    {.op = CO_OP_RECURRENT, .name = "cudnn", .plan = plan, .library = library},
    {.op = CO_OP_RECURRENT_BACKWARD, .name = "cudnn", .plan = plan_backward},
    {.name = NULL},
};
