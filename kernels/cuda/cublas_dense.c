// SPDX-License-Identifier: Apache-2.0
// Dense layers by cuBLASLt; bias, relu, the relu's mask and what a mask lets pass as epilogues.
// cuBLASLt counts columns first, so a row-major matrix is its transpose there: y = x w is computed
// as y' = w' x'.
#include <stdio.h>
#include <string.h>

#include "kernels/cuda/cublas_product.h"

typedef struct dense {
  co_prepared base;
  co_cuda_product product;
  bool sums_bias; // db by our own kernel
  size_t sum_offset;
} dense;

static void library(const co_cuda *cuda, char *out, size_t size) {
  (void)cuda;
  (void)snprintf(out, size, "cuBLASLt %zu", cublasLtGetVersion());
}

// ---- passes ------------------------------------------------------------------------------------

static co_status run_dense(co_cuda *cuda, co_prepared *prepared, const co_cuda_call *call) {
  dense *self = (dense *)prepared; // y' = w' x'
  return co_cuda_product_run(cuda, &self->product, call->in[CO_DENSE_w], call->in[CO_DENSE_x],
                             call->out[CO_DENSE_y], call->in[CO_DENSE_b], call->out[CO_DENSE_mask],
                             call);
}

static co_status run_backward_data(co_cuda *cuda, co_prepared *prepared, const co_cuda_call *call) {
  dense *self = (dense *)prepared; // dx' = w dy'
  return co_cuda_product_run(cuda, &self->product, call->in[CO_DENSE_BACKWARD_DATA_w],
                             call->in[CO_DENSE_BACKWARD_DATA_dy],
                             call->out[CO_DENSE_BACKWARD_DATA_dx], NULL, NULL, call);
}

static co_status run_relu_backward(co_cuda *cuda, co_prepared *prepared, const co_cuda_call *call) {
  dense *self = (dense *)prepared; // dx' = mask of (w dy')
  return co_cuda_product_run(
      cuda, &self->product, call->in[CO_DENSE_RELU_BACKWARD_w], call->in[CO_DENSE_RELU_BACKWARD_dy],
      call->out[CO_DENSE_RELU_BACKWARD_dx], call->out[CO_DENSE_RELU_BACKWARD_db],
      call->in[CO_DENSE_RELU_BACKWARD_mask], call);
}

static co_status run_backward_weights(co_cuda *cuda, co_prepared *prepared,
                                      const co_cuda_call *call) {
  dense *self = (dense *)prepared; // dw' = dy' x
  const co_op_desc *desc = &prepared->desc;
  enum { x = CO_DENSE_BACKWARD_WEIGHTS_x, dy = CO_DENSE_BACKWARD_WEIGHTS_dy };
  enum { dw = CO_DENSE_BACKWARD_WEIGHTS_dw, db = CO_DENSE_BACKWARD_WEIGHTS_db };
  void *bias = call->out[db];
  CO_RETURN_IF_FAILED(co_cuda_product_run(cuda, &self->product, call->in[dy], call->in[x],
                                          call->out[dw], self->sums_bias ? NULL : bias, NULL,
                                          call));
  if (bias == NULL || !self->sums_bias) return CO_OK;
  const co_shape *rows = &desc->in[dy].shape;
  return co_cuda_check(cuda,
                       co_cuda_column_sum(bias, call->in[dy], desc->in[dy].dtype, rows->dim[0],
                                          rows->dim[1], co_cuda_accumulates(desc, db),
                                          (char *)call->workspace + self->sum_offset, call),
                       "bias gradient");
}

static void release(co_cuda *cuda, co_prepared *prepared) {
  (void)cuda;
  co_cuda_product_free(&((dense *)prepared)->product);
}

static cudaDataType_t type_of(const co_tensor_desc *operand) {
  return operand->dtype == CO_BF16 ? CUDA_R_16BF : CUDA_R_32F;
}

