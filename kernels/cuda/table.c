// SPDX-License-Identifier: Apache-2.0
// Our own kernels as implementations of operations.
#include "kernels/cuda/cuda.h"

static co_status run_kernel(co_cuda *cuda, co_prepared *prepared, const co_cuda_call *call) {
  return co_cuda_check(cuda, prepared->impl->launch(call), cuda->host.op_name(prepared->desc.op));
}

static bool fits(const co_tensor_desc *operand) {
  return co_cuda_count(&operand->shape) <= INT32_MAX;
}

co_status co_cuda_plan_kernel(co_cuda *cuda, const co_cuda_impl *impl, const co_op_desc *desc,
                              co_cuda_answer *answer, co_prepared **out) {
  co_layout shared = CO_LAYOUT_CANONICAL;
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    for (int side = 0; side < 2; side++) {
      if (!(side ? co_cuda_has_out(desc, i) : co_cuda_has_in(desc, i))) continue;
      const co_tensor_desc *operand = side ? &desc->out[i] : &desc->in[i];
      uint32_t f32 = side ? impl->f32_out : impl->f32_in;
      uint32_t bf16 = side ? impl->bf16_out : impl->bf16_in;
      bool taken = operand->dtype == CO_F32 || ((bf16 >> i & 1) && operand->dtype == CO_BF16);
      if ((f32 >> i & 1) && !taken) return co_cuda_refuse(answer, "f32 only");
      if (!impl->large && !fits(operand))
        return co_cuda_refuse(answer, "a tensor of more than 2^31 - 1 elements");
      if (impl->same && shared == CO_LAYOUT_CANONICAL && operand->layout > 0)
        shared = operand->layout;
    }
  }
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    answer->choice.in[i] = answer->choice.out[i] = shared;
  answer->choice.workspace = impl->scratch ? impl->scratch(desc) : 0;
  answer->choice.launches = impl->launches ? impl->launches(desc) : 1;
  if (answer->choice.launches > 1) answer->choice.why = impl->why;
  if (out == NULL) return CO_OK;
  CO_RETURN_IF_FAILED(co_cuda_prepared_create(cuda, impl, desc, sizeof(co_prepared), out));
  (*out)->run = run_kernel;
  return CO_OK;
}

// ---- reorder -----------------------------------------------------------------------------------

static co_status run_reorder(co_cuda *cuda, co_prepared *prepared, const co_cuda_call *call) {
  const co_op_desc *desc = &prepared->desc;
  if (desc->in[0].layout == desc->out[0].layout)
    return co_cuda_check(cuda, co_cuda_copy(call), "reorder");
  if (desc->in[0].dtype == CO_U8) { // a mask
    const int64_t *dim = desc->in[0].shape.dim;
    bool pack = desc->out[0].layout == CO_CUDA_LAYOUT_MASK;
    return co_cuda_check(cuda,
                         (pack ? co_cuda_pack_mask
                               : co_cuda_unpack_mask)(call->out[0], call->in[0], dim[0], dim[1],
                                                      CO_CUDA_MASK_BITS(dim[1]) / 8, call->stream),
                         "reorder");
  }
  // Canonical (KH KW I, O) to (O, KH KW I) or back.
  int64_t O = co_cuda_last(&desc->in[0].shape), taps = co_cuda_count(&desc->in[0].shape) / O;
  bool home = desc->out[0].layout == CO_CUDA_LAYOUT_OHWI;
  return co_cuda_check(cuda,
                       co_cuda_transpose(call->out[0], call->in[0], desc->in[0].dtype,
                                         home ? taps : O, home ? O : taps, call->stream),
                       "reorder");
}

