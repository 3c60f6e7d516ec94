// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

void CO_REF(reshape)(const co_op_desc *desc, void *const *in, void *const *out) {
  if (!co_accumulates(desc, 0)) { // of any type
    memcpy(out[0], in[0], co_tensor_bytes(&desc->in[0]));
    return;
  }
  int64_t count = co_shape_count(&desc->in[0].shape);
  const real *x = in[0];
  real *y = out[0];
  for (int64_t i = 0; i < count; i++)
    co_put(desc, 0, &y[i], (double)x[i]);
}

#if CO_REF_ONCE
// A count of elements: a number, times N so often, times the length of event table k so often.
typedef struct factors {
  int64_t number, rows, t[CO_MAX_EVENT_TABLES];
} factors;

// False if the shape is empty or too large.
static bool factors_of(const co_shape *shape, factors *out) {
  co_shape numbers = *shape;
  memset(out, 0, sizeof *out);
  for (int i = 0; i < shape->rank; i++) {
    int64_t extent = shape->dim[i];
    int table = co_dim_event_table(extent);
    if (extent >= 0) continue;
    numbers.dim[i] = co_dim_members(extent) ? co_dim_members(extent) : 1;
    if (table >= 0) out->t[table]++;
    if (table < 0 || extent <= CO_DIM_NT(0)) out->rows++;
  }
  out->number = co_shape_count(&numbers);
  return out->number > 0;
}

co_status co_infer_reshape(co_op_desc *desc) {
  co_shape y = desc->attr.shape;
  const co_shape *x = &desc->in[0].shape;
  // A symbolic N stands for x's rows, so that an attribute set by a layer fits every plan.
  if (y.rank > 0 && x->rank > 0 && y.dim[0] == CO_DIM_N) {
    bool symbolic = x->dim[0] < 0 && x->dim[0] != CO_DIM_N; // N T has rows of its own
    if (!symbolic) y.dim[0] = x->dim[0];
  }
  factors from, to;
  bool fits = y.rank >= 0 && y.rank <= CO_MAX_RANK && factors_of(&y, &to) && factors_of(x, &from) &&
              memcmp(&from, &to, sizeof from) == 0;
  if (!fits) {
    char have[128], want[128];
    co_shape_print(x, have, sizeof have);
    co_shape_print(&desc->attr.shape, want, sizeof want);
    return co_fail(CO_ERR_CONFIG, "reshape: %s cannot become %s", have, want);
  }
  co_set_out(desc, 0, desc->in[0].dtype, &y);
  return CO_OK;
}
#endif
