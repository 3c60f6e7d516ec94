// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

#include "host/core/rng.h"

void CO_REF(swap_noise)(const co_op_desc *desc, void *const *in, void *const *out) {
  const int64_t N = desc->in[CO_SWAP_NOISE_x].shape.dim[0];
  const int64_t row = co_row_count(&desc->in[CO_SWAP_NOISE_x].shape);
  const size_t size = co_dtype_size(desc->in[CO_SWAP_NOISE_x].dtype);
  const char *x = in[CO_SWAP_NOISE_x];
  const co_step *step = in[CO_SWAP_NOISE_step];
  const uint32_t purpose = desc->attr.purpose;
  const float rate = (float)desc->attr.rate;
  char *y = out[CO_SWAP_NOISE_y];
  for (int64_t i = 0; i < N * row; i++) {
    const uint64_t draw = 2 * (uint64_t)(step->row_offset * row + i);
    const co_philox_block bits = co_philox(step->seed, draw >> 2, step->step, purpose); // of both
    const uint64_t other = bits.word[(draw & 3) + 1];
    const bool swapped = co_uniform_from_bits(bits.word[draw & 3]) < rate;
    const int64_t from = swapped ? (int64_t)((other * (uint64_t)N) >> 32) * row + i % row : i;
    memcpy(y + (size_t)i * size, x + (size_t)from * size, size);
  }
}

#if CO_REF_ONCE
co_status co_infer_swap_noise(co_op_desc *desc) {
  CO_RETURN_IF_FAILED(co_check_rank(desc, CO_SWAP_NOISE_x, 1, CO_MAX_RANK));
  CO_RETURN_IF_FAILED(co_check_step(desc, CO_SWAP_NOISE_step));
  if (!(desc->attr.rate >= 0 && desc->attr.rate < 1))
    return co_fail(CO_ERR_CONFIG, "swap_noise: must be at least 0 and below 1");
  const co_tensor_desc *x = &desc->in[CO_SWAP_NOISE_x];
  co_set_out(desc, CO_SWAP_NOISE_y, x->dtype, &x->shape);
  return CO_OK;
}
#endif
