// SPDX-License-Identifier: Apache-2.0
#include "kernels/widen.h"

static size_t reserve(size_t *bytes, const co_shape *shape) {
  size_t at = *bytes;
  *bytes += ((size_t)co_shape_count(shape) * sizeof(float) + 63) / 64 * 64;
  return at;
}

static bool adds_to_bf16(const co_op_desc *desc) {
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    if ((desc->accumulate >> i & 1) && desc->out[i].dtype == CO_BF16) return true;
  return false;
}

bool co_widen(const co_op_desc *desc, co_widened *out) {
  memset(out, 0, sizeof *out);
  if (co_op_get_info(desc->op)->moves && !adds_to_bf16(desc)) return false;
  out->desc = *desc;
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    co_tensor_desc *in = &out->desc.in[i], *result = &out->desc.out[i];
    if ((desc->has_in >> i & 1) && in->dtype == CO_BF16) {
      out->in |= 1u << i;
      out->in_offset[i] = reserve(&out->bytes, &in->shape);
      in->dtype = CO_F32;
      in->layout = CO_LAYOUT_CANONICAL;
    }
    if ((desc->has_out >> i & 1) && result->dtype == CO_BF16) {
      out->out |= 1u << i;
      out->out_offset[i] = reserve(&out->bytes, &result->shape);
      result->dtype = CO_F32;
      result->layout = CO_LAYOUT_CANONICAL;
    }
  }
  return (out->in | out->out) != 0;
}

void co_widen_begin(const co_widened *w, const co_widen_loops *loops, void *const *in,
                    void *const *out, void *scratch, void **wide_in, void **wide_out) {
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    wide_in[i] = in[i];
    wide_out[i] = out[i];
    if (w->in >> i & 1) {
      wide_in[i] = (char *)scratch + w->in_offset[i];
      loops->widen(loops->user, wide_in[i], in[i], co_shape_count(&w->desc.in[i].shape));
    }
    if (w->out >> i & 1) {
      wide_out[i] = (char *)scratch + w->out_offset[i];
      if (w->desc.accumulate >> i & 1)
        loops->widen(loops->user, wide_out[i], out[i], co_shape_count(&w->desc.out[i].shape));
    }
  }
}

void co_widen_end(const co_widened *w, const co_widen_loops *loops, void *const *out,
                  void *const *wide_out) {
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    if (w->out >> i & 1)
      loops->round(loops->user, out[i], wide_out[i], co_shape_count(&w->desc.out[i].shape));
}
