// SPDX-License-Identifier: Apache-2.0
// Operations on bf16 by way of float: operands are widened into scratch memory, the operation runs
// in float, its results are rounded. One rounding at the end, as the contract wants it, whatever
// the operation; for the reference, and for the CPU where nothing faster is there.
#ifndef COHORT_KERNELS_WIDEN_H
#define COHORT_KERNELS_WIDEN_H

#include "kernels/bf16.h"
#include "kernels/descriptor.h"

typedef struct co_widened {
  co_op_desc desc;  // with f32 and canonical where the operation has bf16
  uint32_t in, out; // operands that are widened
  size_t in_offset[CO_OP_MAX_OPERANDS], out_offset[CO_OP_MAX_OPERANDS]; // in the scratch memory
  size_t bytes;                                                         // of it
} co_widened;

// How an array is converted: the backend's own loops, which get `user`.
typedef struct co_widen_loops {
  void (*widen)(const void *user, float *to, const co_bf16 *from, int64_t count);
  void (*round)(const void *user, co_bf16 *to, const float *from, int64_t count);
  const void *user;
} co_widen_loops;

// False if the operation has no operand to widen: all in f32, or one that handles bf16 itself (the
// fact .moves).
bool co_widen(const co_op_desc *desc, co_widened *out);
// Before the run in float: widens inputs, and outputs that are added to. `scratch` is aligned to 64
// bytes.
void co_widen_begin(const co_widened *widened, const co_widen_loops *loops, void *const *in,
                    void *const *out, void *scratch, void **wide_in, void **wide_out);
// After it: rounds the results.
void co_widen_end(const co_widened *widened, const co_widen_loops *loops, void *const *out,
                  void *const *wide_out);

#endif