static co_cuda_product_shape shape_of(const co_op_desc *desc) {
  const float beta = co_cuda_accumulates(desc, 0) ? 1 : 0;
  co_cuda_product_shape s = {.epilogue = CUBLASLT_EPILOGUE_DEFAULT,
                             .beta = beta,
                             .factors = type_of(&desc->in[0]),
                             .result = type_of(&desc->out[0])};
  const int64_t *w = desc->op == CO_OP_DENSE_BACKWARD_WEIGHTS
                         ? desc->out[CO_DENSE_BACKWARD_WEIGHTS_dw].shape.dim
                         : desc->in[CO_DENSE_w].shape.dim;
  uint64_t N = (uint64_t)desc->in[0].shape.dim[0], I = (uint64_t)w[0], O = (uint64_t)w[1];
  bool bias = co_cuda_has_in(desc, 2), relu = desc->attr.activation == CO_ACTIVATION_RELU;
  switch (desc->op) {
  case CO_OP_DENSE:
    s.m = O, s.n = N, s.k = I;
    s.transpose_a = s.transpose_b = CUBLAS_OP_N;
    if (co_cuda_has_out(desc, 1)) { // only relu has a mask
      s.epilogue = bias ? CUBLASLT_EPILOGUE_RELU_AUX_BIAS : CUBLASLT_EPILOGUE_RELU_AUX;
      s.mask_bits = CO_CUDA_MASK_BITS((int64_t)O);
      break;
    }
    s.epilogue = bias   ? (relu ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_BIAS)
                 : relu ? CUBLASLT_EPILOGUE_RELU
                        : CUBLASLT_EPILOGUE_DEFAULT;
    break;
  case CO_OP_DENSE_BACKWARD_DATA:
    s.m = I, s.n = N, s.k = O;
    s.transpose_a = CUBLAS_OP_T;
    s.transpose_b = CUBLAS_OP_N;
    break;
  case CO_OP_DENSE_RELU_BACKWARD:
    s.m = I, s.n = N, s.k = O;
    s.transpose_a = CUBLAS_OP_T;
    s.transpose_b = CUBLAS_OP_N;
    s.epilogue = co_cuda_has_out(desc, 1) ? CUBLASLT_EPILOGUE_DRELU_BGRAD : CUBLASLT_EPILOGUE_DRELU;
    s.mask_bits = CO_CUDA_MASK_BITS((int64_t)I);
    break;
  default:
    s.m = O, s.n = I, s.k = N;
    s.transpose_a = CUBLAS_OP_N;
    s.transpose_b = CUBLAS_OP_T;
    // Over k, the rows. It cannot be added to what db holds.
    if (co_cuda_has_out(desc, 1) && !co_cuda_accumulates(desc, 1))
      s.epilogue = CUBLASLT_EPILOGUE_BGRADA;
    break;
  }
  return s;
}

// f32, and bf16 wherever the contract has it (query has checked that), but for masks. A masked
// product can be added to nothing.
static co_status check_operands(const co_op_desc *desc, co_cuda_answer *answer) {
  uint32_t mask_in = desc->op == CO_OP_DENSE_RELU_BACKWARD ? 1u << CO_DENSE_RELU_BACKWARD_mask : 0;
  uint32_t mask_out = desc->op == CO_OP_DENSE ? desc->has_out & 1u << CO_DENSE_mask : 0;
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    if ((co_cuda_has_in(desc, i) && !(mask_in >> i & 1) && !co_cuda_is_data(&desc->in[i])) ||
        (co_cuda_has_out(desc, i) && !(mask_out >> i & 1) && !co_cuda_is_data(&desc->out[i])))
      return co_cuda_refuse(answer, "f32 and bf16 only");
  if (mask_in && desc->accumulate) {
    answer->accumulate = true;
    return co_cuda_refuse(answer, "what is masked cannot be added to");
  }
  if (mask_out && desc->attr.activation != CO_ACTIVATION_RELU)
    return co_cuda_refuse(answer, "only relu has a mask");
  if (mask_in) answer->choice.in[CO_DENSE_RELU_BACKWARD_mask] = CO_CUDA_LAYOUT_MASK;
  if (mask_out) answer->choice.out[CO_DENSE_mask] = CO_CUDA_LAYOUT_MASK;
  return CO_OK;
}

static co_status (*run_of(co_op op))(co_cuda *, co_prepared *, const co_cuda_call *) {
  switch (op) {
  case CO_OP_DENSE:
    return run_dense;
  case CO_OP_DENSE_BACKWARD_DATA:
    return run_backward_data;
  case CO_OP_DENSE_RELU_BACKWARD:
    return run_relu_backward;
  default:
    return run_backward_weights;
  }
}

