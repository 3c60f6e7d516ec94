// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

static int64_t last(const co_shape *shape) {
  return shape->dim[shape->rank - 1];
}

void CO_REF(concat)(const co_op_desc *desc, void *const *in, void *const *out) {
  int64_t width = last(&desc->out[0].shape), rows = co_shape_count(&desc->out[0].shape) / width;
  real *y = out[0];
  for (int k = 0; k < CO_OP_MAX_OPERANDS; k++) {
    if ((desc->has_in >> k & 1) == 0) continue;
    const real *part = in[k];
    int64_t count = last(&desc->in[k].shape);
    for (int64_t r = 0; r < rows; r++)
      for (int64_t i = 0; i < count; i++)
        y[r * width + i] = part[r * count + i];
    y += count;
  }
}

void CO_REF(concat_backward)(const co_op_desc *desc, void *const *in, void *const *out) {
  const real *dy = in[0];
  int64_t width = last(&desc->in[0].shape), rows = co_shape_count(&desc->in[0].shape) / width;
  for (int k = 0; k < CO_OP_MAX_OPERANDS; dy += desc->attr.parts[k++]) {
    if ((desc->has_out >> k & 1) == 0) continue;
    real *part = out[k];
    int64_t count = desc->attr.parts[k];
    for (int64_t r = 0; r < rows; r++)
      for (int64_t i = 0; i < count; i++)
        co_put(desc, k, &part[r * count + i], (double)dy[r * width + i]);
  }
}

#if CO_REF_ONCE
static co_status check_part(co_op_desc *desc, int k) {
  const co_shape *a = &desc->in[0].shape, *part = &desc->in[k].shape;
  CO_RETURN_IF_FAILED(co_check_real(desc, k, 0));
  co_shape wanted = *a;
  wanted.dim[a->rank - 1] = part->rank > 0 ? last(part) : 0;
  if (co_shape_equal(part, &wanted)) return CO_OK;
  char left[128], right[128];
  co_shape_print(a, left, sizeof left);
  co_shape_print(part, right, sizeof right);
  return co_fail(CO_ERR_CONFIG, "concat: %s and %s differ in more than the last dimension%s", left,
                 right, a->rank != part->rank ? "; put a Flatten before the longer one" : "");
}

co_status co_infer_concat(co_op_desc *desc) {
  int64_t width = 0;
  CO_RETURN_IF_FAILED(co_check_rank(desc, 0, 2, CO_MAX_RANK));
  for (int k = 0; k < CO_OP_MAX_OPERANDS; k++) {
    desc->attr.parts[k] = 0;
    if ((desc->has_in >> k & 1) == 0) continue;
    CO_RETURN_IF_FAILED(check_part(desc, k));
    int64_t part = last(&desc->in[k].shape);
    if (part < 1 || part > INT64_MAX - width)
      return co_fail(CO_ERR_CONFIG,
                     "concat: the last dimensions must be known and of a usable size");
    desc->attr.parts[k] = part;
    width += part;
  }
  co_shape shape = desc->in[0].shape;
  shape.dim[shape.rank - 1] = width;
  co_set_out(desc, 0, desc->in[0].dtype, &shape);
  return CO_OK;
}

// An operation of graphs, too: attr.parts says what there is.
co_status co_infer_concat_backward(co_op_desc *desc) {
  int64_t width = 0;
  CO_RETURN_IF_FAILED(co_check_rank(desc, 0, 2, CO_MAX_RANK));
  co_shape shape = desc->in[0].shape;
  const int64_t all = last(&shape);
  for (int k = 0; k < CO_OP_MAX_OPERANDS; k++) {
    const int64_t part = desc->attr.parts[k];
    if (part < 0 || part > all - width)
      return co_fail(CO_ERR_CONFIG, "concat_backward: the parts are more than the whole");
    width += part;
    shape.dim[shape.rank - 1] = part;
    if (part) co_set_out(desc, k, desc->in[0].dtype, &shape);
  }
  return width == all
             ? CO_OK
             : co_fail(CO_ERR_CONFIG, "concat_backward: the parts are less than the whole");
}
#endif
