// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

static int64_t last(const co_shape *shape) {
  return shape->dim[shape->rank - 1];
}

void CO_REF(concat)(const co_op_desc *desc, void *const *in, void *const *out) {
  int64_t A = last(&desc->in[0].shape), B = last(&desc->in[1].shape);
  int64_t rows = co_shape_count(&desc->in[0].shape) / A;
  const real *a = in[0], *b = in[1];
  real *y = out[0];
  for (int64_t r = 0; r < rows; r++) {
    for (int64_t i = 0; i < A; i++)
      y[r * (A + B) + i] = a[r * A + i];
    for (int64_t i = 0; i < B; i++)
      y[r * (A + B) + A + i] = b[r * B + i];
  }
}

// One of the gradients may be absent.
void CO_REF(concat_backward)(const co_op_desc *desc, void *const *in, void *const *out) {
  const real *dy = in[0];
  int64_t width = last(&desc->in[0].shape), rows = co_shape_count(&desc->in[0].shape) / width;
  for (int k = 0; k < 2; k++) {
    if ((desc->has_out >> k & 1) == 0) continue;
    real *part = out[k];
    int64_t count = last(&desc->out[k].shape), from = k == 0 ? 0 : width - count;
    for (int64_t r = 0; r < rows; r++)
      for (int64_t i = 0; i < count; i++)
        co_put(desc, k, &part[r * count + i], (double)dy[r * width + from + i]);
  }
}

#if CO_REF_ONCE
co_status co_infer_concat(co_op_desc *desc) {
  const co_shape *a = &desc->in[0].shape, *b = &desc->in[1].shape;
  CO_RETURN_IF_FAILED(co_check_real(desc, 1, 0));
  CO_RETURN_IF_FAILED(co_check_rank(desc, 0, 2, CO_MAX_RANK));
  co_shape wanted = *a;
  wanted.dim[a->rank - 1] = b->rank > 0 ? last(b) : 0;
  if (!co_shape_equal(b, &wanted)) {
    char left[128], right[128];
    co_shape_print(a, left, sizeof left);
    co_shape_print(b, right, sizeof right);
    return co_fail(CO_ERR_CONFIG, "concat: %s and %s differ in more than the last dimension%s",
                   left, right, a->rank != b->rank ? "; put a Flatten before the longer one" : "");
  }
  if (last(a) < 1 || last(b) < 1 || last(a) > INT64_MAX - last(b))
    return co_fail(CO_ERR_CONFIG, "concat: the last dimensions must be known and of a usable size");
  wanted.dim[a->rank - 1] = last(a) + last(b);
  co_set_out(desc, 0, desc->in[0].dtype, &wanted);
  return CO_OK;
}

CO_INFER_BACKWARD(concat_backward)
#endif