static co_status plan_reorder(co_cuda *cuda, const co_cuda_impl *impl, const co_op_desc *desc,
                              co_cuda_answer *answer, co_prepared **out) {
  co_layout in = desc->in[0].layout, result = desc->out[0].layout;
  if (in == CO_LAYOUT_ANY) in = CO_LAYOUT_CANONICAL;
  if (result == CO_LAYOUT_ANY) result = in;
  bool mask = desc->in[0].dtype == CO_U8 && desc->in[0].shape.rank == 2 &&
              (in == CO_LAYOUT_CANONICAL || in == CO_CUDA_LAYOUT_MASK) &&
              (result == CO_LAYOUT_CANONICAL || result == CO_CUDA_LAYOUT_MASK);
  bool kernel = desc->in[0].shape.rank == 4 &&
                (desc->in[0].dtype == CO_BF16 || co_cuda_element(desc->in[0].dtype) == 4) &&
                in <= CO_CUDA_LAYOUT_OHWI && result <= CO_CUDA_LAYOUT_OHWI;
  if (in != result && !mask && !kernel)
    return co_cuda_refuse(answer, "only masks and convolution kernels have two layouts");
  if (!fits(&desc->in[0])) return co_cuda_refuse(answer, "more than 2^31 - 1 elements");
  answer->choice.in[0] = in;
  answer->choice.out[0] = result;
  answer->choice.launches = 1;
  if (out == NULL) return CO_OK;
  CO_RETURN_IF_FAILED(co_cuda_prepared_create(cuda, impl, desc, sizeof(co_prepared), out));
  (*out)->run = run_reorder;
  return CO_OK;
}

// ---- convolutions without cuDNN ----------------------------------------------------------------

static co_status plan_conv(co_cuda *cuda, const co_cuda_impl *impl, const co_op_desc *desc,
                           co_cuda_answer *answer, co_prepared **out) {
  CO_RETURN_IF_FAILED(co_cuda_plan_kernel(cuda, impl, desc, answer, out));
  if (co_cuda_makes_kernel(desc->op))
    answer->choice.out[0] = CO_CUDA_LAYOUT_OHWI;
  else
    answer->choice.in[1] = CO_CUDA_LAYOUT_OHWI;
  return CO_OK;
}

// Weights for a convolution, in the order that it reads.
static co_status plan_fold(co_cuda *cuda, const co_cuda_impl *impl, const co_op_desc *desc,
                           co_cuda_answer *answer, co_prepared **out) {
  CO_RETURN_IF_FAILED(co_cuda_plan_kernel(cuda, impl, desc, answer, out));
  if (desc->in[CO_FOLD_BATCH_NORM_w].shape.rank == 4)
    answer->choice.in[CO_FOLD_BATCH_NORM_w] = answer->choice.out[CO_FOLD_BATCH_NORM_kernel] =
        CO_CUDA_LAYOUT_OHWI;
  return CO_OK;
}

// ---- pooling -----------------------------------------------------------------------------------

static int argmax_of(co_op op) {
  return op == CO_OP_MAX_POOL2D            ? CO_MAX_POOL2D_argmax
         : op == CO_OP_MAX_POOL2D_BACKWARD ? CO_MAX_POOL2D_BACKWARD_argmax
         : op == CO_OP_BATCH_NORM          ? CO_BATCH_NORM_argmax
                                           : CO_BATCH_NORM_BACKWARD_argmax;
}

// Winners are bytes, unless somebody wants to read them.
static co_status plan_pool(co_cuda *cuda, const co_cuda_impl *impl, const co_op_desc *desc,
                           co_cuda_answer *answer, co_prepared **out) {
  const bool forward = desc->op == CO_OP_MAX_POOL2D || desc->op == CO_OP_BATCH_NORM;
  const int at = argmax_of(desc->op);
  const co_tensor_desc *argmax = forward ? &desc->out[at] : &desc->in[at];
  bool bytes = (forward ? co_cuda_has_out(desc, at) : co_cuda_has_in(desc, at)) &&
               argmax->layout != CO_LAYOUT_CANONICAL &&
               desc->attr.kernel[0] * desc->attr.kernel[1] <= UINT8_MAX;
  CO_RETURN_IF_FAILED(co_cuda_plan_kernel(cuda, impl, desc, answer, out));
  co_layout *chosen = forward ? &answer->choice.out[at] : &answer->choice.in[at];
  if (bytes) *chosen = CO_CUDA_LAYOUT_ARGMAX;
  return CO_OK;
}