// The last candidates with a bias gradient leave it to our own kernel.
static co_status create_candidate(co_cuda *cuda, const co_op_desc *desc, co_cuda_answer *answer,
                                  dense *self) {
  co_cuda_product_shape s = shape_of(desc);
  bool has_bias = desc->op == CO_OP_DENSE_BACKWARD_WEIGHTS && co_cuda_has_out(desc, 1);
  bool fused = s.epilogue == CUBLASLT_EPILOGUE_BGRADA;
  char algorithm[CO_CUDA_WAY] = "";
  int candidate = answer->candidate;
  co_status status = CO_ERR_DEVICE;
  if (!fused || candidate < CO_CUDA_FUSED_CANDIDATES)
    status = co_cuda_product_create(cuda, &s, candidate, algorithm, &self->product);
  else
    candidate -= CO_CUDA_FUSED_CANDIDATES;
  if (status == CO_ERR_DEVICE && fused &&
      (answer->candidate == 0 || answer->candidate >= CO_CUDA_FUSED_CANDIDATES)) {
    s.epilogue = CUBLASLT_EPILOGUE_DEFAULT;
    status = co_cuda_product_create(cuda, &s, candidate, algorithm, &self->product);
  }
  self->sums_bias = has_bias && s.epilogue == CUBLASLT_EPILOGUE_DEFAULT;
  (void)snprintf(answer->way, sizeof answer->way, "%d: %.100s%s", answer->candidate, algorithm,
                 fused && self->sums_bias ? ", bias apart" : "");
  return status;
}

static co_status plan(co_cuda *cuda, const co_cuda_impl *impl, const co_op_desc *desc,
                      co_cuda_answer *answer, co_prepared **out) {
  dense self;
  memset(&self, 0, sizeof self);
  CO_RETURN_IF_FAILED(check_operands(desc, answer));
  co_status status = create_candidate(cuda, desc, answer, &self);
  if (status == CO_ERR_DEVICE) return co_cuda_refuse(answer, "cuBLASLt has no algorithm for it");
  CO_RETURN_IF_FAILED(status);
  answer->choice.workspace = self.product.workspace;
  answer->choice.launches = 1;
  answer->choice.planned = cuda->planning;
  if (self.sums_bias) {
    const co_shape *dy = &desc->in[1].shape;
    self.sum_offset =
        (self.product.workspace + CO_CUDA_ALIGNMENT - 1) / CO_CUDA_ALIGNMENT * CO_CUDA_ALIGNMENT;
    answer->choice.workspace = self.sum_offset + co_cuda_column_sum_scratch(dy->dim[0], dy->dim[1]);
    answer->choice.launches++;
    answer->choice.why =
        co_cuda_accumulates(desc, 1) ? "bias gradient by our own kernel: cuBLASLt adds none"
        : answer->candidate
            ? "bias gradient by our own kernel: faster than in the product"
            : "bias gradient by our own kernel: cuBLASLt has none with this product";
  }
  co_prepared *prepared = NULL;
  if (out == NULL) {
    co_cuda_product_free(&self.product);
    return CO_OK;
  }
  status = co_cuda_prepared_create(cuda, impl, desc, sizeof self, &prepared);
  if (status != CO_OK) {
    co_cuda_product_free(&self.product);
    return status;
  }
  self.base = *prepared;
  self.base.run = run_of(desc->op);
  self.base.release = release;
  *(dense *)prepared = self;
  *out = prepared;
  return CO_OK;
}

const co_cuda_impl co_cuda_cublas[] = {
    {.op = CO_OP_DENSE, .name = "cublaslt", .plan = plan, .library = library},
    {.op = CO_OP_DENSE_BACKWARD_DATA, .name = "cublaslt", .plan = plan, .library = library},
    {.op = CO_OP_DENSE_BACKWARD_WEIGHTS, .name = "cublaslt", .plan = plan, .library = library},
    {.op = CO_OP_DENSE_RELU_BACKWARD, .name = "cublaslt", .plan = plan, .library = library},
    {.op = CO_OP_LINEAR_CROSS_ENTROPY, .name = "cublaslt", .plan = co_cuda_plan_catalogue},
    {.op = CO_OP_MATMUL, .name = "cublaslt", .plan = co_cuda_plan_matmul},
    {.op = CO_OP_MATMUL_BACKWARD_A, .name = "cublaslt", .plan = co_cuda_plan_matmul},
    {.op = CO_OP_MATMUL_BACKWARD_B, .name = "cublaslt", .plan = co_cuda_plan_matmul},
    {.name = NULL},
};