// ---- table -------------------------------------------------------------------------------------

// Blocks cannot wait for each other, so what needs all their sums needs another launch.
static const char statistics[] = "sums over rows, then every row by them";

static const char member_sums[] = "gradients of the parameters are sums over all rows";

#define KERNEL(OP, function, ...)                                                                  \
  { .op = CO_OP_##OP, .name = "cuda", .plan = co_cuda_plan_kernel, .launch = function, __VA_ARGS__ }

const co_cuda_impl co_cuda_kernels[] = {
    KERNEL(RELU, co_cuda_relu, .f32_in = 1, .f32_out = 1, .bf16_in = 1, .bf16_out = 1,
           .large = true),
    KERNEL(RELU_BACKWARD, co_cuda_relu_backward, .f32_in = 3, .f32_out = 1, .bf16_in = 3,
           .bf16_out = 1, .large = true),
    KERNEL(SIGMOID, co_cuda_sigmoid, .f32_in = 1, .f32_out = 1, .bf16_in = 1, .bf16_out = 1,
           .large = true),
    KERNEL(SIGMOID_BACKWARD, co_cuda_sigmoid_backward, .f32_in = 3, .f32_out = 1, .bf16_in = 3,
           .bf16_out = 1, .large = true),
    KERNEL(TANH, co_cuda_tanh, .f32_in = 1, .f32_out = 1, .bf16_in = 1, .bf16_out = 1,
           .large = true),
    KERNEL(TANH_BACKWARD, co_cuda_tanh_backward, .f32_in = 3, .f32_out = 1, .bf16_in = 3,
           .bf16_out = 1, .large = true),
    KERNEL(ACTIVATION, co_cuda_activation, .f32_in = 1, .f32_out = 1, .bf16_in = 1, .bf16_out = 1,
           .large = true),
    KERNEL(ACTIVATION_BACKWARD, co_cuda_activation_backward, .f32_in = 3, .f32_out = 1,
           .bf16_in = 3, .bf16_out = 1, .large = true),
    KERNEL(LAYER_NORM, co_cuda_layer_norm, .f32_in = 7, .f32_out = 7, .bf16_in = 1, .bf16_out = 1,
           .large = true),
    KERNEL(LAYER_NORM_BACKWARD, co_cuda_layer_norm_backward, .f32_in = 31, .f32_out = 7,
           .bf16_in = 17, .bf16_out = 1, .large = true,
           .scratch = co_cuda_layer_norm_backward_scratch,
           .launches = co_cuda_layer_norm_backward_launches,
           .why = "gradients of gamma and beta are sums over all rows"),
    KERNEL(MULTIPLY, co_cuda_multiply, .f32_in = 3, .f32_out = 1, .bf16_in = 3, .bf16_out = 1,
           .large = true),
    KERNEL(MATMUL, co_cuda_matmul, .f32_in = 3, .f32_out = 1, .bf16_in = 3, .bf16_out = 1,
           .large = true),
    KERNEL(MATMUL_BACKWARD_A, co_cuda_matmul_backward_a, .f32_in = 3, .f32_out = 1, .bf16_in = 3,
           .bf16_out = 1, .large = true),
    KERNEL(MATMUL_BACKWARD_B, co_cuda_matmul_backward_b, .f32_in = 3, .f32_out = 1, .bf16_in = 3,
           .bf16_out = 1, .large = true),
    KERNEL(SCALE_CHANNELS, co_cuda_scale_channels, .f32_in = 3, .f32_out = 1, .bf16_in = 3,
           .bf16_out = 1, .large = true),
    KERNEL(SCALE_CHANNELS_BACKWARD, co_cuda_scale_channels_backward, .f32_in = 3, .f32_out = 1,
           .bf16_in = 3, .bf16_out = 1, .large = true),
    KERNEL(ADD, co_cuda_add, .f32_in = 3, .f32_out = 1, .bf16_in = 3, .bf16_out = 1, .large = true,
           .same = true),
    KERNEL(CONCAT, co_cuda_concat, .f32_in = 0xFFFF, .f32_out = 1, .bf16_in = 0xFFFF,
           .bf16_out = 1),
    KERNEL(CONCAT_BACKWARD, co_cuda_concat_backward, .f32_in = 1, .f32_out = 0xFFFF, .bf16_in = 1,
           .bf16_out = 0xFFFF),
    KERNEL(RESHAPE, co_cuda_reshape, .large = true),
    KERNEL(DROPOUT, co_cuda_dropout, .f32_in = 1, .f32_out = 1, .bf16_in = 1, .bf16_out = 1,
           .large = true),
    KERNEL(RELU_BIAS_BACKWARD, co_cuda_relu_bias_backward, .f32_in = 3, .f32_out = 3, .bf16_in = 3,
           .bf16_out = 1, .scratch = co_cuda_relu_bias_backward_scratch),
    {.op = CO_OP_BATCH_NORM,
     .name = "cuda",
     .plan = plan_pool,
     .launch = co_cuda_batch_norm,
     .scratch = co_cuda_batch_norm_scratch,
     .launches = co_cuda_batch_norm_launches,
     .why = statistics,
     .f32_in = 31,
     .f32_out = 31,
     .bf16_in = 1,
     .bf16_out = 1},
    {.op = CO_OP_BATCH_NORM_BACKWARD,
     .name = "cuda",
     .plan = plan_pool,
     .launch = co_cuda_batch_norm_backward,
     .scratch = co_cuda_batch_norm_backward_scratch,
     .launches = co_cuda_batch_norm_launches,
     .why = statistics,
     .f32_in = 95,
     .f32_out = 7,
     .bf16_in = 81,
     .bf16_out = 1},
    KERNEL(BATCH_NORM_INFERENCE, co_cuda_batch_norm_inference, .f32_in = 31, .f32_out = 1,
           .bf16_in = 1, .bf16_out = 1),
    KERNEL(BATCH_NORM_INFERENCE_BACKWARD, co_cuda_batch_norm_inference_backward, .f32_in = 7,
           .f32_out = 1, .bf16_in = 1, .bf16_out = 1),
    {.op = CO_OP_FOLD_BATCH_NORM,
     .name = "cuda",
     .plan = plan_fold,
     .launch = co_cuda_fold_batch_norm,
     .f32_in = 63,
     .f32_out = 3},
    {.op = CO_OP_MAX_POOL2D,
     .name = "cuda",
     .plan = plan_pool,
     .launch = co_cuda_max_pool2d,
     .f32_in = 1,
     .f32_out = 1,
     .bf16_in = 1,
     .bf16_out = 1},
    {.op = CO_OP_MAX_POOL2D_BACKWARD,
     .name = "cuda",
     .plan = plan_pool,
     .launch = co_cuda_max_pool2d_backward,
     .f32_in = 1,
     .f32_out = 1,
     .bf16_in = 1,
     .bf16_out = 1},
    KERNEL(GLOBAL_AVERAGE_POOL2D, co_cuda_global_average_pool2d, .f32_in = 1, .f32_out = 1,
           .bf16_in = 1, .bf16_out = 1),
    KERNEL(GLOBAL_AVERAGE_POOL2D_BACKWARD, co_cuda_global_average_pool2d_backward, .f32_in = 1,
           .f32_out = 1, .bf16_in = 1, .bf16_out = 1),
    KERNEL(UPSAMPLE2D, co_cuda_upsample2d, .f32_in = 1, .f32_out = 1, .bf16_in = 1, .bf16_out = 1),
    KERNEL(UPSAMPLE2D_BACKWARD, co_cuda_upsample2d_backward, .f32_in = 1, .f32_out = 1,
           .bf16_in = 1, .bf16_out = 1),
    KERNEL(AVERAGE_POOL2D, co_cuda_average_pool2d, .f32_in = 1, .f32_out = 1, .bf16_in = 1,
           .bf16_out = 1),
    KERNEL(AVERAGE_POOL2D_BACKWARD, co_cuda_average_pool2d_backward, .f32_in = 1, .f32_out = 1,
           .bf16_in = 1, .bf16_out = 1),
    KERNEL(PAD2D, co_cuda_pad2d, .f32_in = 1, .f32_out = 1, .bf16_in = 1, .bf16_out = 1),
    KERNEL(PAD2D_BACKWARD, co_cuda_pad2d_backward, .f32_in = 1, .f32_out = 1, .bf16_in = 1,
           .bf16_out = 1),
    KERNEL(EMBEDDING, co_cuda_embedding, .f32_in = 0xAAAA, .f32_out = 0xFF, .bf16_out = 0xFF,
           .large = true),
    KERNEL(EMBEDDING_BACKWARD, co_cuda_embedding_backward, .f32_in = 0xAAAA, .f32_out = 0xFF,
           .bf16_in = 0xAAAA),
    KERNEL(PIECEWISE_DENSE, co_cuda_piecewise_dense, .f32_in = 7, .f32_out = 1, .bf16_out = 1),
    KERNEL(PIECEWISE_DENSE_BACKWARD, co_cuda_piecewise_dense_backward, .f32_in = 7, .f32_out = 7,
           .bf16_in = 4),
    KERNEL(PERIODIC, co_cuda_periodic, .f32_in = 3, .f32_out = 1, .large = true),
    KERNEL(PERIODIC_BACKWARD, co_cuda_periodic_backward, .f32_in = 7, .f32_out = 3, .large = true),
    KERNEL(FACTORIZATION, co_cuda_factorization, .f32_in = 3, .f32_out = 3, .bf16_in = 1,
           .bf16_out = 1, .large = true),
    KERNEL(FACTORIZATION_BACKWARD, co_cuda_factorization_backward, .f32_in = 15, .f32_out = 3,
           .bf16_in = 9, .bf16_out = 1, .large = true,
           .scratch = co_cuda_factorization_backward_scratch,
           .launches = co_cuda_factorization_backward_launches, .why = member_sums),
    KERNEL(MEMBER_SCALE, co_cuda_member_scale, .f32_in = 3, .f32_out = 1, .bf16_in = 1,
           .bf16_out = 1, .large = true),
    KERNEL(MEMBER_SCALE_BACKWARD, co_cuda_member_scale_backward, .f32_in = 7, .f32_out = 3,
           .bf16_in = 5, .bf16_out = 1, .large = true,
           .scratch = co_cuda_member_scale_backward_scratch,
           .launches = co_cuda_member_scale_backward_launches, .why = member_sums),
    KERNEL(MEMBER_DENSE, co_cuda_member_dense, .f32_in = 7, .f32_out = 1, .bf16_in = 1,
           .bf16_out = 1, .large = true),
    KERNEL(MEMBER_DENSE_BACKWARD, co_cuda_member_dense_backward, .f32_in = 7, .f32_out = 7,
           .bf16_in = 5, .bf16_out = 1, .large = true,
           .scratch = co_cuda_member_dense_backward_scratch,
           .launches = co_cuda_member_dense_backward_launches, .why = member_sums),
    KERNEL(MEMBER_MEAN, co_cuda_member_mean, .f32_in = 1, .f32_out = 1, .bf16_in = 1,
           .large = true),
    KERNEL(REPEAT, co_cuda_repeat, .large = true),
    KERNEL(COLUMN_LOSS, co_cuda_column_loss, .f32_in = 3, .f32_out = 1, .large = true),
    KERNEL(COLUMN_LOSS_BACKWARD, co_cuda_column_loss_backward, .f32_in = 11, .f32_out = 1,
           .large = true),
    KERNEL(SWAP_NOISE, co_cuda_swap_noise, .large = true),
    KERNEL(INDEX_DROPOUT, co_cuda_index_dropout, .large = true),
    KERNEL(MIX_ROWS, co_cuda_mix_rows, .f32_in = 1, .f32_out = 1, .bf16_in = 1, .bf16_out = 1),
    KERNEL(SAMPLE_NORMAL, co_cuda_sample_normal, .f32_in = 7, .f32_out = 1, .large = true),
    KERNEL(SAMPLE_NORMAL_BACKWARD, co_cuda_sample_normal_backward, .f32_in = 7, .f32_out = 1,
           .large = true),
    KERNEL(KL_NORMAL, co_cuda_kl_normal, .f32_in = 3, .f32_out = 1, .large = true),
    KERNEL(KL_NORMAL_BACKWARD, co_cuda_kl_normal_backward, .f32_in = 7, .f32_out = 3,
           .large = true),
    KERNEL(SOFTMAX, co_cuda_softmax, .f32_in = 1, .f32_out = 1, .bf16_in = 1, .large = true),
    KERNEL(ARG_MAX, co_cuda_arg_max, .f32_in = 1, .bf16_in = 1, .large = true),
    KERNEL(MASKED_SOFTMAX, co_cuda_masked_softmax, .f32_in = 1, .f32_out = 1, .bf16_in = 1,
           .bf16_out = 1, .large = true),
    KERNEL(MASKED_SOFTMAX_BACKWARD, co_cuda_masked_softmax_backward, .f32_in = 3, .f32_out = 1,
           .bf16_in = 3, .bf16_out = 1, .large = true),
    KERNEL(SOFTMAX_CROSS_ENTROPY, co_cuda_softmax_cross_entropy, .f32_in = 5, .f32_out = 5,
           .bf16_in = 1, .bf16_out = 4, .large = true, .scratch = co_cuda_loss_scratch),
    KERNEL(POINTWISE_LOSS, co_cuda_pointwise_loss, .f32_in = 7, .f32_out = 5, .bf16_in = 1,
           .bf16_out = 4, .large = true, .scratch = co_cuda_loss_scratch),
    KERNEL(DISTRIBUTION_LOSS, co_cuda_distribution_loss, .f32_in = 7, .f32_out = 5, .large = true,
           .scratch = co_cuda_loss_scratch),
    KERNEL(DISTRIBUTION_MEAN, co_cuda_distribution_mean, .f32_in = 1, .f32_out = 1, .large = true),
    KERNEL(ROW_MEANS, co_cuda_row_means, .f32_in = 3, .large = true,
           .scratch = co_cuda_loss_scratch),
    KERNEL(CATEGORICAL_HITS, co_cuda_categorical_hits, .f32_in = 5, .bf16_in = 1,
           .scratch = co_cuda_loss_scratch),
    KERNEL(GATHER, co_cuda_gather, .large = true),
    KERNEL(GATHER_EVENTS, co_cuda_gather_events, .large = true),
    KERNEL(LOOKUP, co_cuda_lookup, .large = true),
    KERNEL(CAST, co_cuda_cast, .f32_out = 1, .bf16_out = 1, .large = true),
    KERNEL(IMPUTE, co_cuda_impute, .f32_in = 3, .f32_out = 3, .large = true),
    KERNEL(NORMALIZE, co_cuda_normalize, .f32_in = 7, .f32_out = 1, .bf16_in = 1, .bf16_out = 1),
    KERNEL(PIECEWISE_LINEAR, co_cuda_piecewise_linear, .f32_in = 3, .f32_out = 1),
    KERNEL(FLIP, co_cuda_flip, .f32_in = 1, .f32_out = 1, .bf16_in = 1, .bf16_out = 1),
    KERNEL(SHIFTED_CROP, co_cuda_shifted_crop, .f32_in = 1, .f32_out = 1, .bf16_in = 1,
           .bf16_out = 1),
    KERNEL(AUGMENT, co_cuda_augment, .f32_in = 1, .f32_out = 1, .bf16_in = 1, .bf16_out = 1),
    KERNEL(INPUT_ROWS, co_cuda_input_rows, .f32_in = 3u << 4, .f32_out = 1, .bf16_out = 1,
           .large = true),
    KERNEL(RECURRENT, co_cuda_recurrent, .f32_in = 0x1D, .f32_out = 7, .bf16_in = 1, .bf16_out = 3,
           .large = true, .scratch = co_cuda_recurrent_scratch),
    KERNEL(ATTENTION, co_cuda_attention, .f32_in = 0x17, .f32_out = 3, .bf16_in = 7, .bf16_out = 1,
           .large = true),
    KERNEL(ATTENTION_BACKWARD, co_cuda_attention_backward, .f32_in = 0xF7, .f32_out = 0xF,
           .bf16_in = 0xA7, .bf16_out = 7, .large = true,
           .scratch = co_cuda_attention_backward_scratch,
           .launches = co_cuda_attention_backward_launches,
           .why = "queries, keys and biases are summed over different events"),
    KERNEL(POOL_EVENTS, co_cuda_pool_events, .f32_in = 1, .f32_out = 1, .bf16_in = 1, .bf16_out = 1,
           .large = true),
    KERNEL(POOL_EVENTS_BACKWARD, co_cuda_pool_events_backward, .f32_in = 2, .f32_out = 1,
           .bf16_in = 2, .bf16_out = 1, .large = true),
    KERNEL(MAX_EVENTS, co_cuda_max_events, .f32_in = 1, .f32_out = 1, .bf16_in = 1, .bf16_out = 1,
           .large = true),
    KERNEL(MAX_EVENTS_BACKWARD, co_cuda_max_events_backward, .f32_in = 5, .f32_out = 1,
           .bf16_in = 5, .bf16_out = 1, .large = true),
    KERNEL(UNFOLD_EVENTS, co_cuda_unfold_events, .f32_in = 1, .f32_out = 1, .bf16_in = 1,
           .bf16_out = 1, .large = true),
    KERNEL(UNFOLD_EVENTS_BACKWARD, co_cuda_unfold_events_backward, .f32_in = 2, .f32_out = 1,
           .bf16_in = 2, .bf16_out = 1, .large = true),
    KERNEL(REVERSE_EVENTS, co_cuda_reverse_events, .f32_in = 1, .f32_out = 1, .bf16_in = 1,
           .bf16_out = 1, .large = true),
    KERNEL(COPY_EVENTS, co_cuda_copy_events, .f32_in = 3, .f32_out = 1, .large = true),
    KERNEL(COPY_EVENTS_BACKWARD, co_cuda_copy_events_backward, .f32_in = 0x33, .f32_out = 3,
           .large = true),
    KERNEL(SAMPLE_CLASSES, co_cuda_sample_classes, .f32_out = 2),
    KERNEL(SAMPLED_LOGITS, co_cuda_sampled_logits, .f32_in = 0x27, .f32_out = 1, .large = true,
           .launches = co_cuda_sampled_logits_launches,
           .why = "a row's own class wants a sum, the others do not"),
    KERNEL(SAMPLED_LOGITS_BACKWARD, co_cuda_sampled_logits_backward, .f32_in = 0x13, .f32_out = 7,
           .large = true),
    KERNEL(RECURRENT_BACKWARD, co_cuda_recurrent_backward, .f32_in = 0x7D, .f32_out = 0xF,
           .bf16_in = 0x61, .bf16_out = 1, .large = true,
           .scratch = co_cuda_recurrent_backward_scratch,
           .launches = co_cuda_recurrent_backward_launches,
           .why = "gradients of the parameters are sums over all rows"),
    KERNEL(GRADIENT_NORM, co_cuda_gradient_norm, .f32_in = 1, .large = true,
           .scratch = co_cuda_gradient_norm_scratch),
    KERNEL(SGD, co_cuda_sgd, .f32_in = 7, .f32_out = 3, .large = true),
    KERNEL(ADAM, co_cuda_adam, .f32_in = 15, .f32_out = 7, .large = true),
    KERNEL(EMA, co_cuda_ema, .f32_in = 3, .f32_out = 1, .large = true),
    KERNEL(RMSPROP, co_cuda_rmsprop, .f32_in = 15, .f32_out = 7, .large = true),
    KERNEL(APPEND_ROWS, co_cuda_append_rows, .f32_in = 10, .f32_out = 2, .bf16_in = 2,
           .large = true),
    KERNEL(SUM_ROWS, co_cuda_sum_rows, .f32_in = 2, .f32_out = 2, .large = true,
           .scratch = co_cuda_sum_rows_scratch, .launches = co_cuda_sum_rows_launches,
           .why = "sorts first, tile by tile, then merges"),
    KERNEL(SGD_ROWS, co_cuda_sgd_rows, .f32_in = 5, .f32_out = 1, .large = true),
    KERNEL(ADAM_ROWS, co_cuda_adam_rows, .f32_in = 0x27, .f32_out = 7, .large = true,
           .scratch = co_cuda_adam_rows_scratch, .launches = co_cuda_adam_rows_launches,
           .why = "every element of a row wants its count"),
    {.op = CO_OP_CONV2D,
     .name = "cuda",
     .plan = plan_conv,
     .launch = co_cuda_conv2d,
     .f32_in = 7,
     .f32_out = 1,
     .bf16_in = 7,
     .bf16_out = 1},
    {.op = CO_OP_CONV2D_BACKWARD_DATA,
     .name = "cuda",
     .plan = plan_conv,
     .launch = co_cuda_conv2d_backward_data,
     .f32_in = 3,
     .f32_out = 1,
     .bf16_in = 3,
     .bf16_out = 1},
    {.op = CO_OP_CONV2D_BACKWARD_WEIGHTS,
     .name = "cuda",
     .plan = plan_conv,
     .launch = co_cuda_conv2d_backward_weights,
     .scratch = co_cuda_conv2d_backward_weights_scratch,
     .launches = co_cuda_conv2d_backward_weights_launches,
     .why = "the bias gradient is summed beside it",
     .f32_in = 3,
     .f32_out = 3,
     .bf16_in = 3,
     .bf16_out = 1},
    {.op = CO_OP_CONV2D_TRANSPOSE,
     .name = "cuda",
     .plan = plan_conv,
     .launch = co_cuda_conv2d_transpose,
     .f32_in = 7,
     .f32_out = 1,
     .bf16_in = 7,
     .bf16_out = 1},
    {.op = CO_OP_CONV2D_TRANSPOSE_BACKWARD_WEIGHTS,
     .name = "cuda",
     .plan = plan_conv,
     .launch = co_cuda_conv2d_transpose_backward_weights,
     .scratch = co_cuda_conv2d_backward_weights_scratch,
     .launches = co_cuda_conv2d_backward_weights_launches,
     .why = "the bias gradient is summed beside it",
     .f32_in = 3,
     .f32_out = 3,
     .bf16_in = 3,
     .bf16_out = 1},
    {.op = CO_OP_REORDER, .name = "cuda", .plan = plan_reorder},
    {.name = NULL},
};
